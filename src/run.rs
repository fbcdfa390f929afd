//! `mapfold run`: a job, or several of which each reads the rows of the one before, from what was typed to the rows.
//!
//! The master is the same in all three places where the work can be done; what differs is who joins it
//! and how it is reached.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mapfold_data::input;
use mapfold_data::manifest::Manifest;
use mapfold_data::scratch::ScratchFile;
use mapfold_job::{Catalog, Runner};
use mapfold_terms::{InputName, JobEnd, JobInfo, JobKey, JobSpec, Partitioning, RawPath};

use crate::cat::no_manifest;
use crate::count::counted;
use crate::error::Problem;
use crate::exit::Exit;
use crate::follow::Followed;
use crate::inputs::Input;
use crate::place;
use crate::plan::cannot_write;
use crate::plugin::{Found, Settled, plain};
use crate::progress::Progress;
use crate::resume::Resume;
use crate::runtime::block_on;
use crate::scratch::PrivateFolder;
use crate::settings::{Place, RunSettings, Shown, Target, reducers};
use crate::signals::Signals;
use crate::{
    capsule, crate_build, ending, inputs, isolate, log, plugin, ranges, rows, space, stdin, top,
};

pub(crate) fn run(
    stages: &[RunSettings],
    catalog: &Arc<dyn Catalog>,
    shown: &Shown,
) -> Result<Exit, Problem> {
    log::start(shown, log::Level::Off);
    let jobs = stages.iter().enumerate().map(|(number, settings)| {
        let ready = Ready::new(settings, number == 0, catalog, shown);
        ready.map_err(|problem| within(stages, number, problem))
    });
    let jobs: Vec<Ready> = jobs.collect::<Result<_, _>>()?;
    let (files, ended) = block_on(async {
        // First of all, so that whatever is made from here on is also cleaned up.
        let mut signals = Signals::catch()?;
        let files = Files::prepare(stages, &jobs)?;
        if let Some(spooled) = &files.stdin {
            stdin::spool(spooled, &mut signals).await?;
        }
        let mut ended: Vec<Ended> = Vec::new();
        for (number, (settings, job)) in stages.iter().zip(jobs).enumerate() {
            let before = ended.last().map(|before| &before.spec);
            let stage = Stage {
                settings,
                name: (stages.len() > 1).then(|| name_of(stages, number)),
                inputs: files.inputs(&job, before),
                output: files.output_of(settings, number),
                job,
            };
            let ran = stage.run(shown, &mut signals).await;
            ended.push(ran.map_err(|problem| within(stages, number, problem))?);
            if number > 0 {
                files.forget(number - 1);
            }
            if !ended[number].succeeded() {
                break;
            }
        }
        Ok((files, ended))
    })?;
    let Some((last, before)) = ended.split_last() else {
        return Ok(Exit::Done);
    };
    let number = before.len();
    let settings = &stages[number];
    if last.succeeded() {
        print_rows(settings, &files, shown)?;
    }
    // What was piped in is gone, and so are the rows of the job before.
    let replays = match files.stdin {
        None if number == 0 => {
            let failed = &last.followed.report.failed;
            capsule::leave(&last.spec, last.plugin.as_deref(), failed)
        }
        _ => Vec::new(),
    };
    ending::tell(settings, shown, before, last, &replays)
        .map_err(|problem| within(stages, number, problem))
}

/// `job 2 of 3, topk`.
fn name_of(stages: &[RunSettings], number: usize) -> String {
    let named = Path::new(&stages[number].job.named);
    let job = named.file_name().unwrap_or(named.as_os_str()).display();
    format!("job {} of {}, {job}", number + 1, stages.len())
}

/// Which of several jobs has the problem.
fn within(stages: &[RunSettings], number: usize, problem: Problem) -> Problem {
    match stages.len() {
        1 => problem,
        _ => problem.within(&name_of(stages, number)),
    }
}

/// A job that was found and made.
pub(crate) struct Ready {
    found: Found,
    /// As typed; of a later job of a chain there are none.
    inputs: Vec<Input>,
    settled: Settled,
    /// Where its attempts find it.
    catalog: Arc<dyn Catalog>,
    runner: Arc<dyn Runner>,
}

impl Ready {
    pub(crate) fn new(
        settings: &RunSettings,
        first: bool,
        catalog: &Arc<dyn Catalog>,
        shown: &Shown,
    ) -> Result<Self, Problem> {
        let found = find(settings, catalog)?;
        found.warn(shown);
        let inputs = match first {
            true => found.inputs(&settings.inputs, &settings.place)?,
            false => Vec::new(),
        };
        let settled = found.settled(&settings.params)?;
        let plugins = found.plugin.iter().cloned().collect();
        let isolate = settings.isolate || is_sent(settings, &found);
        let catalog = isolate::catalog(Arc::clone(&found.catalog), isolate, plugins)?;
        let runner = match &found.plugin {
            // None of its code runs here if that was asked for.
            Some(_) => found.build_from(&*catalog, &settled.params)?,
            None => found.build(&settled.params)?,
        };
        let names = &runner.info().inputs;
        if !first && !names.is_empty() {
            let what = format!("it reads several inputs, {}", names.join(" and "));
            return Err(Problem::new(Exit::Usage, what)
                .hint("a job that reads the rows of another has no other input"));
        }
        Ok(Self {
            found,
            inputs,
            settled,
            catalog,
            runner,
        })
    }
}

/// A job of files that is not one of several.
pub(crate) struct Alone {
    pub(crate) spec: JobSpec,
    pub(crate) runner: Arc<dyn Runner>,
    /// Where its attempts find it.
    pub(crate) catalog: Arc<dyn Catalog>,
}

/// What such a job is to do. Standard input is not read.
pub(crate) fn alone(settings: &RunSettings, job: Ready, output: &Path) -> Result<Alone, Problem> {
    let inputs = job.inputs.into_iter().filter_map(|input| match input {
        Input::Named(name) => Some(name),
        Input::Stdin { .. } => None,
    });
    let (name, inputs) = (&job.found.name, inputs.collect());
    let info = job.runner.info();
    let spec = spec(settings, name, inputs, job.settled, info, output.to_owned())?;
    Ok(Alone {
        spec,
        runner: job.runner,
        catalog: job.catalog,
    })
}

/// A job that has ended, well or not.
pub(crate) struct Ended {
    pub(crate) spec: JobSpec,
    pub(crate) followed: Followed,
    plugin: Option<PathBuf>,
}

impl Ended {
    fn succeeded(&self) -> bool {
        matches!(self.followed.report.end, JobEnd::Succeeded { .. })
    }
}

/// A job that is about to run.
struct Stage<'a> {
    settings: &'a RunSettings,
    job: Ready,
    /// If it is one of several.
    name: Option<String>,
    inputs: Vec<InputName>,
    output: PathBuf,
}

impl Stage<'_> {
    async fn run(self, shown: &Shown, signals: &mut Signals) -> Result<Ended, Problem> {
        let Self {
            settings,
            job:
                Ready {
                    found,
                    settled,
                    catalog,
                    runner,
                    ..
                },
            name,
            inputs,
            output,
        } = self;
        let mut progress = Progress::new(settings.progress, shown.paint, settings.place.about());
        if let Some(name) = name {
            progress.say("Chain", &name);
        }
        let mut spec = spec(
            settings,
            &found.name,
            inputs,
            settled,
            runner.info(),
            output,
        )?;
        if is_sent(settings, &found) {
            spec.files.extend(found.plugin_file());
        }
        let plan = ranges::find(&*runner, &mut spec)?;
        for warning in space::check(settings, &*runner, &spec, plan.as_ref())? {
            progress.warn("space", &warning);
        }
        drop(runner);
        let resume = settings.resume.then(|| Resume::of(spec.output.as_path()));
        if let Some(resume) = &resume
            && resume.begin(&mut spec)?
        {
            progress.say("Resuming", "a job that was interrupted");
        }
        let followed = place::work(
            settings,
            catalog,
            found.plugin.as_deref(),
            &spec,
            &mut progress,
            signals,
            shown.verbose,
        )
        .await?;
        if let Some(resume) = resume {
            resume.end();
        }
        let ended = Ended {
            spec,
            followed,
            plugin: found.plugin,
        };
        if !settings.last && ended.succeeded() {
            leave_rows_alone(&ended.spec, &progress)?;
        }
        Ok(ended)
    }
}

/// The next job is to read the rows of the parts; those aside have nowhere to go.
fn leave_rows_alone(spec: &JobSpec, progress: &Progress) -> Result<(), Problem> {
    let folder = spec.output.as_path();
    let manifest = Manifest::read(folder).map_err(|error| no_manifest(&error))?;
    for (name, files) in &manifest.named {
        let rows = counted(files.iter().map(|file| file.rows).sum::<u64>(), "row");
        let job = plain(&spec.job);
        let said = format!("{rows} that {job} has put into `{name}` are not kept");
        progress.warn("Aside", &said);
        for file in files {
            let path = folder.join(&file.name);
            fs::remove_file(&path).map_err(|error| cannot_write(&path, &error))?;
        }
    }
    Ok(())
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

/// The files that jobs read and leave, temporary ones included.
struct Files {
    /// What follows is in it; removed at the end.
    _folder: Option<PrivateFolder>,
    /// Still empty.
    stdin: Option<ScratchFile>,
    /// Rows between two jobs.
    between: Option<Between>,
    output: PathBuf,
}

/// A folder for the rows between two jobs; removed when dropped.
enum Between {
    /// On this machine.
    Here(PrivateFolder),
    /// Where the workers of a cluster can read: beside the output.
    Beside(PathBuf),
}

impl Between {
    fn make(settings: &RunSettings) -> Result<Self, Problem> {
        let (Place::Cluster(_), Target::Folder { absolute, .. }) =
            (&settings.place, &settings.target)
        else {
            return PrivateFolder::make().map(Self::Here);
        };
        let mut name = OsString::from(".");
        name.push(absolute.file_name().unwrap_or_default());
        name.push(format!(".chain-{:032x}", random_key()?.0));
        let path = absolute.with_file_name(name);
        let made = fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| cannot_write(&path, &error))?;
        Ok(Self::Beside(path))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Here(folder) => folder.path(),
            Self::Beside(path) => path,
        }
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        if let Self::Beside(path) = self {
            // Best effort; its name tells what it is.
            let _ = fs::remove_dir_all(path);
        }
    }
}

impl Files {
    fn prepare(stages: &[RunSettings], jobs: &[Ready]) -> Result<Self, Problem> {
        let settings = &stages[0];
        let reads_stdin = jobs[0].inputs.iter().any(Input::is_stdin);
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
            between: match stages.len() {
                1 => None,
                _ => Some(Between::make(settings)?),
            },
            output,
        })
    }

    /// Where a job leaves its rows.
    fn output_of(&self, settings: &RunSettings, number: usize) -> PathBuf {
        match &self.between {
            Some(between) if !settings.last => between.path().join(format!("{}", number + 1)),
            _ => self.output.clone(),
        }
    }

    /// The rows of this job were read.
    fn forget(&self, number: usize) {
        if let Some(between) = &self.between {
            // What is left goes with the folder.
            let _ = fs::remove_dir_all(between.path().join(format!("{}", number + 1)));
        }
    }

    /// What a job reads: what was typed, or the rows of the one before. Names in rows and in the manifest must not depend on a temporary
    /// folder.
    fn inputs(&self, job: &Ready, before: Option<&JobSpec>) -> Vec<InputName> {
        if let Some(before) = before {
            return vec![InputName {
                typed: RawPath::from(PathBuf::from(plain(&before.job))),
                absolute: before.output.clone(),
                input: 0,
            }];
        }
        let inputs = job.inputs.iter().filter_map(|input| match input {
            Input::Named(name) => Some(name.clone()),
            Input::Stdin { input } => self.stdin.as_ref().map(|spooled| InputName {
                typed: RawPath::from(PathBuf::from("-")),
                absolute: RawPath::from(spooled.path.as_path()),
                input: *input,
            }),
        });
        inputs.collect()
    }
}

fn spec(
    settings: &RunSettings,
    job: &str,
    inputs: Vec<InputName>,
    settled: Settled,
    info: &JobInfo,
    output: PathBuf,
) -> Result<JobSpec, Problem> {
    let overwrites = matches!(
        settings.target,
        Target::Folder {
            overwrite: true,
            ..
        }
    );
    Ok(JobSpec {
        key: random_key()?,
        job: job.to_owned(),
        params: settled.params,
        files: match settings.place {
            // Sent before the job is.
            Place::Cluster(_) => settled.files,
            // Found at their paths, which the parameters have.
            Place::Here(_) | Place::Processes { .. } => Vec::new(),
        },
        inputs,
        format: settings.format.unwrap_or(info.format),
        split_size: settings.split_size,
        split_per_file: info.split_per_file,
        reducers: reducers(settings.reducers, info)?,
        parts: settings.parts,
        lazy_parts: settings.lazy_parts,
        partitioning: Partitioning::Hash,
        output: RawPath::from(output),
        overwrite: settings.last && overwrites,
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
