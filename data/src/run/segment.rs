//! The records of one partition of one run.

use mapfold_terms::PartitionId;

use super::{ReadRunError, RunBytes};
use crate::merge::Cursor;

/// The blocks of one partition of one run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Segment {
    head: SegmentHead,
}

/// What a reader must know of a segment to verify it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// Number of records.
    pub records: u64,
    /// Over the checksums of its blocks; from the run's index.
    pub checksum: u64,
    /// Length of its blocks.
    pub bytes: u64,
}

impl Segment {
    /// A segment that came over a socket: `bytes` are exactly its blocks.
    ///
    /// # Errors
    /// `bytes` is not as long as `head` says.
    pub fn from_parts(
        map: u32,
        partition: PartitionId,
        head: SegmentHead,
        bytes: RunBytes,
    ) -> Result<Self, ReadRunError> {
        todo!()
    }

    /// The same segment, marked as that of map task `map` (for messages; 0 if never set).
    pub fn with_map(mut self, map: u32) -> Self {
        todo!()
    }

    /// Index of the map task it belongs to.
    pub fn map(&self) -> u32 {
        todo!()
    }

    /// The partition.
    pub fn partition(&self) -> PartitionId {
        todo!()
    }

    /// Number of records.
    pub fn records(&self) -> u64 {
        self.head.records
    }

    /// Over the checksums of its blocks.
    pub fn checksum(&self) -> u64 {
        self.head.checksum
    }

    /// What the receiver of its bytes must know.
    pub fn head(&self) -> SegmentHead {
        self.head
    }

    /// Its blocks as stored.
    pub fn bytes(&self) -> &[u8] {
        todo!()
    }

    /// Whether its bytes occupy memory of this process.
    pub fn in_memory(&self) -> bool {
        todo!()
    }

    /// A cursor before the first record.
    pub fn cursor(&self) -> SegmentCursor<'_> {
        todo!()
    }

    /// Reads and checks every byte, to tell a bad disk from a bad network.
    pub fn verify(&self) -> Result<(), ReadRunError> {
        todo!()
    }
}

/// Reads the records of a segment in order. Each block is verified before its first record is given out; the
/// number of records and the partition's checksum are verified at the end.
#[derive(Debug)]
pub struct SegmentCursor<'a> {
    segment: &'a Segment,
}

impl SegmentCursor<'_> {
    /// The next record, key then value; `None` at the end, again and again.
    ///
    /// # Errors
    /// The bytes are not what was written. The cursor is of no use afterwards.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends, so it is no Iterator"
    )]
    pub fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, ReadRunError> {
        Ok(if self.advance()? {
            Some((self.key(), self.value()))
        } else {
            None
        })
    }
}

impl Cursor for SegmentCursor<'_> {
    type Error = ReadRunError;

    #[inline]
    fn advance(&mut self) -> Result<bool, ReadRunError> {
        todo!()
    }

    #[inline]
    fn key(&self) -> &[u8] {
        todo!()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        todo!()
    }
}
