//! What goes wrong in the world.

use mapfold_terms::JobId;

use super::world::{FAULTS_END, Happening, World};
use crate::{Event, WorkerGone};

/// One thing that goes wrong; processes by place.
#[derive(Clone, Debug)]
pub(super) enum Fault {
    Crash(usize),
    Stall(usize),
    CutFromMaster(usize),
    CutPair(usize, usize),
    LoseRun(usize),
    LoseAllRuns(usize),
    DamageRun(usize),
    Leave(usize),
    Drain(usize),
    /// All processes end and none comes back.
    Extinction,
    StallMaster,
    /// The master's clock leaps forward, as when its machine has slept.
    JumpClock,
    /// The clock of a worker does.
    JumpClockOf(usize),
    /// The master ends, between two turns or before what one has decided is on disk, and is started again.
    CrashMaster,
    CancelJob,
}

impl World {
    pub(super) fn draw_fault(&mut self) -> Fault {
        let n = self.processes.len();
        let (a, b) = (self.rng.index(n), self.rng.index(n));
        match self.rng.range(0, 100) {
            0..20 => Fault::Crash(a),
            20..36 => Fault::Stall(a),
            36..45 => Fault::CutFromMaster(a),
            45..53 => Fault::CutPair(a.min(b), a.max(b)),
            53..64 => Fault::LoseRun(a),
            64..67 => Fault::LoseAllRuns(a),
            67..71 => Fault::DamageRun(a),
            71..74 => Fault::Leave(a),
            74..78 => Fault::Drain(a),
            78..80 => Fault::StallMaster,
            80 => Fault::JumpClock,
            81 => Fault::JumpClockOf(a),
            82..97 => Fault::CrashMaster,
            97 => Fault::Extinction,
            _ => Fault::CancelJob,
        }
    }

    pub(super) fn fault(&mut self, fault: &Fault) -> Result<(), String> {
        self.note(&format!("fault {fault:?}"));
        self.summary.faults += 1;
        match *fault {
            Fault::Crash(process) => {
                let worker = self.processes[process].crash();
                if let Some(worker) = worker.filter(|_| self.rng.chance(50)) {
                    let at = self.now + self.rng.range(1, 30);
                    self.push(at, Happening::Gone(worker, WorkerGone::Exited));
                }
                self.restart(process, 1_200);
            }
            Fault::Leave(process) => self.leave(process),
            Fault::Drain(process) => {
                if let Some(worker) = self.processes[process].id
                    && !self.master_down
                {
                    let known = self.scheduler.is_live(worker);
                    self.drained.insert(worker, self.now);
                    self.handle(Event::WorkerDrains { worker })?;
                    if known && !self.master_down {
                        let number = self.processes[process].number(process);
                        self.to_leave.insert(number);
                    }
                }
            }
            Fault::Extinction => {
                self.extinct = true;
                for process in &mut self.processes {
                    process.crash();
                }
            }
            Fault::Stall(process) => {
                let until = self.now + self.rng.range(50, 1_500);
                self.processes[process].stalled_until = until;
            }
            Fault::CutFromMaster(process) => {
                let until = (self.now + self.rng.range(50, 1_200)).min(FAULTS_END);
                self.processes[process].cut_until = until;
            }
            Fault::CutPair(a, b) => {
                let until = (self.now + self.rng.range(100, 2_000)).min(FAULTS_END);
                self.cut_pairs.insert((a, b), until);
            }
            Fault::LoseRun(process) => {
                let n = self.rng.next();
                self.processes[process].lose_run(n);
            }
            Fault::LoseAllRuns(process) => self.processes[process].lose_all_runs(),
            Fault::DamageRun(process) => {
                let n = self.rng.next();
                self.processes[process].damage_run(n);
            }
            Fault::StallMaster => {
                self.master_stalled_until = self.now + self.rng.range(20, 700);
            }
            Fault::JumpClock => {
                let most = if self.rng.chance(50) { 500 } else { 3_600_000 };
                let millis = self.rng.range(1, most);
                self.jump_clock(millis);
            }
            Fault::JumpClockOf(process) => self.processes[process].jump_clock(),
            Fault::CrashMaster => {
                if self.rng.chance(50) {
                    self.crash_master();
                } else {
                    self.crash_in_turn = true;
                }
            }
            Fault::CancelJob => {
                let job = JobId(self.rng.range(1, self.jobs.len() as u64 + 1));
                if self.master_down {
                    return Ok(());
                }
                self.job(job).cancelled = true;
                self.handle(Event::JobCancelled { job })?;
                if self.master_down {
                    return Ok(());
                }
                if !self.scheduler.jobs.contains_key(&job) && self.jobs[&job].result.is_none() {
                    // It was not submitted yet: the wish is void.
                    self.job(job).cancelled = false;
                }
            }
        }
        Ok(())
    }

    /// The process ends in good order, and comes again.
    pub(super) fn leave(&mut self, process: usize) {
        if let Some(worker) = self.processes[process].crash() {
            self.push(self.now + 1, Happening::Gone(worker, WorkerGone::Left));
        }
        self.restart(process, 300);
    }

    pub(super) fn restart(&mut self, process: usize, after_max: u64) {
        let at = (self.now + self.rng.range(20, after_max)).min(FAULTS_END);
        self.push(at.max(self.now + 1), Happening::Restart(process));
    }
}
