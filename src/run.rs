//! `mapfold run`: one job, from what was typed to its rows.
//!
//! The master is the same in all three places where the work can be done; what differs is who joins it
//! and how it is reached.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use mapfold_data::manifest::Manifest;
use mapfold_data::scratch::ScratchFile;
use mapfold_job::Catalog;
use mapfold_terms::{InputName, JobEnd, JobInfo, JobKey, JobReport, JobSpec, RawPath};

use crate::cat::no_manifest;
use crate::error::Problem;
use crate::exit::Exit;
use crate::follow::{Followed, Why};
use crate::place;
use crate::progress::Progress;
use crate::runtime::block_on;
use crate::scratch::PrivateFolder;
use crate::settings::{Input, Place, RunSettings, Shown, Target};
use crate::{job, log, report, rows, stdin};

pub(crate) fn run(
    settings: &RunSettings,
    catalog: Arc<dyn Catalog>,
    shown: &Shown,
) -> Result<Exit, Problem> {
    log::start(shown, log::Level::Off);
    let info = job::look_up(&*catalog, &settings.job, &settings.params)?;
    let files = Files::prepare(settings)?;
    let spec = spec(settings, &info, &files)?;
    let mut progress = Progress::new(settings.progress, shown.paint, settings.place.about());
    let followed = block_on(place::work(
        &settings.place,
        catalog,
        &spec,
        &mut progress,
        shown,
    ))?;
    drop(progress);
    let succeeded = matches!(followed.report.end, JobEnd::Succeeded { .. });
    if succeeded && settings.target == Target::Stdout {
        print_rows(&files)?;
    }
    tell(settings, shown, &spec, &followed)?;
    Ok(Exit::Done)
}

/// The files on this machine that a job reads and leaves, temporary ones included.
struct Files {
    /// What follows is in it; removed at the end.
    _folder: Option<PrivateFolder>,
    stdin: Option<ScratchFile>,
    output: PathBuf,
}

impl Files {
    fn prepare(settings: &RunSettings) -> Result<Self, Problem> {
        let reads_stdin = settings.inputs.contains(&Input::Stdin);
        let folder = (reads_stdin || settings.target == Target::Stdout)
            .then(PrivateFolder::make)
            .transpose()?;
        let stdin = match &folder {
            Some(folder) if reads_stdin => Some(stdin::spool(&folder.scratch)?),
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

fn spec(settings: &RunSettings, info: &JobInfo, files: &Files) -> Result<JobSpec, Problem> {
    let key = random_key()?;
    let inputs = settings.inputs.iter().filter_map(|input| match input {
        Input::Named(name) => Some(name.clone()),
        Input::Stdin => files.stdin.as_ref().map(|spooled| InputName {
            typed: RawPath::from(PathBuf::from("-")),
            absolute: RawPath::from(spooled.path.as_path()),
        }),
    });
    Ok(JobSpec {
        key,
        job: settings.job.clone(),
        params: settings.params.clone(),
        inputs: inputs.collect(),
        format: settings.format,
        split_size: settings.split_size,
        reducers: settings.reducers,
        output: RawPath::from(files.output.clone()),
        overwrite: matches!(
            settings.target,
            Target::Folder {
                overwrite: true,
                ..
            }
        ),
        max_attempts: settings.max_attempts,
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

/// Tells how the job ended: a report, or an error.
fn tell(
    settings: &RunSettings,
    shown: &Shown,
    spec: &JobSpec,
    followed: &Followed,
) -> Result<(), Problem> {
    let report = &followed.report;
    if settings.json {
        let json = report::to_json(&spec.job, &spec.output.display().to_string(), report);
        writeln!(io::stdout(), "{json}").map_err(|error| Problem::stdout(&error))?;
    }
    let speak = !shown.quiet && !settings.json;
    let text = match &report.end {
        JobEnd::Succeeded { root } => {
            report::succeeded(report, root, &target_name(&settings.target), shown.paint)
        }
        JobEnd::Failed { .. } => report::ended_early(report, "Failed", shown.paint),
        JobEnd::Cancelled => report::ended_early(report, "Cancelled", shown.paint),
    };
    if speak {
        eprint!("{text}");
    }
    match problem(report, settings, followed.cancelled) {
        Some(problem) => Err(problem),
        None => Ok(()),
    }
}

fn target_name(target: &Target) -> String {
    match target {
        Target::Stdout => "standard output".to_owned(),
        Target::Folder { typed, .. } => typed.display().to_string(),
    }
}

/// What is wrong with how a job ended, if anything is.
fn problem(report: &JobReport, settings: &RunSettings, cancelled: Option<Why>) -> Option<Problem> {
    match (&report.end, cancelled) {
        (JobEnd::Succeeded { .. }, _) => None,
        (JobEnd::Cancelled, Some(Why::Signal(exit))) => Some(Problem::silent(exit)),
        (JobEnd::Cancelled, Some(Why::NoWorkers(status))) => Some(
            Problem::new(
                Exit::Unreachable,
                "job failed: all local workers have ended",
            )
            .cause(format!("the last one ended with {status}"))
            .hint("run it without --workers to see what happens, or with -v"),
        ),
        (JobEnd::Cancelled, None) => Some(Problem::new(
            Exit::Cancelled,
            "the job was cancelled by somebody else",
        )),
        (
            JobEnd::Failed {
                what,
                failure,
                reason,
            },
            _,
        ) => {
            let mut problem = Problem::new((*reason).into(), format!("job failed: {what}"));
            if let Some(failure) = failure {
                problem = problem.failure(failure);
            }
            Some(match (Exit::from(*reason), &settings.place) {
                (Exit::Unreachable, Place::Cluster(master)) => {
                    problem.hint_if_none(format!("start workers: mapfold worker --master {master}"))
                }
                _ => problem,
            })
        }
    }
}

fn print_rows(files: &Files) -> Result<(), Problem> {
    let manifest = Manifest::read(&files.output).map_err(|error| no_manifest(&error))?;
    rows::print_parts(&files.output, &manifest)
}
