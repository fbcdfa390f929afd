//! What a map attempt without a fold emits, until it is sorted into a run.

use mapfold_terms::PartitionId;

/// Records in memory, sorted on demand. Its memory is kept from one filling to the next.
#[derive(Debug, Default)]
pub struct SortBuffer {}

/// A record is longer than [`RECORD_BYTES_MAX`](crate::run::RECORD_BYTES_MAX).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of {bytes} bytes is longer than the limit of {max} bytes", max = crate::run::RECORD_BYTES_MAX)]
pub struct RecordTooLong {
    /// Length of its key and value.
    pub bytes: usize,
}

impl SortBuffer {
    /// An empty buffer; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a record; `encode` appends the value to what it is given, and must not touch what is there.
    #[inline]
    pub fn push(
        &mut self,
        partition: PartitionId,
        key: &[u8],
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), RecordTooLong> {
        todo!()
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the records occupy, their share of the index included.
    #[inline]
    pub fn bytes(&self) -> usize {
        todo!()
    }

    /// Hands over all records in order of (partition, key); those of equal keys in the order in which they were pushed. The
    /// buffer is empty afterwards, also after an error.
    pub fn sort_and_drain<E>(
        &mut self,
        mut sink: impl FnMut(PartitionId, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        todo!()
    }
}
