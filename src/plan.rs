//! `mapfold plan`: how a job's input is divided into tasks, as a file; nothing is run.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mapfold_data::input::{self, PlanOptions};
use mapfold_job::Catalog;
use mapfold_terms::{ByteSize, JobKey, JobSpec, Partitioning, RawPath};

use crate::args::PlanArgs;
use crate::error::Problem;
use crate::exit::Exit;
use crate::formats::Formats;
use crate::plan_file::PlanFile;
use crate::plugin::Found;
use crate::settings::{codec, params, positive, reducers};
use crate::{plugin, ranges};

pub(crate) fn plan(args: PlanArgs, catalog: &Arc<dyn Catalog>) -> Result<Exit, Problem> {
    let found = plugin::find(&args.job, catalog)?;
    let spec = spec(&args, &found)?;
    let plan = of_job(&spec, found.plugin.as_deref())?;
    write_new(&args.output, &plan.to_json())?;
    let counts = format!("maps={} reduces={}\n", plan.maps, plan.reducers);
    io::stdout()
        .write_all(counts.as_bytes())
        .map_err(|error| Problem::stdout(&error))?;
    Ok(Exit::Done)
}

fn spec(args: &PlanArgs, found: &Found) -> Result<JobSpec, Problem> {
    let settled = found.settled(&params(args.params.clone())?)?;
    let runner = found.build(&settled.params)?;
    let info = runner.info();
    let formats = Formats::new(&args.format)?;
    let mut spec = JobSpec {
        key: JobKey(0),
        job: found.name.clone(),
        params: settled.params,
        files: settled.files,
        inputs: found.files(&args.inputs, &formats)?,
        format: formats.rest(info),
        split_size: args.split_size.map(positive).transpose()?,
        split_per_file: info.split_per_file,
        reducers: reducers(args.reducers, info)?,
        parts: codec(args.compress),
        lazy_parts: false,
        partitioning: Partitioning::Hash,
        output: RawPath::from(PathBuf::new()),
        overwrite: false,
        max_attempts: std::num::NonZeroU32::MIN,
        skip_bad: args.skip_bad.unwrap_or(0),
        backup: false,
        task_timeout: Duration::ZERO,
        row_key: info.key.clone(),
        row_value: info.value.clone(),
    };
    ranges::find(&*runner, &mut spec)?;
    Ok(spec)
}

/// The plan of a job whose ranges of keys are known. Lists the input, as a master would.
pub(crate) fn of_job(spec: &JobSpec, plugin: Option<&Path>) -> Result<PlanFile, Problem> {
    let files =
        input::discover(&spec.inputs).map_err(|error| ranges::refused(&error, error.hint()))?;
    let plan = input::plan_with(files.clone(), PlanOptions::from(spec))
        .map_err(|error| ranges::refused(&error, error.hint()))?;
    let split_size = spec
        .split_size
        .unwrap_or_else(|| input::split_size_for(ByteSize(plan.bytes)));
    Ok(PlanFile::new(spec, plugin, split_size, &files, &plan))
}

/// Writes a file that must not exist, or exist with the same bytes.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    if std::fs::read(path).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let mut file = std::fs::File::create_new(path).map_err(|error| cannot_write(path, &error))?;
    file.write_all(bytes)
        .map_err(|error| cannot_write(path, &error))
}

/// A file cannot be made.
pub(crate) fn cannot_write(path: &Path, error: &io::Error) -> Problem {
    let what = format!("cannot write {}", path.display());
    Problem::new(Exit::for_writing(error), what).because(error)
}
