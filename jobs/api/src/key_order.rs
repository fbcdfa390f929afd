//! What is left of each key after the last fold, on its way from order of hash into order of key.

use mapfold_data::merge::{self, Merge};
use mapfold_data::run::{Run, Segment};
use mapfold_data::sort_buffer::SortBuffer;
use mapfold_terms::{ByteSize, PartitionId};

use crate::budget::Budget;
use crate::combine::MergeError;
use crate::spills::Spills;

/// Distinct keys with a value each, sorted within a memory budget.
pub(crate) struct KeyOrder<'a> {
    buffer: SortBuffer,
    spills: Spills,
    /// Of one partition.
    budget: Budget<'a>,
}

/// Keys here are of one partition, which needs no name.
const ONLY: PartitionId = PartitionId(0);

impl<'a> KeyOrder<'a> {
    /// None yet.
    pub(crate) fn new(budget: Budget<'a>) -> Self {
        Self {
            buffer: SortBuffer::new(),
            spills: Spills::default(),
            budget,
        }
    }

    /// Adds a key with the value that `encode` appends.
    #[inline]
    pub(crate) fn push(
        &mut self,
        key: &[u8],
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), MergeError> {
        self.buffer.push(ONLY, key, encode)?;
        if self.buffer.bytes() > self.budget.memory.as_usize() {
            self.spill()?;
        }
        Ok(())
    }

    #[cold]
    fn spill(&mut self) -> Result<(), MergeError> {
        let mut writer = self.budget.run_writer(ByteSize(0));
        self.buffer
            .sort_and_drain(|record| writer.push_counted(record))?;
        if self.spills.merge_is_next() {
            self.buffer = SortBuffer::new();
        } else {
            self.buffer.keep_at_most(self.budget.kept_max());
        }
        let (bytes, _) = writer.finish()?;
        let run = Run::open(bytes)?;
        self.spills.push(run, &self.budget, merge::copy)
    }

    /// Hands over all keys and values in order of key. Returns the bytes that were written on the way.
    pub(crate) fn finish<E: From<MergeError>>(
        mut self,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
    ) -> Result<ByteSize, E> {
        if self.spills.is_empty() {
            self.buffer.sort_and_drain(|record| {
                (0..record.times).try_for_each(|_| each(record.key, record.value))
            })?;
            return Ok(ByteSize(0));
        }
        self.spill()?;
        // The merge may use the memory that the records had.
        self.buffer = SortBuffer::new();
        let segments = self.spills.runs().iter().map(|run| run.segment(ONLY));
        let width = merge::width_for(self.budget.memory);
        let narrowed = merge::reduce_width::<MergeError>(
            segments
                .collect::<Result<_, _>>()
                .map_err(MergeError::from)?,
            width,
            self.budget.attempt.scratch(),
            merge::copy,
        )?;
        let cursors = narrowed.segments.iter().map(Segment::cursor).collect();
        let mut merge = Merge::new(cursors).map_err(MergeError::from)?;
        while let Some((key, value)) = merge.next().map_err(MergeError::from)? {
            each(key, value)?;
        }
        Ok(ByteSize(self.spills.bytes.0 + narrowed.spilled.0))
    }
}
