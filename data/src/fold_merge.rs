//! Many segments of runs in order of hash as one accumulator a key.
//!
//! The range of hashes is walked in buckets so narrow that a bucket's keys fit into a table that stays in the cache. From
//! each segment in turn, in order of the map tasks, the records of the bucket are folded into the table; then the table
//! drains. That is one hash and one probe a record, wherever a merge by comparison pays for every level of its tree.

use mapfold_terms::ByteSize;

use crate::fold_table::{FoldTable, HashedKey, Weigh};
use crate::key_bytes::KeyBytes;
use crate::merge::Cursor as _;
use crate::run::{ReadRunError, Segment, SegmentCursor};

/// Records of an average bucket at most. As many slots as they need at worst are about 1 MiB, a core's second-level cache.
const BUCKET_RECORDS: u64 = 16 << 10;

/// A bucket's records are at most one part in so many of the memory, on average.
const BUCKET_SHARE: u64 = 8;

/// A fold of all records of some segments of one partition, bucket by bucket.
#[derive(Debug)]
pub struct FoldMerge<'s, A, W> {
    heads: Vec<Head<'s>>,
    table: FoldTable<A, W>,
    /// As many high bits of a hash choose its bucket.
    bucket_bits: u32,
    records: u64,
}

/// A segment, and the record that is next in it.
#[derive(Debug)]
struct Head<'s> {
    cursor: SegmentCursor<'s>,
    next: Option<(HashedKey<'s>, &'s [u8])>,
}

impl<'s, A, W: Weigh<A>> FoldMerge<'s, A, W> {
    /// Begins to fold segments of one of `partitions` partitions; their runs are in order of hash. Takes about
    /// `memory` at most, as long as accumulators do not take more than the records they are made of.
    pub fn new(
        segments: &'s [Segment],
        partitions: u32,
        memory: ByteSize,
    ) -> Result<Self, ReadRunError> {
        let records = segments.iter().map(Segment::records).sum::<u64>();
        let bytes = segments
            .iter()
            .map(|segment| segment.head().bytes)
            .sum::<u64>();
        let bucket_bytes = (memory.bytes() / BUCKET_SHARE).max(1);
        let buckets = records
            .div_ceil(BUCKET_RECORDS)
            .max(bytes.div_ceil(bucket_bytes));
        let mut table = FoldTable::new();
        let bucket_bits = bits_for(u128::from(buckets) * u128::from(partitions));
        table.share_bits(bucket_bits);
        Ok(Self {
            heads: segments.iter().map(Head::new).collect::<Result<_, _>>()?,
            table,
            bucket_bits,
            records: 0,
        })
    }

    /// Records folded so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Folds the next bucket, and hands each of its keys to `each`, in order of (hash, key); false at the end. Values of a key are
    /// given to `first` or to `fold` in the order of the segments.
    ///
    /// # Errors
    /// That of a callback; or the segments are damaged. It is of no use afterwards.
    pub fn next_bucket<E: From<ReadRunError>>(
        &mut self,
        mut first: impl FnMut(&[u8]) -> Result<A, E>,
        mut fold: impl FnMut(&[u8], &mut A, &[u8]) -> Result<(), E>,
        mut each: impl FnMut(&KeyBytes<'_>, &A) -> Result<(), E>,
    ) -> Result<bool, E> {
        let hashes = self.heads.iter().filter_map(Head::hash);
        let Some(lowest) = hashes.min() else {
            return Ok(false);
        };
        let last = lowest | u64::MAX >> self.bucket_bits;
        for head in &mut self.heads {
            while let Some((hashed, value)) = head.next
                && hashed.hash() <= last
            {
                self.table.try_upsert(
                    hashed,
                    || first(value),
                    |acc| fold(hashed.key(), acc, value),
                )?;
                self.records += 1;
                head.advance()?;
            }
        }
        self.table.drain_by_hash(|_, key, acc| each(key, acc))?;
        Ok(true)
    }
}

impl<'s> Head<'s> {
    fn new(segment: &'s Segment) -> Result<Self, ReadRunError> {
        let mut head = Self {
            cursor: segment.cursor(),
            next: None,
        };
        head.advance()?;
        Ok(head)
    }

    fn hash(&self) -> Option<u64> {
        self.next.map(|(hashed, _)| hashed.hash())
    }

    #[inline]
    fn advance(&mut self) -> Result<(), ReadRunError> {
        let before = self.hash();
        if !self.cursor.advance()? {
            self.next = None;
            return Ok(());
        }
        let (text, (key, value)) = self.cursor.record();
        let hashed = HashedKey::within(text, key);
        if before > Some(hashed.hash()) {
            return Err(self.cursor.out_of_order());
        }
        self.next = Some((hashed, value));
        Ok(())
    }
}

/// The bits that tell `buckets` buckets apart.
fn bits_for(buckets: u128) -> u32 {
    buckets
        .max(1)
        .next_power_of_two()
        .ilog2()
        .min(u64::BITS - 1)
}

#[cfg(test)]
mod tests;
