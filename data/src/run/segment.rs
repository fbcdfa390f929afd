//! The records of one partition of one run.

use std::ops::Range;
use std::path::Path;

use mapfold_terms::PartitionId;

use super::layout::{
    BLOCK_HEADER_LEN, IndexEntry, KEY_LEN_ABOVE, SAME_RECORD, block_checksum, chain, read_u32,
    read_u64,
};
use super::varint;
use super::{Fault, ReadRunError, RunBytes, RunPlace};
use crate::merge::{Cursor, Record};

/// A cursor over a mapped run gives back the memory behind it in steps of this size, about a block. Larger steps would save
/// calls to the kernel, of some microseconds each, at the price of wider merges.
const RELEASE_BYTES: usize = 64 << 10;

/// What a cursor over a run in a file has read from the disk before it gets there: enough for a disk to be busy, little enough for some dozens of
/// cursors in a process whose page cache is limited with it.
const AHEAD_BYTES: usize = 128 << 10;

/// The blocks of one partition of one run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Segment {
    bytes: RunBytes,
    /// Where the blocks lie in `bytes`.
    range: Range<usize>,
    map: u32,
    fetched: bool,
    partition: PartitionId,
    head: SegmentHead,
}

/// What a reader must know of a segment to verify it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHead {
    /// Number of records.
    pub records: u64,
    /// Over the checksums of its blocks; from the run's index.
    pub checksum: u64,
    /// Length of its blocks.
    pub bytes: u64,
}

impl Segment {
    /// A segment that came over a socket: `bytes` are exactly its blocks.
    ///
    /// # Errors
    /// `bytes` is not as long as `head` says.
    pub fn from_parts(
        map: u32,
        partition: PartitionId,
        head: SegmentHead,
        bytes: RunBytes,
    ) -> Result<Self, ReadRunError> {
        if bytes.len() as u64 != head.bytes {
            return Err(ReadRunError::Corrupt {
                place: RunPlace::Fetched { map },
                offset: bytes.len() as u64,
                fault: Fault::Truncated,
            });
        }
        Ok(Self {
            range: 0..bytes.len(),
            bytes,
            map,
            fetched: true,
            partition,
            head,
        })
    }

    pub(super) fn of_run(bytes: &RunBytes, entry: &IndexEntry) -> Self {
        let start =
            usize::try_from(entry.offset).expect("the index was checked against the length");
        let length =
            usize::try_from(entry.bytes).expect("the index was checked against the length");
        Self {
            bytes: bytes.clone(),
            range: start..start + length,
            map: 0,
            fetched: false,
            partition: entry.partition,
            head: SegmentHead {
                records: entry.records,
                checksum: entry.checksum,
                bytes: entry.bytes,
            },
        }
    }

    pub(super) fn empty(partition: PartitionId) -> Self {
        Self {
            bytes: RunBytes::from(Vec::new()),
            range: 0..0,
            map: 0,
            fetched: false,
            partition,
            head: SegmentHead {
                records: 0,
                checksum: 0,
                bytes: 0,
            },
        }
    }

    /// The same segment, marked as that of map task `map` (for messages; 0 if never set).
    #[must_use]
    pub fn with_map(mut self, map: u32) -> Self {
        self.map = map;
        self
    }

    /// Index of the map task it belongs to.
    pub fn map(&self) -> u32 {
        self.map
    }

    /// The partition.
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// Number of records.
    pub fn records(&self) -> u64 {
        self.head.records
    }

    /// Over the checksums of its blocks.
    pub fn checksum(&self) -> u64 {
        self.head.checksum
    }

    /// What the receiver of its bytes must know.
    pub fn head(&self) -> SegmentHead {
        self.head
    }

    /// Its blocks as stored.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.range.clone()]
    }

    /// Whether its bytes occupy memory of this process.
    pub fn in_memory(&self) -> bool {
        self.bytes.in_memory()
    }

    /// Its file, if it is in one, and where it begins there.
    pub fn file(&self) -> Option<(&Path, u64)> {
        Some((self.bytes.path()?, self.range.start as u64))
    }

    /// The segment of map task `map` whose blocks begin at `start` of a file: what [`Segment::file`] told another process.
    ///
    /// # Errors
    /// The file is shorter than `head` says.
    pub fn in_file(
        map: u32,
        partition: PartitionId,
        head: SegmentHead,
        bytes: RunBytes,
        start: u64,
    ) -> Result<Self, ReadRunError> {
        let whole = usize::try_from(start)
            .ok()
            .zip(usize::try_from(head.bytes).ok());
        let range = whole.and_then(|(start, len)| Some(start..start.checked_add(len)?));
        match range.filter(|range| range.end <= bytes.len()) {
            Some(range) => Ok(Self {
                range,
                bytes,
                map,
                fetched: false,
                partition,
                head,
            }),
            None => Err(ReadRunError::Corrupt {
                place: bytes.place(),
                offset: bytes.len() as u64,
                fault: Fault::Truncated,
            }),
        }
    }

    /// A cursor before the first record.
    pub fn cursor(&self) -> SegmentCursor<'_> {
        SegmentCursor {
            segment: self,
            bytes: self.bytes(),
            next_block: 0,
            released: 0,
            expected: 0,
            payload: &[],
            left: 0,
            ordinal: 0,
            records: 0,
            checksum: 0,
            tail: None,
            key: &[],
            value: &[],
            repeats: false,
            again: 0,
        }
    }

    /// Reads and checks every byte, to tell a bad disk from a bad network.
    pub fn verify(&self) -> Result<(), ReadRunError> {
        let mut cursor = self.cursor();
        while cursor.advance()? {}
        Ok(())
    }

    fn place(&self) -> RunPlace {
        if self.fetched {
            RunPlace::Fetched { map: self.map }
        } else {
            self.bytes.place()
        }
    }

    /// Begins to read a part of [`bytes`](Self::bytes) from the disk, if it is in a file and not in memory.
    pub fn expect(&self, part: Range<usize>) {
        self.bytes.expect(
            self.range.start + part.start..self.range.start + part.end.min(self.range.len()),
        );
    }

    /// Gives back the memory that a part of [`bytes`](Self::bytes) came to occupy, with what the kernel mapped around it; does nothing
    /// to a segment that is not in a file.
    pub fn release_touched(&self, part: Range<usize>) {
        let start = self.range.start;
        self.bytes
            .release_touched(start + part.start..start + part.end);
    }

    /// Gives back the memory of a part of the segment that has been read.
    fn release(&self, part: Range<usize>) {
        self.bytes
            .release(self.range.start + part.start..self.range.start + part.end);
    }
}

/// Reads the records of a segment in order. Each block is verified before its first record is given out; the
/// number of records and the partition's checksum are verified at the end.
#[derive(Debug)]
pub struct SegmentCursor<'a> {
    segment: &'a Segment,
    bytes: &'a [u8],
    /// Offset of the block after the current one.
    next_block: usize,
    /// Memory before this offset has been given back.
    released: usize,
    /// What comes before this offset was read from the disk, or is being read.
    expected: usize,
    /// What is left of the current block.
    payload: &'a [u8],
    /// Records that are left in it.
    left: u32,
    /// Blocks begun.
    ordinal: u64,
    /// Records in them.
    records: u64,
    /// Chained over them.
    checksum: u64,
    /// The block from the current key on; none before its first record.
    tail: Option<&'a [u8]>,
    key: &'a [u8],
    value: &'a [u8],
    /// The current record has the key of the one before.
    repeats: bool,
    /// So often it comes again.
    again: u32,
}

impl<'a> SegmentCursor<'a> {
    /// The current record, and the text that begins with its key: what is left of its block. Only after `advance` returned
    /// true.
    #[inline]
    pub(crate) fn record(&self) -> (&'a [u8], Record<'a>) {
        (self.tail.unwrap_or_default(), (self.key, self.value))
    }

    /// The error for a record that does not come in the order of its run.
    #[cold]
    pub(crate) fn out_of_order(&self) -> ReadRunError {
        self.corrupt(Fault::Order)
    }

    /// The next record, key then value; `None` at the end, again and again.
    ///
    /// # Errors
    /// The bytes are not what was written. The cursor is of no use afterwards.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends, so it is no Iterator"
    )]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, ReadRunError> {
        Ok(if self.advance()? {
            Some((self.key, self.value))
        } else {
            None
        })
    }

    /// Goes to the next block and verifies it; false at the end of the segment.
    #[cold]
    fn begin_block(&mut self) -> Result<bool, ReadRunError> {
        // Of the block before: it may have been verified in memory, and then have come from the disk once more.
        self.check_seen()?;
        if !self.payload.is_empty() {
            return Err(self.corrupt(Fault::Record));
        }
        if self.next_block == self.bytes.len() {
            return self.check_end();
        }
        if self.next_block - self.released >= RELEASE_BYTES {
            self.segment.release(self.released..self.next_block);
            self.released = self.next_block;
        }
        while self.expected < self.bytes.len() && self.expected <= self.next_block + AHEAD_BYTES {
            let more = self.expected + AHEAD_BYTES;
            self.segment.expect(self.expected..more);
            self.expected = more;
        }
        let block = &self.bytes[self.next_block..];
        let (length, records, want, payload) =
            split_block(block).ok_or_else(|| self.corrupt(Fault::Truncated))?;
        let got = block_checksum(self.segment.partition, self.ordinal, records, payload);
        self.check_seen()?;
        if got != want {
            return Err(self.corrupt(Fault::BlockChecksum { got, want }));
        }
        if records == 0 {
            return Err(self.corrupt(Fault::Record));
        }
        self.next_block += length;
        self.ordinal += 1;
        self.records += u64::from(records);
        self.checksum = chain(self.checksum, want);
        self.payload = payload;
        self.left = records;
        self.tail = None;
        Ok(true)
    }

    /// Makes the next record of the block the current one; `None` if there is none.
    #[inline]
    fn take_record(&mut self) -> Option<()> {
        let mut rest = self.payload;
        let head = varint::take(&mut rest)?;
        let value_len = varint::take(&mut rest)?;
        self.repeats = head < KEY_LEN_ABOVE;
        if self.repeats {
            // The first record of a block repeats nothing.
            self.tail?;
            if head == SAME_RECORD {
                let times = value_len;
                self.again = times.checked_sub(1).filter(|_| times <= self.left)?;
                self.payload = rest;
                return Some(());
            }
        } else {
            self.tail = Some(rest);
            let key_len = usize::try_from(head - KEY_LEN_ABOVE).ok()?;
            (self.key, rest) = rest.split_at_checked(key_len)?;
        }
        (self.value, self.payload) = rest.split_at_checked(usize::try_from(value_len).ok()?)?;
        Some(())
    }

    /// Whether all bytes that were seen so far came from the file.
    fn check_seen(&self) -> Result<(), ReadRunError> {
        if self.segment.bytes.have_lost() {
            return Err(self.corrupt(Fault::Lost));
        }
        Ok(())
    }

    fn check_end(&self) -> Result<bool, ReadRunError> {
        self.segment
            .release_touched(self.released..self.bytes.len());
        if self.records != self.segment.head.records {
            Err(self.corrupt(Fault::RecordCount))
        } else if self.checksum != self.segment.head.checksum {
            Err(self.corrupt(Fault::PartitionChecksum))
        } else {
            Ok(false)
        }
    }

    #[cold]
    fn corrupt(&self, fault: Fault) -> ReadRunError {
        ReadRunError::Corrupt {
            place: self.segment.place(),
            offset: (self.segment.range.start + self.next_block - self.payload.len()) as u64,
            fault,
        }
    }
}

impl Cursor for SegmentCursor<'_> {
    type Error = ReadRunError;

    #[inline]
    fn advance(&mut self) -> Result<bool, ReadRunError> {
        if self.left == 0 && !self.begin_block()? {
            return Ok(false);
        }
        if self.again > 0 {
            self.again -= 1;
        } else {
            self.take_record()
                .ok_or_else(|| self.corrupt(Fault::Record))?;
        }
        self.left -= 1;
        Ok(true)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.key
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.value
    }

    #[inline]
    fn repeats(&self) -> bool {
        self.repeats
    }

    #[inline]
    fn skip_same(&mut self) -> u32 {
        let again = std::mem::take(&mut self.again);
        self.left -= again;
        again
    }
}

/// The first block of `bytes`: its whole length, records, checksum, payload.
fn split_block(bytes: &[u8]) -> Option<(usize, u32, u64, &[u8])> {
    let length = usize::try_from(read_u32(bytes, 0)?).ok()?;
    let (records, checksum) = (read_u32(bytes, 4)?, read_u64(bytes, 8)?);
    let end = length.checked_add(BLOCK_HEADER_LEN)?;
    Some((end, records, checksum, bytes.get(BLOCK_HEADER_LEN..end)?))
}
