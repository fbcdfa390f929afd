//! Opens a run and finds its segments.

use mapfold_terms::{Digest, PartitionId, Token};

use super::{ReadRunError, RunBytes, Segment};

/// A run whose header, index and footer have been verified. Its blocks are verified as they are read.
#[derive(Clone, Debug)]
pub struct Run {
    bytes: RunBytes,
}

impl Run {
    /// Opens a run; costs a look at every index entry, not at the records.
    pub fn open(bytes: RunBytes) -> Result<Self, ReadRunError> {
        todo!()
    }

    /// The attempt that wrote it.
    pub fn token(&self) -> Token {
        todo!()
    }

    /// Over its records; see [`Digest`].
    pub fn digest(&self) -> Digest {
        todo!()
    }

    /// Number of partitions R, empty ones included.
    pub fn partitions(&self) -> u32 {
        todo!()
    }

    /// Records in all partitions.
    pub fn records(&self) -> u64 {
        todo!()
    }

    /// The bytes, for whoever serves them.
    pub fn bytes(&self) -> &RunBytes {
        &self.bytes
    }

    /// The partitions that hold records, in order.
    pub fn present(&self) -> impl Iterator<Item = PartitionId> {
        std::iter::empty()
    }

    /// The blocks of one partition; an empty segment if it has no records. Logarithmic in the number of partitions.
    pub fn segment(&self, partition: PartitionId) -> Segment {
        todo!()
    }
}
