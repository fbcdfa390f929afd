//! Workers that get no attempts for a while because they do harm: those that come and go, those on which tasks fail that others
//! then do, those that cannot reach other workers or cannot be reached.
//!
//! An excluded worker goes on with what it runs and serves its runs. It is tried again after a while, which doubles each time. The last
//! worker that could be used is never excluded, and when all others go, exclusions end. What is known of workers' faults is
//! forgotten with the master, at the cost of time alone.

use std::collections::{BTreeMap, VecDeque};

use mapfold_terms::{AttemptId, NoticeKind, WorkerId};

use crate::Moment;
use crate::planted::Bug;
use crate::scheduler::Scheduler;
use crate::timers::Timer;

/// Processes of which faults are remembered.
const REMEMBERED_MAX: usize = 1024;

/// A worker that wins so many tasks in a row is forgiven the failures before: where tasks fail now and then on every worker, the
/// job is to blame.
const FORGIVEN_AFTER: u32 = 2;

/// For failures of tasks, one in so many workers may be excluded at once, for the same reason.
const BLAMED_SHARE: usize = 4;

/// What is remembered of worker processes, over their lives.
#[derive(Debug, Default)]
pub(crate) struct Records(BTreeMap<u128, Record>);

/// One process's faults.
#[derive(Debug, Default)]
struct Record {
    /// When it was declared dead, the last few times.
    deaths: VecDeque<Moment>,
    /// How often it was excluded.
    times: u32,
    until: Moment,
}

impl Records {
    /// The process's record, in place of the one that mattered least if there are too many.
    fn of(&mut self, process: u128) -> &mut Record {
        if self.0.len() >= REMEMBERED_MAX && !self.0.contains_key(&process) {
            let least = self
                .0
                .iter()
                .min_by_key(|(_, record)| (record.until, record.deaths.back().copied()));
            let least = least.map(|(process, _)| *process);
            least.and_then(|least| self.0.remove(&least));
        }
        self.0.entry(process).or_default()
    }
}

impl Scheduler {
    /// A worker fell silent or deaf: one that does so again and again is excluded once it is back.
    pub(crate) fn note_death(&mut self, process: u128) {
        let now = self.clock.counted();
        let (max, window) = (self.settings.flaps_max, self.settings.flap_window);
        let record = self.records.of(process);
        record.deaths.push_back(now);
        while record.deaths.len() > max as usize
            || (record.deaths.front()).is_some_and(|first| now.0 - first.0 > window)
        {
            record.deaths.pop_front();
        }
        if record.deaths.len() >= max as usize {
            record.deaths.clear();
            record.times += 1;
            record.until = Moment(now.0 + self.settings.exclusion(record.times));
        }
    }

    /// A worker has joined: if it was excluded in its last life, it is in this one.
    pub(crate) fn recall(&mut self, worker: WorkerId, process: u128) {
        let until = self.records.of(process).until;
        if until > self.clock.counted() {
            self.exclude_until(worker, until, "it was lost again and again");
        }
    }

    /// A task was won by one worker on which it did not fail: those on which it did are to blame, for so many tasks.
    pub(crate) fn blame(&mut self, attempt: AttemptId, winner: WorkerId) {
        self.workers.edit(winner, |worker| {
            worker.won_since_blame += 1;
            if worker.won_since_blame >= FORGIVEN_AFTER {
                worker.blamed.clear();
            }
        });
        let Some(job) = self.jobs.get_mut(&attempt.job) else {
            return;
        };
        let task = job.phase_mut(attempt.task.kind).task(attempt.task.index);
        if task.trouble.is_none() {
            return;
        }
        for id in task.avoid().iter().filter(|id| *id != winner) {
            let blamed = self.workers.edit(id, |worker| {
                worker.won_since_blame = 0;
                worker.blamed.insert((attempt.job, attempt.task));
                worker.blamed.len()
            });
            let room = self.workers.excluded() * BLAMED_SHARE < self.workers.len();
            if room && blamed.is_some_and(|blamed| blamed >= self.settings.blames_max as usize) {
                self.exclude(id, "several tasks failed there that others did");
            }
        }
    }

    /// The worker gets no attempts for a while, if there is another that could.
    pub(crate) fn exclude(&mut self, id: WorkerId, why: &str) {
        let Some(worker) = self.workers.get(id) else {
            return;
        };
        if !worker.is_usable() {
            return;
        }
        let process = worker.process;
        let times = {
            let record = self.records.of(process);
            record.times += 1;
            record.times
        };
        let until = Moment(self.clock.counted().0 + self.settings.exclusion(times));
        self.exclude_until(id, until, why);
    }

    fn exclude_until(&mut self, id: WorkerId, until: Moment, why: &str) {
        let usable = self.workers.get(id).is_some_and(|it| it.is_usable());
        let last = self.workers.usable() < 2 && !self.planted(Bug::LastWorkerExcluded);
        if !usable || last {
            return;
        }
        self.workers.edit(id, |worker| {
            worker.excluded = true;
            worker.blamed.clear();
        });
        let record_until = &mut self
            .records
            .of(self.workers.get(id).map_or(0, |it| it.process))
            .until;
        *record_until = until;
        if !self.planted(Bug::LastWorkerExcluded) {
            self.timers.set(Timer::Excluded(id), until);
        }
        let seconds = (until.0 - self.clock.counted().0).as_secs().max(1);
        if !self.jobs.is_empty() {
            let text = format!("{id} gets no tasks for {seconds} s: {why}");
            self.notice(None, NoticeKind::Worker, text);
        }
    }

    /// It is tried again.
    pub(crate) fn readmit(&mut self, id: WorkerId) {
        self.timers.clear(Timer::Excluded(id));
        self.workers.edit(id, |worker| worker.excluded = false);
    }

    /// Workers went, or may not be used: if none is left, those that were excluded must do.
    pub(crate) fn workers_dwindled(&mut self) {
        if self.workers.usable() > 0 || self.planted(Bug::LastWorkerExcluded) {
            return;
        }
        let excluded: Vec<WorkerId> = self
            .workers
            .iter()
            .filter(|(_, worker)| worker.excluded)
            .map(|(id, _)| id)
            .collect();
        for id in excluded {
            self.readmit(id);
        }
        self.await_workers();
    }
}
