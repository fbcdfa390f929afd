//! A master that goes on where an earlier start was cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mapfold_data::manifest::Inputs;
use mapfold_journal::{Planned, Record};
use mapfold_scheduler::{JobStats, Scheduler};
use mapfold_terms::{FailReason, JobEnd, JobId, Plan, Split};
use tokio::time::Instant;

use super::recording::{Recorder, milliseconds};
use super::{Owner, Staging};
use crate::job::{Job, Stage, Work};
use crate::journal::Opened;
use crate::planning;
use crate::staging::remove_left;
use crate::tally::{Reported, Tally};

impl Owner {
    /// Takes over what the journal in `folder` says. Blocks: staging folders are locked.
    pub(crate) fn recover(&mut self, opened: Opened, folder: &Path) {
        let records = &opened.records;
        self.jobs.begin_at(opened.next_job);
        let jobs = restore(records);
        let mut stranded = BTreeSet::new();
        let mut unplanned = Vec::new();
        for (id, job) in jobs {
            let has_staging = job.work().is_none_or(|work| work.staging.is_some());
            let commits = job.work().is_some_and(|work| work.manifest.is_some());
            if !has_staging && !commits {
                stranded.insert(id);
            }
            if let Stage::Planning { .. } = job.stage {
                unplanned.push((id, Arc::clone(&job.spec)));
            }
            let ended = job.has_ended();
            if !ended {
                self.depot.hold_again(job.spec.key, &job.spec.files);
            }
            self.jobs.restore(job);
            if ended {
                self.jobs.retire(id);
            }
        }
        let known = |record: &&Record| record.job().is_none_or(|job| !stranded.contains(&job));
        self.scheduler = Scheduler::recover(
            self.clock.now(),
            self.settings.epoch,
            self.settings.scheduler.clone(),
            records.iter().filter(known),
        );
        let active = self.jobs.active().count();
        tracing::info!(epoch = %self.settings.epoch, jobs = active, records = records.len(), "journal read");
        self.recorder = Some(Recorder::new(opened.journal, folder, opened.last_worker));
        for id in stranded {
            let end = JobEnd::Failed {
                what: "its staging folder is gone, and with it what was finished".to_owned(),
                failure: None,
                reason: FailReason::Output,
            };
            self.close(id, end, JobStats::default());
        }
        for (id, spec) in unplanned {
            self.plan(id, spec);
        }
        self.apply_actions();
        for record in records {
            if let Record::Cancelled { job } = record {
                // One that was planned after that, and whose end was cut off, is cancelled again.
                let _ = self.cancel(*job);
            }
        }
        let files = Arc::clone(&self.files);
        tokio::task::spawn_blocking(move || {
            for staging in &opened.leftovers {
                if let Err(error) = remove_left(&*files, staging) {
                    tracing::warn!(%error, "cannot remove a staging folder");
                }
            }
        });
    }
}

/// The jobs that these records are about.
fn restore(records: &[Record]) -> BTreeMap<JobId, Job> {
    let mut jobs: BTreeMap<JobId, Job> = BTreeMap::new();
    let mut splits: BTreeMap<JobId, Vec<Split>> = BTreeMap::new();
    let mut manifests: BTreeMap<JobId, Vec<u8>> = BTreeMap::new();
    for record in records {
        if let Record::Accepted { job, at_ms, spec } = record {
            let job_spec = Arc::new(mapfold_terms::JobSpec::clone(spec));
            jobs.insert(*job, Job::new(*job, job_spec, when(*at_ms)));
            continue;
        }
        let Some((id, job)) = record.job().and_then(|id| Some((id, jobs.get_mut(&id)?))) else {
            continue;
        };
        match record {
            Record::Splits { splits: some, .. } => {
                splits.entry(id).or_default().extend_from_slice(some);
            }
            Record::Planned { planned, .. } => {
                let splits = splits.remove(&id).unwrap_or_default();
                job.stage = Stage::Running(Box::new(work(job, planned, splits)));
            }
            Record::Cancelled { .. } => {
                if let Stage::Planning { cancelled } = &mut job.stage {
                    *cancelled = true;
                }
            }
            Record::MapWon {
                attempt,
                by,
                report,
            } => {
                let reported = Reported::Mapped(mapfold_terms::MapReport::clone(report));
                if let Some(work) = job.work_mut() {
                    work.tally.restore(*attempt, *by, reported);
                }
            }
            Record::ReduceWon {
                attempt,
                by,
                report,
            } => {
                let reported = Reported::Reduced(mapfold_terms::ReduceReport::clone(report));
                if let Some(work) = job.work_mut() {
                    work.tally.restore(*attempt, *by, reported);
                }
            }
            Record::Lost { task, .. } => {
                if let Some(work) = job.work_mut() {
                    work.tally.lost(*task);
                }
            }
            Record::Manifest { bytes, .. } => {
                manifests.entry(id).or_default().extend_from_slice(bytes);
            }
            Record::Committing { .. } => {
                if let Some(work) = job.work_mut() {
                    work.manifest = manifests.remove(&id);
                }
            }
            Record::Ended {
                report,
                map,
                reduce,
                ..
            } => {
                job.stage = Stage::Ended {
                    report: report.clone(),
                    map: *map,
                    reduce: *reduce,
                };
            }
            Record::Began { .. }
            | Record::Starts { .. }
            | Record::Workers { .. }
            | Record::Drains { .. }
            | Record::Accepted { .. } => {}
        }
    }
    jobs
}

fn work(job: &Job, planned: &Planned, splits: Vec<Split>) -> Work {
    let plan = Plan {
        format: job.spec.format,
        splits,
        files: planned.files,
        bytes: planned.bytes,
        reducers: planned.reducers,
    };
    let staging = planned.staging.as_path();
    Work {
        tally: Tally::new(plan.splits.len(), plan.reducers as usize),
        // What the checksum vouches for was written by this version of the format.
        inputs: Inputs::from_json(&planned.inputs).unwrap_or_else(|| Inputs::of(&[])),
        split_size: planned.split_size,
        brief: planning::brief(job.id, &job.spec, &plan, staging.to_owned()),
        staging: Staging::reopen(staging),
        manifest: None,
        plan,
    }
}

/// When it was, on a clock that may have begun later: jobs are not older than the machine's last start.
fn when(at_ms: u64) -> Instant {
    let now = Instant::now();
    let ago = Duration::from_millis(milliseconds().saturating_sub(at_ms));
    now.checked_sub(ago).unwrap_or(now)
}
