//! What a map attempt with a fold emits: one accumulator a distinct key.
//!
//! Open addressing with linear probing. What costs is the cache miss at the slot, so
//! - a slot holds all that most upserts need: keys of up to 15 bytes stand in it, packed into two integers, beside the
//!   accumulator; 24 bytes in all for a count. Longer keys lie in an arena and leave most of their hash in the slot, so the
//!   arena is read only for the key that is sought;
//! - keys wait in a small batch ([`FoldTable::push`]): when one comes, its slot is asked for, and when the batch is full, the
//!   slots are there;
//! - a large table asks for huge pages.
//!
//! The high bits of a key's hash choose its slot, so a table from front to back is nearly in order of hash, and leaves
//! by one pass over it. Runs of jobs that fold have that order too; keys are compared when the survivors of all runs are
//! sorted, once, in the reduce task.
//!
//! Deliberately absent: removal of single keys.

mod arena;
mod by_key;
mod by_partition;
mod slot;
#[cfg(test)]
mod tests;

pub use by_partition::PARTITION_BYTES;

use std::convert::Infallible;
use std::marker::PhantomData;

use crate::hint;
use crate::key_bytes::KeyBytes;
use crate::packed_key::PackedKey;
use crate::partition::long_key_hash;
use arena::Arena;
use slot::Slot;

/// Slots of the smallest table.
const SLOTS_MIN: usize = 1 << 10;

/// Keys that wait together. More of them would not hide a miss better: a core has about as many under way at once.
const BATCH: usize = 64;

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

/// A hash table from keys to accumulators, drained in order of (hash, key). Its memory is kept from one
/// filling to the next.
#[derive(Debug)]
pub struct FoldTable<A, W = Flat> {
    /// None, or a power of two.
    slots: Vec<Option<Slot<A>>>,
    place: Placing,
    len: usize,
    /// The number of keys beyond which there must be more slots.
    full: usize,
    /// Keys that are too long for a slot.
    arena: Arena,
    heap_bytes: usize,
    /// Keys that wait for their slots, and what they bring.
    waiting: Vec<(Waiting, A)>,
    /// Keys that wait and bring all the same.
    waiting_each: Vec<Waiting>,
    weigh: PhantomData<W>,
}

/// How a hash chooses a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Placing {
    /// As many bits of a hash are the same in all keys.
    shared_bits: u32,
    /// As many bits at the end, after those that choose the slot, do not count.
    low_bits: u32,
}

impl Placing {
    /// Where the search for a key begins. Grows with the hash.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a few high bits are below the number of slots"
    )]
    fn home(self, hash: u64) -> usize {
        (hash << self.shared_bits >> self.low_bits) as usize
    }
}

/// A key with what finds its slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HashedKey<'a> {
    packed: Option<PackedKey>,
    hash: u64,
    key: &'a [u8],
}

impl<'a> HashedKey<'a> {
    /// Of a key that [was hashed](Self::within) before.
    #[inline]
    pub(crate) fn again(packed: Option<PackedKey>, hash: u64, key: &'a [u8]) -> Self {
        Self { packed, hash, key }
    }

    /// The key in two integers, if it is short.
    #[inline]
    pub(crate) fn packed(&self) -> Option<PackedKey> {
        self.packed
    }

    /// Of a key that is most often a slice of `text`.
    #[inline]
    pub(crate) fn within(text: &[u8], key: &'a [u8]) -> Self {
        let packed = PackedKey::within(text, key);
        let hash = packed.map_or_else(|| long_key_hash(key), PackedKey::hash);
        Self { packed, hash, key }
    }

    /// A slot for it.
    #[inline]
    fn into_slot<A>(self, arena: &mut Arena, acc: A) -> Slot<A> {
        match self.packed {
            Some(packed) => Slot::packed(packed, acc),
            None => Slot::long(arena.push(self.key), self.hash, acc),
        }
    }

    /// The key's hash.
    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    /// The key.
    #[inline]
    pub(crate) fn key(&self) -> &'a [u8] {
        self.key
    }
}

/// A key on its way to its slot.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    key: PackedKey,
    hash: u64,
}

impl<A, W: Weigh<A>> FoldTable<A, W> {
    /// An empty table; allocates nothing.
    pub fn new() -> Self {
        Self {
            slots: Vec::new(),
            place: Placing::default(),
            len: 0,
            full: 0,
            arena: Arena::default(),
            heap_bytes: 0,
            waiting: Vec::new(),
            waiting_each: Vec::new(),
            weigh: PhantomData,
        }
    }

    /// Folds `acc` into that of `key`, or keeps it if the key is new; not at once, but in the order of the calls for each key, and
    /// before [`flush`](Self::flush) returns. `text` is what `key` is most often a slice of; any other key costs some nanoseconds more.
    /// Tells whether [`bytes_next`](Self::bytes_next) may have changed; it seldom does.
    ///
    /// # Panics
    /// The key has 2^32 bytes or more.
    #[inline(always)]
    pub fn push(
        &mut self,
        text: &[u8],
        key: &[u8],
        acc: A,
        fold: impl FnMut(&[u8], &mut A, A),
    ) -> bool {
        let Some(packed) = PackedKey::within(text, key) else {
            return self.push_long(key, acc, fold);
        };
        let waiting = self.ask_for(packed);
        self.waiting.push((waiting, acc));
        self.waiting.len() == BATCH && self.flush(fold)
    }

    /// Folds what is waiting. Tells what [`push`](Self::push) does.
    pub fn flush(&mut self, mut fold: impl FnMut(&[u8], &mut A, A)) -> bool {
        if self.waiting.is_empty() {
            // A table that is about to be emptied must not grow.
            return false;
        }
        let grew = self.make_room();
        let (len, heap_bytes) = (self.len, self.heap_bytes);
        // What the loop needs stays in registers: a write to a slot might change anything behind `self`.
        let (slots, place) = (&mut self.slots[..], self.place);
        let (mut new, mut heap_before, mut heap_after) = (0, 0, 0);
        for (Waiting { key, hash }, acc) in self.waiting.drain(..) {
            let at = find(slots, place.home(hash), |slot| slot.is_packed(key));
            if let Some(found) = &mut slots[at] {
                heap_before += W::heap_bytes(&found.acc);
                fold(&key.bytes(), &mut found.acc, acc);
                heap_after += W::heap_bytes(&found.acc);
            } else {
                heap_after += W::heap_bytes(&acc);
                slots[at] = Some(Slot::packed(key, acc));
                new += 1;
            }
        }
        self.len += new;
        self.heap_bytes = self.heap_bytes + heap_after - heap_before;
        grew || (len, heap_bytes) != (self.len, self.heap_bytes)
    }

    #[cold]
    fn push_long(&mut self, key: &[u8], acc: A, mut fold: impl FnMut(&[u8], &mut A, A)) -> bool {
        let acc = std::cell::Cell::new(Some(acc));
        // One of the two closures is called, once, and takes the accumulator.
        let take = || acc.take().expect("the table calls one of the two, once");
        self.upsert(&[], key, take, |sum| fold(key, sum, take()))
    }

    /// Does what [`upsert`](Self::upsert) does, but not at once, and only for keys between which no [`push`](Self::push) comes: before
    /// [`flush_each`](Self::flush_each) returns. All calls up to that are given the same functions.
    #[inline]
    pub fn push_each(
        &mut self,
        text: &[u8],
        key: &[u8],
        insert: impl FnMut() -> A,
        mut update: impl FnMut(&[u8], &mut A),
    ) -> bool {
        let Some(packed) = PackedKey::within(text, key) else {
            return self.upsert(&[], key, insert, |acc| update(key, acc));
        };
        let waiting = self.ask_for(packed);
        self.waiting_each.push(waiting);
        self.waiting_each.len() == BATCH && self.flush_each(insert, update)
    }

    /// Does what waits since the first [`push_each`](Self::push_each).
    pub fn flush_each(
        &mut self,
        mut insert: impl FnMut() -> A,
        mut update: impl FnMut(&[u8], &mut A),
    ) -> bool {
        if self.waiting_each.is_empty() {
            return false;
        }
        let mut changed = self.make_room();
        for at in 0..self.waiting_each.len() {
            let Waiting { key, hash } = self.waiting_each[at];
            let at = find(&self.slots, self.place.home(hash), |slot| {
                slot.is_packed(key)
            });
            let put = self.put(
                at,
                |_| Ok::<_, Infallible>(Slot::packed(key, insert())),
                |acc| {
                    update(&key.bytes(), acc);
                    Ok(())
                },
            );
            changed |= put.unwrap_or_else(|never| match never {});
        }
        self.waiting_each.clear();
        changed
    }

    /// Calls `update` on the accumulator of `key`, or keeps what `insert` returns if the key is new; at once. `text` and what
    /// it tells are as for [`push`](Self::push).
    ///
    /// # Panics
    /// The key has 2^32 bytes or more.
    #[inline]
    pub fn upsert(
        &mut self,
        text: &[u8],
        key: &[u8],
        insert: impl FnOnce() -> A,
        update: impl FnOnce(&mut A),
    ) -> bool {
        let done = self.try_upsert(
            HashedKey::within(text, key),
            || Ok::<_, Infallible>(insert()),
            |acc| {
                update(acc);
                Ok(())
            },
        );
        done.unwrap_or_else(|never| match never {})
    }

    /// As [`upsert`](Self::upsert), for what can fail.
    #[inline]
    pub(crate) fn try_upsert<E>(
        &mut self,
        key: HashedKey<'_>,
        insert: impl FnOnce() -> Result<A, E>,
        update: impl FnOnce(&mut A) -> Result<(), E>,
    ) -> Result<bool, E> {
        let grew = self.make_room();
        let at = self.slot_of(&key);
        let put = self.put(at, |arena| Ok(key.into_slot(arena, insert()?)), update)?;
        Ok(put || grew)
    }

    /// The slot that holds a key, or the empty one where it belongs.
    #[inline]
    fn slot_of(&self, key: &HashedKey<'_>) -> usize {
        let HashedKey { packed, hash, key } = *key;
        let home = self.place.home(hash);
        match packed {
            Some(packed) => find(&self.slots, home, |slot| slot.is_packed(packed)),
            None => find(&self.slots, home, |slot| {
                slot.is_long(hash, key, &self.arena)
            }),
        }
    }

    /// Number of distinct keys, but for those that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Says that all keys to come have their first `bits` bits of hash in common, so that others choose the slot. Without this, keys
    /// of one part of the range of hashes would crowd together.
    ///
    /// # Panics
    /// The table is not empty.
    pub fn share_bits(&mut self, bits: u32) {
        assert!(self.is_empty(), "the keys in a table have their slots");
        self.place.shared_bits = bits;
    }

    /// Bytes of memory that the table occupies, with what it keeps from earlier fillings.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.slots_bytes() + self.arena.bytes() + self.heap_bytes
    }

    /// Bytes that the table may occupy for a moment if one more batch of keys comes: as [`bytes`](Self::bytes), and the larger
    /// table beside the present one if it would have to grow. Spill when this exceeds the budget.
    #[inline]
    pub fn bytes_next(&self) -> usize {
        let grown = if self.len + BATCH <= self.full {
            0
        } else {
            2 * self
                .slots_bytes()
                .max(SLOTS_MIN / 2 * size_of::<Option<Slot<A>>>())
        };
        self.bytes() + grown
    }

    /// Bytes of a run of all its keys at most, roughly: accumulators may be encoded in more than they occupy here.
    pub fn run_bytes_max(&self) -> usize {
        let slots = self.len * (size_of::<Slot<A>>() + 2);
        slots + self.arena.bytes() + self.heap_bytes
    }

    /// Hands over all keys with hash and accumulator, in order of hash, keys of equal hashes in order of the key. The table is empty
    /// afterwards, also after an error; it keeps its memory, unless it was far too large.
    ///
    /// # Panics
    /// There are keys that wait.
    pub fn drain_by_hash<E>(
        &mut self,
        mut sink: impl FnMut(u64, &KeyBytes<'_>, &A) -> Result<(), E>,
    ) -> Result<(), E> {
        self.assert_flushed();
        let drained =
            self.visit_by_hash(|hash, slot| sink(hash, &slot.key(&self.arena), &slot.acc));
        self.clear();
        drained
    }

    /// What waits would be missed.
    fn assert_flushed(&self) {
        assert!(
            self.waiting.is_empty() && self.waiting_each.is_empty(),
            "a table is flushed before it drains"
        );
    }

    /// Keys stand at or behind the slot that their hash chooses, with no empty slot between. So clusters, which lie between empty slots,
    /// are in order, and only within one its keys must be sorted. The last one may go on at the front of the
    /// table: the keys that are there because the back was full come last.
    fn visit_by_hash<'a, E>(
        &'a self,
        mut sink: impl FnMut(u64, &'a Slot<A>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut cluster = Cluster::new(&self.arena);
        let mut from_the_back = Cluster::new(&self.arena);
        let mut slots = self.slots.iter().enumerate();
        for (at, slot) in &mut slots {
            let Some(slot) = slot else { break };
            // A key of the front cluster is at its home or after it.
            if self.place.home(slot.hash()) <= at {
                cluster.add(slot);
            } else {
                from_the_back.add(slot);
            }
        }
        for (_, slot) in slots {
            match slot {
                Some(slot) => cluster.add(slot),
                None => cluster.leave(&mut sink)?,
            }
        }
        for (_, slot) in from_the_back.slots {
            cluster.add(slot);
        }
        cluster.leave(&mut sink)
    }

    /// Forgets all keys, those that wait too; keeps the memory, unless it was far too much for them.
    pub fn clear(&mut self) {
        self.waiting.clear();
        self.waiting_each.clear();
        if self.len == 0 {
            // What it was large for may come again.
            return;
        }
        let needed = (2 * self.len).next_power_of_two().max(SLOTS_MIN);
        if self.len * SPARSE < self.slots.len() && self.slots.len() > SLOTS_MIN {
            self.slots = Vec::new();
            self.resize(needed);
            self.arena.clear_and_shrink(needed);
        } else {
            self.slots.fill_with(|| None);
        }
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
            let shared_bits = self.place.shared_bits;
            *self = Self::new();
            self.share_bits(shared_bits);
        }
    }

    /// Asks for a key's slot.
    #[inline]
    fn ask_for(&self, key: PackedKey) -> Waiting {
        let hash = key.hash();
        hint::prefetch(&self.slots, self.place.home(hash));
        Waiting { key, hash }
    }

    #[inline]
    fn put<E>(
        &mut self,
        at: usize,
        insert: impl FnOnce(&mut Arena) -> Result<Slot<A>, E>,
        update: impl FnOnce(&mut A) -> Result<(), E>,
    ) -> Result<bool, E> {
        if let Some(slot) = &mut self.slots[at] {
            let before = W::heap_bytes(&slot.acc);
            let updated = update(&mut slot.acc);
            let after = W::heap_bytes(&slot.acc);
            self.heap_bytes = self.heap_bytes - before + after;
            updated.map(|()| after != before)
        } else {
            let slot = insert(&mut self.arena)?;
            self.heap_bytes += W::heap_bytes(&slot.acc);
            self.slots[at] = Some(slot);
            self.len += 1;
            Ok(true)
        }
    }

    /// Makes sure that there are slots for a batch of keys; whether there had to be more.
    #[inline]
    pub(crate) fn make_room(&mut self) -> bool {
        let fits = self.len + BATCH <= self.full;
        if !fits {
            self.grow();
        }
        !fits
    }

    #[cold]
    fn grow(&mut self) {
        self.resize((2 * self.slots.len()).max(SLOTS_MIN));
    }

    /// Moves all keys into a table of `slots` slots, a power of two with room for them.
    fn resize(&mut self, slots: usize) {
        let mut larger: Vec<Option<Slot<A>>> = Vec::with_capacity(slots);
        hint::prefer_huge_pages(&mut larger);
        larger.resize_with(slots, || None);
        let smaller = std::mem::replace(&mut self.slots, larger);
        self.place.low_bits = u64::BITS - slots.ilog2();
        for slot in smaller.into_iter().flatten() {
            let mut at = self.place.home(slot.hash());
            while self.slots[at].is_some() {
                at = (at + 1) & (slots - 1);
            }
            self.slots[at] = Some(slot);
        }
        // Linear probing is at its best below two thirds.
        self.full = slots / 8 * 5;
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

impl<A> FoldTable<A> {
    /// As many keys may be looked for together: first all are [asked for](Self::ask), then there is [room](Self::make_room) for them, then each
    /// is [found](Self::find), and stays where it is until the next are.
    pub(crate) const TOGETHER: usize = BATCH;

    /// Begins to load what finds a key.
    #[inline]
    pub(crate) fn ask(&self, key: &HashedKey<'_>) {
        hint::prefetch(&self.slots, self.place.home(key.hash));
    }

    /// Where `key` is, and whether it is new; then it has what `insert` makes.
    #[inline]
    pub(crate) fn find(&mut self, key: HashedKey<'_>, insert: impl FnOnce() -> A) -> (usize, bool) {
        let at = self.slot_of(&key);
        let is_new = self.slots[at].is_none();
        if is_new {
            self.len += 1;
            self.slots[at] = Some(key.into_slot(&mut self.arena, insert()));
        }
        (at, is_new)
    }

    /// Hands over all keys with their accumulators, in any order. The table is empty afterwards, also after an error.
    pub(crate) fn drain<E>(
        &mut self,
        mut sink: impl FnMut(&KeyBytes<'_>, &A) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut slots = self.slots.iter().flatten();
        let drained = slots.try_for_each(|slot| sink(&slot.key(&self.arena), &slot.acc));
        self.clear();
        drained
    }

    /// The accumulator of the key that is there.
    ///
    /// # Panics
    /// There is none.
    #[inline]
    pub(crate) fn found(&mut self, at: usize) -> &mut A {
        &mut self.slots[at].as_mut().expect("a key is there").acc
    }
}

/// Slots between two that are empty, in order of (hash, key).
struct Cluster<'a, A> {
    arena: &'a Arena,
    slots: Vec<(u64, &'a Slot<A>)>,
}

impl<'a, A> Cluster<'a, A> {
    fn new(arena: &'a Arena) -> Self {
        let slots = Vec::new();
        Self { arena, slots }
    }

    /// By insertion, as a cluster has three slots on average, and nearly always they are in order.
    #[inline]
    fn add(&mut self, slot: &'a Slot<A>) {
        let mut at = self.slots.len();
        self.slots.push((slot.hash(), slot));
        while at > 0 && self.is_before(self.slots[at], self.slots[at - 1]) {
            self.slots.swap(at, at - 1);
            at -= 1;
        }
    }

    #[inline]
    fn is_before(&self, one: (u64, &Slot<A>), two: (u64, &Slot<A>)) -> bool {
        let key = |slot: &Slot<A>| slot.key(self.arena);
        one.0 < two.0 || one.0 == two.0 && *key(one.1) < *key(two.1)
    }

    #[inline]
    fn leave<E>(
        &mut self,
        sink: &mut impl FnMut(u64, &'a Slot<A>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (hash, slot) in self.slots.drain(..) {
            sink(hash, slot)?;
        }
        Ok(())
    }
}

/// The slot that holds the key which `is_it` knows, or the empty one where it belongs.
#[inline]
fn find<A>(slots: &[Option<Slot<A>>], home: usize, is_it: impl Fn(&Slot<A>) -> bool) -> usize {
    let mut at = home;
    while let Some(slot) = &slots[at] {
        if is_it(slot) {
            break;
        }
        at = (at + 1) & (slots.len() - 1);
    }
    at
}
