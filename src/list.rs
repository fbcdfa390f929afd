//! `mapfold list`: the jobs that can be run.

use std::io::{self, Write as _};

use mapfold_job::Catalog;

use crate::error::Problem;
use crate::exit::Exit;

pub(crate) fn list(catalog: &dyn Catalog) -> Result<Exit, Problem> {
    let jobs = catalog.list();
    let width = jobs.iter().map(|job| job.name.len()).max().unwrap_or(0);
    let text: String = jobs
        .iter()
        .map(|job| format!("{:width$}  {}\n", job.name, job.summary))
        .collect();
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Problem::stdout(&error))?;
    Ok(Exit::Done)
}
