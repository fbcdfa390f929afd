//! What a map attempt without a fold emits, until it is sorted into a run.
//!
//! Records whose keys repeat are gathered by key ([`SortBuffer::gather`], `groups.rs`), and only the keys are sorted. Of others,
//! keys and values lie one behind the other in an arena; what is sorted is an index of 24 bytes a record. It is dealt out by
//! partition into a second index, in order, before each partition is sorted: keys that came in increasing order, as those of a
//! file's lines do, cost one comparison each then. Else a partition is dealt out once more, by the leading bits of the first eight bytes
//! of its keys, into so many heaps that few entries share one, and only those are compared (a radix sort of one pass where keys are
//! spread evenly, of several where they are not). Entries whose eight bytes are all the same take their next eight, once each, and begin
//! anew: to compare the keys themselves is a cache miss each time. Nothing is allocated per record, and all memory is kept from one filling to the
//! next, since fresh memory is expensive.

mod groups;
mod lists;

use std::cmp::Ordering;
use std::ops::Range;

use mapfold_terms::PartitionId;

use crate::fold_table::HashedKey;
use crate::merge::{Counted, Cursor, key_prefix};
use crate::run::{RECORD_BYTES_MAX, ReadRunError};
use groups::Groups;
use lists::{Extent, Lists, Rest};

/// Records in memory, sorted on demand. Its memory is kept from one filling to the next.
#[derive(Debug, Default)]
pub struct SortBuffer {
    /// Records by key, until those are sorted.
    groups: Groups,
    /// For each record: length of its key (u32 in native order), key, value; for each key of the groups, once they are to be sorted, where
    /// its values are.
    arena: Vec<u8>,
    index: Vec<Entry>,
    /// The index dealt out by partition, in which it is sorted; then the first index is room for dealing. Kept for its
    /// memory.
    dealt: Vec<Entry>,
    /// The most that was in the arena since its memory was last given back.
    arena_kept: usize,
    /// The same of the index, in records.
    index_kept: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The first eight bytes of the key; while sorting, the first eight that are not known to be the same as those of its neighbours.
    prefix: u64,
    /// Offset of the key in the arena. Grows from record to record, so it also says which came first.
    key_at: usize,
    /// Bytes of key and value; with [`GROUP`], of a key and the extent of its list.
    record_len: u32,
    partition: PartitionId,
}

/// Set in the length of an entry that is a key with a list of values.
const GROUP: u32 = 1 << 31;

/// Bytes of the two indexes for one record.
const INDEX_BYTES: usize = 2 * size_of::<Entry>();

/// So few entries are compared rather than dealt out.
const COMPARED_MAX: usize = 40;

/// Entries of a heap, about, if prefixes are spread evenly: few enough to compare, enough that there are not more heaps than the
/// cache has lines.
const HEAP_ENTRIES: usize = 4;

/// So few keys with a common beginning are compared as they are.
const COMPARED_WHOLE_MAX: usize = 2;

/// Keys that begin with as many common bytes are compared as they are, which bounds the recursion: longer ones are hardly anything but equal.
const COMMON_BYTES_MAX: usize = 128;

/// Records that are loaded at once while draining.
const DRAINED_AT_ONCE: usize = 32;

const KEY_LEN_BYTES: usize = size_of::<u32>();

/// The records of a buffer in order of (partition, key). Nothing can go wrong with them, but what reads runs reads this as well.
#[derive(Debug)]
pub struct Sorted {
    entries: Vec<Entry>,
    arena: Vec<u8>,
    lists: Lists,
    /// How many entries there were up to the current one.
    given: usize,
    /// If that is a key with a list: the current value, how often it comes again, and those after it.
    group: Option<(Range<usize>, u32, Rest)>,
    repeats: bool,
}

/// A record is longer than [`RECORD_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a record of {bytes} bytes is longer than the limit of {RECORD_BYTES_MAX} bytes")]
pub struct RecordTooLong {
    /// Length of its key and value.
    pub bytes: usize,
}

impl SortBuffer {
    /// An empty buffer; allocates nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether records are to be [gathered](Self::gather) by key; else they are [pushed](Self::push).
    #[inline]
    pub fn gathers(&self) -> bool {
        self.groups.are_open()
    }

    /// Adds a record to those with the same key; `encode` appends the value to what it is given, and must not touch what is there. `text`
    /// is what `key` is most often a slice of; any other key costs some nanoseconds more.
    ///
    /// Tells whether [`bytes`](Self::bytes) and [`gathers`](Self::gathers) may have changed; they seldom do. The buffer may gather no more, as keys
    /// do not repeat: then it is to be [settled](Self::settle) before more is pushed.
    ///
    /// # Errors
    /// The record is too long; it was not added.
    #[inline]
    pub fn gather(
        &mut self,
        text: &[u8],
        key: &[u8],
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<bool, RecordTooLong> {
        let key = HashedKey::within(text, key);
        self.groups.add(key, encode, RECORD_BYTES_MAX)
    }

    /// Moves keys that were gathered to where they are sorted; `partition_of` is called once for each. Required before the records leave, and
    /// does nothing if none were gathered.
    ///
    /// # Errors
    /// The first of `partition_of`; the buffer is then empty.
    pub fn settle<E>(
        &mut self,
        mut partition_of: impl FnMut(&[u8]) -> Result<PartitionId, E>,
    ) -> Result<(), E> {
        let Self {
            groups,
            arena,
            index,
            ..
        } = self;
        let settled = groups.drain_keys(|key, extent| {
            let partition = partition_of(key)?;
            arena.extend_from_slice(&record_u32(key.len()).to_ne_bytes());
            let key_at = arena.len();
            arena.extend_from_slice(key);
            arena.extend_from_slice(&extent.to_bytes());
            index.push(Entry {
                prefix: key_prefix(key),
                key_at,
                record_len: record_u32(arena.len() - key_at) | GROUP,
                partition,
            });
            Ok(())
        });
        if settled.is_err() {
            self.clear();
        }
        settled
    }

    /// Adds a record; `encode` appends the value to what it is given, and must not touch what is there.
    ///
    /// # Errors
    /// The record is too long; it was not added.
    #[inline]
    pub fn push(
        &mut self,
        partition: PartitionId,
        key: &[u8],
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), RecordTooLong> {
        self.push_within(RECORD_BYTES_MAX, partition, key, encode)
    }

    #[inline]
    fn push_within(
        &mut self,
        bytes_max: usize,
        partition: PartitionId,
        key: &[u8],
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), RecordTooLong> {
        let begin = self.arena.len();
        self.arena.extend_from_slice(&[0; KEY_LEN_BYTES]);
        let key_at = self.arena.len();
        self.arena.extend_from_slice(key);
        encode(&mut self.arena);
        let bytes = self.arena.len() - key_at;
        if bytes > bytes_max {
            self.arena.truncate(begin);
            return Err(RecordTooLong { bytes });
        }
        let key_len = record_u32(key.len());
        self.arena[begin..key_at].copy_from_slice(&key_len.to_ne_bytes());
        self.index.push(Entry {
            prefix: key_prefix(key),
            key_at,
            record_len: record_u32(bytes),
            partition,
        });
        Ok(())
    }

    /// Whether there are no records.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty() && self.groups.are_empty()
    }

    /// Bytes of keys and values, about as many as a run of them has: what was gathered by key counts once, and so does a value of which a run
    /// tells how often it comes.
    pub fn record_bytes(&self) -> usize {
        self.arena.len() - self.index.len() * KEY_LEN_BYTES + self.groups.record_bytes()
    }

    /// Bytes of memory that the buffer occupies: records, their index, and what it keeps from earlier fillings.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.arena.len().max(self.arena_kept)
            + self.index.len().max(self.index_kept) * INDEX_BYTES
            + self.groups.bytes()
    }

    /// Hands over all records in order of (partition, key); those of equal keys in the order in which they came. The buffer is empty
    /// afterwards, also after an error.
    ///
    /// # Panics
    /// Records that were gathered are not settled.
    pub fn sort_and_drain<E>(
        &mut self,
        mut sink: impl FnMut(&Counted<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.sort();
        let drained = self.dealt.chunks(DRAINED_AT_ONCE).try_for_each(|entries| {
            touch(entries, &self.arena);
            let lists = self.groups.lists();
            for entry in entries.iter().filter(|entry| entry.is_group()) {
                lists.ask_first(Extent::of_bytes(entry.record(&self.arena).1));
            }
            entries.iter().try_for_each(|entry| {
                let (key, value) = entry.record(&self.arena);
                let mut record = Counted::once(entry.partition, key, value);
                if !entry.is_group() {
                    return sink(&record);
                }
                let mut rest = Extent::of_bytes(value).rest();
                while let Some((place, times)) = lists.next(&mut rest) {
                    (record.value, record.times) = (lists.value(place), times);
                    sink(&record)?;
                    record.repeats_key = true;
                }
                Ok(())
            })
        });
        self.clear();
        drained
    }

    /// All records in the same order, to be asked for one after the other.
    ///
    /// # Panics
    /// As [`sort_and_drain`](Self::sort_and_drain).
    pub fn into_sorted(mut self) -> Sorted {
        self.sort();
        Sorted {
            entries: self.dealt,
            arena: self.arena,
            lists: self.groups.into_lists(),
            given: 0,
            group: None,
            repeats: false,
        }
    }

    /// Fills the second index with the first one's entries in order. What is left in the first one is of no use.
    fn sort(&mut self) {
        assert!(
            self.groups.are_empty(),
            "a buffer is settled before it drains"
        );
        deal(&self.index, &mut self.dealt);
        let mut room = self.index.as_mut_slice();
        for partition in self
            .dealt
            .chunk_by_mut(|one, two| one.partition == two.partition)
        {
            let (here, rest) = room.split_at_mut(partition.len());
            sort(partition, here, &self.arena);
            room = rest;
        }
    }

    /// Forgets all records; keeps the memory.
    pub fn clear(&mut self) {
        self.arena_kept = self.arena_kept.max(self.arena.len());
        self.index_kept = self.index_kept.max(self.index.len());
        self.arena.clear();
        self.index.clear();
        self.dealt.clear();
        self.groups.clear();
    }

    /// Gives back so much of an empty buffer's memory that it keeps `bytes_max` or less. How it is shared by records and
    /// index stays as it was; the rest of a budget is for a filling of other proportions.
    ///
    /// # Panics
    /// The buffer is not empty.
    pub fn keep_at_most(&mut self, bytes_max: usize) {
        assert!(self.is_empty(), "memory in use cannot be given back");
        if self.bytes() > bytes_max {
            self.groups.shrink();
        }
        let bytes = self.bytes();
        if bytes > bytes_max {
            self.arena_kept = share(self.arena_kept, bytes_max, bytes);
            self.index_kept = share(self.index_kept, bytes_max, bytes);
            self.arena.shrink_to(self.arena_kept);
            self.index.shrink_to(self.index_kept);
            self.dealt.shrink_to(self.index_kept);
        }
    }
}

impl Sorted {
    #[inline]
    fn record(&self) -> (&[u8], &[u8]) {
        self.entries[self.given - 1].record(&self.arena)
    }
}

impl Cursor for Sorted {
    type Error = ReadRunError;

    #[inline]
    fn advance(&mut self) -> Result<bool, ReadRunError> {
        if let Some((place, again, rest)) = &mut self.group {
            self.repeats = true;
            if *again > 0 {
                *again -= 1;
                return Ok(true);
            }
            if let Some((next, times)) = self.lists.next(rest) {
                (*place, *again) = (next, times - 1);
                return Ok(true);
            }
        }
        self.repeats = false;
        self.group = None;
        let left = &self.entries[self.given..];
        if self.given.is_multiple_of(DRAINED_AT_ONCE) {
            touch(&left[..left.len().min(DRAINED_AT_ONCE)], &self.arena);
        }
        let Some(entry) = left.first() else {
            return Ok(false);
        };
        self.given += 1;
        if entry.is_group() {
            let mut rest = Extent::of_bytes(entry.record(&self.arena).1).rest();
            let next = self.lists.next(&mut rest);
            self.group = next.map(|(place, times)| (place, times - 1, rest));
        }
        Ok(true)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.record().0
    }

    #[inline]
    fn value(&self) -> &[u8] {
        match &self.group {
            Some((place, ..)) => self.lists.value(place.clone()),
            None => self.record().1,
        }
    }

    #[inline]
    fn repeats(&self) -> bool {
        self.repeats
    }

    #[inline]
    fn skip_same(&mut self) -> u32 {
        let group = self.group.as_mut();
        group.map_or(0, |(_, again, _)| std::mem::take(again))
    }
}

/// `of` times the fraction `part / whole`, which is at most one.
fn share(of: usize, part: usize, whole: usize) -> usize {
    let share = of as u128 * part as u128 / whole.max(1) as u128;
    usize::try_from(share).unwrap_or(of)
}

/// Copies entries to where their partition begins, in order; `dealt` is empty before.
fn deal(index: &[Entry], dealt: &mut Vec<Entry>) {
    let mut next = Vec::new();
    for entry in index {
        let partition = entry.partition.0 as usize;
        if partition >= next.len() {
            next.resize(partition + 1, 0);
        }
        next[partition] += 1;
    }
    // From the count of each partition to where its next entry goes.
    let mut begin = 0;
    for at in &mut next {
        begin += std::mem::replace(at, begin);
    }
    dealt.extend_from_slice(index);
    for entry in index {
        let at = &mut next[entry.partition.0 as usize];
        dealt[*at] = *entry;
        *at += 1;
    }
}

/// Sorts one partition by (key, position). `room` is as long.
fn sort(partition: &mut [Entry], room: &mut [Entry], arena: &[u8]) {
    if !partition.is_sorted_by(|one, two| compare(one, two, arena).is_lt()) {
        sort_heap(partition, room, arena, 0);
    }
}

/// Sorts entries whose keys have their first `common` bytes in common, and whose prefixes are what comes then: deals them out into heaps
/// by the leading bits in which their prefixes differ, and sorts each heap.
fn sort_heap(entries: &mut [Entry], room: &mut [Entry], arena: &[u8], common: usize) {
    if entries.len() <= COMPARED_MAX {
        entries.sort_unstable_by_key(|entry| entry.prefix);
        let mut begin = 0;
        for same in entries.chunk_by_mut(|one, two| one.prefix == two.prefix) {
            let end = begin + same.len();
            if same.len() > 1 {
                sort_same(same, &mut room[begin..end], arena, common);
            }
            begin = end;
        }
        return;
    }
    let prefixes = || entries.iter().map(|entry| entry.prefix);
    let (least, most) = (prefixes().min(), prefixes().max());
    let (Some(least), Some(most)) = (least, most) else {
        return;
    };
    if least == most {
        return sort_same(entries, room, arena, common);
    }
    let bits = (most - least).ilog2() + 1;
    let shift = bits.saturating_sub((entries.len() / HEAP_ENTRIES).ilog2());
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is left are so many bits as there are heaps"
    )]
    let heap_of = |entry: &Entry| ((entry.prefix - least) >> shift) as usize;
    let mut ends = vec![
        0_u32;
        heap_of(&Entry {
            prefix: most,
            ..entries[0]
        }) + 1
    ];
    for entry in entries.iter() {
        ends[heap_of(entry)] += 1;
    }
    let mut begin = 0;
    for end in &mut ends {
        begin += std::mem::replace(end, begin);
    }
    for entry in entries.iter() {
        let at = &mut ends[heap_of(entry)];
        room[*at as usize] = *entry;
        *at += 1;
    }
    entries.copy_from_slice(room);
    let mut begin = 0;
    for end in ends {
        let heap = begin..end as usize;
        begin = heap.end;
        if heap.len() > 1 {
            sort_heap(&mut entries[heap.clone()], &mut room[heap], arena, common);
        }
    }
}

/// Sorts entries that have the same prefix, too: by what comes after it.
fn sort_same(entries: &mut [Entry], room: &mut [Entry], arena: &[u8], common: usize) {
    let common = common + size_of::<u64>();
    if entries.len() <= COMPARED_WHOLE_MAX || common > COMMON_BYTES_MAX {
        // No two entries are equal, so the sort need not be stable.
        entries.sort_unstable_by(|one, two| compare_closely(one, two, arena));
        return;
    }
    // Keys that have ended come first, the shorter ones before the longer ones: what follows in their prefixes is zeros.
    let mut ended = 0;
    for at in 0..entries.len() {
        let key = entries[at].key(arena);
        if let Some(rest @ [_, ..]) = key.get(common..) {
            entries[at].prefix = key_prefix(rest);
        } else {
            entries[at].prefix = key.len() as u64;
            entries.swap(ended, at);
            ended += 1;
        }
    }
    let (ended, going_on) = entries.split_at_mut(ended);
    let room = &mut room[ended.len()..];
    ended.sort_unstable_by_key(|entry| (entry.prefix, entry.key_at));
    sort_heap(going_on, room, arena, common);
}

/// Loads records that lie anywhere in the arena, all at once, so that their cache misses take the time of one: 671,000 records of 100 bytes
/// were gathered in 24 to 30 ns each, without it in 82 to 141, and with only their first two lines loaded in 44 to 66. What follows the first
/// lines of a long record the processor loads ahead by itself.
fn touch(entries: &[Entry], arena: &[u8]) {
    const LINE: usize = 64;
    let touched = entries.iter().fold(0, |touched, entry| {
        let begin = entry.key_at - KEY_LEN_BYTES;
        let last = (entry.key_at + entry.len()).saturating_sub(1);
        (0..4).fold(touched, |touched, line| {
            touched ^ arena[(begin + line * LINE).min(last.max(begin))]
        })
    });
    std::hint::black_box(touched);
}

#[inline]
fn compare(one: &Entry, two: &Entry, arena: &[u8]) -> Ordering {
    let most = one.prefix.cmp(&two.prefix);
    most.then_with(|| compare_closely(one, two, arena))
}

/// Equal prefixes: the rest of the key, then the position.
fn compare_closely(one: &Entry, two: &Entry, arena: &[u8]) -> Ordering {
    one.key(arena)
        .cmp(two.key(arena))
        .then(one.key_at.cmp(&two.key_at))
}

impl Entry {
    #[inline]
    fn key<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        self.record(arena).0
    }

    #[inline]
    fn record<'a>(&self, arena: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let (before, record) = arena.split_at(self.key_at);
        let key_len = before
            .last_chunk()
            .map_or(0, |len| u32::from_ne_bytes(*len));
        record[..self.len()].split_at(key_len as usize)
    }

    /// Bytes that follow its place.
    #[inline]
    fn len(&self) -> usize {
        (self.record_len & !GROUP) as usize
    }

    #[inline]
    fn is_group(&self) -> bool {
        self.record_len & GROUP != 0
    }
}

#[inline]
fn record_u32(length: usize) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "RECORD_BYTES_MAX is checked first"
    )]
    {
        length as u32
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Record = (PartitionId, Vec<u8>, Vec<u8>);

    /// Gathers records by key as long as that is wanted, or does not at all.
    fn fill(buffer: &mut SortBuffer, records: &[Record], gather: bool) {
        for (partition, key, value) in records {
            let encode = |out: &mut Vec<u8>| out.extend_from_slice(value);
            if gather && buffer.gathers() {
                let changed = buffer.gather(key, key, encode).unwrap();
                assert!(changed || buffer.gathers());
                if !buffer.gathers() {
                    settle(buffer);
                }
            } else {
                buffer.push(*partition, key, encode).unwrap();
            }
        }
        settle(buffer);
    }

    fn settle(buffer: &mut SortBuffer) {
        buffer.settle(|key| Ok::<_, ()>(partition_of(key))).unwrap();
    }

    fn partition_of(key: &[u8]) -> PartitionId {
        PartitionId(key.iter().map(|byte| u32::from(*byte)).sum::<u32>() % 4)
    }

    fn drain(buffer: &mut SortBuffer) -> Vec<Record> {
        let mut records = Vec::new();
        let drained: Result<(), ()> = buffer.sort_and_drain(|record| {
            let one = (record.partition, record.key.to_vec(), record.value.to_vec());
            if record.repeats_key {
                let before = records.last().map(|(partition, key, _)| (partition, key));
                assert_eq!(before, Some((&one.0, &one.1)));
            }
            records.extend(vec![one; record.times as usize]);
            Ok(())
        });
        drained.unwrap();
        records
    }

    fn records() -> impl Strategy<Value = Vec<Record>> {
        let key = prop_oneof![
            vec(0..2_u8, 0..3),
            vec(0..2_u8, 6..10),
            vec(any::<u8>(), 0..30),
            // Keys that go on alike for long, some beyond what is looked at piece by piece.
            (0..18_usize, vec(0..2_u8, 0..10))
                .prop_map(|(eights, end)| [vec![0; eights * 8], end].concat()),
        ];
        vec((0..4_u32, key, vec(any::<u8>(), 0..5)), 0..200).prop_map(|records| {
            let record = |(partition, key, value)| (PartitionId(partition), key, value);
            records.into_iter().map(record).collect()
        })
    }

    /// The same; a key has one partition, as what is gathered needs it.
    fn records_by_key() -> impl Strategy<Value = Vec<Record>> {
        records().prop_map(|mut records| {
            for (partition, key, _) in &mut records {
                *partition = partition_of(key);
            }
            records
        })
    }

    fn check_order(fillings: Vec<Vec<Record>>, gather: bool) -> Result<(), TestCaseError> {
        let mut buffer = SortBuffer::new();
        for mut records in fillings {
            fill(&mut buffer, &records, gather);
            prop_assert_eq!(buffer.is_empty(), records.is_empty());
            let mut lent = SortBuffer::new();
            fill(&mut lent, &records, gather);
            records.sort_by(|one, two| (one.0, &one.1).cmp(&(two.0, &two.1)));
            let mut sorted = lent.into_sorted();
            let (mut before, mut same) = (None, 0);
            for (at, (_, key, value)) in records.iter().enumerate() {
                if same == 0 {
                    prop_assert!(sorted.advance().unwrap());
                    // Some are skipped, and some are not.
                    same = if at % 3 == 0 { sorted.skip_same() } else { 0 };
                } else {
                    same -= 1;
                }
                prop_assert_eq!((sorted.key(), sorted.value()), (&key[..], &value[..]));
                prop_assert!(!sorted.repeats() || before == Some(key));
                before = Some(key);
            }
            prop_assert_eq!(same, 0);
            prop_assert!(!sorted.advance().unwrap());
            prop_assert_eq!(drain(&mut buffer), records);
            prop_assert!(buffer.is_empty());
            buffer.keep_at_most(100);
            prop_assert!(buffer.bytes() <= 100);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn draining_equals_a_stable_sort_every_time(fillings in vec(records(), 1..4)) {
            check_order(fillings, false)?;
        }

        #[test]
        fn what_is_gathered_leaves_in_the_same_order(fillings in vec(records_by_key(), 1..4)) {
            check_order(fillings, true)?;
        }
    }

    #[test]
    fn keys_that_repeat_cost_little_memory_and_those_that_do_not_are_given_up() {
        let bytes = |keys: u32| {
            let key = |at: u32| (at % keys).to_be_bytes().to_vec();
            let record = |key: Vec<u8>| (partition_of(&key), key, vec![1]);
            let records: Vec<Record> = (0..4096).map(key).map(record).collect();
            let mut buffer = SortBuffer::new();
            fill(&mut buffer, &records, true);
            assert_eq!(buffer.gathers(), keys == 16);
            let bytes = buffer.bytes();
            assert_eq!(drain(&mut buffer).len(), records.len());
            bytes
        };
        assert!(bytes(16) < 64 << 10, "{}", bytes(16));
        assert!(bytes(4096) < 320 << 10, "{}", bytes(4096));
    }

    #[test]
    fn an_error_of_the_sink_ends_the_drain_and_empties_the_buffer() {
        let mut buffer = SortBuffer::new();
        fill(
            &mut buffer,
            &[
                (PartitionId(0), vec![1], vec![]),
                (PartitionId(0), vec![2], vec![]),
            ],
            false,
        );
        let mut calls = 0;
        let drained = buffer.sort_and_drain(|_| {
            calls += 1;
            Err("full")
        });
        assert_eq!((drained, calls), (Err("full"), 1));
        assert!(buffer.is_empty());
    }

    #[test]
    fn an_error_of_a_partition_empties_the_buffer() {
        let mut buffer = SortBuffer::new();
        buffer.gather(b"", b"key", |out| out.push(1)).unwrap();
        assert_eq!(buffer.settle(|_| Err("none")), Err("none"));
        assert!(buffer.is_empty());
        assert_eq!(drain(&mut buffer), []);
    }

    #[test]
    fn a_record_beyond_the_limit_is_refused_and_not_added() {
        let mut buffer = SortBuffer::new();
        fill(&mut buffer, &[(PartitionId(0), vec![1], vec![2])], false);
        let refused = buffer.push_within(5, PartitionId(0), &[0], |out| {
            out.extend_from_slice(&[0; 5])
        });
        assert_eq!(refused, Err(RecordTooLong { bytes: 6 }));
        assert_eq!(drain(&mut buffer), [(PartitionId(0), vec![1], vec![2])]);
    }
}
