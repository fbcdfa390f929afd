//! The life of jobs: from submit to report, by what clients and the scheduler ask for.

use std::sync::Arc;
use std::time::Duration;

use mapfold_journal::Record;
use mapfold_protocol::service::Refusal;
use mapfold_scheduler::{Action, Event, JobPlan, JobResult, JobStats};
use mapfold_terms::{
    AttemptId, JobEnd, JobId, JobReport, JobSpec, JobStatus, NoticeKind, Order, PartitionId,
    PhaseStatus, Plan, TaskKind, WorkerId,
};
use tokio::time::{Instant, timeout};

use super::{Owner, recording};
use crate::inbox::{Message, Reply};
use crate::job::{Stage, Work};
use crate::planning::{self, PlanRefused, Planned};
use crate::staging::Staging;
use crate::tally::Tally;
use crate::trim::{trim, trim_counters, trim_end};

/// The end of a job waits no longer for the removal of its staging folder, which then goes on by itself.
const CLEAN_MAX: Duration = Duration::from_secs(10);

/// What clients ask.
impl Owner {
    pub(super) fn submit(&mut self, spec: Arc<JobSpec>) -> Result<JobId, Refusal> {
        if self.shutdown.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        if let Some(known) = self.jobs.submitted(spec.key) {
            return match known.spec.files == spec.files {
                true => Ok(known.id),
                false => Err(Refusal::OtherFiles(known.id)),
            };
        }
        self.depot.hold(spec.key, &spec.files)?;
        let id = match self.jobs.accept(Arc::clone(&spec), Instant::now()) {
            Ok(id) => id,
            Err(refusal) => {
                self.depot.release(spec.key, &spec.files);
                return Err(refusal);
            }
        };
        tracing::info!(job = %id, name = spec.job, output = %spec.output.display(), "job accepted");
        self.record(|| Record::Accepted {
            job: id,
            at_ms: recording::milliseconds(),
            spec: Box::new(JobSpec::clone(&spec)),
        });
        self.plan(id, spec);
        Ok(id)
    }

    pub(super) fn plan(&self, id: JobId, spec: Arc<JobSpec>) {
        let files = Arc::clone(&self.files);
        let state = self.recorder.as_ref().map(|it| it.folder().to_owned());
        self.spawn(
            move || planning::plan(&*files, id, &spec, state.as_deref()).map(Box::new),
            move |planned| Message::Planned(id, planned.unwrap_or(Err(PlanRefused::Panicked))),
        );
    }

    pub(super) fn watch(
        &mut self,
        id: JobId,
        seen: u64,
        notices: u64,
        wait: bool,
        reply: Reply<JobStatus>,
    ) {
        let workers = self.scheduler.capacity();
        let status = match self.jobs.get_mut(id) {
            Err(refusal) => Err(refusal),
            Ok(job) if wait && !job.has_news(seen) => return job.wait(notices, reply),
            Ok(job) => Ok(job.status(notices, workers)),
        };
        self.answer(reply, status);
    }

    pub(super) fn cancel(&mut self, id: JobId) -> Result<(), Refusal> {
        match &mut self.jobs.get_mut(id)?.stage {
            Stage::Planning { cancelled } => {
                *cancelled = true;
                self.record(|| Record::Cancelled { job: id });
            }
            Stage::Running(_) | Stage::Committing(_) => {
                self.handle(Event::JobCancelled { job: id });
            }
            Stage::Closing { .. } | Stage::Ended { .. } => {}
        }
        Ok(())
    }
}

/// What the scheduler asks.
impl Owner {
    pub(super) fn apply(&mut self, action: Action) {
        match action {
            Action::Launch { attempt, on } => self.launch(attempt, on),
            Action::Cancel { attempt, on } => {
                if let Some(work) = self.jobs.work(attempt.job) {
                    work.tally.stopped(attempt);
                }
                self.order(on, Order::Cancel(attempt));
            }
            Action::Discard { attempt, on } => self.order(on, Order::Discard(attempt)),
            Action::Commit { job, parts } => self.commit(job, &parts),
            Action::Finish { job, result } => self.finish(job, result),
            Action::Found { attempt, at } => {
                if let Some(work) = self.jobs.work(attempt.job) {
                    work.tally.moved(attempt, at);
                }
            }
            Action::Adopted { attempt, on } => {
                if let Some(work) = self.jobs.work(attempt.job) {
                    work.tally.launched(attempt, on, Instant::now());
                }
            }
            Action::Dismiss { worker } => self.order(worker, Order::Stop),
            Action::Drains { process } => self.record(|| Record::Drains { process }),
            Action::Fence { worker } => self.fence(worker),
            Action::Notice { job, kind, text } => self.notice(job, kind, &text),
            Action::Won { job, task, by } => {
                tracing::debug!(%job, %task, won = by.is_some(), "task");
                let Some(job) = self.jobs.active_job(job) else {
                    return;
                };
                job.progressed();
                match (job.work_mut(), by) {
                    (Some(work), Some((attempt, worker))) => {
                        work.tally.won(attempt, worker, Instant::now());
                        self.record_win(attempt);
                    }
                    (Some(work), None) => {
                        work.tally.lost(task);
                        let job = job.id;
                        self.record(|| Record::Lost { job, task });
                    }
                    (None, _) => {}
                }
            }
        }
    }

    fn launch(&mut self, attempt: AttemptId, on: WorkerId) {
        let Some(job) = self.jobs.active_job(attempt.job) else {
            return;
        };
        job.progressed();
        let Some(work) = job.work_mut() else {
            return;
        };
        work.tally.launched(attempt, on, Instant::now());
        let index = attempt.task.index;
        let brief = work.brief.clone();
        let order = match attempt.task.kind {
            TaskKind::Map => Order::Map {
                attempt,
                split: work.plan.splits[index as usize].clone(),
                brief,
            },
            TaskKind::Reduce => Order::Reduce {
                attempt,
                partition: PartitionId(index),
                brief,
            },
        };
        tracing::debug!(%attempt, job = %attempt.job, worker = %on, "attempt ordered");
        self.order(on, order);
    }

    fn notice(&mut self, job: Option<JobId>, kind: NoticeKind, text: &str) {
        tracing::info!(
            job = job.map(tracing::field::display),
            ?kind,
            text,
            "notice"
        );
        let now = Instant::now();
        for it in self.jobs.active_mut() {
            let concerned = job.is_none_or(|job| job == it.id);
            if concerned && it.work().is_some() {
                it.notice(kind, text.to_owned(), now);
            }
        }
    }

    fn finish(&mut self, id: JobId, result: JobResult) {
        let workers: Vec<WorkerId> = self.sessions.keys().copied().collect();
        for worker in workers {
            self.order(worker, Order::Forget(id));
        }
        let stats = self.scheduler.stats(id).unwrap_or_default();
        self.close(id, trim_end(result.into()), stats);
    }
}

/// From the plan to the end.
impl Owner {
    pub(super) fn planned(&mut self, id: JobId, planned: Result<Box<Planned>, PlanRefused>) {
        let Some(job) = self.jobs.active_job(id) else {
            return;
        };
        let Stage::Planning { cancelled } = job.stage else {
            return;
        };
        let work = match planned {
            Ok(planned) => work_of(*planned),
            Err(_) if cancelled => return self.end_unplanned(id, JobEnd::Cancelled),
            Err(refused) => {
                let end = JobEnd::Failed {
                    what: "the job was refused before it began".to_owned(),
                    failure: Some(trim(refused.failure())),
                    reason: refused.reason(),
                };
                return self.end_unplanned(id, end);
            }
        };
        let plan = JobPlan {
            maps: work.brief.maps,
            reduces: work.brief.reducers,
            max_attempts: job.spec.max_attempts.get(),
            skip_bad: job.spec.skip_bad,
            backup: job.spec.backup,
            task_timeout: job.spec.task_timeout,
        };
        tracing::info!(
            job = %id, files = work.plan.files, maps = plan.maps, reduces = plan.reduces,
            "job planned"
        );
        job.stage = Stage::Running(Box::new(work));
        job.changed(Instant::now());
        // Of a job that ends at once, so that its staging folder is known.
        self.record_plan(id);
        match cancelled {
            true => self.close(id, JobEnd::Cancelled, JobStats::default()),
            false => self.handle(Event::JobPlanned { job: id, plan }),
        }
    }

    /// Nothing was made, so nothing is to be removed.
    fn end_unplanned(&mut self, id: JobId, end: JobEnd) {
        let Some(job) = self.jobs.active_job(id) else {
            return;
        };
        let now = Instant::now();
        let plan = Plan {
            format: job.spec.format,
            splits: Vec::new(),
            files: 0,
            bytes: 0,
            reducers: 0,
        };
        let report = Tally::new(0, 0).report(&plan, JobStats::default(), end, job.accepted, now);
        tracing::info!(job = %id, end = word(&report.end), "job ended");
        let phase = PhaseStatus::default();
        self.record_end(id, &report, phase, phase);
        let Some(job) = self.jobs.active_job(id) else {
            return;
        };
        job.end(report, now);
        self.just_ended.push(id);
    }

    /// The job's end is decided; its staging folder goes before anybody hears of it.
    pub(super) fn close(&mut self, id: JobId, end: JobEnd, stats: JobStats) {
        let Some(job) = self.jobs.active_job(id) else {
            return;
        };
        let planning = Stage::Planning { cancelled: false };
        let mut work = match std::mem::replace(&mut job.stage, planning) {
            Stage::Running(work) | Stage::Committing(work) => work,
            other => {
                job.stage = other;
                return;
            }
        };
        let tally = &work.tally;
        let mut report = tally.report(&work.plan, stats, end, job.accepted, Instant::now());
        trim_counters(&mut report);
        let staging = work.staging.take();
        let (map, reduce) = work.tally.phases(&work.plan);
        self.record_end(id, &report, map, reduce);
        let Some(job) = self.jobs.active_job(id) else {
            return;
        };
        job.stage = Stage::Closing {
            work,
            report: Box::new(report),
        };
        self.cleanings.push((id, staging));
    }

    /// Removes the staging folder of a job that has ended, which is recorded.
    pub(super) fn clean(&self, id: JobId, staging: Option<Staging>) {
        let files = Arc::clone(&self.files);
        let own = self.own.clone();
        let remove = tokio::task::spawn_blocking(move || match staging {
            Some(staging) => staging.remove(&*files),
            None => Ok(()),
        });
        tokio::spawn(async move {
            match timeout(CLEAN_MAX, remove).await {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => {
                    tracing::warn!(job = %id, %error, "cannot remove a staging folder");
                }
                Ok(Err(error)) => tracing::error!(job = %id, %error, "blocking work failed"),
                Err(_) => tracing::warn!(job = %id, "the removal of a staging folder takes long"),
            }
            // If the owner is gone, nobody waits.
            let _ = own.send(Message::Cleaned(id)).await;
        });
    }

    pub(super) fn cleaned(&mut self, id: JobId) {
        let Some(job) = self.jobs.active_job(id) else {
            return;
        };
        let Stage::Closing { report, .. } = &job.stage else {
            return;
        };
        let report = JobReport::clone(report);
        tracing::info!(job = %id, end = word(&report.end), elapsed = ?report.elapsed, "job ended");
        job.end(report, Instant::now());
        self.just_ended.push(id);
    }

    /// Runs blocking work on a thread of its own; `then` makes a message of its result, which is `None`
    /// when it panicked.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        then: impl FnOnce(Option<T>) -> Message + Send + 'static,
    ) {
        let own = self.own.clone();
        tokio::spawn(async move {
            let done = tokio::task::spawn_blocking(work).await;
            if let Err(error) = &done {
                tracing::error!(%error, "blocking work failed");
            }
            // If the owner is gone, nobody waits.
            let _ = own.send(then(done.ok())).await;
        });
    }
}

fn work_of(planned: Planned) -> Work {
    Work {
        tally: Tally::new(planned.plan.splits.len(), planned.plan.reducers as usize),
        plan: planned.plan,
        inputs: planned.inputs,
        split_size: planned.split_size,
        brief: planned.brief,
        staging: Some(planned.staging),
        manifest: None,
    }
}

/// For the log; the rest is in the report.
const fn word(end: &JobEnd) -> &'static str {
    match end {
        JobEnd::Succeeded { .. } => "succeeded",
        JobEnd::Failed { .. } => "failed",
        JobEnd::Cancelled => "cancelled",
    }
}
