//! From the winners of a job to its commit.

use std::sync::Arc;

use mapfold_data::manifest::{self, B3, Facts, Listed, Manifest, SkippedFile};
use mapfold_data::part::attempt_file_name;
use mapfold_scheduler::{CommitOutcome, Event};
use mapfold_terms::{AttemptId, FailClass, FailReason, Failure, JobId, JobSpec, PartitionId};
use tokio::time::Instant;

use super::Owner;
use crate::commit::{Commit, Part};
use crate::inbox::Message;
use crate::job::{Stage, Work};
use crate::staging;

/// A commit that can begin.
pub(super) struct Begun {
    id: JobId,
    commit: Commit,
    root: B3,
}

impl Owner {
    /// Prepares to put the parts of these attempts in place.
    pub(super) fn commit(&mut self, id: JobId, parts: &[AttemptId]) {
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
        let described = describe(&work, parts, job.spec.lazy_parts).map(|(parts, listed)| {
            let (skipped, quarantine) = manifest::quarantine(work.tally.skipped()).unzip();
            let manifest = manifest_of(&job.spec, &work, listed, skipped);
            (parts, manifest, quarantine)
        });
        let Some((parts, manifest, quarantine)) = described else {
            job.stage = Stage::Committing(work);
            let outcome = broken("a winning attempt left no report");
            return self.handle(Event::CommitEnded { job: id, outcome });
        };
        let root = manifest.root;
        // One that was recorded may be in place already, so it is repeated to the byte.
        let recorded = work.manifest.clone();
        let is_new = recorded.is_none();
        let manifest = recorded.unwrap_or_else(|| manifest.to_json());
        let commit = Commit {
            staged: staging::output_in(work.brief.staging.as_path()),
            output: job.spec.output.as_path().to_owned(),
            overwrite: job.spec.overwrite,
            parts,
            skipped: quarantine.unwrap_or_default(),
            manifest,
        };
        job.stage = Stage::Committing(work);
        if is_new {
            self.record_commit(id, &commit.manifest);
        }
        self.commits.push(Begun { id, commit, root });
    }

    /// Commits on a thread of its own.
    pub(super) fn begin(&self, begun: Begun) {
        let Begun { id, commit, root } = begun;
        let files = Arc::clone(&self.files);
        let commit = move || match commit.run(&*files) {
            Ok(()) => CommitOutcome::Done { root: root.0 },
            Err(error) => CommitOutcome::Failed {
                reason: error.reason(),
                failure: Failure::new(FailClass::Worker, &error),
            },
        };
        self.spawn(commit, move |outcome| {
            let outcome = outcome.unwrap_or_else(|| broken("the commit ended without a result"));
            Message::Committed(id, outcome)
        });
    }
}

/// The files of the winners; `None` if the tally knows others than the scheduler.
fn describe(work: &Work, winners: &[AttemptId], lazy_parts: bool) -> Option<(Vec<Part>, Listed)> {
    let staging = work.brief.staging.as_path();
    let mut parts = Vec::with_capacity(winners.len());
    let mut listed = Listed::new(lazy_parts);
    for (index, attempt) in (0..).zip(winners) {
        let (winner, staged) = work.tally.staged(index as usize)?;
        if winner != *attempt {
            return None;
        }
        let files = listed.add(PartitionId(index), work.brief.parts, staged);
        parts.extend(files.into_iter().map(|(name, summary)| Part {
            attempt: winner,
            source: staging.join(attempt_file_name(winner.token, &name)),
            name,
            summary,
        }));
    }
    Some((parts, listed))
}

fn manifest_of(
    spec: &JobSpec,
    work: &Work,
    listed: Listed,
    skipped: Option<SkippedFile>,
) -> Manifest {
    Manifest::of(Facts {
        spec,
        split_size: work.split_size,
        splits: work.plan.splits.len() as u64,
        reducers: work.plan.reducers,
        inputs: work.inputs.clone(),
        counters: work.tally.counters(),
        skipped,
        listed,
    })
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
            backtrace: None,
        },
    }
}
