//! What a map attempt with a fold emits: one accumulator a distinct key.
//!
//! Open addressing with linear probing. What costs is the cache miss at the slot, so a slot holds all that most
//! upserts need: keys of up to 16 bytes stand in it, as two integers that compare as the key does, beside the
//! accumulator; 32 bytes in all for a count. Longer keys lie in an arena and keep their hash in the slot, so the
//! arena is read only for the key that is sought. One hash a key, that of [`partition`](crate::partition): its high bits choose
//! the partition, its low bits the slot, so the keys of one partition spread over the whole table.
//!
//! Deliberately absent: removal of single keys, and iteration in any order but the sorted one.

mod slot;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::marker::PhantomData;

use mapfold_terms::PartitionId;

use crate::partition::{key_hash, partition_of_hash};
use slot::{InlineKey, Key, Slot};

/// Slots of the smallest table.
const SLOTS_MIN: usize = 1 << 10;

/// Slots of the largest one: as many as 32 bits of a hash can tell apart.
const SLOTS_MAX: usize = 1 << 32;

/// A table that was emptied with fewer keys than one in so many slots is too large for what it does: it is replaced by a smaller one, since
/// emptying costs time in proportion to the slots.
const SPARSE: usize = 16;

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
    /// None, or a power of two.
    slots: Vec<Option<Slot<A>>>,
    len: usize,
    /// The number of keys at which the table grows before the next upsert.
    grow_at: usize,
    /// Keys of more than 16 bytes.
    arena: Vec<u8>,
    /// The most that was in the arena since its memory was last given back.
    arena_kept: usize,
    heap_bytes: usize,
    /// Used while draining; kept for its memory.
    order: Vec<Place>,
    weigh: PhantomData<W>,
}

/// Where a key is, and what decides most comparisons between keys.
#[derive(Clone, Copy, Debug)]
struct Place {
    prefix: u64,
    partition: PartitionId,
    slot: u32,
}

impl<A, W: Weigh<A>> FoldTable<A, W> {
    /// An empty table; allocates nothing.
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            len: 0,
            grow_at: 0,
            arena: Vec::new(),
            arena_kept: 0,
            heap_bytes: 0,
            order: Vec::new(),
            weigh: PhantomData,
        }
    }

    /// Calls `update` on the accumulator of `key`, or keeps what `insert` returns if the key is new. Tells whether
    /// [`bytes_next`](Self::bytes_next) changed; it seldom does.
    ///
    /// # Panics
    /// The key has 2^32 - 1 bytes or more, or there are more than two billion keys.
    #[inline]
    pub fn upsert(
        &mut self,
        key: &[u8],
        insert: impl FnOnce() -> A,
        update: impl FnOnce(&mut A),
    ) -> bool {
        if self.len >= self.grow_at {
            self.grow();
        }
        let hash = key_hash(key);
        match InlineKey::new(key) {
            Some(inline) => {
                let at = self.find_inline(hash, inline);
                self.put(at, insert, update, |_| Key::inline(inline, hash))
            }
            None => {
                let at = self.find_long(hash, key);
                self.put(at, insert, update, |arena| {
                    let offset = arena.len();
                    arena.extend_from_slice(key);
                    Key::long(offset, key.len(), hash)
                })
            }
        }
    }

    /// Number of distinct keys.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory that the table occupies: what it needs to drain included, and what it keeps from earlier fillings.
    #[inline]
    pub fn bytes(&self) -> usize {
        let order = self.order.capacity().max(self.len) * size_of::<Place>();
        let arena = self.arena.len().max(self.arena_kept);
        self.slots_bytes() + arena + self.heap_bytes + order
    }

    /// Bytes that the table may occupy for a moment if one more key comes: as [`bytes`](Self::bytes), and the larger
    /// table beside the present one if it would have to grow. Spill when this exceeds the budget.
    #[inline]
    pub fn bytes_next(&self) -> usize {
        let grown = if self.len < self.grow_at {
            0
        } else {
            2 * self
                .slots_bytes()
                .max(SLOTS_MIN / 2 * size_of::<Option<Slot<A>>>())
        };
        self.bytes() + grown
    }

    /// Hands over all keys and accumulators in order of (partition, key), for `partitions` partitions. The table is empty
    /// afterwards, also after an error; it keeps its memory, unless it was far too large.
    pub fn drain_sorted<E>(
        &mut self,
        partitions: u32,
        mut sink: impl FnMut(PartitionId, &[u8], &A) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut order = std::mem::take(&mut self.order);
        self.sort_keys(partitions, &mut order);
        let drained = order.iter().try_for_each(|place| {
            let slot = self.slot(*place);
            sink(place.partition, &slot.key(&self.arena), &slot.acc)
        });
        order.clear();
        self.order = order;
        self.clear();
        drained
    }

    /// Forgets all keys; keeps the memory, unless it was far too much.
    pub fn clear(&mut self) {
        if self.len * SPARSE < self.slots.len() && self.slots.len() > SLOTS_MIN {
            let slots = (2 * self.len).next_power_of_two().max(SLOTS_MIN);
            self.resize(slots);
            self.order.shrink_to(slots);
            self.arena.clear();
            self.arena.shrink_to(slots);
            self.arena_kept = self.arena_kept.min(slots);
        }
        if self.len > 0 {
            self.slots.fill_with(|| None);
        }
        self.arena_kept = self.arena_kept.max(self.arena.len());
        self.arena.clear();
        self.len = 0;
        self.heap_bytes = 0;
    }

    /// Gives an empty table's memory back if it is more than `bytes_max`. Without this a table that once had many short
    /// keys and once long ones might keep so much that no key fits into a budget beside it.
    ///
    /// # Panics
    /// The table is not empty.
    pub fn keep_at_most(&mut self, bytes_max: usize) {
        assert!(self.is_empty(), "memory in use cannot be given back");
        if self.bytes() > bytes_max {
            *self = Self::new();
        }
    }

    /// The slot that holds the key, or the empty one where it belongs.
    #[inline]
    fn find_inline(&self, hash: u64, key: InlineKey) -> usize {
        let mut at = self.home(hash);
        while let Some(slot) = &self.slots[at] {
            if slot.is_inline(key) {
                break;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    /// The same for a key that does not fit into a slot.
    fn find_long(&self, hash: u64, key: &[u8]) -> usize {
        let mut at = self.home(hash);
        while let Some(slot) = &self.slots[at] {
            if slot.is_long(hash, key, &self.arena) {
                break;
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
        at
    }

    /// Where the search for a key begins: the low half of the hash as a fraction of the table, so that a table that grows
    /// is copied from front to back, in order, into the larger one.
    #[inline]
    fn home(&self, hash: u64) -> usize {
        home(slot::low_half(hash), self.slots.len())
    }

    #[inline]
    fn put(
        &mut self,
        at: usize,
        insert: impl FnOnce() -> A,
        update: impl FnOnce(&mut A),
        key: impl FnOnce(&mut Vec<u8>) -> Key,
    ) -> bool {
        let slot = &mut self.slots[at];
        if let Some(slot) = slot {
            let before = W::heap_bytes(&slot.acc);
            update(&mut slot.acc);
            let after = W::heap_bytes(&slot.acc);
            self.heap_bytes = self.heap_bytes - before + after;
            after != before
        } else {
            let acc = insert();
            self.heap_bytes += W::heap_bytes(&acc);
            *slot = Some(Slot::new(key(&mut self.arena), acc));
            self.len += 1;
            true
        }
    }

    #[cold]
    fn grow(&mut self) {
        assert!(
            self.slots.len() < SLOTS_MAX,
            "more keys than 32 bits tell apart"
        );
        self.resize((2 * self.slots.len()).max(SLOTS_MIN));
    }

    /// Moves all keys into a table of `slots` slots, a power of two with room for them.
    fn resize(&mut self, slots: usize) {
        let mut larger: Vec<Option<Slot<A>>> = Vec::new();
        larger.resize_with(slots, || None);
        for slot in std::mem::take(&mut self.slots).into_iter().flatten() {
            let mut at = home(slot.low_half(), slots);
            while larger[at].is_some() {
                at = (at + 1) & (slots - 1);
            }
            larger[at] = Some(slot);
        }
        self.slots = larger;
        // Linear probing is at its best below two thirds.
        self.grow_at = slots / 8 * 5;
    }

    /// Lists all keys in order of (partition, key).
    fn sort_keys(&self, partitions: u32, order: &mut Vec<Place>) {
        order.reserve_exact(self.len);
        for (slot, at) in self.slots.iter().zip(0_u32..=u32::MAX) {
            if let Some(slot) = slot {
                order.push(Place {
                    prefix: slot.prefix(&self.arena),
                    partition: partition_of_hash(slot.hash(&self.arena), partitions),
                    slot: at,
                });
            }
        }
        order.sort_unstable_by(|one, two| {
            let most = (one.partition, one.prefix).cmp(&(two.partition, two.prefix));
            most.then_with(|| self.compare_closely(*one, *two))
        });
    }

    fn compare_closely(&self, one: Place, two: Place) -> Ordering {
        self.slot(one).compare(self.slot(two), &self.arena)
    }

    fn slot(&self, place: Place) -> &Slot<A> {
        self.slots[place.slot as usize]
            .as_ref()
            .expect("only slots that are in use have a place")
    }

    fn slots_bytes(&self) -> usize {
        self.slots.len() * size_of::<Option<Slot<A>>>()
    }
}

impl<A, W: Weigh<A>> Default for FoldTable<A, W> {
    fn default() -> Self {
        Self::new()
    }
}

#[inline]
fn home(low_half: u32, slots: usize) -> usize {
    ((u64::from(low_half) * slots as u64) >> 32) as usize
}
