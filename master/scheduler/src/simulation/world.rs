//! A master, its workers and what lies between them, as one queue of happenings.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use mapfold_terms::{AttemptId, Digest, JobId, MasterEpoch, Outcome, Progress, Token, WorkerId};

use super::disk::Disk;
use super::faults::Fault;
use super::master::settings;
use super::oracle::{Function, Part};
use super::process::Process;
use super::rng::Rng;
use crate::planted::Bug;
use crate::{CommitOutcome, JobPlan, JobResult, Moment, Scheduler, WorkerGone};

/// Faults happen before this moment, in ms; then calm.
pub(super) const FAULTS_END: u64 = 2_500;
/// By then every job must have ended.
const LIMIT: u64 = FAULTS_END + 30_000;
/// After the last job ended the world goes on for so long, so that whatever is late still arrives.
const SETTLE: u64 = 1_600;

/// What to simulate.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) seed: u64,
    pub(super) deterministic: bool,
    pub(super) planted: BTreeSet<Bug>,
    /// Check all invariants at every step; else only what comes out.
    pub(super) invariants: bool,
    pub(super) trace: bool,
}

/// How a simulation went that found nothing wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) jobs: u64,
    pub(super) succeeded: u64,
    pub(super) attempts: u64,
    pub(super) faults: u64,
    pub(super) events: u64,
    pub(super) rollbacks: u64,
    pub(super) backups: u64,
    pub(super) backups_won: u64,
    pub(super) maps_rerun: u64,
    pub(super) stale: u64,
    pub(super) workers_lost: u64,
    pub(super) restarts: u64,
    pub(super) adopted: u64,
    pub(super) found: u64,
    pub(super) millis: u64,
    /// Over everything that was traced.
    pub(super) digest: u64,
}

/// What the scheduler is told over the network.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Join {
        /// The start of the master that it belonged to, and what it runs and has to report.
        returning: Option<(MasterEpoch, BTreeSet<AttemptId>)>,
    },
    /// The runs of a worker that returns.
    Attach(Vec<(AttemptId, Digest)>),
    Beat {
        holds: BTreeSet<AttemptId>,
        progress: Vec<Progress>,
        sent: u64,
    },
    Ended {
        attempt: AttemptId,
        outcome: Box<Outcome>,
    },
}

/// What a worker is told.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Joined(WorkerId, MasterEpoch),
    AttachHeard(WorkerId),
    BeatHeard {
        sent: u64,
    },
    EndHeard(AttemptId),
    /// The master does not know a worker of this id, or not any more.
    Refused(WorkerId),
    Launch(AttemptId),
    Cancel(AttemptId),
    Discard(AttemptId),
    Forget(JobId),
    Stop,
}

/// What a worker does by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Own {
    Join,
    Beat,
    Resend,
    Step(AttemptId),
}

/// Something that happens at a moment.
#[derive(Clone, Debug)]
pub(super) enum Happening {
    ToMaster {
        process: usize,
        life: u64,
        from: WorkerId,
        message: Message,
    },
    ToWorker {
        process: usize,
        life: u64,
        /// Orders are only taken under the id that they are for.
        id: Option<WorkerId>,
        reply: Reply,
    },
    Own {
        process: usize,
        life: u64,
        own: Own,
    },
    Submit(JobId),
    /// The output of a commit that this start of the master has begun is in place.
    Visible(JobId, MasterEpoch),
    CommitEnded(JobId, MasterEpoch, CommitOutcome),
    /// The master is started again.
    MasterUp,
    Gone(WorkerId, WorkerGone),
    Tick,
    Fault(Fault),
    Restart(usize),
}

/// What the world knows of a job.
pub(super) struct SimJob {
    pub(super) function: Function,
    pub(super) cancelled: bool,
    /// The start of the master that asked for its commit last.
    pub(super) commit_asked: Option<MasterEpoch>,
    pub(super) commit_parts: Vec<AttemptId>,
    pub(super) commit_broken: bool,
    pub(super) visible: bool,
    /// Its client knows that it is accepted.
    pub(super) accepted: bool,
    pub(super) result: Option<JobResult>,
}

/// Everything there is.
pub(super) struct World {
    pub(super) now: u64,
    pub(super) rng: Rng,
    pub(super) scheduler: Scheduler,
    pub(super) processes: Vec<Process>,
    pub(super) jobs: BTreeMap<JobId, SimJob>,
    pub(super) staged: BTreeMap<AttemptId, Part>,
    /// Pairs of processes that cannot reach each other, and until when.
    pub(super) cut_pairs: BTreeMap<(usize, usize), u64>,
    /// Failures dealt out, by task: few enough for the job to survive.
    pub(super) failures: BTreeMap<(JobId, mapfold_terms::TaskId), u32>,
    /// Boxed: happenings are large and the queue moves them about.
    pub(super) queue: BTreeMap<(u64, u64), Box<Happening>>,
    pub(super) sequence: u64,
    pub(super) next_worker: u32,
    pub(super) master_stalled_until: u64,
    pub(super) epoch: MasterEpoch,
    pub(super) disk: Disk,
    pub(super) master_down: bool,
    /// The master crashes as soon as it has something to write.
    pub(super) crash_in_turn: bool,
    /// What the master was just told of an attempt.
    pub(super) reported: Option<(AttemptId, Outcome)>,
    pub(super) tick_at: Option<u64>,
    pub(super) launched: BTreeSet<Token>,
    pub(super) fenced: BTreeSet<WorkerId>,
    /// Workers that were to leave, and since when.
    pub(super) drained: BTreeMap<WorkerId, u64>,
    /// Processes of which whoever wanted that was told that they will.
    pub(super) to_leave: BTreeSet<u128>,
    /// Attempts whose code went into a loop.
    pub(super) looped: BTreeSet<AttemptId>,
    /// How often attempts were begun.
    pub(super) begun: BTreeMap<AttemptId, u32>,
    /// Parts that were written where everybody sees them, which only a planted bug does.
    pub(super) shown: BTreeMap<(JobId, mapfold_terms::TaskId), Part>,
    /// What a worker has done that it must not do.
    pub(super) wrong: Option<String>,
    /// How far the master's clock is before the world's.
    pub(super) clock_ahead: u64,
    /// The part of it that the master may have taken for time in which its workers were silent.
    pub(super) jumped: u64,
    pub(super) workerless_since: Option<u64>,
    pub(super) ended_at: Option<u64>,
    pub(super) extinct: bool,
    pub(super) summary: Summary,
    pub(super) invariants: bool,
    pub(super) trace: Option<String>,
}

impl World {
    pub(super) fn new(case: &Case) -> Self {
        let mut rng = Rng::new(case.seed);
        let mut scheduler = Scheduler::new(MasterEpoch(1), 1, settings());
        scheduler.planted.clone_from(&case.planted);
        let processes = (0..rng.range(1, 5))
            .map(|_| Process::new(u32::try_from(rng.range(1, 4)).unwrap()))
            .collect();
        let mut world = Self {
            now: 0,
            rng,
            scheduler,
            processes,
            jobs: BTreeMap::new(),
            staged: BTreeMap::new(),
            cut_pairs: BTreeMap::new(),
            failures: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            next_worker: 1,
            master_stalled_until: 0,
            epoch: MasterEpoch(1),
            disk: Disk::new(MasterEpoch(1)),
            master_down: false,
            crash_in_turn: false,
            reported: None,
            tick_at: None,
            launched: BTreeSet::new(),
            fenced: BTreeSet::new(),
            drained: BTreeMap::new(),
            to_leave: BTreeSet::new(),
            looped: BTreeSet::new(),
            begun: BTreeMap::new(),
            shown: BTreeMap::new(),
            wrong: None,
            clock_ahead: 0,
            jumped: 0,
            workerless_since: Some(0),
            ended_at: None,
            extinct: false,
            summary: Summary::default(),
            invariants: case.invariants,
            trace: case.trace.then(String::new),
        };
        world.prepare(case.deterministic);
        world
    }

    /// Plays until all jobs have ended and everything late has arrived.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub(super) fn run(&mut self) -> Result<Summary, String> {
        loop {
            let Some(((at, _), happening)) = self.queue.pop_first() else {
                if self.unfinished().is_empty() {
                    break;
                }
                return Err("hang: nothing will ever happen".to_owned());
            };
            self.now = self.now.max(at);
            if self.ended_at.is_some_and(|ended| self.has_settled(ended)) {
                break;
            }
            if self.now > LIMIT {
                return Err(format!("hang: jobs {:?} have not ended", self.unfinished()));
            }
            self.summary.events += 1;
            self.happen(*happening)?;
            if let Some(wrong) = self.wrong.take() {
                return Err(wrong);
            }
        }
        self.finish()
    }

    /// Whether all that was late when the last job ended has arrived. A worker that slept, or found a
    /// restarted master late, may then still have an attempt to stop.
    fn has_settled(&self, ended: u64) -> bool {
        let idle = self.scheduler.is_idle() && !self.master_down;
        self.now > ended + if idle { SETTLE } else { 4 * SETTLE }
    }

    /// What was traced, if it was asked for.
    pub(super) fn trace(&self) -> &str {
        self.trace.as_deref().unwrap_or_default()
    }

    fn prepare(&mut self, deterministic: bool) {
        for process in 0..self.processes.len() {
            let at = self.rng.range(0, 100);
            self.own(process, Own::Join, at);
        }
        for job in 1..=self.rng.range(1, 3) {
            let plan = JobPlan {
                maps: u32::try_from(self.rng.range(0, 9)).unwrap(),
                reduces: u32::try_from(self.rng.range(0, 5)).unwrap(),
                max_attempts: 4,
                skip_bad: 0,
                backup: self.rng.chance(70),
                task_timeout: Duration::from_millis(if self.rng.chance(50) { 500 } else { 0 }),
            };
            let job = JobId(job);
            let sim = SimJob {
                function: Function {
                    job,
                    plan,
                    deterministic,
                },
                cancelled: false,
                commit_asked: None,
                commit_parts: Vec::new(),
                commit_broken: false,
                visible: false,
                accepted: false,
                result: None,
            };
            self.jobs.insert(job, sim);
            let at = self.rng.range(0, 800);
            self.push(at, Happening::Submit(job));
        }
        for _ in 0..self.rng.range(0, 12) {
            let at = self.rng.range(50, FAULTS_END);
            let fault = self.draw_fault();
            self.push(at, Happening::Fault(fault));
        }
    }

    fn happen(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::Own { process, life, own } => {
                if self.deferred(process, life, Happening::Own { process, life, own }) {
                    return Ok(());
                }
                self.act(process, own);
            }
            Happening::ToWorker {
                process,
                life,
                id,
                reply,
            } => {
                let again = Happening::ToWorker {
                    process,
                    life,
                    id,
                    reply: reply.clone(),
                };
                if self.deferred(process, life, again.clone()) {
                    return Ok(());
                }
                let known = self.processes[process].id;
                if id.is_some() && known.is_none() {
                    // It asks for orders once it knows its id.
                    self.push(self.now + 10, again);
                } else if id.is_none() || id == known {
                    self.told(process, reply);
                }
            }
            Happening::Fault(fault) => self.fault(&fault)?,
            Happening::Restart(process) => {
                if self.processes[process].down && !self.extinct {
                    self.processes[process].down = false;
                    self.own(process, Own::Join, 1);
                }
            }
            // A thread of its own renames folders.
            Happening::Visible(job, epoch) => {
                if epoch == self.epoch && !self.master_down {
                    self.job(job).visible = true;
                }
            }
            other if self.now < self.master_stalled_until => {
                self.push(self.master_stalled_until, other);
            }
            other => self.reach_master(other)?,
        }
        Ok(())
    }

    /// Whether the process cannot act on it now. What is meant for an earlier life is dropped; a stalled
    /// process acts when it resumes.
    fn deferred(&mut self, process: usize, life: u64, happening: Happening) -> bool {
        let state = &self.processes[process];
        if state.down || state.life != life {
            return true;
        }
        let until = state.stalled_until;
        if self.now < until {
            self.push(until, happening);
            return true;
        }
        false
    }

    pub(super) fn unfinished(&self) -> Vec<JobId> {
        let open = self.jobs.iter().filter(|(_, job)| job.result.is_none());
        open.map(|(id, _)| *id).collect()
    }

    /// Nothing of the jobs is left.
    fn finish(&mut self) -> Result<Summary, String> {
        let visible = self.jobs.iter().filter(|(_, job)| job.visible);
        for id in visible.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.judge(id)?;
        }
        for worker in self.scheduler.workers().filter(|it| it.draining) {
            let since = self.drained.get(&worker.worker);
            let there = self.processes.iter().any(|process| {
                process.id == Some(worker.worker) && process.stalled_until < self.now
            });
            if there && worker.running == 0 && since.is_some_and(|at| at + SETTLE < self.now) {
                return Err(format!("{} drains for ever", worker.worker));
            }
        }
        for (place, process) in self.processes.iter().enumerate() {
            let to_leave = self.to_leave.contains(&process.number(place));
            let live = self.scheduler.workers();
            let stays = |it: &crate::LiveWorker| Some(it.worker) == process.id && !it.draining;
            if let Some(worker) = live.into_iter().find(stays).filter(|_| to_leave) {
                return Err(format!("the drain of {} is forgotten", worker.worker));
            }
        }
        let loops = |attempt| self.looped.contains(&attempt);
        if !self.scheduler.is_idle_but_for(loops) {
            return Err(format!("left over: {:?}", self.scheduler));
        }
        self.summary.stale = self.scheduler.stale_events();
        self.summary.millis = self.now;
        Ok(self.summary)
    }

    /// The process will do something, `after` from now.
    pub(super) fn own(&mut self, process: usize, own: Own, after: u64) {
        let life = self.processes[process].life;
        self.push(self.now + after, Happening::Own { process, life, own });
    }

    pub(super) fn push(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), Box::new(happening));
    }

    pub(super) fn job(&mut self, id: JobId) -> &mut SimJob {
        self.jobs.get_mut(&id).unwrap()
    }

    pub(super) fn moment(&self) -> Moment {
        Moment(Duration::from_millis(self.now + self.clock_ahead))
    }

    /// The master's clock leaps.
    pub(super) fn jump_clock(&mut self, millis: u64) {
        let short = u64::try_from(settings().gap_max().as_millis()).unwrap();
        self.clock_ahead += millis;
        self.jumped += millis.min(short);
    }

    pub(super) fn note(&mut self, text: &str) {
        let numbers = text.bytes().map(u64::from);
        let digest = &mut self.summary.digest;
        *digest = numbers.fold(*digest ^ self.now, |sum, byte| {
            (sum ^ byte).wrapping_mul(0x0000_0100_0000_01b3)
        });
        if let Some(trace) = &mut self.trace {
            writeln!(trace, "{:>6} {text}", self.now).unwrap();
        }
    }
}
