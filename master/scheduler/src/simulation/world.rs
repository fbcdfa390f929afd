//! A master, its workers and what lies between them, as one queue of happenings.
//!
//! Messages take 1 to 20 ms. While faults last, heartbeats, reports and their answers are dropped (5 %)
//! and doubled late (5 %); orders arrive in sequence, late, twice, or not at all where a connection
//! broke. A report is sent again until it is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use mapfold_terms::{AttemptId, FailReason, JobId, MasterEpoch, Outcome, Token, WorkerId};

use super::oracle::{Function, Part};
use super::process::Process;
use super::rng::Rng;
use crate::planted::Bug;
use crate::script::{failure, words};
use crate::{
    Action, CommitOutcome, Event, JobPlan, JobResult, Moment, Scheduler, Settings, WorkerGone,
};

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
    pub(super) maps_rerun: u64,
    pub(super) stale: u64,
    pub(super) workers_lost: u64,
    pub(super) millis: u64,
    /// Over everything that was traced.
    pub(super) digest: u64,
}

/// What the scheduler is told over the network.
#[derive(Clone, Debug)]
pub(super) enum Message {
    Join,
    Beat {
        holds: BTreeSet<AttemptId>,
        sent: u64,
    },
    Ended {
        attempt: AttemptId,
        outcome: Outcome,
    },
}

/// What a worker is told.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Joined(WorkerId),
    BeatHeard {
        sent: u64,
    },
    EndHeard(AttemptId),
    /// The id that it acts under is dead.
    Refused,
    Launch(AttemptId),
    Cancel(AttemptId),
    Discard(AttemptId),
    Forget(JobId),
}

/// What a worker does by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Own {
    Join,
    Beat,
    Resend,
    Step(AttemptId),
}

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
    /// All processes end and none comes back.
    Extinction,
    StallMaster,
    CancelJob,
}

#[derive(Clone, Debug)]
enum Happening {
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
    CommitEnded(JobId, CommitOutcome),
    Gone(WorkerId, WorkerGone),
    Tick,
    Fault(Fault),
    Restart(usize),
}

/// What the world knows of a job.
pub(super) struct SimJob {
    pub(super) function: Function,
    cancelled: bool,
    commits: u32,
    commit_broken: bool,
    visible: bool,
    result: Option<JobResult>,
}

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
    queue: BTreeMap<(u64, u64), Box<Happening>>,
    sequence: u64,
    next_worker: u32,
    master_stalled_until: u64,
    tick_at: Option<u64>,
    launched: BTreeSet<Token>,
    fenced: BTreeSet<WorkerId>,
    workerless_since: Option<u64>,
    ended_at: Option<u64>,
    extinct: bool,
    summary: Summary,
    invariants: bool,
    trace: Option<String>,
}

/// Bounds that fit a world in which a second is long.
fn settings() -> Settings {
    let ms = Duration::from_millis;
    Settings {
        lease: ms(300),
        lease_slack: ms(60),
        grace_without_workers: ms(1_500),
        confirm_within: ms(150),
        run_losses_max: 30,
        retry_first: ms(20),
        retry_max: ms(200),
        yield_after: ms(100),
        ..Settings::default()
    }
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
            tick_at: None,
            launched: BTreeSet::new(),
            fenced: BTreeSet::new(),
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
            if self.ended_at.is_some_and(|ended| self.now > ended + SETTLE) {
                break;
            }
            if self.now > LIMIT {
                return Err(format!("hang: jobs {:?} have not ended", self.unfinished()));
            }
            self.summary.events += 1;
            self.happen(*happening)?;
        }
        self.finish()
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
                reduces: u32::try_from(self.rng.range(1, 5)).unwrap(),
                max_attempts: 4,
            };
            let job = JobId(job);
            let sim = SimJob {
                function: Function {
                    job,
                    plan,
                    deterministic,
                },
                cancelled: false,
                commits: 0,
                commit_broken: false,
                visible: false,
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

    fn draw_fault(&mut self) -> Fault {
        let n = self.processes.len();
        let (a, b) = (self.rng.index(n), self.rng.index(n));
        match self.rng.range(0, 100) {
            0..25 => Fault::Crash(a),
            25..45 => Fault::Stall(a),
            45..55 => Fault::CutFromMaster(a),
            55..65 => Fault::CutPair(a.min(b), a.max(b)),
            65..77 => Fault::LoseRun(a),
            77..80 => Fault::LoseAllRuns(a),
            80..87 => Fault::DamageRun(a),
            87..91 => Fault::Leave(a),
            91..98 => Fault::StallMaster,
            98 => Fault::Extinction,
            _ => Fault::CancelJob,
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

    fn reach_master(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::ToMaster {
                process,
                life,
                from,
                message,
            } => self.heard(process, life, from, message),
            Happening::Submit(job) => {
                let plan = self.jobs[&job].function.plan.clone();
                self.handle(Event::JobPlanned { job, plan })
            }
            Happening::CommitEnded(job, outcome) => {
                if matches!(outcome, CommitOutcome::Done { .. }) {
                    self.job(job).visible = true;
                }
                self.handle(Event::CommitEnded { job, outcome })
            }
            Happening::Gone(worker, why) => self.handle(Event::WorkerGone { worker, why }),
            Happening::Tick => {
                if self.tick_at.is_some_and(|at| at <= self.now) {
                    self.tick_at = None;
                    self.scheduler.tick(self.moment());
                    self.drain()?;
                }
                Ok(())
            }
            other => unreachable!("{other:?} is not for the master"),
        }
    }

    /// A message of a worker arrives at the master, which answers.
    fn heard(
        &mut self,
        process: usize,
        life: u64,
        from: WorkerId,
        message: Message,
    ) -> Result<(), String> {
        let reply = match message {
            Message::Join => {
                let worker = WorkerId(self.next_worker);
                self.next_worker += 1;
                let slots = self.processes[process].slots;
                self.processes[process].orders_at = self.now;
                self.reply(process, life, Reply::Joined(worker));
                self.processes[process].life_of.insert(worker, life);
                return self.handle(Event::WorkerJoined { worker, slots });
            }
            Message::Beat { holds, sent } => {
                self.handle(Event::Heartbeat {
                    worker: from,
                    holds,
                })?;
                Reply::BeatHeard { sent }
            }
            Message::Ended { attempt, outcome } => {
                self.handle(Event::AttemptEnded {
                    worker: from,
                    attempt,
                    outcome,
                })?;
                Reply::EndHeard(attempt)
            }
        };
        let reply = if self.scheduler.is_live(from) {
            reply
        } else {
            Reply::Refused
        };
        self.reply(process, life, reply);
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<(), String> {
        if self.trace.is_some() {
            self.note(&format!("{event:?}"));
        }
        self.scheduler.handle(self.moment(), event);
        self.drain()
    }

    /// Does what the scheduler asks, and checks that it may be asked.
    fn drain(&mut self) -> Result<(), String> {
        if self.invariants {
            self.scheduler.check_invariants()?;
        }
        while let Some(action) = self.scheduler.poll_action() {
            self.note(&words(&action));
            self.perform(action)?;
        }
        let live = self.scheduler.capacity().0 > 0;
        self.workerless_since = if live {
            None
        } else {
            self.workerless_since.or(Some(self.now))
        };
        if let Some(due) = self.scheduler.next_deadline() {
            let due = u64::try_from(due.0.as_micros().div_ceil(1000)).unwrap();
            let at = due.max(self.now + 1);
            if self.tick_at.is_none_or(|tick| at < tick || tick < self.now) {
                self.tick_at = Some(at);
                self.push(at, Happening::Tick);
            }
        }
        Ok(())
    }

    fn perform(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Launch { attempt, on } => {
                if !self.launched.insert(attempt.token) {
                    return Err(format!("{attempt} was launched twice"));
                }
                let ended = self.jobs[&attempt.job].result.is_some();
                if self.fenced.contains(&on) || ended {
                    return Err(format!("{attempt} was launched on {on} too late"));
                }
                self.order(on, Reply::Launch(attempt));
            }
            Action::Cancel { attempt, on } => self.order(on, Reply::Cancel(attempt)),
            Action::Discard { attempt, on } => {
                let winner = self.scheduler.winner(attempt.job, attempt.task.index);
                if winner.is_some_and(|winner| winner.attempt == attempt) {
                    return Err(format!("the run of {attempt} wins and is discarded"));
                }
                self.order(on, Reply::Discard(attempt));
            }
            Action::Commit { job, parts } => self.commit(job, &parts)?,
            Action::Finish { job, result } => self.end(job, result)?,
            Action::Fence { worker } => {
                self.fenced.insert(worker);
                self.summary.workers_lost += 1;
            }
            Action::Notice { .. } | Action::Won { .. } => {}
        }
        Ok(())
    }

    fn commit(&mut self, id: JobId, parts: &[AttemptId]) -> Result<(), String> {
        let faults = self.now < FAULTS_END;
        let broken = faults && self.rng.chance(2);
        let job = self.jobs.get_mut(&id).unwrap();
        job.commits += 1;
        job.commit_broken = broken;
        if job.commits > 1 || job.result.is_some() {
            return Err(format!("{id} commits again"));
        }
        let checked = job.function.check(parts, &self.staged);
        checked.map_err(|text| format!("wrong output of {id}: {text}"))?;
        let outcome = if broken {
            CommitOutcome::Failed {
                reason: FailReason::Output,
                failure: failure(mapfold_terms::FailClass::Worker, "broken"),
            }
        } else {
            CommitOutcome::Done { root: [1; 32] }
        };
        let at = self.now + self.rng.range(2, 60);
        self.push(at, Happening::CommitEnded(id, outcome.clone()));
        if self.rng.chance(5) {
            self.push(at + 20, Happening::CommitEnded(id, outcome));
        }
        Ok(())
    }

    fn end(&mut self, id: JobId, result: JobResult) -> Result<(), String> {
        let grace = settings().grace_without_workers.as_millis();
        let workerless = self.workerless_since.map_or(0, |since| self.now - since);
        let job = self.jobs.get_mut(&id).unwrap();
        let fair = match &result {
            JobResult::Succeeded { .. } => job.visible,
            JobResult::Cancelled => job.cancelled && !job.visible,
            JobResult::Failed { reason, .. } => match reason {
                FailReason::NoWorkers => u128::from(workerless) >= grace,
                FailReason::Rollbacks => !job.function.deterministic,
                FailReason::Output => job.commit_broken,
                _ => false,
            },
        };
        if job.result.is_some() || !fair {
            return Err(format!(
                "{id} ended with {result:?} (before: {:?})",
                job.result
            ));
        }
        self.summary.jobs += 1;
        self.summary.succeeded += u64::from(matches!(result, JobResult::Succeeded { .. }));
        let stats = self.scheduler.stats(id).unwrap();
        self.summary.attempts += stats.attempts;
        self.summary.rollbacks += u64::from(stats.rollbacks);
        self.summary.maps_rerun += stats.maps_rerun;
        job.result = Some(result);
        let forgetful: Vec<WorkerId> = self.scheduler.workers().map(|w| w.worker).collect();
        for worker in forgetful {
            self.order(worker, Reply::Forget(id));
        }
        if self.unfinished().is_empty() {
            self.ended_at = Some(self.now);
        }
        Ok(())
    }

    fn unfinished(&self) -> Vec<JobId> {
        let open = self.jobs.iter().filter(|(_, job)| job.result.is_none());
        open.map(|(id, _)| *id).collect()
    }

    /// Nothing of the jobs is left.
    fn finish(&mut self) -> Result<Summary, String> {
        if !self.scheduler.is_idle() {
            return Err(format!("left over: {:?}", self.scheduler));
        }
        self.summary.stale = self.scheduler.stale_events();
        self.summary.millis = self.now;
        Ok(self.summary)
    }

    fn fault(&mut self, fault: &Fault) -> Result<(), String> {
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
            Fault::Leave(process) => {
                if let Some(worker) = self.processes[process].crash() {
                    self.push(self.now + 1, Happening::Gone(worker, WorkerGone::Left));
                }
                self.restart(process, 300);
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
            Fault::CancelJob => {
                let job = JobId(self.rng.range(1, self.jobs.len() as u64 + 1));
                self.job(job).cancelled = true;
                self.handle(Event::JobCancelled { job })?;
                if !self.scheduler.jobs.contains_key(&job) && self.jobs[&job].result.is_none() {
                    // It was not submitted yet: the wish is void.
                    self.job(job).cancelled = false;
                }
            }
        }
        Ok(())
    }

    fn restart(&mut self, process: usize, after_max: u64) {
        let at = (self.now + self.rng.range(20, after_max)).min(FAULTS_END);
        self.push(at.max(self.now + 1), Happening::Restart(process));
    }

    /// Sends a message to the master.
    pub(super) fn send(&mut self, process: usize, message: &Message) {
        let state = &self.processes[process];
        let (life, from) = (state.life, state.id.unwrap_or(WorkerId(0)));
        for at in self.arrivals(process) {
            let message = message.clone();
            self.push(
                at,
                Happening::ToMaster {
                    process,
                    life,
                    from,
                    message,
                },
            );
        }
    }

    fn reply(&mut self, process: usize, life: u64, reply: Reply) {
        for at in self.arrivals(process) {
            let reply = reply.clone();
            self.push(
                at,
                Happening::ToWorker {
                    process,
                    life,
                    id: None,
                    reply,
                },
            );
        }
    }

    /// When a message arrives: once, or not at all, or once more much later.
    fn arrivals(&mut self, process: usize) -> Vec<u64> {
        let faults = self.now < FAULTS_END;
        let cut = self.now < self.processes[process].cut_until;
        if cut || faults && self.rng.chance(5) {
            return Vec::new();
        }
        let mut arrivals = vec![self.now + self.rng.range(1, 21)];
        if faults && self.rng.chance(5) {
            arrivals.push(self.now + self.rng.range(20, 1_500));
        }
        arrivals
    }

    /// Sends an order: in sequence, however long it takes, unless the connection breaks.
    fn order(&mut self, worker: WorkerId, reply: Reply) {
        let Some(process) = self
            .processes
            .iter()
            .position(|p| p.life_of.contains_key(&worker))
        else {
            return;
        };
        let life = self.processes[process].life_of[&worker];
        let faults = self.now < FAULTS_END;
        if faults && self.rng.chance(3) {
            return;
        }
        let slow = if faults && self.rng.chance(3) {
            400
        } else {
            20
        };
        let at = self.now.max(self.processes[process].cut_until) + self.rng.range(1, slow);
        let at = at.max(self.processes[process].orders_at);
        self.processes[process].orders_at = at;
        if faults && self.rng.chance(5) {
            let again = Happening::ToWorker {
                process,
                life,
                id: Some(worker),
                reply: reply.clone(),
            };
            let late = at + self.rng.range(1, 1_500);
            self.push(late, again);
        }
        self.push(
            at,
            Happening::ToWorker {
                process,
                life,
                id: Some(worker),
                reply,
            },
        );
    }

    /// The process will do something, `after` from now.
    pub(super) fn own(&mut self, process: usize, own: Own, after: u64) {
        let life = self.processes[process].life;
        self.push(self.now + after, Happening::Own { process, life, own });
    }

    fn push(&mut self, at: u64, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), Box::new(happening));
    }

    pub(super) fn job(&mut self, id: JobId) -> &mut SimJob {
        self.jobs.get_mut(&id).unwrap()
    }

    fn moment(&self) -> Moment {
        Moment(Duration::from_millis(self.now))
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
