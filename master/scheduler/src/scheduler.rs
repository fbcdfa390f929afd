//! The state machine's surface: events in, actions out.

use std::collections::VecDeque;

use mapfold_terms::{JobId, MasterEpoch, WorkerId};

use crate::{Action, Event, JobStats, LiveWorker, Moment, PhaseCounts, Settings, Winner};

/// All decisions of a master.
#[derive(Debug)]
pub struct Scheduler {
    epoch: MasterEpoch,
    next_counter: u64,
    settings: Settings,
    actions: VecDeque<Action>,
    stale: u64,
}

impl Scheduler {
    /// A scheduler that knows no workers and no jobs. Tokens are `(epoch, first_counter)` and on.
    pub fn new(epoch: MasterEpoch, first_counter: u64, settings: Settings) -> Self {
        Self {
            epoch,
            next_counter: first_counter,
            settings,
            actions: VecDeque::new(),
            stale: 0,
        }
    }

    /// Records a fact. Drain [`Scheduler::poll_action`] afterwards.
    pub fn handle(&mut self, now: Moment, event: Event) {
        let _ = (now, event, self.epoch, self.next_counter, &self.settings);
    }

    /// Expires what is overdue; safe to call too often. Drain [`Scheduler::poll_action`] afterwards.
    pub fn tick(&mut self, now: Moment) {
        let _ = now;
    }

    /// When to [`Scheduler::tick`] next; `None` while there is nothing to wait for.
    pub fn next_deadline(&self) -> Option<Moment> {
        None
    }

    /// The next thing to do; drain until `None` after each call that changes the scheduler.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// The run that counts for map task `map`; `None` while there is none, and when the job has ended.
    pub fn winner(&self, job: JobId, map: u32) -> Option<Winner> {
        let _ = (job, map);
        None
    }

    /// Counts of the map phase and of the reduce phase; `None` once the job has ended.
    pub fn phases(&self, job: JobId) -> Option<(PhaseCounts, PhaseCounts)> {
        let _ = job;
        None
    }

    /// What has happened to the job; also for the last few hundred jobs that ended, so that it can be
    /// read when [`Action::Finish`] arrives.
    pub fn stats(&self, job: JobId) -> Option<JobStats> {
        let _ = job;
        None
    }

    /// The live workers, by id.
    pub fn workers(&self) -> impl Iterator<Item = LiveWorker> + '_ {
        std::iter::empty()
    }

    /// Whether the worker is alive to this master.
    pub fn is_live(&self, worker: WorkerId) -> bool {
        let _ = worker;
        false
    }

    /// Live workers, and their slots in all.
    pub fn capacity(&self) -> (u32, u32) {
        (0, 0)
    }

    /// Events that came too late, twice or from the dead, and changed nothing.
    pub fn stale_events(&self) -> u64 {
        self.stale
    }
}
