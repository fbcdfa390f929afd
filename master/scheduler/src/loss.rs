//! How results and attempts are lost: with their worker, with an order, with a run.

use std::collections::BTreeSet;

use mapfold_terms::{
    AttemptId, FailReason, FetchCause, FetchFailure, JobId, NoticeKind, TaskId, Token, WorkerId,
};

use crate::ended::fault_of;
use crate::job::JobState;
use crate::planted::Bug;
use crate::scheduler::{Scheduler, name_of};
use crate::timers::Timer;
use crate::{Action, WorkerGone};

/// How the death of a worker is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Its lease ran out.
    Silent,
    /// The shell knows.
    Gone(WorkerGone),
    /// It is heard but takes no orders; a new connection will help it.
    TakesNoOrders,
}

impl Scheduler {
    /// The one way in which a worker dies. It is fenced first; then its attempts, and the runs it holds
    /// that are still needed, are given to others. O(what it ran and held).
    pub(crate) fn worker_lost(&mut self, id: WorkerId, why: Lost) {
        let Some(worker) = self.workers.bury(id) else {
            return self.stale(None);
        };
        self.timers.clear(Timer::Lease(id));
        self.timers.clear(Timer::Rest(id));
        self.timers.clear(Timer::Excluded(id));
        self.actions.push_back(Action::Fence { worker: id });
        for job in self.jobs.values_mut() {
            job.stats.workers_lost += 1;
        }
        for attempt in worker.running.keys() {
            self.count_lost(attempt.job);
            self.requeue(*attempt);
        }
        let mut runs = 0;
        for (job, maps) in &worker.held {
            if self.planted(Bug::DeadKeepRuns) {
                break;
            }
            for map in maps {
                runs += u32::from(self.run_lost(*job, *map));
            }
        }
        if !self.jobs.is_empty() {
            let text = format!(
                "{id} {}: {} attempts and {runs} finished map tasks start again",
                self.describe(why),
                worker.running.len()
            );
            self.notice(None, NoticeKind::Worker, text);
        }
        if matches!(why, Lost::Silent | Lost::TakesNoOrders) && worker.process != 0 {
            self.note_death(worker.process);
        }
        self.workers_dwindled();
    }

    /// If no worker is left that could be used, running jobs wait for one.
    pub(crate) fn await_workers(&mut self) {
        if self.workers.usable() > 0 || self.planted(Bug::NoGrace) {
            return;
        }
        let running = self
            .jobs
            .iter()
            .filter(|(_, job)| job.state == JobState::Running);
        let jobs: Vec<JobId> = running.map(|(id, _)| *id).collect();
        for job in jobs {
            self.wait_for_workers(job);
        }
    }

    fn describe(&self, why: Lost) -> String {
        match why {
            Lost::Silent => format!("is lost (silent for {:?})", self.settings.silence_max()),
            Lost::Gone(WorkerGone::Left) => "left".to_owned(),
            Lost::Gone(WorkerGone::Exited) => "is lost (its process ended)".to_owned(),
            Lost::TakesNoOrders => "is lost (it takes no orders)".to_owned(),
        }
    }

    /// A sign of life, with what the worker holds. Orders and the ends of stopped attempts that got lost
    /// on the way are noticed here.
    pub(crate) fn heartbeat(&mut self, id: WorkerId, holds: &BTreeSet<AttemptId>) {
        if !self.workers.is_live(id) {
            return self.stale(None);
        }
        self.arm(Timer::Lease(id), self.settings.silence_max());
        let now = self.clock.counted();
        let settings = &self.settings;
        self.workers.edit(id, |worker| worker.hear(now, settings));
        self.cancel_unknown(id, holds);
        let lost = self.unlisted(id, holds);
        if self.planted(Bug::NoReconciliation) {
            return;
        }
        for attempt in &lost {
            self.order_lost(id, *attempt);
        }
        let unconfirmed = self.workers.get(id).map_or(0, |worker| worker.unconfirmed);
        if !lost.is_empty() && unconfirmed >= self.settings.unconfirmed_max {
            self.worker_lost(id, Lost::TakesNoOrders);
        }
    }

    /// Cancels what the worker holds and should not: attempts that were given up, or that a lost cancel
    /// was about. A winner is listed until its report is acknowledged.
    fn cancel_unknown(&mut self, id: WorkerId, holds: &BTreeSet<AttemptId>) {
        let now = self.clock.counted();
        let patience = self.settings.confirm_within;
        for attempt in holds {
            let job = self.jobs.get(&attempt.job);
            let winner =
                job.and_then(|job| job.phase(attempt.task.kind).winner(attempt.task.index));
            let cancel = self.workers.edit(id, |worker| {
                match worker.stopping.get_mut(attempt) {
                    Some(told) if now.0 - told.0 > patience => *told = now,
                    Some(_) => return false,
                    None => return !worker.running.contains_key(attempt),
                }
                true
            });
            if cancel == Some(true) && winner != Some((*attempt, id)) {
                let (attempt, on) = (*attempt, id);
                self.actions.push_back(Action::Cancel { attempt, on });
            }
        }
    }

    /// Attempts that were ordered long enough ago and that the worker does not list. Frees the slots of
    /// stopped ones that it no longer lists.
    fn unlisted(&mut self, id: WorkerId, holds: &BTreeSet<AttemptId>) -> Vec<AttemptId> {
        let now = self.clock.counted();
        let patience = self.settings.confirm_within;
        let overdue = |since: crate::Moment| now.0 - since.0 > patience;
        let unlisted = self.workers.edit(id, |worker| {
            worker
                .stopping
                .retain(|attempt, told| holds.contains(attempt) || !overdue(*told));
            worker
                .stuck
                .retain(|attempt| worker.stopping.contains_key(attempt));
            worker
                .lingering
                .retain(|attempt, _| holds.contains(attempt));
            let mut unlisted = Vec::new();
            for (attempt, launched) in &mut worker.running {
                if holds.contains(attempt) {
                    if !launched.confirmed {
                        launched.confirmed = true;
                        worker.unconfirmed = 0;
                    }
                } else if overdue(launched.at) {
                    unlisted.push(*attempt);
                }
            }
            unlisted
        });
        unlisted.unwrap_or_default()
    }

    /// The worker does not have an attempt that it was given. The cancel catches an order that is only late.
    fn order_lost(&mut self, id: WorkerId, attempt: AttemptId) {
        self.workers.edit(id, |worker| {
            worker.running.remove(&attempt);
            worker.unconfirmed += 1;
        });
        self.actions.push_back(Action::Cancel { attempt, on: id });
        self.count_lost(attempt.job);
        self.requeue(attempt);
        let text = format!("{attempt} never reached {id}");
        self.notice(Some(attempt.job), NoticeKind::Retry, text);
    }

    /// A reduce attempt could not get a run. That is not its task's fault. If the run is the one that
    /// counts, it is lost when its holder says so, or when two attempts could not reach it.
    pub(crate) fn fetch_failed(
        &mut self,
        worker: WorkerId,
        attempt: AttemptId,
        failure: &FetchFailure,
    ) {
        let Some(job) = self.jobs.get_mut(&attempt.job) else {
            return;
        };
        let map = failure.map.task.index;
        if job.maps.winner(map) != Some((failure.map, failure.holder)) {
            return self.fetched_other(worker, attempt, failure);
        }
        if failure.cause == FetchCause::Unreachable {
            if !self.is_out_of_reach(failure.holder, worker) {
                return self.fetch_again(worker, attempt, failure);
            }
            self.exclude(failure.holder, "other workers cannot fetch its runs");
        }
        self.count_lost(attempt.job);
        self.requeue(attempt);
        self.notice(
            Some(attempt.job),
            NoticeKind::Retry,
            describe(worker, attempt, failure),
        );
        if !self.planted(Bug::FetchFailureKeepsRun) {
            self.run_gone(worker, attempt, failure);
        }
    }

    /// Takes down that a worker could not reach a holder, and judges between them. One reader may itself be cut off, so it is believed
    /// when a second says so; or, after a second try, if there is no other that could, or the holder does harm as
    /// it is; or if the master has not heard of the holder for a while either.
    fn is_out_of_reach(&mut self, holder: WorkerId, reader: WorkerId) -> bool {
        let times = self.workers.complaints.entry((holder, reader)).or_default();
        *times += 1;
        let all = (holder, WorkerId(0))..=(holder, WorkerId(u32::MAX));
        let complaints = self.workers.complaints.range(all);
        let usable = |id: WorkerId| self.workers.get(id).is_some_and(|it| it.is_usable());
        let (mut readers, mut times) = (0, 0);
        let trusted = |id: WorkerId| self.workers.get(id).is_some_and(|it| !it.excluded);
        for ((_, by), count) in complaints.filter(|((_, by), _)| trusted(*by)) {
            readers += usize::from(*by != holder);
            times += count;
        }
        let others = self.workers.usable() - usize::from(usable(holder));
        let needed = match usable(holder) {
            true => self.settings.readers_max.min(others).max(1),
            false => 1,
        };
        let silent = self
            .workers
            .get(holder)
            .is_some_and(|it| self.clock.counted().0 - it.heard.0 > self.settings.lease / 2);
        silent || (times >= 2 && readers >= needed)
    }

    /// The run in question was replaced meanwhile, so the reduce task just starts again. If nothing
    /// changed since the attempt began, the worker asked for a run that was never there.
    fn fetched_other(&mut self, worker: WorkerId, attempt: AttemptId, failure: &FetchFailure) {
        let text = describe(worker, attempt, failure);
        let since = self
            .jobs
            .get(&attempt.job)
            .map_or(Token::NONE, |job| job.winners_since);
        if attempt.token >= since {
            return self.worker_fault(worker, attempt, fault_of(&text), FailReason::Internal);
        }
        self.count_lost(attempt.job);
        self.requeue(attempt);
        self.notice(Some(attempt.job), NoticeKind::Retry, text);
    }

    /// The holder may be alive and only far from that worker: tries again in a while, from another worker
    /// if there is one.
    fn fetch_again(&mut self, worker: WorkerId, attempt: AttemptId, failure: &FetchFailure) {
        self.count_lost(attempt.job);
        let Some(job) = self.jobs.get_mut(&attempt.job) else {
            return;
        };
        let trouble = job.reduces.task(attempt.task.index).trouble();
        trouble.avoid.retain(|id| self.workers.is_live(id));
        trouble.avoid.add(worker);
        if job.reduces.wait(attempt) {
            self.arm(
                Timer::Retry(attempt.job, attempt.task),
                self.settings.back_off(1),
            );
        }
        self.notice(
            Some(attempt.job),
            NoticeKind::Retry,
            describe(worker, attempt, failure),
        );
    }

    /// The run that counts is gone while its holder lives. A holder of which several runs are gone has
    /// lost them all, for this job: finding that out one by one would take for ever.
    fn run_gone(&mut self, worker: WorkerId, attempt: AttemptId, failure: &FetchFailure) {
        let (id, holder) = (attempt.job, failure.holder);
        let losses_max = self.settings.holder_losses_max;
        let gone = self.workers.edit(holder, |worker| {
            if failure.cause != FetchCause::Corrupt {
                worker.run_losses += 1;
            }
            if worker.run_losses < losses_max {
                return BTreeSet::from([failure.map.task.index]);
            }
            worker.run_losses = 0;
            worker.held.get(&id).cloned().unwrap_or_default()
        });
        for map in gone.unwrap_or_default() {
            if let Some(job) = self.jobs.get_mut(&id) {
                let trouble = job.maps.task(map).trouble();
                trouble.run_losses += 1;
                trouble.avoid.retain(|id| self.workers.is_live(id));
                trouble.avoid.add(holder);
                let losses = trouble.run_losses;
                if losses > self.settings.run_losses_max {
                    let what = format!(
                        "the run of {} was lost {losses} times",
                        name_of(TaskId::map(map))
                    );
                    let failure = fault_of(&describe(worker, attempt, failure));
                    return self.fail_job(id, what, FailReason::TaskFailed, Some(failure));
                }
            }
            self.run_lost(id, map);
        }
        if failure.cause != FetchCause::Unreachable {
            let (attempt, on) = (failure.map, holder);
            self.actions.push_back(Action::Discard { attempt, on });
        }
    }

    /// A won map task goes back to pending; `false` if its run is no longer needed.
    pub(crate) fn run_lost(&mut self, id: JobId, map: u32) -> bool {
        let next_token = self.next_token();
        let Some(job) = self.jobs.get_mut(&id) else {
            return false;
        };
        let (JobState::Running, Some((_, holder))) = (job.state, job.maps.winner(map)) else {
            return false;
        };
        job.maps.queue(map);
        job.awaited.remove(&map);
        job.stats.maps_rerun += 1;
        job.winners_since = next_token;
        self.workers.edit(holder, |worker| worker.drop_run(id, map));
        self.tell_won(id, TaskId::map(map), None);
        self.watch_for_slot(id);
        true
    }
}

fn describe(worker: WorkerId, attempt: AttemptId, failure: &FetchFailure) -> String {
    let cause = match failure.cause {
        FetchCause::NotFound => "has no run of",
        FetchCause::Corrupt => "has a damaged run of",
        FetchCause::Unreachable => "cannot be reached for the run of",
    };
    let (map, holder) = (failure.map, failure.holder);
    format!(
        "{attempt} on {worker}: {holder} {cause} {map}: {}",
        failure.message
    )
}
