//! Values that more than one option takes, and their bounds.

use std::num::NonZeroU32;

use mapfold_data::input::REDUCERS_MAX;
use mapfold_terms::{JobId, WorkerId};

/// A slot is a thread with buffers of its own, and one for each CPU is best.
pub(super) const SLOTS_MAX: u32 = 1024;

/// More runs do not make a median better.
pub(super) const RUNS_MAX: u32 = 1000;

/// Local worker processes share one machine.
pub(super) const WORKERS_MAX: u32 = 256;

/// More jobs than that in a row are a mistake.
pub(super) const TIMES_MAX: u32 = 1000;

/// Rows that `--top` keeps in memory at most.
pub(super) const TOP_MAX: u32 = 1_000_000;

pub(super) fn parse_job_id(text: &str) -> Result<JobId, &'static str> {
    text.parse()
        .map_err(|_| "an id is a number after a j, such as j3")
}

pub(super) fn parse_worker_id(text: &str) -> Result<WorkerId, &'static str> {
    let number = text.strip_prefix('w').and_then(|n| n.parse().ok());
    number
        .map(WorkerId)
        .ok_or("an id is a number after a w, such as w3")
}

pub(super) fn parse_count<const MAX: u32>(text: &str) -> Result<NonZeroU32, String> {
    let count = text
        .parse()
        .ok()
        .filter(|count: &NonZeroU32| count.get() <= MAX);
    count.ok_or_else(|| format!("give a number from 1 to {MAX}"))
}

pub(super) fn parse_reducers(text: &str) -> Result<u32, String> {
    let count = text.parse().ok().filter(|count| *count <= REDUCERS_MAX);
    count.ok_or_else(|| {
        format!("give a number from 1 to {REDUCERS_MAX}, or 0 for a job without reduce tasks")
    })
}

/// Why a text is no parameter.
#[derive(Debug, thiserror::Error)]
pub(super) enum ParamError {
    #[error("write KEY=VALUE, such as lowercase=true")]
    Param,
    #[error("write NAME=VALUE, such as LANG=C")]
    Variable,
    #[error("there is no name before the `=`")]
    NoName,
}

pub(super) fn parse_param(text: &str) -> Result<(String, String), ParamError> {
    parse_pair(text)?.ok_or(ParamError::Param)
}

pub(super) fn parse_variable(text: &str) -> Result<(String, String), ParamError> {
    parse_pair(text)?.ok_or(ParamError::Variable)
}

/// `None` without a `=`.
fn parse_pair(text: &str) -> Result<Option<(String, String)>, ParamError> {
    match text.split_once('=') {
        Some(("", _)) => Err(ParamError::NoName),
        pair => Ok(pair.map(|(name, value)| (name.to_owned(), value.to_owned()))),
    }
}

/// Nobody means the backslash.
pub(super) fn parse_separator(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("give at least one character"),
        r"\t" => Ok("\t".to_owned()),
        _ => Ok(text.to_owned()),
    }
}
