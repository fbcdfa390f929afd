//! Why a segment could not be had, by who is at fault: the holder, this worker, or nobody.

use std::io;
use std::path::PathBuf;

use mapfold_data::run::ReadRunError;
use mapfold_data::scratch::{self, ScratchError};
use mapfold_terms::{FetchFailure, WorkerId};

use super::tries::BUSY_MAX;

/// Why a segment could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The attempt was told to stop.
    #[error("cancelled")]
    Cancelled,
    /// The holder cannot give it.
    #[error("{}", .0.message)]
    Run(FetchFailure),
    /// No room for it here.
    #[error("cannot keep what was fetched")]
    Scratch(#[from] ScratchError),
    /// It could not be written here.
    #[error("cannot write {}", path.display())]
    Write {
        /// The scratch file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The scratch file could not be read back.
    #[error("cannot read back what was fetched")]
    Map(#[source] ReadRunError),
    /// This worker has no socket to ask with.
    #[error("cannot open a socket to fetch with")]
    NoSocket(#[source] io::Error),
    /// The holder had too many readers for as long as we were willing to wait.
    #[error("worker {holder} has been too busy for {} s", BUSY_MAX.as_secs())]
    Busy {
        /// The holder.
        holder: WorkerId,
    },
}

impl FetchError {
    /// What may be done about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Scratch(error) => error.hint(),
            Self::Write { source, .. } => scratch::hint(source),
            _ => None,
        }
    }
}
