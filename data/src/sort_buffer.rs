//! What a map attempt without a fold emits, until it is sorted into a run.
//!
//! Keys and values lie one behind the other in an arena; what is sorted is an index of 24 bytes a record. It is dealt out by
//! partition into a second index, in order, before each partition is sorted: keys that came in increasing order, as those of a
//! file's lines do, cost one comparison each then. Else the first eight bytes of the key decide nearly every comparison.
//! Nothing is allocated per record, and all memory is kept from one filling to the next, since fresh memory is expensive.

use std::cmp::Ordering;

use mapfold_terms::PartitionId;

use crate::merge::key_prefix;
use crate::run::RECORD_BYTES_MAX;

/// Records in memory, sorted on demand. Its memory is kept from one filling to the next.
#[derive(Debug, Default)]
pub struct SortBuffer {
    /// For each record: length of its value (u32 in native order), key, value.
    arena: Vec<u8>,
    index: Vec<Entry>,
    /// The index dealt out by partition. Used while draining; kept for its memory.
    dealt: Vec<Entry>,
    /// The most that was in the arena since its memory was last given back.
    arena_kept: usize,
    /// The same of the index, in records.
    index_kept: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    prefix: u64,
    /// Offset of the key in the arena. Grows from record to record, so it also says which came first.
    key_at: usize,
    key_len: u32,
    partition: PartitionId,
}

/// Bytes of the two indexes for one record.
const INDEX_BYTES: usize = 2 * size_of::<Entry>();

const VALUE_LEN_BYTES: usize = size_of::<u32>();

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
        self.arena.extend_from_slice(&[0; VALUE_LEN_BYTES]);
        let key_at = self.arena.len();
        self.arena.extend_from_slice(key);
        let value_at = self.arena.len();
        encode(&mut self.arena);
        let bytes = self.arena.len() - key_at;
        if bytes > bytes_max {
            self.arena.truncate(begin);
            return Err(RecordTooLong { bytes });
        }
        let value_len = record_u32(self.arena.len() - value_at);
        self.arena[begin..key_at].copy_from_slice(&value_len.to_ne_bytes());
        self.index.push(Entry {
            prefix: key_prefix(key),
            key_at,
            key_len: record_u32(key.len()),
            partition,
        });
        Ok(())
    }

    /// Number of records.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Bytes of memory that the buffer occupies: records, their index, and what it keeps from earlier fillings.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.arena.len().max(self.arena_kept) + self.index.len().max(self.index_kept) * INDEX_BYTES
    }

    /// Hands over all records in order of (partition, key); those of equal keys in the order in which they were pushed. The
    /// buffer is empty afterwards, also after an error.
    pub fn sort_and_drain<E>(
        &mut self,
        mut sink: impl FnMut(PartitionId, &[u8], &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        deal(&self.index, &mut self.dealt);
        self.dealt
            .chunk_by_mut(|one, two| one.partition == two.partition)
            .for_each(|partition| sort(partition, &self.arena));
        let drained = self.dealt.iter().try_for_each(|entry| {
            let (key, value) = entry.record(&self.arena);
            sink(entry.partition, key, value)
        });
        self.clear();
        drained
    }

    /// Forgets all records; keeps the memory.
    pub fn clear(&mut self) {
        self.arena_kept = self.arena_kept.max(self.arena.len());
        self.index_kept = self.index_kept.max(self.index.len());
        self.arena.clear();
        self.index.clear();
        self.dealt.clear();
    }

    /// Gives back so much of an empty buffer's memory that it keeps `bytes_max` or less. How it is shared by records and
    /// index stays as it was; the rest of a budget is for a filling of other proportions.
    ///
    /// # Panics
    /// The buffer is not empty.
    pub fn keep_at_most(&mut self, bytes_max: usize) {
        assert!(self.is_empty(), "memory in use cannot be given back");
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

/// Sorts one partition by (key, position). No two entries are equal, so the sort need not be stable.
fn sort(partition: &mut [Entry], arena: &[u8]) {
    partition.sort_unstable_by(|one, two| {
        let most = one.prefix.cmp(&two.prefix);
        most.then_with(|| compare_closely(one, two, arena))
    });
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
        &arena[self.key_at..self.value_at()]
    }

    #[inline]
    fn record<'a>(&self, arena: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let mut value_len = [0; VALUE_LEN_BYTES];
        value_len.copy_from_slice(&arena[self.key_at - VALUE_LEN_BYTES..self.key_at]);
        let value = &arena[self.value_at()..][..u32::from_ne_bytes(value_len) as usize];
        (self.key(arena), value)
    }

    #[inline]
    fn value_at(&self) -> usize {
        self.key_at + self.key_len as usize
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

    fn fill(buffer: &mut SortBuffer, records: &[Record]) {
        for (partition, key, value) in records {
            buffer
                .push(*partition, key, |out| out.extend_from_slice(value))
                .unwrap();
        }
    }

    fn drain(buffer: &mut SortBuffer) -> Vec<Record> {
        let mut records = Vec::new();
        let drained: Result<(), ()> = buffer.sort_and_drain(|partition, key, value| {
            records.push((partition, key.to_vec(), value.to_vec()));
            Ok(())
        });
        drained.unwrap();
        records
    }

    fn records() -> impl Strategy<Value = Vec<Record>> {
        let key = prop_oneof![
            vec(0..2_u8, 0..3),
            vec(0..2_u8, 6..10),
            vec(any::<u8>(), 0..30)
        ];
        vec((0..4_u32, key, vec(any::<u8>(), 0..5)), 0..200).prop_map(|records| {
            let record = |(partition, key, value)| (PartitionId(partition), key, value);
            records.into_iter().map(record).collect()
        })
    }

    proptest! {
        #[test]
        fn draining_equals_a_stable_sort_every_time(fillings in vec(records(), 1..4)) {
            let mut buffer = SortBuffer::new();
            for mut records in fillings {
                fill(&mut buffer, &records);
                prop_assert_eq!(buffer.len(), records.len());
                records.sort_by(|one, two| (one.0, &one.1).cmp(&(two.0, &two.1)));
                prop_assert_eq!(drain(&mut buffer), records);
                prop_assert!(buffer.is_empty());
                buffer.keep_at_most(100);
                prop_assert!(buffer.bytes() <= 100);
            }
        }
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
        );
        let mut calls = 0;
        let drained = buffer.sort_and_drain(|_, _, _| {
            calls += 1;
            Err("full")
        });
        assert_eq!((drained, calls), (Err("full"), 1));
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_record_beyond_the_limit_is_refused_and_not_added() {
        let mut buffer = SortBuffer::new();
        fill(&mut buffer, &[(PartitionId(0), vec![1], vec![2])]);
        let refused = buffer.push_within(5, PartitionId(0), &[0], |out| {
            out.extend_from_slice(&[0; 5])
        });
        assert_eq!(refused, Err(RecordTooLong { bytes: 6 }));
        assert_eq!(drain(&mut buffer), [(PartitionId(0), vec![1], vec![2])]);
    }
}
