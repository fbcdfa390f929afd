//! The state machine: what it holds, and what each event does first.
//!
//! # States of a task
//!
//! | from | on | to |
//! | --- | --- | --- |
//! | pending | a slot is free (reduce: and every map task is won) | running |
//! | running | its attempt is far behind, and a slot is free on another worker | running, by two |
//! | running | an attempt of it reports a run or part | won; the other attempt is stopped |
//! | running | its only attempt fails, stands still, is lost with its worker, or was never taken by it | pending, or the job fails |
//! | running (reduce) | a run could not be fetched | pending; waiting, if the holder was unreachable once |
//! | running (reduce) | a map task was won again with another digest | pending |
//! | running (reduce) | a lost map task has waited too long for a slot | pending |
//! | waiting | its time has come | pending |
//! | **won (map that left a run)** | **its holder is lost, or its run cannot be fetched, and the job does not commit yet** | **pending** |
//! | **won (reduce)** | **a map task was won again with another digest** | **pending** |
//!
//! A job is running, then committing, then gone (a small record of its counts stays for a while). It
//! commits as soon as its last reduce task is won, even while a lost map task runs again: the run that
//! all reduce tasks consumed is the one that counts.
//!
//! A job without reduce tasks commits as soon as its last map task is won: each left a part, which is in staging and not with its worker, so
//! none is lost again.
//!
//! # Invariants
//!
//! 1. No token is issued twice; a token names one attempt, one task and one worker.
//! 2. A task has at most one winner, and none while an attempt of it runs.
//! 3. Only the report of a running attempt by the live worker it was given to changes a task. All other
//!    reports change a counter. A worker that was declared dead stays dead.
//! 4. All won reduce tasks consumed the same set of runs: those that won last, one a map task.
//! 5. A worker never has more attempts, stopping ones included, than slots; but while the only job there is has map tasks of less
//!    than a millisecond, some of them wait at workers for slots ([`Settings::ahead_per_slot`]).
//! 6. A map task that leaves a run is won only while a live worker holds it, until the job commits; but a master that was
//!    started anew waits a while for workers to bring the runs that were won before.
//! 7. A job that has not ended has an attempt that runs, a timer, a commit under way, or tasks in the
//!    queue while other attempts hold the slots they may use. No slot is idle that a task could use.
//! 8. Nothing is started for a job that commits or has ended, and nothing of an ended job is kept but
//!    its counts.
//!
//! The cheap ones are asserted where they could break, in release builds too;
//! [`Scheduler::check_invariants`] checks all.
//!
//! # Cost
//!
//! An event costs O(log n) in tasks and workers, O(1) in most. Exceptions, each paid for by as many
//! earlier events: planning, committing and ending a job (its tasks), a roll-back (its reduce tasks,
//! a few times a job), the loss of a worker (what ran there and the runs it held). Looking for work
//! visits each running job once.

use std::collections::{BTreeMap, VecDeque};

use mapfold_terms::{
    AttemptId, FailReason, JobId, MasterEpoch, NoticeKind, TaskId, TaskKind, Token, WorkerId,
};

use crate::clock::Clock;
use crate::drain::Drains;
use crate::exclusion::Records;
use crate::job::Job;
use crate::loss::Lost;
use crate::planted::Bug;
use crate::timers::{Timer, Timers};
use crate::workers::Workers;
use crate::{Action, Event, JobStats, LiveWorker, Moment, PhaseCounts, Settings, Winner};

/// All decisions of a master.
#[derive(Debug)]
pub struct Scheduler {
    pub(crate) epoch: MasterEpoch,
    pub(crate) next_counter: u64,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) timers: Timers,
    pub(crate) workers: Workers,
    /// Jobs that have not ended.
    pub(crate) jobs: BTreeMap<JobId, Job>,
    pub(crate) ended: BTreeMap<JobId, JobStats>,
    /// The job that was given a slot last; the next one is the one after it.
    pub(crate) served: JobId,
    pub(crate) actions: VecDeque<Action>,
    pub(crate) stale: u64,
    /// Faults of worker processes.
    pub(crate) records: Records,
    /// Worker processes that are to leave.
    pub(crate) drains: Drains,
    /// Jobs wait for workers.
    pub(crate) starved: bool,
    #[cfg(test)]
    pub(crate) planted: std::collections::BTreeSet<Bug>,
}

impl Scheduler {
    /// A scheduler that knows no workers and no jobs. Tokens are `(epoch, first_counter)` and on.
    pub fn new(epoch: MasterEpoch, first_counter: u64, settings: Settings) -> Self {
        Self {
            epoch,
            next_counter: first_counter,
            clock: Clock::default(),
            timers: Timers::default(),
            workers: Workers::new(settings.ahead_per_slot),
            settings,
            jobs: BTreeMap::new(),
            ended: BTreeMap::new(),
            served: JobId(0),
            actions: VecDeque::new(),
            stale: 0,
            records: Records::default(),
            drains: Drains::default(),
            starved: false,
            #[cfg(test)]
            planted: std::collections::BTreeSet::new(),
        }
    }

    /// Records a fact. Drain [`Scheduler::poll_action`] afterwards.
    pub fn handle(&mut self, now: Moment, event: Event) {
        self.advance(now);
        match event {
            Event::JobPlanned { job, plan } => self.job_planned(job, &plan),
            Event::JobCancelled { job } => self.job_cancelled(job),
            Event::CommitEnded { job, outcome } => self.commit_ended(job, outcome),
            Event::WorkerJoined {
                worker,
                slots,
                process,
            } => self.worker_joined(worker, slots, process),
            Event::WorkerDrains { worker } => self.worker_drains(worker),
            Event::WorkerReturned {
                worker,
                slots,
                holds,
                process,
            } => self.worker_returned(worker, slots, &holds, process),
            Event::RunsHeld { worker, runs } => self.runs_held(worker, &runs),
            Event::Heartbeat {
                worker,
                holds,
                progress,
            } => {
                self.heartbeat(worker, &holds);
                self.progressed(worker, &progress);
            }
            Event::WorkerGone { worker, why } => self.worker_lost(worker, Lost::Gone(why)),
            Event::AttemptEnded {
                worker,
                attempt,
                outcome,
            } => self.attempt_ended(worker, attempt, outcome),
        }
        self.assign();
    }

    /// Expires what is overdue; safe to call too often. Drain [`Scheduler::poll_action`] afterwards.
    pub fn tick(&mut self, now: Moment) {
        self.advance(now);
        while let Some(timer) = self.timers.pop_due(self.clock.counted()) {
            self.expired(timer);
        }
        self.assign();
    }

    /// When to [`Scheduler::tick`] next; `None` while there is nothing to wait for. Ask again after each
    /// call. A tick that comes much later than this says that the master itself did not run; that time
    /// does not count as anybody's silence.
    pub fn next_deadline(&self) -> Option<Moment> {
        let first = self.timers.first()?;
        Some(self.clock.next_call(first, &self.settings))
    }

    /// The next thing to do; drain until `None` after each call that changes the scheduler.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The run that counts for map task `map`; `None` while no live worker has it, and when the job has ended.
    pub fn winner(&self, job: JobId, map: u32) -> Option<Winner> {
        let job = self.jobs.get(&job)?;
        if job.awaited.contains(&map) {
            return None;
        }
        let (attempt, holder) = job.maps.winner(map)?;
        Some(Winner {
            attempt,
            holder,
            digest: job.inputs.digest(map)?,
        })
    }

    /// Counts of the map phase and of the reduce phase; `None` once the job has ended.
    pub fn phases(&self, job: JobId) -> Option<(PhaseCounts, PhaseCounts)> {
        let job = self.jobs.get(&job)?;
        Some((job.maps.counts(), job.reduces.counts()))
    }

    /// What has happened to the job; also for the last jobs that ended (a thousand or so), so that it can
    /// be read when [`Action::Finish`] arrives.
    pub fn stats(&self, job: JobId) -> Option<JobStats> {
        let running = self.jobs.get(&job).map(|job| job.stats);
        running.or_else(|| self.ended.get(&job).copied())
    }

    /// The live workers, by id.
    pub fn workers(&self) -> impl Iterator<Item = LiveWorker> + '_ {
        self.workers.iter().map(|(id, worker)| LiveWorker {
            worker: id,
            slots: worker.slots,
            running: worker.busy(),
            draining: worker.draining,
            excluded: worker.excluded,
        })
    }

    /// Whether the worker is alive to this master.
    pub fn is_live(&self, worker: WorkerId) -> bool {
        self.workers.is_live(worker)
    }

    /// Live workers that get attempts.
    pub fn usable(&self) -> usize {
        self.workers.usable()
    }

    /// Live workers, and their slots in all.
    pub fn capacity(&self) -> (u32, u32) {
        let live = u32::try_from(self.workers.len()).unwrap_or(u32::MAX);
        (live, self.workers.slots())
    }

    /// Events that came too late, twice or from the dead, and changed nothing.
    pub fn stale_events(&self) -> u64 {
        self.stale
    }

    pub(crate) fn advance(&mut self, now: Moment) {
        let watching = self.timers.first().is_some();
        let watching = watching && !self.planted(Bug::GapsCount);
        self.clock.advance(now, watching, &self.settings);
    }

    fn expired(&mut self, timer: Timer) {
        match timer {
            Timer::Lease(worker) => self.worker_lost(worker, Lost::Silent),
            Timer::Rest(worker) => {
                self.workers.edit(worker, |worker| worker.resting = false);
            }
            Timer::Excluded(worker) => self.readmit(worker),
            Timer::Retry(job, task) => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.phase_mut(task.kind).queue(task.index);
                }
            }
            Timer::NoWorkers(job) => {
                let grace = self.settings.grace_without_workers;
                if self.jobs.get(&job).is_some_and(Job::is_busy) {
                    // Workers that take no more still do what they have.
                    return self.arm(Timer::NoWorkers(job), grace);
                }
                let what = format!("no worker for {grace:?}");
                self.fail_job(job, what, FailReason::NoWorkers, None);
            }
            Timer::Unbegun(job) => self.tell_unbegun(job),
            Timer::Yield(job) => self.yield_slot(job),
            Timer::Runs(job) => self.runs_missed(job),
            Timer::Stragglers(job) => self.look_for_stragglers(job),
        }
    }

    fn worker_joined(&mut self, worker: WorkerId, slots: u32, process: u128) {
        let now = self.clock.counted();
        if !self.workers.join(worker, slots, process, now) {
            return self.stale(None);
        }
        self.recall(worker, process);
        self.arm(Timer::Lease(worker), self.settings.silence_max());
        self.worker_came(worker);
        self.drain_again(worker, process);
    }

    /// The token that the next attempt gets.
    pub(crate) fn next_token(&self) -> Token {
        Token {
            epoch: self.epoch,
            counter: self.next_counter,
        }
    }

    /// Sets a timer, `after` from now.
    pub(crate) fn arm(&mut self, timer: Timer, after: std::time::Duration) {
        let at = Moment(self.clock.counted().0 + after);
        self.timers.set(timer, at);
    }

    /// An event changed nothing.
    pub(crate) fn stale(&mut self, job: Option<JobId>) {
        self.stale += 1;
        let Some(id) = job else { return };
        let running = self.jobs.get_mut(&id).map(|job| &mut job.stats);
        if let Some(stats) = running.or_else(|| self.ended.get_mut(&id)) {
            stats.stale_reports += 1;
        }
    }

    pub(crate) fn count_lost(&mut self, job: JobId) {
        if let Some(job) = self.jobs.get_mut(&job) {
            job.stats.attempts_lost += 1;
        }
    }

    pub(crate) fn notice(&mut self, job: Option<JobId>, kind: NoticeKind, text: String) {
        self.actions.push_back(Action::Notice { job, kind, text });
    }

    pub(crate) fn tell_won(&mut self, job: JobId, task: TaskId, by: Option<(AttemptId, WorkerId)>) {
        self.actions.push_back(Action::Won { job, task, by });
    }
}

/// `map task m7`, `reduce task r0`.
pub(crate) fn name_of(task: TaskId) -> String {
    match task.kind {
        TaskKind::Map => format!("map task {task}"),
        TaskKind::Reduce => format!("reduce task {task}"),
    }
}
