//! What a map attempt holds its records in until they leave as a run: the fold table or the sort buffer.

use std::marker::PhantomData;

use mapfold_data::fold_table::{FoldTable, Weigh};
use mapfold_data::sort_buffer::SortBuffer;

use crate::{Fold, Job, Value, ValueOwned};

/// Records in memory; a job uses one of the two, as it folds or not.
pub(crate) enum Sink<J: Job> {
    Fold(Fold<J>, FoldTable<ValueOwned<J>, Heap<J>>),
    Sort(SortBuffer),
}

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
        match J::FOLD {
            Some(fold) => Self::Fold(fold, FoldTable::new()),
            None => Self::Sort(SortBuffer::new()),
        }
    }

    /// Gives back what an empty one keeps beyond `bytes_max`.
    pub(crate) fn keep_at_most(&mut self, bytes_max: usize) {
        match self {
            Self::Fold(_, table) => table.keep_at_most(bytes_max),
            Self::Sort(buffer) => buffer.keep_at_most(bytes_max),
        }
    }
}
