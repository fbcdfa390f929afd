//! How a job that was run here ended: a report for whoever waits, an exit code for whoever scripts.

use std::io::{self, Write as _};
use std::path::Path;

use mapfold_terms::{FailClass, JobEnd, JobReport};

use crate::capsule::Left;
use crate::error::Problem;
use crate::exit::Exit;
use crate::follow::Why;
use crate::plugin::plain;
use crate::report;
use crate::run::Ended;
use crate::settings::{Place, RunSettings, Shown, Target};
use crate::stderr::say;

/// Prints the report in the form that was asked for, after a line for each job of the chain that ended before; how the job failed is returned. `replays` are the capsules of
/// attempts that failed.
pub(crate) fn tell(
    settings: &RunSettings,
    shown: &Shown,
    before: &[Ended],
    last: &Ended,
    replays: &[Left],
) -> Result<Exit, Problem> {
    let Ended { spec, followed, .. } = last;
    let report = &followed.report;
    if settings.json {
        let json = report::to_json(
            &spec.job,
            &spec.output.display().to_string(),
            report,
            replays,
            before
                .iter()
                .map(|ended| (&*ended.spec.job, &ended.followed.report)),
        );
        writeln!(io::stdout(), "{json}").map_err(|error| Problem::stdout(&error))?;
    } else if !shown.quiet {
        for ended in before {
            say(&report::earlier(
                plain(&ended.spec.job),
                &ended.followed.report,
                shown.paint,
            ));
        }
        say(&text(settings, shown, report));
    }
    let replay = to_name(replays).map(|path| format!("mapfold replay {}", path.display()));
    if let Some(backtrace) = backtrace(report)
        && !shown.quiet
    {
        say(&format!("{}\n", backtrace.trim_end()));
    }
    match (problem(report, &settings.place, followed.cancelled), replay) {
        (Some(problem), Some(replay)) => {
            Err(problem.also(&format!("{replay}   runs the task again, here")))
        }
        (Some(problem), None) => Err(problem),
        (None, Some(replay)) if !settings.json && !shown.quiet => {
            say(&report::replay(replays.len(), &replay, shown.paint));
            Ok(Exit::Done)
        }
        (None, _) => Ok(Exit::Done),
    }
}

/// The capsule to name: the first of the task that failed last, which is the one that failed the job.
fn to_name(replays: &[Left]) -> Option<&Path> {
    let task = replays.last()?.task;
    let first = replays.iter().find(|left| left.task == task)?;
    Some(&first.path)
}

/// The way to the panic that failed the job, if the process that ran it was asked for backtraces.
fn backtrace(report: &JobReport) -> Option<&str> {
    match &report.end {
        JobEnd::Failed {
            failure: Some(failure),
            ..
        } => failure.backtrace.as_deref(),
        _ => None,
    }
}

fn text(settings: &RunSettings, shown: &Shown, report: &JobReport) -> String {
    match &report.end {
        JobEnd::Succeeded { root } => {
            let target = match &settings.target {
                Target::Stdout => "standard output".to_owned(),
                Target::Folder { typed, .. } => typed.display().to_string(),
            };
            report::succeeded(report, root, &target, shown.paint)
        }
        JobEnd::Failed { .. } if report.attempts == 0 => String::new(),
        JobEnd::Failed { .. } => report::ended_early(report, "Failed", shown.paint),
        JobEnd::Cancelled => report::ended_early(report, "Cancelled", shown.paint),
    }
}

/// What is wrong with how a job ended, if anything is.
fn problem(report: &JobReport, place: &Place, cancelled: Option<Why>) -> Option<Problem> {
    let (what, failure, reason) = match &report.end {
        JobEnd::Succeeded { .. } => return None,
        JobEnd::Cancelled => return Some(cancelled_problem(cancelled)),
        JobEnd::Failed {
            what,
            failure,
            reason,
        } => (what, failure, *reason),
    };
    let exit = Exit::from(reason);
    let problem = match failure {
        // Nothing ran: what was refused, and why, says all.
        Some(failure) if report.attempts == 0 => Problem::refused(exit, failure),
        Some(failure) => Problem::new(exit, format!("job failed: {what}")).failure(failure),
        None => Problem::new(exit, format!("job failed: {what}")),
    };
    let problem = match failure {
        Some(failure) if failure.class == FailClass::Job && failure.at.is_some() => {
            problem.hint_if_none("`--skip-bad N` puts such records aside, up to N of them")
        }
        _ => problem,
    };
    Some(match (exit, place) {
        (Exit::Unreachable, Place::Cluster(master)) => {
            problem.hint_if_none(format!("start a worker: mapfold worker --master {master}"))
        }
        _ => problem,
    })
}

fn cancelled_problem(why: Option<Why>) -> Problem {
    match why {
        Some(Why::Signal(exit)) => Problem::silent(exit),
        Some(Why::NoWorkers(status)) => Problem::new(
            Exit::Unreachable,
            "job failed: all local workers have ended",
        )
        .cause(format!("the last one ended with {status}"))
        .hint("with --isolate a process that ends is one attempt, and its record or key is told; with -v workers say more"),
        None => Problem::new(Exit::Cancelled, "somebody cancelled the job"),
    }
}

#[cfg(test)]
mod tests {
    use mapfold_terms::TaskId;

    use super::*;

    #[test]
    fn the_capsule_to_name_is_the_first_of_the_task_that_failed_last() {
        let check = |tasks: &[u32], want: Option<&str>| {
            let left = |(number, &task): (usize, &u32)| Left {
                task: TaskId::map(task),
                path: format!("{number}").into(),
            };
            let replays: Vec<Left> = tasks.iter().enumerate().map(left).collect();
            assert_eq!(to_name(&replays), want.map(Path::new), "{tasks:?}");
        };
        check(&[], None);
        check(&[7], Some("0"));
        check(&[0, 1, 0, 1], Some("1"));
        check(&[0, 0, 0, 5], Some("3"));
    }
}
