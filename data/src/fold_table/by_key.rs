//! A table's keys in order of the key: how a table leaves that was all there is.

use super::slot::Slot;
use super::{BATCH, FoldTable, Weigh};
use crate::hint;

impl<A, W: Weigh<A>> FoldTable<A, W> {
    /// Hands over all keys with their accumulators, in order of the key. The table is empty afterwards, also after an error; it keeps
    /// its memory, unless it was far too large. Takes sixteen bytes a key meanwhile.
    ///
    /// # Panics
    /// There are keys that wait.
    pub fn drain_by_key<E>(
        &mut self,
        mut sink: impl FnMut(&[u8], A) -> Result<(), E>,
    ) -> Result<(), E> {
        let order = self.order();
        let drained = order.chunks(BATCH).try_for_each(|batch| {
            // In order of the key they lie anywhere.
            for (_, at) in batch {
                hint::prefetch(&self.slots, *at);
            }
            batch.iter().try_for_each(|(_, at)| {
                let slot = self.slots[*at].take().expect("a key is taken once");
                sink(&slot.key(&self.arena), slot.acc)
            })
        });
        self.clear();
        drained
    }

    /// For each key, in order, its first eight bytes and where it is.
    fn order(&self) -> Vec<(u64, usize)> {
        self.assert_flushed();
        let mut order = Vec::with_capacity(self.len);
        let in_use = |(at, slot): (usize, &Option<Slot<A>>)| {
            slot.as_ref().map(|slot| (slot.prefix(&self.arena), at))
        };
        order.extend(self.slots.iter().enumerate().filter_map(in_use));
        let key = |at: usize| self.slot(at).key(&self.arena);
        order.sort_unstable_by(|one, two| {
            one.0.cmp(&two.0).then_with(|| key(one.1).cmp(&*key(two.1)))
        });
        order
    }

    fn slot(&self, at: usize) -> &Slot<A> {
        self.slots[at].as_ref().expect("the slot is in use")
    }
}
