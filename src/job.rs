//! The job that was asked for, looked up before anything runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use mapfold_job::{BuildError, Catalog, ParamError, Runner};

use crate::error::Problem;
use crate::exit::Exit;
use crate::nearest::did_you_mean;

/// Makes the job ready to run, if there is one of this name and it takes the parameters.
pub(crate) fn build(
    catalog: &dyn Catalog,
    name: &str,
    params: &BTreeMap<String, String>,
) -> Result<Arc<dyn Runner>, Problem> {
    match catalog.build(name, params) {
        Ok(runner) => Ok(runner),
        Err(BuildError::UnknownJob { name, known }) => {
            Err(unknown_job(&name, known.iter().map(String::as_str)))
        }
        Err(BuildError::Param { job, source }) => Err(param_problem(&job, &source)),
        Err(BuildError::Refused { job, message }) => Err(Problem::new(
            Exit::Usage,
            format!("job `{job}` refuses its parameters"),
        )
        .cause(message)
        .hint(format!("`mapfold describe {job}` explains them"))),
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

fn param_problem(job: &str, error: &ParamError) -> Problem {
    let describe = format!("`mapfold describe {job}` explains the parameters");
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
    };
    Problem::new(Exit::Usage, what).hint(hint)
}
