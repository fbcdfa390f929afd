//! A streaming job under way: the engine's job as for `mapfold stream`, told of as Hadoop does.

use std::path::PathBuf;
use std::sync::Arc;

use mapfold_data::input::{self, PlanOptions};
use mapfold_job::{Catalog, Job as _};
use mapfold_protocol::Connector;
use mapfold_streaming::{Conf, Reducer, Streaming, StreamingMap, argv};
use mapfold_terms::{ByteSize, FailReason, JobEnd, JobId, JobReport, JobSpec, Plan};

use super::conf::Described;
use super::counters;
use super::environment::Environment;
use super::ids::JobName;
use super::log::{self, JOB, JobLog, STREAM};
use super::uri::Located;
use super::user_logs;
use crate::args::{JobArgs, ProgressChoice};
use crate::client::Client;
use crate::error::Problem;
use crate::exit::Exit;
use crate::follow::Followed;
use crate::paint::Paint;
use crate::progress::Progress;
use crate::resources::Resources;
use crate::run::{self, Alone, Ready};
use crate::runtime::block_on;
use crate::settings::{Place, RunSettings, Shown, Target, master_address};
use crate::signals::Signals;
use crate::stderr::say;
use crate::{place, ranges, send, space, stream};

/// A job that is all known.
#[derive(Debug)]
pub(super) struct StreamJob {
    pub(super) name: JobName,
    pub(super) described: Described,
    /// Files, absolute.
    pub(super) inputs: Vec<PathBuf>,
    pub(super) split_size: ByteSize,
    /// Is not there yet.
    pub(super) output: Located,
    /// On a cluster it is enough that the job is submitted.
    pub(super) background: bool,
    /// The cluster to run on, if that is not this process.
    pub(super) master: Option<String>,
}

/// The last line of stderr, by which tools know.
pub(super) fn say_failed() {
    say("Streaming Command Failed!\n");
}

/// Runs it to its end; returns the exit code.
pub(super) fn run(job: &StreamJob, environment: &Environment, catalog: &Arc<dyn Catalog>) -> u8 {
    let ran = settings(job, environment).and_then(|settings| work(job, &settings, catalog));
    let code = match ran {
        Ok((_, Ran::Submitted(id))) => {
            log::info(STREAM, &format!("Job {} is {id} of the cluster", job.name));
            0
        }
        Ok((spec, Ran::Ended(followed))) => tell(job, &spec, &followed, environment),
        Err(problem) => {
            let text = problem.render(Paint::Plain);
            if !text.is_empty() {
                log::error(STREAM, text.trim_end());
            }
            match problem.exit() {
                exit @ (Exit::Interrupted | Exit::Terminated) => exit.code(),
                Exit::Output => 5,
                _ => 1,
            }
        }
    };
    if code != 0 {
        say_failed();
    }
    code
}

const SHOWN: Shown = Shown {
    quiet: false,
    verbose: 0,
    paint: Paint::Plain,
};

fn settings(job: &StreamJob, environment: &Environment) -> Result<RunSettings, Problem> {
    let Described {
        conf,
        format,
        reducers,
        parts,
        lazy_parts,
        attempts_max,
        task_timeout,
        backup,
    } = &job.described;
    // What is wrong with it is told once.
    Streaming::of(conf).map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    let params = conf.to_params().map_err(|error| {
        Problem::new(Exit::Internal, "cannot write down the job").because(&error)
    })?;
    let named = match reducers {
        0 => StreamingMap::NAME,
        _ => Streaming::NAME,
    };
    let place = match &job.master {
        Some(master) => Place::Cluster(master_address(master, environment.insecure)?),
        None => {
            let one = std::num::NonZeroU32::MIN;
            Place::Here(Resources::new(None, None, one).check(one)?)
        }
    };
    Ok(RunSettings {
        job: JobArgs {
            named: named.to_owned(),
            of_plugin: None,
        },
        params,
        inputs: job.inputs.clone(),
        formats: Some(*format).into(),
        split_size: Some(job.split_size),
        reducers: Some(*reducers),
        parts: *parts,
        lazy_parts: *lazy_parts,
        max_attempts: *attempts_max,
        skip_bad: 0,
        isolate: false,
        temp_max: None,
        backup: *backup,
        task_timeout: *task_timeout,
        target: Target::Folder {
            typed: PathBuf::from(&job.output.typed),
            absolute: job.output.path.clone(),
            overwrite: false,
        },
        place,
        progress: ProgressChoice::None,
        json: false,
        resume: false,
        top: None,
        last: true,
        again: false,
    })
}

fn work(
    job: &StreamJob,
    settings: &RunSettings,
    catalog: &Arc<dyn Catalog>,
) -> Result<(JobSpec, Ran), Problem> {
    crate::log::start(&SHOWN, crate::log::Level::Off);
    let ready = Ready::new(settings, true, catalog, &SHOWN)?;
    let Alone {
        mut spec,
        runner,
        catalog,
    } = run::alone(settings, ready, &job.output.path)?;
    let application = job.name.application();
    log::info(
        "impl.YarnClientImpl",
        &format!("Submitted application {application}"),
    );
    let mut progress = Progress::in_log(JobLog::new(job.name), settings.place.about());
    let plan = ranges::find(&*runner, &mut spec)?;
    for warning in space::check(settings, &*runner, &spec, plan.as_ref())? {
        progress.warn("space", &warning);
    }
    drop(runner);
    block_on(async {
        let mut signals = Signals::catch()?;
        if let (true, Place::Cluster(address)) = (job.background, &settings.place) {
            let client = Client::connect(Connector::Net(address.clone())).await?;
            send::files(&client, &spec.files, &progress).await?;
            let id = client.submit(&spec).await?;
            return Ok((spec, Ran::Submitted(id)));
        }
        let followed = place::work(
            settings,
            catalog,
            None,
            &spec,
            &mut progress,
            &mut signals,
            SHOWN.verbose,
        )
        .await?;
        Ok((spec, Ran::Ended(Box::new(followed))))
    })
}

/// How far a job was followed.
enum Ran {
    /// Nobody waits for it.
    Submitted(JobId),
    Ended(Box<Followed>),
}

/// Tells how it ended; returns the exit code.
fn tell(job: &StreamJob, spec: &JobSpec, followed: &Followed, environment: &Environment) -> u8 {
    let report = &followed.report;
    tell_failures(job, spec, report, environment);
    let name = job.name;
    match &report.end {
        JobEnd::Succeeded { .. } => {
            log::info(JOB, &format!("Job {name} completed successfully"));
            log::info(JOB, &counters::text(report));
            log::info(STREAM, &format!("Output directory: {}", job.output.typed));
            0
        }
        JobEnd::Cancelled => {
            log::info(JOB, &format!("Job {name} failed with state KILLED"));
            log::error(STREAM, "Job not successful!");
            match followed.cancelled {
                Some(crate::follow::Why::Signal(exit)) => exit.code(),
                _ => 1,
            }
        }
        JobEnd::Failed {
            what,
            failure,
            reason,
        } => {
            let mut text = format!("Job {name} failed with state FAILED due to: {what}");
            // What attempts failed with was told before.
            let untold = failure.iter().filter(|_| report.failed.is_empty());
            for cause in untold.flat_map(|failure| &failure.chain) {
                text += &format!("\n{cause}");
            }
            log::info(JOB, &text);
            log::info(JOB, &counters::text(report));
            let conf = &job.described.conf;
            for hint in commands(conf).filter_map(|command| hint(command, conf)) {
                log::warn(STREAM, &hint);
            }
            log::error(STREAM, "Job not successful!");
            match reason {
                FailReason::Output => 5,
                _ => 1,
            }
        }
    }
}

fn commands(conf: &Conf) -> impl Iterator<Item = &str> {
    let reducer = match &conf.reducer {
        Reducer::Command(command) => Some(command),
        _ => None,
    };
    let commands = [conf.mapper.as_ref(), conf.combiner.as_ref(), reducer];
    commands.into_iter().flatten().map(String::as_str)
}

/// Why a command may have failed, if that is to be seen in it.
fn hint(command: &str, conf: &Conf) -> Option<String> {
    let is_left = !conf.files.is_empty() || !conf.archives.is_empty();
    let is_sent = |name: &str| conf.files.iter().any(|file| file.name == name);
    let left_behind = argv::split(command).into_iter().find_map(|word| {
        let name = word.strip_prefix("./").unwrap_or(&word);
        let is_here = !name.contains('/') && conf.folder.join(name).is_file();
        (is_here && !is_sent(name)).then(|| name.to_owned())
    });
    match left_behind.filter(|_| is_left) {
        Some(name) => Some(format!(
            "`{name}` is in this folder, but not in the working folder of commands: add it to -files"
        )),
        None => stream::shell_hint(command),
    }
}

/// Attempts that failed, and what is left of them for tools to read.
fn tell_failures(job: &StreamJob, spec: &JobSpec, report: &JobReport, environment: &Environment) {
    if report.failed.is_empty() {
        return;
    }
    let plan = plan(spec);
    for failed in &report.failed {
        let attempt = job.name.attempt(failed.attempt);
        let mut text = format!("Task Id : {attempt}, Status : FAILED\nError: ");
        text += &failed.failure.chain.join("\nCaused by: ");
        log::info(JOB, &text);
        if let Some(folder) = &environment.log_dir {
            let split = plan
                .as_ref()
                .and_then(|plan| plan.splits.get(failed.attempt.task.index as usize));
            user_logs::leave(folder, job.name, failed, split);
        }
    }
}

/// The splits, for messages; none, if the input cannot be listed any more.
fn plan(spec: &JobSpec) -> Option<Plan> {
    let files = input::discover(&spec.inputs).ok()?;
    input::plan_with(files, PlanOptions::from(spec)).ok()
}

#[cfg(test)]
mod tests {
    use mapfold_streaming::Shipped;

    use super::*;

    #[test]
    fn a_file_that_a_command_names_and_does_not_have_is_hinted_at() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["map.py", "words.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let mut conf = Conf {
            folder: folder.path().to_owned(),
            ..Conf::default()
        };
        let is_hinted = |command: &str, conf: &Conf| hint(command, conf).is_some();
        // It is started in this folder.
        assert!(!is_hinted("python3 map.py", &conf));
        let sent = Shipped::named(folder.path().join("words.txt"), None);
        conf.files.push(sent.unwrap());
        for command in [
            "map.py",
            "./map.py",
            "python3 map.py",
            "sh -e ./map.py words.txt",
        ] {
            let hint = hint(command, &conf).unwrap();
            assert!(hint.starts_with("`map.py` is in this folder"), "{hint}");
        }
        for command in [
            "cat",
            "python3 other.py",
            "grep -f words.txt",
            "sh sub/map.py",
        ] {
            assert!(!is_hinted(command, &conf), "{command}");
        }
    }
}
