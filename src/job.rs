//! The job that was asked for, looked up before anything runs.

use mapfold_data::side_file::SideFileError;
use mapfold_job::{BuildError, ParamError};
use mapfold_terms::{FailClass, Failure};

use crate::error::Problem;
use crate::exit::Exit;
use crate::nearest::did_you_mean;

/// Why the job that was asked for as `typed` cannot be made.
pub(crate) fn problem(error: BuildError, typed: &str) -> Problem {
    match error {
        BuildError::UnknownJob { name, known } => {
            unknown_job(&name, known.iter().map(String::as_str))
        }
        BuildError::Param { job, source } => param_problem(&job, typed, &source),
        BuildError::Refused { job, message } => {
            Problem::new(Exit::Usage, format!("job `{job}` refuses its parameters"))
                .cause(message)
                .hint(format!("`mapfold describe {typed}` explains them"))
        }
        BuildError::Plugin { chain, hint } => {
            let failure = Failure {
                class: FailClass::Job,
                chain,
                at: None,
                hint,
                backtrace: None,
            };
            Problem::refused(Exit::Usage, &failure)
        }
    }
}

/// No job has this name.
pub(crate) fn unknown_job<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Problem {
    let list = "`mapfold list` shows the jobs there are";
    let hint = match did_you_mean(name, known) {
        Some(question) => format!("{question} {list}"),
        None => list.to_owned(),
    };
    Problem::new(Exit::Usage, format!("there is no job `{name}`")).hint(hint)
}

fn param_problem(job: &str, typed: &str, error: &ParamError) -> Problem {
    let describe = format!("`mapfold describe {typed}` explains the parameters");
    let (what, hint) = match error {
        ParamError::Unknown { name, known } => {
            let takes = match known.as_slice() {
                [] => "it takes none".to_owned(),
                known => format!("it takes {}", known.join(", ")),
            };
            let hint = did_you_mean(name, known.iter().map(String::as_str));
            (
                format!("job `{job}` has no parameter `{name}`; {takes}"),
                hint.map_or_else(
                    || describe.clone(),
                    |question| format!("{question} {describe}"),
                ),
            )
        }
        ParamError::Missing { name, help } => (
            format!("job `{job}` needs the parameter `{name}`: {help}"),
            format!("add -p {name}=...; {describe}"),
        ),
        ParamError::Bad { .. } => (format!("job `{job}`: {error}"), describe),
        ParamError::File {
            name,
            source: SideFileError::Unnamed,
        } => (
            format!("job `{job}`: parameter `{name}` names no file"),
            format!("write -p {name}=FILE; {describe}"),
        ),
        ParamError::File { name, source } => {
            let what = format!("job `{job}` cannot use the file of parameter `{name}`");
            return Problem::new(Exit::Input, what)
                .because(source)
                .hint(source.hint());
        }
    };
    Problem::new(Exit::Usage, what).hint(hint)
}
