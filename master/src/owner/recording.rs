//! What a round decides for good goes to the journal, if there is one, before the round says anything.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use mapfold_journal::{Planned, Record};
use mapfold_terms::{AttemptId, JobId, JobReport, PhaseStatus, TaskKind, WorkerId};
use tokio::sync::watch;

use super::Owner;
use crate::journal::{Journal, JournalError};

/// Workers' ids that one record sets aside. Those that a restart leaves unused are lost.
const WORKERS_AHEAD: u32 = 100;

/// Where it is told that the journal has failed.
pub(crate) type Failed = watch::Sender<Option<Arc<JournalError>>>;

/// The journal, and what is known of it beside.
pub(crate) struct Recorder {
    /// `None` while its disk works.
    journal: Option<Journal>,
    folder: Arc<Path>,
    /// Ids up to this one may be given to workers.
    workers_upto: WorkerId,
    /// What this round has recorded is about tasks alone.
    tasks_only: bool,
}

/// Nothing may be told any more.
pub(super) struct Broken;

impl Recorder {
    pub(super) fn new(journal: Journal, folder: &Path, last_worker: WorkerId) -> Self {
        Self {
            journal: Some(journal),
            folder: folder.into(),
            workers_upto: last_worker,
            tasks_only: true,
        }
    }

    /// The state folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Owner {
    /// Records what `record` says, if anything is recorded at all.
    pub(super) fn record(&mut self, record: impl FnOnce() -> Record) {
        let Some(recorder) = &mut self.recorder else {
            return;
        };
        if let Some(journal) = &mut recorder.journal {
            let record = record();
            recorder.tasks_only &= matches!(
                record,
                Record::MapWon { .. } | Record::ReduceWon { .. } | Record::Lost { .. }
            );
            journal.append(&record);
        }
    }

    /// Whether orders may leave before the sync: a slot need not wait for the disk. They say nothing that must last but
    /// that their job is planned, since tokens are never given twice, and whatever a worker runs or has deleted for
    /// a decision that is forgotten is sorted out when it returns.
    pub(super) fn orders_may_leave(&self) -> bool {
        self.recorder.as_ref().is_some_and(|it| it.tasks_only)
    }

    /// A worker is to get this id.
    pub(super) fn record_worker(&mut self, worker: WorkerId) {
        let Some(recorder) = &mut self.recorder else {
            return;
        };
        if worker > recorder.workers_upto {
            let upto = WorkerId(worker.0.saturating_add(WORKERS_AHEAD));
            recorder.workers_upto = upto;
            self.record(|| Record::Workers { upto });
        }
    }

    /// The job is planned.
    pub(super) fn record_plan(&mut self, id: JobId) {
        let Some((spec, work)) = self.recorded_job(id) else {
            return;
        };
        let mut records = Record::of_splits(id, &work.plan.splits);
        records.push(Record::Planned {
            job: id,
            planned: Planned {
                maps: work.brief.maps,
                reducers: work.plan.reducers,
                files: work.plan.files,
                bytes: work.plan.bytes,
                split_size: work.split_size,
                max_attempts: spec.max_attempts.get(),
                skip_bad: spec.skip_bad,
                backup: spec.backup,
                task_timeout: spec.task_timeout,
                staging: work.brief.staging.clone(),
                inputs: work.inputs.to_json(),
            },
        });
        for record in records {
            self.record(|| record);
        }
    }

    /// The attempt has won, and the tally knows what it reported.
    pub(super) fn record_win(&mut self, attempt: AttemptId) {
        let Some((_, work)) = self.recorded_job(attempt.job) else {
            return;
        };
        let place = attempt.task.index as usize;
        let record = match attempt.task.kind {
            TaskKind::Map => work.tally.map_win(place).map(|(by, report)| {
                let report = Box::new(report.clone());
                Record::MapWon {
                    attempt,
                    by,
                    report,
                }
            }),
            TaskKind::Reduce => work.tally.reduce_win(place).map(|(by, report)| {
                let report = Box::new(report.clone());
                Record::ReduceWon {
                    attempt,
                    by,
                    report,
                }
            }),
        };
        if let Some(record) = record {
            self.record(|| record);
        }
    }

    /// The job is to be committed with this manifest.
    pub(super) fn record_commit(&mut self, id: JobId, manifest: &[u8]) {
        if self.recorder.is_none() {
            return;
        }
        for record in Record::of_manifest(id, manifest) {
            self.record(|| record);
        }
        self.record(|| Record::Committing { job: id });
    }

    /// The job ends.
    pub(super) fn record_end(
        &mut self,
        job: JobId,
        report: &JobReport,
        map: PhaseStatus,
        reduce: PhaseStatus,
    ) {
        self.record(|| Record::Ended {
            job,
            report: Box::new(report.clone()),
            map,
            reduce,
        });
    }

    /// Makes sure that all that was recorded is on disk. Meanwhile the runtime goes on: connections are read,
    /// and heartbeats stamped.
    pub(super) async fn sync(&mut self) -> Result<(), Broken> {
        let Some(recorder) = &mut self.recorder else {
            return Ok(());
        };
        recorder.tasks_only = true;
        let Some(mut journal) = recorder.journal.take_if(|journal| journal.is_behind()) else {
            return Ok(());
        };
        let synced = tokio::task::spawn_blocking(move || {
            let done = journal.commit();
            (journal, done)
        });
        let error = match synced.await {
            Ok((journal, done)) => {
                recorder.journal = Some(journal);
                match done {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            }
            Err(_) => JournalError::Poisoned {
                path: recorder.folder.to_path_buf(),
            },
        };
        tracing::error!(%error, "the journal has failed, so this master ends");
        self.failed.send_replace(Some(Arc::new(error)));
        Err(Broken)
    }

    /// A job in progress, if there is a journal.
    fn recorded_job(&mut self, id: JobId) -> Option<(&mapfold_terms::JobSpec, &crate::job::Work)> {
        self.recorder.as_ref()?;
        let job = self.jobs.active_job(id)?;
        Some((&job.spec, job.work()?))
    }
}

/// Since 1970.
pub(super) fn milliseconds() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
