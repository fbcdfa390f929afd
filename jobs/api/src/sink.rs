//! What a map attempt holds its records in until they leave as a run.

use std::marker::PhantomData;

use mapfold_data::fold_table::{FoldTable, Weigh};
use mapfold_data::sort_buffer::SortBuffer;

use crate::{Job, Value, ValueOwned};

/// Records in memory: in the table if the job folds, else in the buffer. The other one stays empty, and without memory.
pub(crate) struct Sink<J: Job> {
    pub(crate) table: JobTable<J>,
    pub(crate) buffer: SortBuffer,
}

/// A fold table for the accumulators of a job.
pub(crate) type JobTable<J> = FoldTable<ValueOwned<J>, Heap<J>>;

/// Weighs accumulators by what their type says of them.
pub(crate) struct Heap<J>(PhantomData<fn() -> J>);

impl<J: Job> Weigh<ValueOwned<J>> for Heap<J> {
    #[inline]
    fn heap_bytes(value: &ValueOwned<J>) -> usize {
        J::Value::heap_bytes(value)
    }
}

impl<J: Job> Sink<J> {
    /// An empty one; allocates nothing.
    pub(crate) fn new() -> Self {
        Self {
            table: FoldTable::new(),
            buffer: SortBuffer::new(),
        }
    }

    /// Bytes of memory that it occupies.
    pub(crate) fn bytes(&self) -> usize {
        self.table.bytes() + self.buffer.bytes()
    }

    /// Gives back what an empty one keeps beyond `bytes_max`.
    pub(crate) fn keep_at_most(&mut self, bytes_max: usize) {
        self.table.keep_at_most(bytes_max);
        self.buffer.keep_at_most(bytes_max);
    }
}
