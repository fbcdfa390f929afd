//! `mapfold run`: one job, from what was typed to its rows.
//!
//! The master is the same in all three places where the work can be done; what differs is who joins it
//! and how it is reached.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mapfold_data::input;
use mapfold_data::manifest::Manifest;
use mapfold_data::scratch::ScratchFile;
use mapfold_job::Catalog;
use mapfold_terms::{InputName, JobEnd, JobInfo, JobKey, JobSpec, Partitioning, RawPath};

use crate::cat::no_manifest;
use crate::error::Problem;
use crate::exit::Exit;
use crate::inputs::Input;
use crate::place;
use crate::plugin::{Found, Settled};
use crate::progress::Progress;
use crate::runtime::block_on;
use crate::scratch::PrivateFolder;
use crate::settings::{Place, RunSettings, Shown, Target, reducers};
use crate::signals::Signals;
use crate::{
    capsule, crate_build, ending, inputs, isolate, log, plugin, ranges, rows, space, stdin, top,
};

pub(crate) fn run(
    settings: &RunSettings,
    catalog: &Arc<dyn Catalog>,
    shown: &Shown,
) -> Result<Exit, Problem> {
    log::start(shown, log::Level::Off);
    let found = find(settings, catalog)?;
    found.warn(shown);
    let inputs = found.inputs(&settings.inputs, &settings.place)?;
    let settled = found.settled(&settings.params)?;
    let plugins = found.plugin.iter().cloned().collect();
    let isolate = settings.isolate || is_sent(settings, &found);
    let catalog = isolate::catalog(Arc::clone(&found.catalog), isolate, plugins)?;
    let runner = match &found.plugin {
        // None of its code runs here if that was asked for.
        Some(_) => found.build_from(&*catalog, &settled.params)?,
        None => found.build(&settled.params)?,
    };
    let mut progress = Progress::new(settings.progress, shown.paint, settings.place.about());
    let (files, spec, followed) = block_on(async {
        // First of all, so that whatever is made from here on is also cleaned up.
        let mut signals = Signals::catch()?;
        let files = Files::prepare(settings, &inputs)?;
        if let Some(spooled) = &files.stdin {
            stdin::spool(spooled, &mut signals).await?;
        }
        let mut spec = spec(
            settings,
            &found.name,
            inputs,
            settled,
            runner.info(),
            &files,
        )?;
        if is_sent(settings, &found) {
            spec.files.extend(found.plugin_file());
        }
        let plan = ranges::find(&*runner, &mut spec)?;
        for warning in space::check(settings, &*runner, &spec, plan.as_ref())? {
            progress.warn("space", &warning);
        }
        drop(runner);
        let followed = place::work(
            settings,
            catalog,
            found.plugin.as_deref(),
            &spec,
            &mut progress,
            &mut signals,
            shown.verbose,
        )
        .await?;
        Ok((files, spec, followed))
    })?;
    drop(progress);
    let succeeded = matches!(followed.report.end, JobEnd::Succeeded { .. });
    if succeeded {
        print_rows(settings, &files, shown)?;
    }
    // What was piped in is gone.
    let replays = match files.stdin {
        Some(_) => Vec::new(),
        None => capsule::leave(&spec, found.plugin.as_deref(), &followed.report.failed),
    };
    ending::tell(settings, shown, &spec, &followed, &replays)
}

/// The job that was named. If its code is to run in other processes, it is tried there.
fn find(settings: &RunSettings, catalog: &Arc<dyn Catalog>) -> Result<Found, Problem> {
    let is_plugin = plugin::is_file(&settings.job.named, &**catalog);
    let cluster = matches!(settings.place, Place::Cluster(_));
    if is_plugin && crate_build::is_source(Path::new(&settings.job.named)) {
        is_there(&settings.inputs)?;
    }
    match settings.isolate || is_plugin && cluster {
        true => plugin::find_and_try(&settings.job, catalog, &settings.params),
        false => plugin::find(&settings.job, catalog),
    }
}

/// Whether the job goes to a cluster in a plugin. There as here it then runs in processes of its own alone.
fn is_sent(settings: &RunSettings, found: &Found) -> bool {
    matches!(settings.place, Place::Cluster(_)) && found.plugin.is_some()
}

/// Refuses input that is missing, before minutes go into building a job for it.
fn is_there(inputs: &[PathBuf]) -> Result<(), Problem> {
    let found = input::discover(&inputs::surely_paths(inputs)?);
    found.map_err(|error| ranges::refused(&error, error.hint()))?;
    Ok(())
}

/// The files on this machine that a job reads and leaves, temporary ones included.
struct Files {
    /// What follows is in it; removed at the end.
    _folder: Option<PrivateFolder>,
    /// Still empty.
    stdin: Option<ScratchFile>,
    output: PathBuf,
}

impl Files {
    fn prepare(settings: &RunSettings, inputs: &[Input]) -> Result<Self, Problem> {
        let reads_stdin = inputs.iter().any(Input::is_stdin);
        let folder = (reads_stdin || settings.target == Target::Stdout)
            .then(PrivateFolder::make)
            .transpose()?;
        let stdin = match &folder {
            Some(folder) if reads_stdin => Some(folder.file("stdin")?),
            _ => None,
        };
        let output = match (&settings.target, &folder) {
            (Target::Folder { absolute, .. }, _) => absolute.clone(),
            (Target::Stdout, Some(folder)) => folder.path().join("rows"),
            (Target::Stdout, None) => unreachable!("rows for stdout have a folder"),
        };
        Ok(Self {
            _folder: folder,
            stdin,
            output,
        })
    }
}

fn spec(
    settings: &RunSettings,
    job: &str,
    inputs: Vec<Input>,
    settled: Settled,
    info: &JobInfo,
    files: &Files,
) -> Result<JobSpec, Problem> {
    let key = random_key()?;
    let inputs = inputs.into_iter().filter_map(|input| match input {
        Input::Named(name) => Some(name),
        Input::Stdin { input } => files.stdin.as_ref().map(|spooled| InputName {
            typed: RawPath::from(PathBuf::from("-")),
            absolute: RawPath::from(spooled.path.as_path()),
            input,
        }),
    });
    Ok(JobSpec {
        key,
        job: job.to_owned(),
        params: settled.params,
        files: match settings.place {
            // Sent before the job is.
            Place::Cluster(_) => settled.files,
            // Found at their paths, which the parameters have.
            Place::Here(_) | Place::Processes { .. } => Vec::new(),
        },
        inputs: inputs.collect(),
        format: settings.format.unwrap_or(info.format),
        split_size: settings.split_size,
        reducers: reducers(settings.reducers, info)?,
        parts: settings.parts,
        partitioning: Partitioning::Hash,
        output: RawPath::from(files.output.clone()),
        overwrite: matches!(
            settings.target,
            Target::Folder {
                overwrite: true,
                ..
            }
        ),
        max_attempts: settings.max_attempts,
        skip_bad: settings.skip_bad,
        backup: settings.backup,
        task_timeout: settings.task_timeout,
        row_key: info.key.clone(),
        row_value: info.value.clone(),
    })
}

fn random_key() -> Result<JobKey, Problem> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Problem::new(Exit::Internal, "the system gives no random bytes").because(&error)
    })?;
    Ok(JobKey(u128::from_le_bytes(bytes)))
}

fn print_rows(settings: &RunSettings, files: &Files, shown: &Shown) -> Result<(), Problem> {
    if settings.top.is_none() && settings.target != Target::Stdout {
        return Ok(());
    }
    let manifest = Manifest::read(&files.output).map_err(|error| no_manifest(&error))?;
    match settings.top {
        Some(count) => top::print(&files.output, &manifest, count, shown),
        None => rows::print_parts(&files.output, &manifest),
    }
}
