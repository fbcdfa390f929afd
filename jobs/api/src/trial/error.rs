//! Why a job that was tried did not do what it should.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use mapfold_data::run::ReadRunError;
use mapfold_data::scratch::ScratchError;
use mapfold_terms::{FailClass, Failure, excerpt};

use crate::{BuildError, TaskError};

/// What went wrong. Prints the whole story with `{:?}` too, since that is what `unwrap` shows.
#[derive(thiserror::Error)]
pub enum TrialError {
    /// The job refuses its parameters.
    #[error("{}", chain(.0))]
    Params(#[from] BuildError),
    /// An attempt failed: the job's code did, or a record is not what the format wants.
    #[error("{}", told(.0))]
    Failed(Box<Failure>),
    /// The job left other rows when it was run in another way.
    #[error("the rows are not the same {one} and {other}: {first}; {cause}")]
    Differs {
        /// One way.
        one: String,
        /// The other.
        other: String,
        /// The first rows that differ.
        first: String,
        /// What does that.
        cause: &'static str,
    },
    /// The job has no input of this name; or it has names for its inputs, and this is only the name of a file.
    #[error("`{name}` is no input of the job, which has {known:?}")]
    NoInput {
        /// What was given.
        name: String,
        /// What there is.
        known: &'static [&'static str],
    },
    /// The input cannot be planned.
    #[error("the input cannot be read: {0}")]
    Input(String),
    /// A temporary file could not be made or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no folder for temporary files.
    #[error("{}", chain(.0))]
    Scratch(#[from] ScratchError),
    /// What an attempt wrote does not read back.
    #[error("{}", chain(.0))]
    Run(#[from] ReadRunError),
}

impl fmt::Debug for TrialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<TaskError> for TrialError {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Failed(failure) => Self::Failed(failure),
            // Nobody cancels, and runs that were just written do not spoil.
            TaskError::Cancelled | TaskError::BadRun { .. } => Self::Input(error.to_string()),
        }
    }
}

pub(super) fn not_read(error: impl std::error::Error) -> TrialError {
    TrialError::Input(chain(&error))
}

pub(super) fn not_made(path: &Path, source: io::Error) -> TrialError {
    TrialError::File {
        path: path.to_owned(),
        source,
    }
}

/// A failure with its place, as `mapfold run` tells it.
fn told(failure: &Failure) -> String {
    let what = failure.chain.join(": ");
    match &failure.at {
        Some(at) => format!(
            "{what}\n  at {}, offset {}, record {}: {}",
            at.file.display(),
            at.offset,
            at.record,
            excerpt(&at.excerpt)
        ),
        None => what,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    Failure::new(FailClass::Job, error).to_string()
}
