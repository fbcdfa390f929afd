//! `mapfold task map|reduce|commit`: one attempt as a process, for schedulers of other people's.
//!
//! ```text
//! DIR/map-3.1.json        what attempt 1 of map task m3 did; made last, in one step, and never replaced
//! DIR/map-3.1-8f02.run    its run, named by that file
//! DIR/reduce-0.1.json     the same of reduce task r0
//! DIR/reduce-0.1-91c4/    the folder of its part, and of the job's named outputs
//! ```
//! Without reduce tasks a map task has such a folder, and no run.
//! Any task may be run any number of times, at once even. Of a map task the lowest attempt that is there counts, and of a reduce task the lowest
//! that consumed exactly the runs that count: so the winners do not depend on who ends first. What is not named by a
//! `.json` file is garbage.

mod commit;
mod left;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use mapfold_data::run::{Run, RunBytes};
use mapfold_data::scratch::ScratchRoot;
use mapfold_job::{Catalog, MapDone, TaskError};
use mapfold_protocol::raise_open_files;
use mapfold_terms::{ByteSize, InputsDigest, PartitionId, ReduceReport, TaskId};

use self::left::{Folder, Left};
use crate::args::{TaskArgs, TaskCommand, TaskPlace};
use crate::error::Problem;
use crate::exit::Exit;
use crate::foreground::{Foreground, exit_of};
use crate::plan::cannot_write;
use crate::plan_file::PlanFile;
use crate::resources::Resources;
use crate::scratch::no_scratch;

pub(crate) fn task(args: TaskArgs, catalog: &Arc<dyn Catalog>) -> Result<Exit, Problem> {
    match args.command {
        TaskCommand::Map { place, to } => map(&place, &to, catalog),
        TaskCommand::Reduce { place, from } => reduce(&place, &from, catalog),
        TaskCommand::Commit {
            plan,
            from,
            output,
            overwrite,
        } => commit::commit(&PlanFile::read(&plan)?, &from, &output, overwrite),
    }
}

fn map(place: &TaskPlace, to: &Path, catalog: &Arc<dyn Catalog>) -> Result<Exit, Problem> {
    let plan = PlanFile::read(&place.plan)?;
    let task = TaskId::map(within(place.index, plan.maps, "map")?);
    let folder = Folder::make(to, &plan)?;
    if folder.has(task, place.attempt.get()) {
        return Ok(Exit::Done);
    }
    let foreground = Foreground::new(catalog, &plan, memory(place)?)?;
    let splits = plan.splits();
    let split = splits
        .get(task.index as usize)
        .filter(|it| it.index == task.index);
    let split = split.ok_or_else(|| Problem::new(Exit::Usage, "the plan lacks this split"))?;
    let root = ScratchRoot::open(to).map_err(|error| no_scratch(&error))?;
    let name = folder.unique(task, place.attempt.get())?;
    let scratch = root.scratch(&name);
    let part_folder = to.join(&name);
    let MapDone { report, run } = foreground
        .map(split, place.attempt.get(), &scratch, &part_folder)
        .map_err(|error| {
            // What is left of it is garbage.
            let _ = fs::remove_dir_all(&part_folder);
            failed(task, &error)
        })?;
    let left = match &report.staged {
        Some(_) => name,
        None => format!("{name}.run"),
    };
    if report.staged.is_none() {
        let path = to.join(&left);
        let made = run.path().map(|made| fs::rename(made, &path));
        made.unwrap_or_else(|| fs::write(&path, &*run))
            .map_err(|error| cannot_write(&path, &error))?;
    }
    folder.leave(&Left::Map {
        plan: plan.id().to_owned(),
        attempt: place.attempt.get(),
        index: task.index,
        left,
        report,
    })?;
    Ok(Exit::Done)
}

fn reduce(place: &TaskPlace, from: &Path, catalog: &Arc<dyn Catalog>) -> Result<Exit, Problem> {
    let started = Instant::now();
    raise_open_files();
    let plan = PlanFile::read(&place.plan)?;
    let task = TaskId::reduce(within(place.index, plan.reducers, "reduce")?);
    let folder = Folder::make(from, &plan)?;
    if folder.has(task, place.attempt.get()) {
        return Ok(Exit::Done);
    }
    let foreground = Foreground::new(catalog, &plan, memory(place)?)?;
    let root = ScratchRoot::open(from).map_err(|error| no_scratch(&error))?;
    let name = folder.unique(task, place.attempt.get())?;
    let partition = PartitionId(task.index);
    let mut consumed = InputsDigest::default();
    let mut inputs = Vec::new();
    for (index, winner) in folder.maps()? {
        let run = open(&winner.left).map_err(|error| damaged(index, &error))?;
        if run.digest() != winner.report.run.digest {
            return Err(damaged(index, &OtherRun));
        }
        consumed.add(index, run.digest());
        let segment = run
            .segment(partition)
            .map_err(|error| damaged(index, &error))?;
        inputs.push(segment.with_map(index));
    }
    let fetched = inputs.iter().map(|segment| segment.head().bytes).sum();
    let fetch_elapsed = started.elapsed();
    let part_folder = from.join(&name);
    let done = foreground
        .reduce(
            partition,
            place.attempt.get(),
            inputs,
            &root.scratch(&name),
            &part_folder,
        )
        .map_err(|error| {
            // What is left of it is garbage.
            let _ = fs::remove_dir_all(&part_folder);
            failed(task, &error)
        })?;
    folder.leave(&Left::Reduce {
        plan: plan.id().to_owned(),
        attempt: place.attempt.get(),
        index: task.index,
        folder: name,
        report: ReduceReport {
            consumed,
            runs: plan.maps,
            records_in: done.records_in,
            fetched: ByteSize(fetched),
            fetched_remote: ByteSize(0),
            groups: done.groups,
            staged: done.staged,
            spilled: done.spilled,
            counters: done.counters,
            fetch_elapsed,
            elapsed: started.elapsed(),
        },
    })?;
    Ok(Exit::Done)
}

fn open(path: &Path) -> Result<Run, mapfold_data::run::ReadRunError> {
    Run::open(RunBytes::open(path)?)
}

/// A run was replaced by another one.
#[derive(Debug, thiserror::Error)]
#[error("it is not the run that was reported")]
struct OtherRun;

fn damaged(map: u32, error: &dyn std::error::Error) -> Problem {
    let task = TaskId::map(map);
    Problem::new(Exit::TryAgain, format!("cannot read the run of {task}"))
        .because(error)
        .hint(format!("remove what is left of {task}, and run it again"))
}

fn failed(task: TaskId, error: &TaskError) -> Problem {
    let what = format!("{task} failed");
    match error {
        TaskError::Failed(failure) => Problem::new(exit_of(failure), what).failure(failure),
        TaskError::BadRun { map, .. } => damaged(*map, error),
        TaskError::Cancelled => Problem::new(Exit::Internal, what).because(error),
    }
}

fn within(index: u32, count: u32, kind: &str) -> Result<u32, Problem> {
    if index < count {
        return Ok(index);
    }
    let what = format!("there is no {kind} task {index}: the plan has {count}, counted from 0");
    Err(Problem::new(Exit::Usage, what))
}

fn memory(place: &TaskPlace) -> Result<ByteSize, Problem> {
    let one = std::num::NonZeroU32::MIN;
    let resources = Resources::new(Some(one), place.memory, one).check(one)?;
    Ok(resources.memory)
}

/// A file beside others, in one step, unless it is there.
fn write_once(path: &Path, unique: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary: PathBuf = unique.with_extension("tmp");
    fs::write(&temporary, bytes)?;
    let linked = fs::hard_link(&temporary, path);
    let _ = fs::remove_file(&temporary);
    match linked {
        // The same attempt was run twice: the first one stands.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    }
}
