//! Writes a run.

use mapfold_terms::{ByteSize, PartitionId, RunSummary, Token};

use super::{RunBytes, WriteRunError};
use crate::scratch::Scratch;

/// Writes one run: in memory first, in a file once that grows too large. The bytes are the same either way.
#[derive(Debug)]
pub struct RunWriter {}

impl RunWriter {
    /// A writer for the run of attempt `token` over `partitions` partitions. A run of at most
    /// `in_memory_max` stays in memory; a longer one goes to a file in `scratch`, in large sequential writes,
    /// holding about 1 MiB here.
    pub fn new(token: Token, partitions: u32, scratch: Scratch, in_memory_max: ByteSize) -> Self {
        todo!()
    }

    /// Adds a record. Records come in nondecreasing order of (partition, key); equal keys stay in the order
    /// of the calls.
    ///
    /// # Errors
    /// The record is too long, or a file could not be written; the writer is of no use afterwards.
    ///
    /// # Panics
    /// In debug builds, when the order is wrong or the partition is none of `partitions`.
    #[inline]
    pub fn push(
        &mut self,
        partition: PartitionId,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), WriteRunError> {
        todo!()
    }

    /// Bytes of the run so far, those still to be written included.
    pub fn bytes(&self) -> u64 {
        todo!()
    }

    /// Ends the run. It is not fsynced: a run that is lost costs time only.
    pub fn finish(self) -> Result<(RunBytes, RunSummary), WriteRunError> {
        todo!()
    }
}
