//! Why one try brought nothing; it decides what the next try does differently, and whether there is one.

use std::io;

use mapfold_data::run::ReadRunError;

use super::error::FetchError;
use crate::wire::WireError;

/// Why one try brought nothing.
pub(super) enum Trouble {
    /// For good.
    Fatal(FetchError),
    /// The connection broke or spoke nonsense.
    Broken(BrokenError),
    /// The holder has too many readers.
    Busy,
    /// The bytes do not match their checksums.
    Damaged(ReadRunError),
}

/// What is wrong with a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum BrokenError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("the connection broke: {0}")]
    Io(io::Error),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the reply is not to this request")]
    Answer,
    #[error("it does not understand the request")]
    BadRequest,
}

impl From<BrokenError> for Trouble {
    fn from(error: BrokenError) -> Self {
        Self::Broken(error)
    }
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Self::Fatal(error)
    }
}
