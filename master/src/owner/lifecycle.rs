//! The life of jobs: from submit to the report, by what the scheduler asks for.

use std::sync::Arc;
use std::time::Duration;

use mapfold_data::manifest::{self, B3, MANIFEST_VERSION, Manifest};
use mapfold_data::part::part_name;
use mapfold_protocol::codec::encoded_len;
use mapfold_protocol::service::Refusal;
use mapfold_scheduler::{Action, CommitOutcome, Event, JobPlan, JobResult, JobStats};
use mapfold_terms::{
    AttemptId, FailClass, FailReason, Failure, JobEnd, JobId, JobReport, JobSpec, JobStatus,
    NoticeKind, Order, PartitionId, Plan, TaskKind, WorkerId,
};
use tokio::time::{Instant, timeout};

use super::Owner;
use crate::commit::{Commit, Part};
use crate::inbox::{Message, Reply};
use crate::job::{Stage, Work};
use crate::jobs::Accepted;
use crate::planning::{self, PlanRefused, Planned};
use crate::staging::Staging;
use crate::tally::Tally;

/// The end of a job waits no longer for the removal of its staging folder, which then goes on by itself.
const CLEAN_MAX: Duration = Duration::from_secs(10);

/// Bytes of one line of a failure, and lines of its chain. Together with [`COUNTERS_BYTES_MAX`] they keep
/// a status below the frame limit.
const LINE_MAX: usize = 4096;
const CHAIN_MAX: usize = 32;

/// Encoded bytes of the job's own counters in a report. The manifest has them all.
const COUNTERS_BYTES_MAX: usize = 256 << 10;

/// What clients ask.
impl Owner {
    pub(super) fn submit(&mut self, spec: Arc<JobSpec>) -> Result<JobId, Refusal> {
        if self.shutdown.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        let id = match self.jobs.accept(Arc::clone(&spec), Instant::now())? {
            Accepted::Known(id) => return Ok(id),
            Accepted::New(id) => id,
        };
        tracing::info!(job = %id, name = spec.job, output = %spec.output.display(), "job accepted");
        let files = Arc::clone(&self.files);
        self.spawn(
            move || planning::plan(&*files, id, &spec).map(Box::new),
            move |planned| Message::Planned(id, planned.unwrap_or(Err(PlanRefused::Panicked))),
        );
        Ok(id)
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
        match self.jobs.get_mut(id) {
            Err(refusal) => drop(reply.send(Err(refusal))),
            Ok(job) if wait => job.watch(seen, notices, reply, workers),
            Ok(job) => drop(reply.send(Ok(job.status(notices, workers)))),
        }
    }

    pub(super) fn cancel(&mut self, id: JobId) -> Result<(), Refusal> {
        match &mut self.jobs.get_mut(id)?.stage {
            Stage::Planning { cancelled } => *cancelled = true,
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
                    }
                    (Some(work), None) => work.tally.lost(task),
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

    fn commit(&mut self, id: JobId, parts: &[AttemptId]) {
        let Some(job) = self.jobs.active_job(id) else {
            return;
        };
        job.changed(Instant::now());
        let planning = Stage::Planning { cancelled: false };
        let work = match std::mem::replace(&mut job.stage, planning) {
            Stage::Running(work) => work,
            other => {
                job.stage = other;
                return;
            }
        };
        let staged = describe(&work, parts).map(|parts| {
            let manifest = manifest_of(&job.spec, &work, &parts);
            (parts, manifest)
        });
        let staged_folder = work.staging.as_ref().map(Staging::output);
        let (output, overwrite) = (job.spec.output.clone(), job.spec.overwrite);
        job.stage = Stage::Committing(work);
        let (Some((parts, manifest)), Some(staged)) = (staged, staged_folder) else {
            let outcome = broken("a winning reduce attempt left no report");
            return self.handle(Event::CommitEnded { job: id, outcome });
        };
        let files = Arc::clone(&self.files);
        let commit = move || {
            let root = manifest.root.0;
            let commit = Commit {
                staged,
                output: output.as_path().to_owned(),
                overwrite,
                parts,
                manifest: manifest.to_json(),
            };
            match commit.run(&*files) {
                Ok(()) => CommitOutcome::Done { root },
                Err(error) => CommitOutcome::Failed {
                    reason: error.reason(),
                    failure: Failure::new(FailClass::Worker, &error),
                },
            }
        };
        self.spawn(commit, move |outcome| {
            let outcome = outcome.unwrap_or_else(|| broken("the commit ended without a result"));
            Message::Committed(id, outcome)
        });
    }

    fn finish(&mut self, id: JobId, result: JobResult) {
        let workers: Vec<WorkerId> = self.sessions.keys().copied().collect();
        for worker in workers {
            self.order(worker, Order::Forget(id));
        }
        let stats = self.scheduler.stats(id).unwrap_or_default();
        self.close(id, end_of(result), stats);
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
        };
        tracing::info!(
            job = %id, files = work.plan.files, maps = plan.maps, reduces = plan.reduces,
            "job planned"
        );
        job.stage = Stage::Running(Box::new(work));
        job.changed(Instant::now());
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
        tracing::info!(job = %id, end = ?report.end, "job ended");
        job.end(report, now);
        self.just_ended.push(id);
    }

    /// The job's end is decided; its staging folder goes before anybody hears of it.
    fn close(&mut self, id: JobId, end: JobEnd, stats: JobStats) {
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
        job.stage = Stage::Closing {
            work,
            report: Box::new(report),
        };
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
        tracing::info!(job = %id, end = ?report.end, elapsed = ?report.elapsed, "job ended");
        job.end(report, Instant::now());
        self.just_ended.push(id);
    }

    /// Runs blocking work on a thread of its own; `then` makes a message of its result, which is `None`
    /// when it panicked.
    fn spawn<T: Send + 'static>(
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
    }
}

/// The winners' parts; `None` if the tally knows others than the scheduler.
fn describe(work: &Work, parts: &[AttemptId]) -> Option<Vec<Part>> {
    let parts = (0..).zip(parts).map(|(index, attempt)| {
        let (winner, summary) = work.tally.part(index as usize)?;
        let name = part_name(PartitionId(index));
        (winner == *attempt).then(|| Part {
            attempt: *attempt,
            source: work.brief.attempt_folder(*attempt).join(&name),
            name,
            summary,
        })
    });
    parts.collect()
}

fn manifest_of(spec: &JobSpec, work: &Work, parts: &[Part]) -> Manifest {
    let parts: Vec<manifest::Part> = (0..)
        .zip(parts)
        .map(|(index, part)| manifest::Part::new(PartitionId(index), &part.summary))
        .collect();
    let root: B3 = manifest::root_hash(&parts);
    Manifest {
        manifest_version: MANIFEST_VERSION,
        engine: concat!("mapfold ", env!("CARGO_PKG_VERSION")).to_owned(),
        job: spec.job.clone(),
        params: spec.params.clone(),
        format: spec.format.to_string(),
        split_size: work.split_size,
        splits: work.plan.splits.len() as u64,
        reducers: work.plan.reducers,
        key: spec.row_key.clone(),
        value: spec.row_value.clone(),
        inputs: work.inputs.clone(),
        counters: work.tally.counters().0,
        parts,
        root,
    }
}

fn end_of(result: JobResult) -> JobEnd {
    match result {
        JobResult::Succeeded { root } => JobEnd::Succeeded { root },
        JobResult::Failed {
            what,
            reason,
            failure,
        } => JobEnd::Failed {
            what: cut(what),
            failure: failure.map(trim),
            reason,
        },
        JobResult::Cancelled => JobEnd::Cancelled,
    }
}

/// A failure of our own.
fn broken(text: &str) -> CommitOutcome {
    CommitOutcome::Failed {
        reason: FailReason::Internal,
        failure: Failure {
            class: FailClass::Worker,
            chain: vec![text.to_owned()],
            at: None,
            hint: None,
        },
    }
}

fn trim(mut failure: Failure) -> Failure {
    failure.chain.truncate(CHAIN_MAX);
    failure.chain = failure.chain.into_iter().map(cut).collect();
    failure.hint = failure.hint.map(cut);
    failure
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LINE_MAX));
    text
}

fn trim_counters(report: &mut JobReport) {
    let counters = &mut report.counters.0;
    let all = counters.len();
    while encoded_len(counters) > COUNTERS_BYTES_MAX {
        let middle = counters.keys().nth(counters.len() / 2).cloned();
        counters.split_off(&middle.unwrap_or_default());
    }
    if counters.len() < all {
        tracing::warn!(all, kept = counters.len(), "counters left out of a report");
    }
}
