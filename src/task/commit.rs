//! From what attempts left to an output folder, the same to the byte as `mapfold run` makes of the same job.

use std::path::Path;

use mapfold_data::manifest::{self, Facts, Inputs, Listed, Manifest};
use mapfold_data::part::attempt_file_name;
use mapfold_master::{FinishedPart, Publication, PublishFailed};
use mapfold_terms::{AttemptId, Counters, FailReason, InputsDigest, PartitionId, Staged, TaskId};

use super::left::Folder;
use crate::error::Problem;
use crate::exit::Exit;
use crate::foreground::attempt;
use crate::plan_file::PlanFile;
use crate::settings::absolute;

/// Chooses one attempt of each task and puts the output in place.
pub(super) fn commit(
    plan: &PlanFile,
    from: &Path,
    output: &Path,
    overwrite: bool,
) -> Result<Exit, Problem> {
    let folder = Folder::make(from, plan)?;
    let output = absolute(output)?;
    let maps = folder.maps()?;
    let mut counters = Counters::default();
    let mut consumed = InputsDigest::default();
    for (index, map) in &maps {
        counters.merge(&map.report.counters);
        consumed.add(*index, map.report.run.digest);
    }
    let skipped = maps.values().flat_map(|map| &map.report.skipped);
    check_skipped(plan, skipped.clone().count())?;
    let (skipped, quarantine) = manifest::quarantine(skipped).unzip();
    let mut output_files = Files {
        plan,
        parts: Vec::new(),
        listed: Listed::default(),
    };
    for (index, map) in &maps {
        if let Some(staged) = &map.report.staged {
            let attempt = attempt(TaskId::map(*index), map.attempt);
            output_files.add(attempt, &map.left, staged);
        }
    }
    for (index, attempts) in (0..).zip(folder.reduces()?) {
        let task = TaskId::reduce(index);
        let alike = |report: &mapfold_terms::ReduceReport| {
            report.consumed == consumed && report.runs == plan.maps
        };
        let winner = attempts
            .into_iter()
            .find(|attempt| alike(&attempt.report))
            .ok_or_else(|| {
                let what = format!("{task} consumed other runs than those that count");
                Problem::new(Exit::TryAgain, what).hint(format!("make another attempt at {task}"))
            })?;
        counters.merge(&winner.report.counters);
        let attempt = attempt(task, winner.attempt);
        output_files.add(attempt, &winner.folder, &winner.report.staged);
    }
    let Files { parts, listed, .. } = output_files;
    let spec = plan.spec(output.clone(), overwrite);
    let manifest = Manifest::of(Facts {
        spec: &spec,
        split_size: plan.split_size,
        splits: plan.maps.into(),
        reducers: plan.reducers,
        inputs: Inputs::of(&plan.inputs()),
        counters,
        skipped,
        listed,
    });
    let publication = Publication {
        output: &output,
        overwrite,
        parts,
        skipped: quarantine.unwrap_or_default(),
        manifest: &manifest,
    };
    publication
        .publish()
        .map_err(|failed| not_published(&failed, folder.path()))?;
    Ok(Exit::Done)
}

/// What is to be put in place.
struct Files<'a> {
    plan: &'a PlanFile,
    parts: Vec<FinishedPart>,
    listed: Listed,
}

impl Files<'_> {
    /// What an attempt has left in a folder of its own.
    fn add(&mut self, attempt: AttemptId, folder: &Path, staged: &Staged) {
        let partition = PartitionId(attempt.task.index);
        for (name, summary) in self.listed.add(partition, self.plan.parts, staged) {
            self.parts.push(FinishedPart {
                attempt,
                path: folder.join(attempt_file_name(attempt.token, &name)),
                name,
                summary,
            });
        }
    }
}

fn check_skipped(plan: &PlanFile, skipped: usize) -> Result<(), Problem> {
    if skipped as u64 <= u64::from(plan.skip_bad) {
        return Ok(());
    }
    let max = plan.skip_bad;
    let what = format!("`map` fails on {skipped} records, and {max} may be skipped");
    Err(Problem::new(Exit::JobFailed, what))
}

fn not_published(failed: &PublishFailed, from: &Path) -> Problem {
    let exit = match failed.reason {
        FailReason::NoSpace => Exit::TryAgain,
        reason => Exit::from(reason),
    };
    let what = format!("cannot commit what is in {}", from.display());
    Problem::new(exit, what).failure(&failed.failure)
}
