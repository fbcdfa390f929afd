//! Writes a run.

use std::io;
use std::ops::Range;

use mapfold_terms::{ByteSize, PartitionId, RunSummary, Token};

use super::layout::{
    BLOCK_HEADER_LEN, HEADER_LEN, Header, IndexEntry, KEY_LEN_ABOVE, PAYLOAD_TARGET,
    RECORD_BYTES_MAX, SAME_KEY, SAME_RECORD, block_checksum, chain, footer_checksum, length_u32,
    run_digest, write_end,
};
use super::varint;
use super::{RunBytes, WriteRunError};
use crate::key_bytes::KeyBytes;
use crate::merge::{Counted, same_key};
use crate::mmap::WINDOW;
use crate::scratch::{Scratch, ScratchFile};
use crate::storage::is_no_space;

/// Blocks go to the file when there are about so many bytes of them.
const WRITE_BYTES: usize = 256 << 10;

/// Writes one run: in memory first, in a file once that grows too large. The bytes are the same either way.
#[derive(Debug)]
pub struct RunWriter {
    header: Header,
    scratch: Scratch,
    in_memory_max: usize,
    /// What is not in the file yet: whole blocks, then the one that is being filled.
    out: Vec<u8>,
    /// Length of the file.
    written: u64,
    file: Option<ScratchFile>,
    /// Where the payload of the block being filled begins in `out`. Without one, where it would.
    payload: usize,
    /// Records in it. A block is begun with its first record.
    block_records: u32,
    /// Where the key of its last record is in `out`, if that was [pushed](Self::push), and its value.
    last_key: Range<usize>,
    last_value: Range<usize>,
    /// How often that record came again since it was written.
    again: u32,
    /// Blocks of the current partition that are closed.
    ordinal: u64,
    /// The partition of the last record; `None` before the first.
    current: Option<IndexEntry>,
    /// The partitions before it.
    index: Vec<IndexEntry>,
}

impl RunWriter {
    /// A writer for the run of attempt `token` over `partitions` partitions. A run of at most
    /// `in_memory_max` stays in memory; a longer one goes to a file in `scratch`, in large sequential writes,
    /// holding about 256 KiB here.
    pub fn new(token: Token, partitions: u32, scratch: Scratch, in_memory_max: ByteSize) -> Self {
        let header = Header { token, partitions };
        let mut out = Vec::new();
        header.write(&mut out);
        Self {
            header,
            scratch,
            in_memory_max: in_memory_max.as_usize(),
            out,
            written: 0,
            file: None,
            payload: 0,
            block_records: 0,
            last_key: 0..0,
            last_value: 0..0,
            again: 0,
            ordinal: 0,
            current: None,
            index: Vec::new(),
        }
    }

    /// The same, told beforehand that the run will be of `bytes` or more: if that is too much for memory it goes to its file from the
    /// first record on, rather than through fresh memory.
    #[must_use]
    pub fn expecting(mut self, bytes: usize) -> Self {
        if bytes > self.in_memory_max {
            self.in_memory_max = 0;
        }
        self
    }

    /// The same, with memory for `bytes` at once if the run is to stay in memory. That is faster than to let it grow, and what is not used
    /// costs nothing.
    #[must_use]
    pub fn with_room(mut self, bytes: usize) -> Self {
        if bytes <= self.in_memory_max {
            self.out.reserve_exact(bytes);
        }
        self
    }

    /// Adds a record. Records come partition by partition, and within one in the order of the run, by key or by hash (see
    /// [`run`](crate::run)); equal keys stay in the order of the calls.
    ///
    /// # Errors
    /// The record is too long, or a file could not be written; the writer is of no use afterwards.
    ///
    /// # Panics
    /// In debug builds, when the partition is none of `partitions` or comes after a higher one.
    #[inline]
    pub fn push(
        &mut self,
        partition: PartitionId,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), WriteRunError> {
        self.push_counted(&Counted::once(partition, key, value))
    }

    /// The same, for a record that comes several times.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Panics
    /// As [`push`](Self::push).
    #[inline]
    pub fn push_counted(&mut self, record: &Counted<'_>) -> Result<(), WriteRunError> {
        let &Counted { key, value, .. } = record;
        let bytes = key.len().saturating_add(value.len());
        if bytes > RECORD_BYTES_MAX {
            return Err(WriteRunError::RecordTooLong { bytes });
        }
        self.begin_record(record.partition)?;
        let mut times = record.times;
        while times > 0 {
            let repeats_key = self.last_has_key(record);
            let is_the_last =
                repeats_key && same_key(&self.out[self.last_value.clone()], record.value);
            let counted = match is_the_last {
                true => times.min(u32::MAX - self.block_records),
                false => 0,
            };
            if counted > 0 {
                self.again += counted;
                self.block_records += counted;
                times -= counted;
            } else {
                self.write_record(record, repeats_key)?;
                times -= 1;
            }
        }
        Ok(())
    }

    /// Whether the last record of the block has the key of this one.
    #[inline]
    fn last_has_key(&self, record: &Counted<'_>) -> bool {
        let same_key = || same_key(&self.out[self.last_key.clone()], record.key);
        self.block_records > 0 && (record.repeats_key || same_key())
    }

    /// Writes a record that is not the one before, or that has no place in its block.
    #[inline]
    fn write_record(
        &mut self,
        record: &Counted<'_>,
        repeats_key: bool,
    ) -> Result<(), WriteRunError> {
        let &Counted { key, value, .. } = record;
        self.write_again();
        let (key_len, value_len) = (length_u32(key.len()), length_u32(value.len()));
        let whole = key_len + KEY_LEN_ABOVE;
        let (mut head, mut shown) = match repeats_key {
            true => (SAME_KEY, &[][..]),
            false => (whole, key),
        };
        let size = varint::len(head) + varint::len(value_len) + shown.len() + value.len();
        let is_full =
            self.out.len() - self.payload + size > PAYLOAD_TARGET || self.block_records == u32::MAX;
        if is_full && self.block_records > 0 {
            self.end_block()?;
            self.begin_block();
            // A block is read by itself.
            (head, shown) = (whole, key);
        }
        varint::write(head, &mut self.out);
        varint::write(value_len, &mut self.out);
        if head != SAME_KEY {
            let start = self.out.len();
            self.out.extend_from_slice(shown);
            self.last_key = start..self.out.len();
        }
        let start = self.out.len();
        match value {
            // A copy of unknown length is a call.
            [byte] => self.out.push(*byte),
            _ => self.out.extend_from_slice(value),
        }
        self.last_value = start..self.out.len();
        self.block_records += 1;
        Ok(())
    }

    /// Writes how often the last record came again.
    #[inline]
    fn write_again(&mut self) {
        if self.again > 0 {
            varint::write(SAME_RECORD, &mut self.out);
            varint::write(std::mem::take(&mut self.again), &mut self.out);
        }
    }

    /// The same, for a value that is encoded where it will be, by appending it, and for keys that all differ.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    ///
    /// # Panics
    /// As [`push`](Self::push).
    #[inline]
    pub fn push_with(
        &mut self,
        partition: PartitionId,
        key: &KeyBytes<'_>,
        encode: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), WriteRunError> {
        self.begin_record(partition)?;
        self.write_again();
        let start = self.out.len();
        // One byte for the length of the value is nearly always enough.
        if let (Some(sixteen), Ok(len)) = (key.sixteen(), u8::try_from(key.len())) {
            const { assert!(KEY_LEN_ABOVE == 2, "it is added to a byte") };
            let mut head = [0; 18];
            head[0] = len + 2;
            head[2..].copy_from_slice(sixteen);
            self.out.extend_from_slice(&head);
            self.out.truncate(start + 2 + usize::from(len));
        } else {
            varint::write(length_u32(key.len()) + KEY_LEN_ABOVE, &mut self.out);
            self.out.push(0);
            self.out.extend_from_slice(key);
        }
        let value = self.out.len();
        encode(&mut self.out);
        let record = key.len().saturating_add(self.out.len() - value);
        if record > RECORD_BYTES_MAX {
            return Err(WriteRunError::RecordTooLong { bytes: record });
        }
        match u8::try_from(self.out.len() - value) {
            Ok(len @ ..0x80) => self.out[value - key.len() - 1] = len,
            _ => self.widen(value - key.len(), value),
        }
        self.block_records += 1;
        if self.out.len() - self.payload > PAYLOAD_TARGET && self.block_records > 1 {
            self.move_to_next_block(start)?;
        }
        Ok(())
    }

    /// Writes the length of the last value, which needs more than the one byte in front of its key.
    #[cold]
    fn widen(&mut self, key: usize, value: usize) {
        let mut len = Vec::new();
        varint::write(length_u32(self.out.len() - value), &mut len);
        self.out.splice(key - 1..key, len);
    }

    /// Moves the last record, which begins at `start` and is not the first of its block, to a block of its own.
    #[cold]
    fn move_to_next_block(&mut self, start: usize) -> Result<(), WriteRunError> {
        let record = self.out.split_off(start);
        self.block_records -= 1;
        self.end_block()?;
        self.begin_block();
        self.out.extend_from_slice(&record);
        self.block_records = 1;
        Ok(())
    }

    /// Bytes of the run so far, those still to be written included.
    pub fn bytes(&self) -> u64 {
        self.written + self.out.len() as u64
    }

    /// Ends the run. It is not fsynced: a run that is lost costs time only.
    pub fn finish(mut self) -> Result<(RunBytes, RunSummary), WriteRunError> {
        self.end_partition()?;
        let summary = self.write_index();
        if self.file.is_none() && self.out.len() <= self.in_memory_max {
            self.out.shrink_to_fit();
            return Ok((RunBytes::from(self.out), summary));
        }
        self.write_out()?;
        let file = self.file.expect("write_out made it");
        let path = file.path.as_path().to_owned();
        let bytes =
            RunBytes::map_scratch(file).map_err(|source| WriteRunError::Io { path, source })?;
        Ok((bytes, summary))
    }

    /// Makes sure that there is a block of the partition.
    #[inline]
    fn begin_record(&mut self, partition: PartitionId) -> Result<(), WriteRunError> {
        debug_assert!(
            partition.0 < self.header.partitions,
            "{partition} is not one of the run"
        );
        if self
            .current
            .is_none_or(|entry| entry.partition != partition)
        {
            self.begin_partition(partition)?;
        }
        if self.block_records == 0 {
            self.begin_block();
        }
        Ok(())
    }

    #[cold]
    fn begin_partition(&mut self, partition: PartitionId) -> Result<(), WriteRunError> {
        self.end_partition()?;
        debug_assert!(
            self.index
                .last()
                .is_none_or(|last| last.partition < partition),
            "{partition} comes too late"
        );
        self.ordinal = 0;
        self.current = Some(IndexEntry {
            partition,
            offset: self.bytes(),
            bytes: 0,
            records: 0,
            checksum: 0,
        });
        Ok(())
    }

    fn end_partition(&mut self) -> Result<(), WriteRunError> {
        self.end_block()?;
        self.index.extend(self.current.take());
        Ok(())
    }

    fn begin_block(&mut self) {
        self.out.resize(self.out.len() + BLOCK_HEADER_LEN, 0);
        self.payload = self.out.len();
        self.last_key = 0..0;
    }

    /// Fills in the header of the block; does nothing if no record is in it.
    #[cold]
    fn end_block(&mut self) -> Result<(), WriteRunError> {
        if self.block_records == 0 {
            return Ok(());
        }
        self.write_again();
        let Some(entry) = &mut self.current else {
            return Ok(());
        };
        let (before, payload) = self.out.split_at_mut(self.payload);
        let header = &mut before[self.payload - BLOCK_HEADER_LEN..];
        let checksum = block_checksum(entry.partition, self.ordinal, self.block_records, payload);
        header[..4].copy_from_slice(&length_u32(payload.len()).to_le_bytes());
        header[4..8].copy_from_slice(&self.block_records.to_le_bytes());
        header[8..].copy_from_slice(&checksum.to_le_bytes());
        entry.bytes += (BLOCK_HEADER_LEN + payload.len()) as u64;
        entry.records += u64::from(self.block_records);
        entry.checksum = chain(entry.checksum, checksum);
        self.ordinal += 1;
        self.block_records = 0;
        let write_at = match self.file {
            None => self.in_memory_max.max(WRITE_BYTES),
            Some(_) => WRITE_BYTES,
        };
        if self.out.len() > write_at {
            self.write_out()?;
        }
        Ok(())
    }

    fn write_index(&mut self) -> RunSummary {
        let index_offset = self.bytes();
        let mut index = Vec::new();
        for entry in &self.index {
            entry.write(&mut index);
        }
        let digest = run_digest(self.index.iter().copied());
        let mut header = Vec::with_capacity(HEADER_LEN);
        self.header.write(&mut header);
        let mut footer = Vec::new();
        footer.extend_from_slice(&index_offset.to_le_bytes());
        footer.extend_from_slice(&(index.len() as u64).to_le_bytes());
        footer.extend_from_slice(&digest.0.to_le_bytes());
        let checksum = footer_checksum(&header, &index, &footer);
        footer.extend_from_slice(&checksum.to_le_bytes());
        write_end(&mut footer);
        self.out.extend_from_slice(&index);
        self.out.extend_from_slice(&footer);
        RunSummary {
            records: self.index.iter().map(|entry| entry.records).sum(),
            bytes: self.bytes(),
            digest,
        }
    }

    /// Moves what there is to the file, which is made if this is the first time.
    fn write_out(&mut self) -> Result<(), WriteRunError> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(self.scratch.create("run")?),
        };
        write_pieces(file, self.written, &self.out)?;
        self.written += self.out.len() as u64;
        self.out.clear();
        self.out.shrink_to(WRITE_BYTES + 2 * PAYLOAD_TARGET);
        Ok(())
    }
}

/// Writes `bytes` on at offset `at` of the file, so that whoever maps it can give it back window by window.
fn write_pieces(file: &mut ScratchFile, at: u64, mut bytes: &[u8]) -> Result<(), WriteRunError> {
    let begun = usize::try_from(at % WINDOW as u64).expect("it is below the window");
    let mut room = WINDOW - begun;
    while !bytes.is_empty() {
        let (piece, rest) = bytes.split_at(room.min(bytes.len()));
        let written = file.write_all(piece);
        written.map_err(|source| write_error(file, source))?;
        (bytes, room) = (rest, WINDOW);
    }
    Ok(())
}

fn write_error(file: &ScratchFile, source: io::Error) -> WriteRunError {
    let path = file.path.as_path().to_owned();
    if is_no_space(&source) {
        WriteRunError::NoSpace { path, source }
    } else {
        WriteRunError::Io { path, source }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use mapfold_terms::MasterEpoch;

    use super::*;
    use crate::scratch::ScratchRoot;

    /// Pushes records until something happens.
    fn fill(mut writer: RunWriter) -> WriteRunError {
        for n in 0..1000_u32 {
            let pushed = writer.push(PartitionId(0), &n.to_be_bytes(), &[0; 10_000]);
            if let Err(error) = pushed {
                return error;
            }
        }
        writer.finish().unwrap_err()
    }

    #[test]
    fn a_full_disk_is_told_apart_and_leaves_no_file() {
        let base = tempfile::tempdir().unwrap();
        let scratch = ScratchRoot::open(base.path()).unwrap().scratch("1-1");
        let token = Token {
            epoch: MasterEpoch(1),
            counter: 1,
        };
        let mut file = scratch.create("run").unwrap();
        file.file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let path = file.path.as_path().to_owned();
        let mut writer = RunWriter::new(token, 1, scratch, ByteSize(0));
        writer.file = Some(file);
        let error = fill(writer);
        assert!(error.is_no_space(), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("no space left to write run {}", path.display())
        );
        assert!(!path.exists());
    }
}
