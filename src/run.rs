//! `mapfold run`: a job, or several of which each reads the rows of the one before, from what was typed to the rows.
//!
//! The master is the same in all three places where the work can be done; what differs is who joins it
//! and how it is reached.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mapfold_data::input;
use mapfold_data::manifest::Manifest;
use mapfold_data::scratch::ScratchFile;
use mapfold_job::{Catalog, Runner};
use mapfold_terms::{
    InputName, JobEnd, JobInfo, JobKey, JobSpec, ParamFile, Partitioning, RawPath,
};

use crate::between::Between;
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
    capsule, crate_build, ending, inputs, isolate, log, parquet_files, plugin, ranges, rows, space,
    stdin, top,
};

pub(crate) fn run(
    stages: &[RunSettings],
    catalog: &Arc<dyn Catalog>,
    shown: &Shown,
) -> Result<Exit, Problem> {
    log::start(shown, log::Level::Off);
    let mut jobs: Vec<Ready> = Vec::new();
    for (number, settings) in stages.iter().enumerate() {
        let ready = match jobs.last() {
            // Looked up, and perhaps built, once for all rounds.
            Some(first) if settings.again => first.again(),
            _ => Ready::new(settings, number == 0, catalog, shown),
        };
        jobs.push(ready.map_err(|problem| within(stages, number, problem))?);
    }
    let (files, ended, number) = block_on(async {
        // First of all, so that whatever is made from here on is also cleaned up.
        let mut signals = Signals::catch()?;
        let files = Files::prepare(stages, &jobs)?;
        if let Some(spooled) = &files.stdin {
            stdin::spool(spooled, &mut signals).await?;
        }
        let mut ended: Vec<Ended> = Vec::new();
        let mut chain = Chain::new(stages, jobs, &files);
        while let Some(stage) = chain.next(ended.last())? {
            let number = chain.number;
            let ran = stage.run(shown, &mut signals).await;
            ended.push(ran.map_err(|problem| within(stages, number, problem))?);
            if ended.last().is_none_or(|ended| !ended.succeeded()) {
                break;
            }
        }
        let number = chain.number;
        Ok((files, ended, number))
    })?;
    let Some((last, before)) = ended.split_last() else {
        return Ok(Exit::Done);
    };
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
#[derive(Clone)]
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
            true => found.inputs(&settings.inputs, &settings.formats, &settings.place)?,
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
        let job = Self {
            found,
            inputs,
            settled,
            catalog,
            runner,
        };
        match first {
            true => Ok(job),
            false => job.reading_rows(),
        }
    }

    /// For one more round.
    fn again(&self) -> Result<Self, Problem> {
        match self.refines() {
            Some(_) => Ok(self.clone()),
            None => self.clone().reading_rows(),
        }
    }

    /// For what another job has left.
    fn reading_rows(self) -> Result<Self, Problem> {
        let names = &self.runner.info().inputs;
        if !names.is_empty() {
            let what = format!("it reads several inputs, {}", names.join(" and "));
            return Err(Problem::new(Exit::Usage, what)
                .hint("a job that reads the rows of another has no other input"));
        }
        Ok(self)
    }

    /// The parameter that takes the rows of the round before.
    fn refines(&self) -> Option<&str> {
        self.runner.info().refines.as_deref()
    }

    /// The same job with `rows` as this parameter; `None` if that is what it has.
    fn refined(&self, param: &str, rows: &Path) -> Result<Option<Self>, Problem> {
        let mut params = self.settled.params.clone();
        params.insert(param.to_owned(), rows.display().to_string());
        let settled = self.found.settled(&params)?;
        let content = |settled: &Settled| {
            let value = settled.params.get(param);
            value.map(|value| ParamFile::content_of(value).to_owned())
        };
        if content(&settled) == content(&self.settled) {
            return Ok(None);
        }
        Ok(Some(Self {
            runner: self.found.build_from(&*self.catalog, &settled.params)?,
            settled,
            ..self.clone()
        }))
    }
}

/// Which job comes next, and what it reads.
struct Chain<'a> {
    stages: &'a [RunSettings],
    jobs: Vec<Ready>,
    files: &'a Files,
    /// Of the job at hand.
    number: usize,
    job: Option<Ready>,
    inputs: Vec<InputName>,
    /// Rows that are the input of the job at hand, and the file that a round was given.
    reads: Option<PathBuf>,
    given: Option<PathBuf>,
}

impl<'a> Chain<'a> {
    fn new(stages: &'a [RunSettings], jobs: Vec<Ready>, files: &'a Files) -> Self {
        Self {
            stages,
            jobs,
            files,
            number: 0,
            job: None,
            inputs: Vec::new(),
            reads: None,
            given: None,
        }
    }

    /// The next job, after one that has succeeded.
    fn next(&mut self, before: Option<&Ended>) -> Result<Option<Stage<'a>>, Problem> {
        let Some(before) = before else {
            let job = self.jobs[0].clone();
            self.inputs = self.files.inputs_of(&job);
            return Ok(Some(self.stage(job, None)));
        };
        if self.number + 1 >= self.stages.len() {
            return Ok(None);
        }
        self.number += 1;
        let mut unchanged_since = None;
        if let (true, Some(last)) = (self.stages[self.number].again, &self.job)
            && let Some(param) = last.refines()
        {
            let rows = self.files.gather(before, self.number)?;
            let refined = last.refined(param, &rows)?;
            if let Some(job) = refined {
                forget(self.given.replace(rows));
                forget(Some(before.spec.output.as_path().to_owned()));
                return Ok(Some(self.stage(job, None)));
            }
            // Every further round would leave the same rows, of the file that the last one was given.
            forget(Some(rows));
            unchanged_since = Some(self.number);
            let rounds = self.stages[self.number..].iter().take_while(|it| it.again);
            self.number += rounds.count();
            if self.number == self.stages.len() {
                self.number -= 1;
                let job = last.clone();
                return Ok(Some(self.stage(job, unchanged_since)));
            }
        }
        forget(self.reads.replace(before.spec.output.as_path().to_owned()));
        self.inputs = vec![rows_of(before)];
        let job = self.jobs[self.number].clone();
        Ok(Some(self.stage(job, unchanged_since)))
    }

    fn stage(&mut self, job: Ready, unchanged_since: Option<usize>) -> Stage<'a> {
        self.job = Some(job.clone());
        let settings = &self.stages[self.number];
        let name = (self.stages.len() > 1).then(|| {
            let name = name_of(self.stages, self.number);
            unchanged_since.map_or(name.clone(), |since| {
                format!("{name}, as nothing has changed since job {since}")
            })
        });
        Stage {
            settings,
            name,
            inputs: self.inputs.clone(),
            output: self.files.output_of(settings, self.number),
            job,
        }
    }
}

/// Names in rows and in the manifest must not depend on a temporary folder.
fn rows_of(job: &Ended) -> InputName {
    InputName {
        typed: RawPath::from(PathBuf::from(plain(&job.spec.job))),
        absolute: job.spec.output.clone(),
        input: 0,
        format: None,
    }
}

/// These rows were read.
fn forget(rows: Option<PathBuf>) {
    if let Some(path) = rows {
        // What is left goes with the folder.
        let _ = match path.is_dir() {
            true => fs::remove_dir_all(&path),
            false => fs::remove_file(&path),
        };
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
        let finding = ranges::find_or_leave(Arc::clone(&runner), spec, &progress, signals);
        let (mut spec, plan) = finding.await?;
        for warning in space::check(settings, &*runner, &spec, plan.as_ref())? {
            progress.warn("space", &warning);
        }
        drop(runner);
        if let Some(warning) = parquet_files::read_as_text(&spec.inputs, spec.format) {
            progress.warn("format", &warning);
        }
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

    /// The rows of a round in one file, for the next.
    fn gather(&self, round: &Ended, next: usize) -> Result<PathBuf, Problem> {
        let folder = round.spec.output.as_path();
        let manifest = Manifest::read(folder).map_err(|error| no_manifest(&error))?;
        let between = self.between.as_ref();
        let between = between.expect("where there is a round before, there are several jobs");
        let path = between.path().join(format!("{next}.rows"));
        let gather = || {
            let mut to = File::create(&path)?;
            for part in &manifest.parts {
                io::copy(&mut File::open(folder.join(&part.name))?, &mut to)?;
            }
            Ok(())
        };
        gather().map_err(|error: io::Error| cannot_write(&path, &error))?;
        Ok(path)
    }

    /// What was typed for the first job.
    fn inputs_of(&self, job: &Ready) -> Vec<InputName> {
        let inputs = job.inputs.iter().filter_map(|input| match input {
            Input::Named(name) => Some(name.clone()),
            Input::Stdin { input, format } => self.stdin.as_ref().map(|spooled| InputName {
                typed: RawPath::from(PathBuf::from("-")),
                absolute: RawPath::from(spooled.path.as_path()),
                input: *input,
                format: *format,
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
        files: settled.files,
        inputs,
        format: settings.formats.rest(info),
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

pub(crate) fn random_key() -> Result<JobKey, Problem> {
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
