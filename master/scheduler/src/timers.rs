//! What the scheduler waits for, by moment.

use std::collections::{BTreeMap, BTreeSet};

use mapfold_terms::{JobId, TaskId, TaskKind, WorkerId};

use crate::Moment;

/// One wait. Each has at most one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// The worker is dead unless it is heard.
    Lease(WorkerId),
    /// The worker failed by its own fault and gets no attempts until then.
    Rest(WorkerId),
    /// The worker was excluded, and is tried again then.
    Excluded(WorkerId),
    /// The task is tried again then.
    Retry(JobId, TaskId),
    /// The job fails unless a worker joins.
    NoWorkers(JobId),
    /// The job has not begun for want of workers, and says so then.
    Unbegun(JobId),
    /// A reduce attempt of the job gives its slot to a lost map task.
    Yield(JobId),
    /// Runs that no worker has brought by then are lost.
    Runs(JobId),
    /// The running attempts of the job are looked through for stragglers.
    Stragglers(JobId),
}

/// All waits. Each operation costs O(log n).
#[derive(Debug, Default)]
pub(crate) struct Timers {
    at: BTreeMap<Timer, Moment>,
    order: BTreeSet<(Moment, Timer)>,
}

impl Timers {
    /// Sets the timer, in place of an earlier setting.
    pub(crate) fn set(&mut self, timer: Timer, at: Moment) {
        self.clear(timer);
        self.at.insert(timer, at);
        self.order.insert((at, timer));
    }

    /// Forgets the timer if it is set.
    pub(crate) fn clear(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Forgets all timers of a job.
    pub(crate) fn clear_job(&mut self, job: JobId) {
        let first = TaskId::map(0);
        let last = TaskId {
            kind: TaskKind::Reduce,
            index: u32::MAX,
        };
        let retries: Vec<Timer> = self
            .at
            .range(Timer::Retry(job, first)..=Timer::Retry(job, last))
            .map(|(timer, _)| *timer)
            .collect();
        for timer in retries {
            self.clear(timer);
        }
        self.clear(Timer::NoWorkers(job));
        self.clear(Timer::Unbegun(job));
        self.clear(Timer::Yield(job));
        self.clear(Timer::Runs(job));
        self.clear(Timer::Stragglers(job));
    }

    /// Whether the timer is set.
    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.at.contains_key(&timer)
    }

    /// The earliest moment.
    pub(crate) fn first(&self) -> Option<Moment> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes the earliest timer that is due.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<Timer> {
        let (at, timer) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }

    /// All timers that are set.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Timer> + '_ {
        self.at.keys().copied()
    }
}
