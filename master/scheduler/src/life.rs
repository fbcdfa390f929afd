//! The life of a job: planned, running, committing, gone.

use std::time::Duration;

use mapfold_terms::{FailReason, Failure, JobId, NoticeKind, TaskKind, WorkerId};

use crate::job::{Job, JobState};
use crate::scheduler::Scheduler;
use crate::timers::Timer;
use crate::{Action, CommitOutcome, JobPlan, JobResult};

/// Jobs that ended whose counts can still be asked for.
const ENDED_KEPT_MAX: usize = 1024;
/// A job that found no workers says so after this time.
const UNBEGUN_TOLD_AFTER: Duration = Duration::from_secs(1);

impl Scheduler {
    pub(crate) fn job_planned(&mut self, id: JobId, plan: &JobPlan) {
        if self.jobs.contains_key(&id) || self.ended.contains_key(&id) {
            return self.stale(None);
        }
        self.jobs.insert(id, Job::new(plan));
        self.watch_for_stragglers(id);
        if self.workers.usable() == 0 {
            self.await_first_worker(id);
        }
        self.commit_if_done(id);
    }

    /// There is no worker yet. Those that start, or return, together with the job are not worth a word.
    pub(crate) fn await_first_worker(&mut self, id: JobId) {
        self.starved = true;
        self.arm(Timer::NoWorkers(id), self.settings.grace_without_workers);
        self.arm(Timer::Unbegun(id), UNBEGUN_TOLD_AFTER);
    }

    pub(crate) fn job_cancelled(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return self.stale(None);
        };
        match &mut job.state {
            JobState::Running => self.finish(id, JobResult::Cancelled),
            JobState::Committing { cancelled } => *cancelled = true,
        }
    }

    /// Asks for the commit once every task that leaves a part is won. Map tasks that run again are no longer needed.
    pub(crate) fn commit_if_done(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        if !job.last_phase().all_won() {
            return;
        }
        let expected = job.inputs.expected();
        let consumed = |set: &Option<_>| *set == Some(expected);
        assert!(
            job.consumed.iter().all(consumed),
            "{id} would commit reduce tasks of different runs"
        );
        job.state = JobState::Committing { cancelled: false };
        job.awaited.clear();
        job.stragglers.clear();
        self.timers.clear_job(id);
        self.stop_running(id, TaskKind::Map);
        self.ask_commit(id);
    }

    /// Asks for the commit of a job that commits.
    pub(crate) fn ask_commit(&mut self, id: JobId) {
        if let Some(job) = self.jobs.get(&id) {
            let parts = job.last_phase().winners().map(|(part, _)| part).collect();
            self.actions.push_back(Action::Commit { job: id, parts });
        }
    }

    pub(crate) fn commit_ended(&mut self, id: JobId, outcome: CommitOutcome) {
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
        for (_, holder) in job.maps.winners() {
            self.workers.edit(holder, |worker| worker.held.remove(&id));
        }
        self.timers.clear_job(id);
        self.ended.insert(id, job.stats);
        if self.ended.len() > ENDED_KEPT_MAX {
            // The oldest, but never the one that somebody will ask for next.
            let oldest = self.ended.keys().copied().find(|other| *other != id);
            oldest.and_then(|oldest| self.ended.remove(&oldest));
        }
        self.actions.push_back(Action::Finish { job: id, result });
    }

    /// The last worker is lost: arms the timer after which the job fails.
    pub(crate) fn wait_for_workers(&mut self, id: JobId) {
        let grace = self.settings.grace_without_workers;
        if self.timers.is_set(Timer::NoWorkers(id)) {
            return;
        }
        self.starved = true;
        self.arm(Timer::NoWorkers(id), grace);
        self.timers.clear(Timer::Unbegun(id));
        let text = format!("no worker is left; the job fails unless one joins within {grace:?}");
        self.notice(Some(id), NoticeKind::Waiting, text);
    }

    /// No worker has come yet.
    pub(crate) fn tell_unbegun(&mut self, id: JobId) {
        let grace = self.settings.grace_without_workers;
        let text = format!("no worker has joined yet; the job waits {grace:?} for one");
        self.notice(Some(id), NoticeKind::Waiting, text);
    }

    /// A worker has joined: no job waits for one any more. Jobs that had begun, or had told that they
    /// wait, tell that it came.
    pub(crate) fn worker_came(&mut self, worker: WorkerId) {
        let jobs: Vec<(JobId, bool)> = self
            .jobs
            .iter()
            .map(|(id, job)| (*id, job.stats.attempts > 0))
            .collect();
        for (id, begun) in jobs {
            let waited = self.timers.is_set(Timer::NoWorkers(id));
            let unbegun = self.timers.is_set(Timer::Unbegun(id));
            self.timers.clear(Timer::NoWorkers(id));
            self.timers.clear(Timer::Unbegun(id));
            if begun || (waited && !unbegun) {
                self.notice(Some(id), NoticeKind::Worker, format!("{worker} joined"));
            }
        }
    }
}
