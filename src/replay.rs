//! `mapfold replay`: a failed attempt's task once more, on this thread, where a debugger can watch.

use std::env;
use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use mapfold_data::run::{Run, Segment};
use mapfold_data::scratch::{Scratch, ScratchRoot};
use mapfold_job::{Catalog, TaskError};
use mapfold_terms::{PartitionId, TaskId, TaskKind};

use crate::capsule::Capsule;
use crate::error::Problem;
use crate::exit::Exit;
use crate::foreground::Foreground;
use crate::plan_file::PlanFile;
use crate::plugin::plain;
use crate::resources::Resources;
use crate::scratch::{PrivateFolder, no_scratch};
use crate::settings::Shown;
use crate::stderr::say;

pub(crate) fn replay(
    file: &Path,
    catalog: &Arc<dyn Catalog>,
    shown: &Shown,
) -> Result<Exit, Problem> {
    let capsule = Capsule::read(file)?;
    let (plan, task) = (&capsule.plan, capsule.task());
    let one = NonZeroU32::MIN;
    let memory = Resources::new(Some(one), None, one).memory;
    let foreground = Foreground::new(catalog, plan, memory)?;
    let root = ScratchRoot::open(&env::temp_dir()).map_err(|error| no_scratch(&error))?;
    let scratch = root.scratch("replay");
    let done = match task.kind {
        TaskKind::Map => {
            let splits = plan.splits();
            let split = splits.first().ok_or_else(no_split)?;
            // Its part is of no use to anybody.
            let folder = PrivateFolder::make()?;
            let part_folder = folder.path().join("part");
            let done = foreground.map(split, 1, &scratch, &part_folder).map(drop);
            let _ = fs::remove_dir_all(&part_folder);
            done
        }
        TaskKind::Reduce => reduce(&foreground, plan, task, &scratch)?,
    };
    let error = match done {
        Ok(()) => {
            if !shown.quiet {
                let job = plain(&plan.job);
                let word = shown.paint.good(&format!("{:>10}", "Passed"));
                say(&format!("{word} {task} of {job} does not fail here\n"));
            }
            return Ok(Exit::Done);
        }
        Err(error) => error,
    };
    let TaskError::Failed(failure) = error else {
        let what = format!("{task} ended early");
        return Err(Problem::new(Exit::Internal, what).because(&error));
    };
    let how = match capsule.is_like(&failure) {
        true => "as it did before",
        false => "but not as it did before",
    };
    if let Some(backtrace) = &failure.backtrace {
        say(&format!("{backtrace}\n"));
    }
    let exit = match crate::foreground::exit_of(&failure) {
        Exit::JobFailed => Exit::JobFailed,
        Exit::DoNotRetry => Exit::Input,
        _ => Exit::Output,
    };
    let problem = Problem::new(exit, format!("{task} fails, {how}")).failure(&failure);
    Err(match failure.backtrace {
        Some(_) => problem,
        None => problem.hint_if_none(
            "RUST_BACKTRACE=1 shows the way to a panic; a debugger stops at it with a breakpoint on `rust_panic`",
        ),
    })
}

/// A reduce task needs the runs of all map tasks: they are made first. The outer error is one of these.
fn reduce(
    foreground: &Foreground<'_>,
    plan: &PlanFile,
    task: TaskId,
    scratch: &Scratch,
) -> Result<Result<(), TaskError>, Problem> {
    let partition = PartitionId(task.index);
    let mut inputs: Vec<Segment> = Vec::new();
    for split in plan.splits() {
        let map = TaskId::map(split.index);
        let cannot = format!("{task} needs {map}, which fails");
        let done =
            foreground
                .map(&split, 1, scratch, Path::new(""))
                .map_err(|error| match &error {
                    TaskError::Failed(failure) => {
                        Problem::new(Exit::JobFailed, &*cannot).failure(failure)
                    }
                    error => Problem::new(Exit::Internal, &*cannot).because(error),
                })?;
        let segment = Run::open(done.run)
            .and_then(|run| run.segment(partition))
            .map_err(|error| Problem::new(Exit::Internal, &*cannot).because(&error))?;
        inputs.push(segment.with_map(split.index));
    }
    // Its part is of no use to anybody.
    let folder = PrivateFolder::make()?;
    let part_folder = folder.path().join("part");
    let done = foreground.reduce(partition, 1, inputs, scratch, &part_folder);
    let _ = fs::remove_dir_all(&part_folder);
    Ok(done.map(drop))
}

fn no_split() -> Problem {
    Problem::new(Exit::Usage, "the capsule has no split")
}
