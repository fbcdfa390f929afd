//! The state machine: what it holds, and what each event does first.
//!
//! # States of a task
//!
//! | from | on | to |
//! | --- | --- | --- |
//! | pending | a slot is free (reduce: and every map task is won) | running |
//! | running | its attempt reports a run or part | won |
//! | running | its attempt fails, is lost with its worker, or was never taken by it | pending, or the job fails |
//! | running (reduce) | a run could not be fetched | pending; waiting, if the holder was unreachable once |
//! | running (reduce) | a map task was won again with another digest | pending |
//! | running (reduce) | a lost map task has waited too long for a slot | pending |
//! | waiting | its time has come | pending |
//! | **won (map)** | **its holder is lost, or its run cannot be fetched, and the job does not commit yet** | **pending** |
//! | **won (reduce)** | **a map task was won again with another digest** | **pending** |
//!
//! A job is running, then committing, then gone (a small record of its counts stays for a while). It
//! commits as soon as its last reduce task is won, even while a lost map task runs again: the run that
//! all reduce tasks consumed is the one that counts.
//!
//! # Invariants
//!
//! 1. No token is issued twice; a token names one attempt, one task and one worker.
//! 2. A task has at most one winner, and none while an attempt of it runs.
//! 3. Only the report of a running attempt by the live worker it was given to changes a task. All other
//!    reports change a counter. A worker that was declared dead stays dead.
//! 4. All won reduce tasks consumed the same set of runs: those that won last, one a map task.
//! 5. A worker never has more attempts, stopping ones included, than slots.
//! 6. A map task is won only while a live worker holds its run, until the job commits.
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
    AttemptId, FailReason, Failure, JobId, MasterEpoch, NoticeKind, TaskId, TaskKind, Token,
    WorkerId,
};

use crate::clock::Clock;
use crate::job::{Job, JobState};
use crate::loss::Lost;
use crate::planted::Bug;
use crate::timers::{Timer, Timers};
use crate::workers::{Launched, Workers};
use crate::{
    Action, CommitOutcome, Event, JobPlan, JobResult, JobStats, LiveWorker, Moment, PhaseCounts,
    Settings, Winner,
};

/// Jobs that ended whose counts can still be asked for.
const ENDED_KEPT_MAX: usize = 1024;

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
    #[cfg(test)]
    pub(crate) planted: std::collections::BTreeSet<Bug>,
}

impl Scheduler {
    /// A scheduler that knows no workers and no jobs. Tokens are `(epoch, first_counter)` and on.
    pub fn new(epoch: MasterEpoch, first_counter: u64, settings: Settings) -> Self {
        Self {
            epoch,
            next_counter: first_counter,
            settings,
            clock: Clock::default(),
            timers: Timers::default(),
            workers: Workers::default(),
            jobs: BTreeMap::new(),
            ended: BTreeMap::new(),
            served: JobId(0),
            actions: VecDeque::new(),
            stale: 0,
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
            Event::WorkerJoined { worker, slots } => self.worker_joined(worker, slots),
            Event::Heartbeat { worker, holds } => self.heartbeat(worker, &holds),
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

    /// The run that counts for map task `map`; `None` while there is none, and when the job has ended.
    pub fn winner(&self, job: JobId, map: u32) -> Option<Winner> {
        let job = self.jobs.get(&job)?;
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
        })
    }

    /// Whether the worker is alive to this master.
    pub fn is_live(&self, worker: WorkerId) -> bool {
        self.workers.is_live(worker)
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

    fn advance(&mut self, now: Moment) {
        let watching = self.timers.first().is_some();
        self.clock.advance(now, watching, &self.settings);
    }

    fn expired(&mut self, timer: Timer) {
        match timer {
            Timer::Lease(worker) => self.worker_lost(worker, Lost::Silent),
            Timer::Rest(worker) => {
                self.workers.edit(worker, |worker| worker.resting = false);
            }
            Timer::Retry(job, task) => {
                if let Some(job) = self.jobs.get_mut(&job) {
                    job.phase_mut(task.kind).queue(task.index);
                }
            }
            Timer::NoWorkers(job) => {
                let what = format!("no worker for {:?}", self.settings.grace_without_workers);
                self.fail_job(job, what, FailReason::NoWorkers, None);
            }
            Timer::Yield(job) => self.yield_slot(job),
        }
    }

    fn job_planned(&mut self, id: JobId, plan: &JobPlan) {
        if self.jobs.contains_key(&id) || self.ended.contains_key(&id) {
            return self.stale(None);
        }
        self.jobs.insert(id, Job::new(plan));
        if self.workers.len() == 0 {
            self.wait_for_workers(id);
        }
        self.commit_if_done(id);
    }

    fn job_cancelled(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return self.stale(None);
        };
        match &mut job.state {
            JobState::Running => self.finish(id, JobResult::Cancelled),
            JobState::Committing { cancelled } => *cancelled = true,
        }
    }

    fn commit_ended(&mut self, id: JobId, outcome: CommitOutcome) {
        let state = self.jobs.get(&id).map(|job| job.state);
        let Some(JobState::Committing { cancelled }) = state else {
            return self.stale(Some(id));
        };
        match outcome {
            CommitOutcome::Done { root } => self.finish(id, JobResult::Succeeded { root }),
            CommitOutcome::Failed { .. } if cancelled => self.finish(id, JobResult::Cancelled),
            CommitOutcome::Failed { reason, failure } => {
                let what = "the output could not be put in place".to_owned();
                self.fail_job(id, what, reason, Some(failure));
            }
        }
    }

    fn worker_joined(&mut self, worker: WorkerId, slots: u32) {
        if !self.workers.join(worker, slots) {
            return self.stale(None);
        }
        self.arm(Timer::Lease(worker), self.settings.silence_max());
        let jobs: Vec<JobId> = self.jobs.keys().copied().collect();
        for job in &jobs {
            self.timers.clear(Timer::NoWorkers(*job));
        }
        if !jobs.is_empty() {
            self.notice(None, NoticeKind::Worker, format!("{worker} joined"));
        }
    }

    /// Gives free slots to tasks, one job after the other, until slots or tasks run out.
    fn assign(&mut self) {
        while self.workers.any_free() && self.launch_one() {}
    }

    fn launch_one(&mut self) -> bool {
        let Some((id, kind, choice)) = self.choose() else {
            return false;
        };
        let Some(job) = self.jobs.get_mut(&id) else {
            return false;
        };
        let attempt = AttemptId {
            token: Token {
                epoch: self.epoch,
                counter: self.next_counter,
            },
            job: id,
            task: TaskId {
                kind,
                index: choice.index,
            },
            number: job.phase_mut(kind).task(choice.index).tries + 1,
        };
        self.next_counter += 1;
        self.served = id;
        job.stats.attempts += 1;
        job.phase_mut(kind).launch(&choice, attempt);
        let launched = Launched {
            at: self.clock.counted(),
            confirmed: false,
        };
        self.workers.edit(choice.worker, |worker| {
            worker.running.insert(attempt, launched);
            assert!(worker.busy() <= worker.slots, "{attempt} has no slot");
        });
        let on = choice.worker;
        self.actions.push_back(Action::Launch { attempt, on });
        true
    }

    /// The next attempt to launch: the first job after the one served last that has a task for a free slot.
    pub(crate) fn choose(&self) -> Option<(JobId, TaskKind, crate::pending::Choice)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after = self.jobs.range((Excluded(self.served), Unbounded));
        after
            .chain(self.jobs.range(..=self.served))
            .find_map(|(id, job)| {
                let (kind, choice) = job.choose(&self.workers)?;
                Some((*id, kind, choice))
            })
    }

    /// Asks for the commit once every reduce task is won. Map tasks that run again are no longer needed.
    pub(crate) fn commit_if_done(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if !job.reduces.all_won() {
            return;
        }
        let expected = job.inputs.expected();
        let consumed = |set: &Option<_>| *set == Some(expected);
        assert!(
            job.consumed.iter().all(consumed),
            "{id} would commit reduce tasks of different runs"
        );
        job.state = JobState::Committing { cancelled: false };
        let parts = (0..)
            .zip(&job.reduces.tasks)
            .filter_map(|(index, _)| job.reduces.winner(index))
            .map(|(attempt, _)| attempt)
            .collect();
        self.timers.clear_job(id);
        self.stop_running(id, TaskKind::Map);
        self.actions.push_back(Action::Commit { job: id, parts });
    }

    /// Stops all running attempts of a phase; their tasks go back to the queue.
    pub(crate) fn stop_running(&mut self, id: JobId, kind: TaskKind) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let phase = job.phase_mut(kind);
        let running: Vec<_> = phase.running.iter().map(|(a, w)| (*a, *w)).collect();
        for (attempt, on) in running {
            self.stop(attempt, on);
            self.requeue(attempt);
        }
    }

    /// Tells a worker to stop an attempt. It keeps its slot until the worker has stopped it.
    pub(crate) fn stop(&mut self, attempt: AttemptId, on: WorkerId) {
        let now = self.clock.counted();
        self.workers.edit(on, |worker| {
            worker.running.remove(&attempt);
            worker.stopping.insert(attempt, now);
        });
        self.count_lost(attempt.job);
        self.actions.push_back(Action::Cancel { attempt, on });
    }

    /// The attempt's task goes back to the queue; the attempt has left its worker already.
    pub(crate) fn requeue(&mut self, attempt: AttemptId) {
        if let Some(job) = self.jobs.get_mut(&attempt.job) {
            job.phase_mut(attempt.task.kind).requeue(attempt);
        }
        if attempt.task.kind == TaskKind::Map {
            self.watch_for_slot(attempt.job);
        }
    }

    /// A map task of the job waits for a slot: sees to it that it does not wait for reduce attempts that
    /// wait for it.
    pub(crate) fn watch_for_slot(&mut self, id: JobId) {
        let waits = self.jobs.get(&id).is_some_and(|job| {
            job.state == JobState::Running
                && !job.maps.pending.is_empty()
                && !job.reduces.running.is_empty()
        });
        let waits = waits && !self.planted(Bug::NoYield);
        if waits && !self.timers.is_set(Timer::Yield(id)) {
            self.arm(Timer::Yield(id), self.settings.yield_after);
        }
    }

    /// Stops the youngest reduce attempt of a job whose lost map task still waits for a slot, best one
    /// on a worker that the map task does not avoid.
    fn yield_slot(&mut self, id: JobId) {
        self.watch_for_slot(id);
        if !self.timers.is_set(Timer::Yield(id)) {
            return;
        }
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let fits = |on: WorkerId| {
            let mut groups = job.maps.pending.groups();
            groups.any(|avoid| self.workers.allowed(avoid, on))
        };
        let mut youngest = job.reduces.running.iter().rev().map(|(a, w)| (*a, *w));
        let best = youngest.clone().find(|(_, on)| fits(*on));
        let Some((attempt, on)) = best.or_else(|| youngest.next()) else {
            return;
        };
        let text = format!("{attempt} starts again later: a lost map task needs its slot");
        self.notice(Some(id), NoticeKind::Retry, text);
        self.stop(attempt, on);
        self.requeue(attempt);
    }

    /// The job fails.
    pub(crate) fn fail_job(
        &mut self,
        id: JobId,
        what: String,
        reason: FailReason,
        failure: Option<Failure>,
    ) {
        let result = JobResult::Failed {
            what,
            reason,
            failure,
        };
        self.finish(id, result);
    }

    /// The job ends: its attempts are stopped, and all that is remembered is its counts.
    fn finish(&mut self, id: JobId, result: JobResult) {
        self.stop_running(id, TaskKind::Map);
        self.stop_running(id, TaskKind::Reduce);
        let Some(job) = self.jobs.remove(&id) else {
            return;
        };
        for (map, _) in (0..).zip(&job.maps.tasks) {
            if let Some((_, holder)) = job.maps.winner(map) {
                self.workers.edit(holder, |worker| worker.held.remove(&id));
            }
        }
        self.timers.clear_job(id);
        self.ended.insert(id, job.stats);
        if self.ended.len() > ENDED_KEPT_MAX {
            self.ended.pop_first();
        }
        self.actions.push_back(Action::Finish { job: id, result });
    }

    /// Arms the timer after which a job without workers fails.
    pub(crate) fn wait_for_workers(&mut self, id: JobId) {
        let grace = self.settings.grace_without_workers;
        self.arm(Timer::NoWorkers(id), grace);
        let text = format!("no worker is left; the job fails unless one joins within {grace:?}");
        self.notice(Some(id), NoticeKind::Waiting, text);
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
