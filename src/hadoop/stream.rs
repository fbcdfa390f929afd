//! `hadoop jar hadoop-streaming.jar ...`: from arguments to the exit code.

use std::io;
use std::path::Path;
use std::sync::Arc;

use mapfold_job::Catalog;
use mapfold_streaming::Shipped;
use mapfold_terms::{FailClass, Failure};

use super::conf::{self, ConfError};
use super::environment::Environment;
use super::inputs::{self, Folders, InputsError};
use super::job::{self, StreamJob};
use super::launcher::USAGE;
use super::log::{self, CONFIGURATION, STREAM};
use super::options::{self, Help, Options, OptionsError};
use super::properties::{Properties, PropertyError};
use super::uri::{Located, UriError, Uris};
use super::xml::{self, ConfFileError};
use crate::stderr::say;
use crate::stream;

/// Why a job is not run.
#[derive(Debug, thiserror::Error)]
enum StreamError {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error(transparent)]
    ConfFile(#[from] ConfFileError),
    #[error(transparent)]
    Property(#[from] PropertyError),
    #[error(transparent)]
    Conf(#[from] ConfError),
    #[error(transparent)]
    Uri(#[from] UriError),
    #[error("File does not exist: {}", .0.typed)]
    NoFile(Located),
    #[error("`{0}` is no name for a file in a working folder")]
    FileName(String),
    #[error("Output directory {} already exists", .0.typed)]
    OutputExists(Located),
    #[error("cannot make the folder of {}", output.typed)]
    OutputParent { output: Located, source: io::Error },
    #[error(transparent)]
    Inputs(#[from] InputsError),
}

impl StreamError {
    /// As Hadoop: 5 for what is wrong with input or output.
    fn code(&self) -> u8 {
        match self {
            Self::OutputExists(_) | Self::OutputParent { .. } | Self::Inputs(_) => 5,
            _ => USAGE,
        }
    }
}

/// Runs a streaming job, or prints what was asked for; returns the exit code.
pub(super) fn stream(args: &[String], environment: &Environment, catalog: &Arc<dyn Catalog>) -> u8 {
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(error) => return refused(&error.into()),
    };
    if let Some(help) = options.help {
        print_usage(help);
        return 0;
    }
    match prepare(&options, environment) {
        Ok(job) => job::run(&job, environment, catalog),
        Err(error) => refused(&error),
    }
}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
fn print_usage(help: Help) {
    print!("{}", options::usage(help));
}

fn refused(error: &StreamError) -> u8 {
    log::error(STREAM, &Failure::new(FailClass::Job, error).to_string());
    if let StreamError::Options(error) = error {
        if let Some(hint) = error.hint() {
            say(&format!("{hint}\n"));
        }
        say("Try -help for more information\n");
    }
    job::say_failed();
    error.code()
}

fn prepare(options: &Options, environment: &Environment) -> Result<StreamJob, StreamError> {
    for (old, new) in &options.deprecated {
        log::warn(
            STREAM,
            &format!("{old} option is deprecated, please use {new} instead."),
        );
    }
    options.check()?;
    let mut properties = properties(options)?;
    for (old, new) in properties.outdated() {
        let text = format!("{old} is deprecated. Instead, use {new}");
        log::info(CONFIGURATION, &text);
    }
    warn_of_what_is_not_done(options, &properties);
    let master = master(options, &properties, environment);
    if options.background && master.is_none() {
        log::warn(
            STREAM,
            "-background: there is no cluster, so the job runs to its end here.",
        );
    }
    let uris = Uris::new(environment, properties.text("fs.defaultFS").as_deref())?;
    let ships = |typed: &[String]| -> Result<Vec<Shipped>, StreamError> {
        typed.iter().map(|typed| shipped(&uris, typed)).collect()
    };
    let (files, archives) = (ships(&options.files)?, ships(&options.archives)?);
    for file in archives.iter().filter(|it| !it.is_archive()) {
        log::warn(STREAM, &stream::not_unpacked(file));
    }
    let cached = [
        ("mapreduce.job.cache.files", &options.files),
        ("mapreduce.job.cache.archives", &options.archives),
    ];
    for (name, typed) in cached.into_iter().filter(|(_, typed)| !typed.is_empty()) {
        properties.set(name, typed.join(","));
    }
    let output = uris.locate(options.output.as_deref().unwrap_or_default())?;
    properties.set(
        "mapreduce.output.fileoutputformat.outputdir",
        output.typed.as_str(),
    );
    properties.set(
        "mapreduce.input.fileinputformat.inputdir",
        options.inputs.join(","),
    );
    let typed_maps = properties.get("mapreduce.job.maps").is_some();
    let name = super::ids::JobName::new();
    properties.set("mapreduce.job.id", name.to_string());
    properties.set_default("mapreduce.job.user.name", environment.user.as_str());
    let mut described = conf::describe(options, &mut properties, environment.folder.clone())?;
    for (name, value) in environment.for_tasks() {
        described.conf.env.entry(name.to_owned()).or_insert(value);
    }
    (described.conf.files, described.conf.archives) = (files, archives);
    // Elsewhere nobody would see it.
    described.conf.passes_stderr = master.is_none();
    if options.verbose {
        tell_properties(&properties);
    }
    if output.path.symlink_metadata().is_ok() {
        return Err(StreamError::OutputExists(output));
    }
    let flag = |name: &str| properties.flag(name).unwrap_or(false);
    let folders = Folders {
        recursive: flag("mapreduce.input.fileinputformat.input.dir.recursive"),
        ignore_below: flag("mapreduce.input.fileinputformat.input.dir.nonrecursive.ignore.subdirs"),
    };
    let inputs = inputs::find(&uris, &options.inputs, folders)?;
    log::info(
        "mapred.FileInputFormat",
        &format!("Total input files to process : {}", inputs.len()),
    );
    let files = inputs.iter().filter_map(|path| path.metadata().ok());
    let files: Vec<u64> = files.map(|file| file.len()).collect();
    let split_size = conf::split_size(&properties, typed_maps, &files)?;
    make_parent(&output)?;
    Ok(StreamJob {
        name,
        described,
        inputs,
        split_size,
        output,
        background: options.background,
        master,
    })
}

/// Files of configuration, then what was typed.
fn properties(options: &Options) -> Result<Properties, StreamError> {
    let mut properties = Properties::default();
    for file in &options.conf_files {
        for (name, value) in xml::read(Path::new(file))? {
            properties.set(&name, value);
        }
    }
    for (name, value) in &options.properties {
        properties.set(name, value.as_str());
    }
    if let Some(fs) = &options.fs {
        properties.set("fs.defaultFS", fs.as_str());
    }
    Ok(properties)
}

/// What is taken, but changes nothing.
fn warn_of_what_is_not_done(options: &Options, properties: &Properties) {
    if !options.lib_jars.is_empty() {
        log::warn(STREAM, "-libjars is not used: nothing here runs Java.");
    }
    if !options.debug_commands.is_empty() {
        log::warn(STREAM, "-mapdebug and -reducedebug are not run.");
    }
    for name in [
        "mapreduce.map.failures.maxpercent",
        "mapreduce.reduce.failures.maxpercent",
    ] {
        if properties.text(name).is_some_and(|percent| percent != "0") {
            log::warn(
                STREAM,
                &format!("{name} is not used: a task that fails fails the job."),
            );
        }
    }
    for (name, needs) in conf::without_effect(options, properties) {
        log::warn(STREAM, &format!("{name} is not used: it is for {needs}."));
    }
    for (name, meant) in properties.misspelt() {
        log::warn(
            STREAM,
            &format!("{name} is not used: did you mean {meant}?"),
        );
    }
}

/// `PATH` or `PATH#NAME`.
fn shipped(uris: &Uris, typed: &str) -> Result<Shipped, StreamError> {
    let (path, name) = Shipped::cut(typed);
    let file = uris.locate(path)?;
    if !file.path.exists() {
        return Err(StreamError::NoFile(file));
    }
    Shipped::named(file.path, name).map_err(StreamError::FileName)
}

/// Parents of the output are made, as by Hadoop.
fn make_parent(output: &Located) -> Result<(), StreamError> {
    let Some(parent) = output.path.parent() else {
        return Err(StreamError::OutputExists(output.clone()));
    };
    std::fs::create_dir_all(parent).map_err(|source| StreamError::OutputParent {
        output: output.clone(),
        source,
    })
}

/// The cluster to run on, if that is not this process. The environment is the default: a job's own word wins.
fn master(options: &Options, properties: &Properties, environment: &Environment) -> Option<String> {
    let typed = options.job_tracker.clone();
    let typed = typed.or_else(|| properties.text("mapreduce.jobtracker.address"));
    let master = typed.or_else(|| environment.master.clone());
    master.filter(|master| master != "local")
}

fn tell_properties(properties: &Properties) {
    say("STREAM: ==== JobConf properties:\n");
    for (name, value) in properties.all() {
        say(&format!("STREAM: {name}={value}\n"));
    }
    say("STREAM: ====\n");
}
