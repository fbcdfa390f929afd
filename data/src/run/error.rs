//! What can go wrong with a run.

use std::io;
use std::path::PathBuf;

use super::RunPlace;
use crate::scratch::{self, ScratchError};

/// Why a run could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteRunError {
    /// The disk is full: exhaustion of this worker, not corruption.
    #[error("no space left to write run {}", path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// The file could not be written, or not be mapped afterwards.
    #[error("cannot write run {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no place for the file.
    #[error("cannot write a run to disk")]
    Scratch(#[from] ScratchError),
    /// A record is longer than [`RECORD_BYTES_MAX`](super::RECORD_BYTES_MAX).
    #[error("a record of {bytes} bytes is longer than the limit of {max} bytes", max = super::RECORD_BYTES_MAX)]
    RecordTooLong {
        /// Length of its key and value.
        bytes: usize,
    },
}

impl WriteRunError {
    /// Whether the cause is a full disk.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::NoSpace { .. } => true,
            Self::Scratch(error) => error.is_no_space(),
            Self::Io { .. } | Self::RecordTooLong { .. } => false,
        }
    }

    /// What may be done about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoSpace { source, .. } | Self::Io { source, .. } => scratch::hint(source),
            Self::Scratch(error) => error.hint(),
            Self::RecordTooLong { .. } => None,
        }
    }
}

/// Why a run could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadRunError {
    /// The file could not be opened or mapped.
    #[error("cannot read run {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Its bytes are not what was written.
    #[error("{place} is corrupt at byte {offset}: {fault}")]
    Corrupt {
        /// Which run.
        place: RunPlace,
        /// Where in the run (or in the segment, for one that came over a socket).
        offset: u64,
        /// What does not fit.
        fault: Fault,
    },
}

/// What does not fit in a corrupt run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is shorter than its parts.
    #[error("it ends too early")]
    Truncated,
    /// It does not begin and end as a run does.
    #[error("it is not a run")]
    Magic,
    /// It was written by another version of the format.
    #[error("its format has version {0}")]
    Version(u16),
    /// Header, index and footer do not match their checksum.
    #[error("the checksum of header and index does not match")]
    IndexChecksum,
    /// The index contradicts itself or the length of the run.
    #[error("its index does not fit")]
    Index,
    /// The digest is not that of the index.
    #[error("its digest does not match")]
    Digest,
    /// A block does not match its checksum.
    #[error("block checksum {got:016x}, not {want:016x}")]
    BlockChecksum {
        /// Of the bytes as they are.
        got: u64,
        /// As written beside them.
        want: u64,
    },
    /// The disk did not give a page of it, or somebody has cut the file.
    #[error("a part of it cannot be read from its file")]
    Lost,
    /// A block's records do not fill it.
    #[error("a record does not fit its block")]
    Record,
    /// A record comes before one that belongs after it.
    #[error("its records are out of order")]
    Order,
    /// A partition does not hold as many records as its index entry says.
    #[error("the number of records does not match")]
    RecordCount,
    /// A partition's blocks are not those of its index entry.
    #[error("the partition's checksum does not match")]
    PartitionChecksum,
}
