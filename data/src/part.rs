//! Part files: the rows of one partition, written by a reduce attempt into a folder of its own.

use std::io;
use std::path::{Path, PathBuf};

use mapfold_terms::{PartSummary, PartitionId};

/// Name of a partition's part file: `part-00000`, with more digits where needed.
pub fn part_name(partition: PartitionId) -> String {
    format!("part-{:05}", partition.0)
}

/// Writes one part file. Dropped unfinished, it removes the file, and the folder if that is empty.
#[derive(Debug)]
pub struct PartWriter {}

/// Why a part file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WritePartError {
    /// The disk of the output is full.
    #[error("no space left to write {}", path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// It could not be created, written or made durable. Never tried again on the same file.
    #[error("cannot write {}", path.display())]
    Io {
        /// The file or its folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl WritePartError {
    /// Whether the cause is a full disk.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }
}

impl PartWriter {
    /// Creates the attempt's own `folder` (and those above it) and in it the part file of `partition`, which must
    /// not exist yet.
    pub fn create(folder: &Path, partition: PartitionId) -> Result<Self, WritePartError> {
        todo!()
    }

    /// Adds one row; `encode` appends the whole row, its line end included, to what it is given, and must not touch what is
    /// there.
    #[inline]
    pub fn row(&mut self, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), WritePartError> {
        todo!()
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        todo!()
    }

    /// Writes what is left and makes file and folder durable.
    pub fn finish(self) -> Result<PartSummary, WritePartError> {
        todo!()
    }
}
