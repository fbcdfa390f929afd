//! What a map attempt with a fold emits: one accumulator a distinct key.

use std::marker::PhantomData;

use mapfold_terms::PartitionId;

/// Tells how much memory an accumulator holds beyond its own size.
pub trait Weigh<A> {
    /// Bytes on the heap that `acc` owns; called before and after every update, so keep it cheap.
    fn heap_bytes(acc: &A) -> usize;
}

/// For accumulators that own no heap memory, such as numbers.
#[derive(Clone, Copy, Debug)]
pub struct Flat;

impl<A> Weigh<A> for Flat {
    #[inline]
    fn heap_bytes(_: &A) -> usize {
        0
    }
}

/// A hash table from keys to accumulators, drained in order of (partition, key). Its memory is kept from one
/// filling to the next.
#[derive(Debug)]
pub struct FoldTable<A, W = Flat> {
    slots: Vec<Option<A>>,
    weigh: PhantomData<W>,
}

impl<A, W: Weigh<A>> FoldTable<A, W> {
    /// An empty table; allocates nothing.
    pub fn new() -> Self {
        todo!()
    }

    /// Calls `update` on the accumulator of `key`, or keeps what `insert` returns if the key is new.
    #[inline]
    pub fn upsert(&mut self, key: &[u8], insert: impl FnOnce() -> A, update: impl FnOnce(&mut A)) {
        todo!()
    }

    /// Number of distinct keys.
    pub fn len(&self) -> usize {
        todo!()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the table occupies, what it needs to drain included.
    #[inline]
    pub fn bytes(&self) -> usize {
        todo!()
    }

    /// Bytes that the table may occupy for a moment if one more key comes: as [`bytes`](Self::bytes), and the larger
    /// table beside the present one if it would have to grow. Spill when this exceeds the budget.
    #[inline]
    pub fn bytes_next(&self) -> usize {
        todo!()
    }

    /// Hands over all keys and accumulators in order of (partition, key), for `partitions` partitions. The table is empty
    /// afterwards, also after an error; it keeps its memory.
    pub fn drain_sorted<E>(
        &mut self,
        partitions: u32,
        mut sink: impl FnMut(PartitionId, &[u8], &A) -> Result<(), E>,
    ) -> Result<(), E> {
        todo!()
    }
}

impl<A, W: Weigh<A>> Default for FoldTable<A, W> {
    fn default() -> Self {
        Self::new()
    }
}
