//! Opens a run and finds its segments.

use std::sync::Arc;

use mapfold_terms::{Digest, PartitionId, Token};

use super::index::{Changed, Index};
use super::layout::{
    FOOTER_CHECKED_LEN, FOOTER_LEN, HEADER_LEN, Header, INDEX_ENTRY_LEN, IndexEntry, VERSION,
    begin_version, end_version, footer_checksum, read_u64, read_u128, run_digest,
};
use super::{Fault, ReadRunError, RunBytes, Segment};

/// A run whose header, index and footer have been verified. Its blocks are verified as they are read.
/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Run {
    bytes: RunBytes,
    header: Header,
    digest: Digest,
    index: Arc<Index>,
}

impl Run {
    /// Opens a run; costs a look at every index entry, not at the records.
    pub fn open(bytes: RunBytes) -> Result<Self, ReadRunError> {
        let checked = Self::check(&bytes);
        bytes.release_touched(0..bytes.len());
        match checked {
            Ok((header, digest, index)) => Ok(Self {
                bytes,
                header,
                digest,
                index: Arc::new(index),
            }),
            Err((offset, fault)) => Err(ReadRunError::Corrupt {
                place: bytes.place(),
                offset: offset as u64,
                fault,
            }),
        }
    }

    /// The attempt that wrote it.
    pub fn token(&self) -> Token {
        self.header.token
    }

    /// Over its records; see [`Digest`].
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Number of partitions R, empty ones included.
    pub fn partitions(&self) -> u32 {
        self.header.partitions
    }

    /// The bytes, for whoever serves them.
    pub fn bytes(&self) -> &RunBytes {
        &self.bytes
    }

    /// The first partition that holds records, of `from` and those after it. Logarithmic in the number of partitions.
    ///
    /// # Errors
    /// The index is not what it was when the run was opened: its file does not give it any more.
    pub fn next_present(&self, from: PartitionId) -> Result<Option<PartitionId>, ReadRunError> {
        Ok(self.find(from)?.map(|entry| entry.partition))
    }

    /// The blocks of one partition; an empty segment if it has no records. Logarithmic in the number of partitions.
    ///
    /// # Errors
    /// As those of [`next_present`](Self::next_present).
    pub fn segment(&self, partition: PartitionId) -> Result<Segment, ReadRunError> {
        let entry = self.find(partition)?;
        let entry = entry.filter(|entry| entry.partition == partition);
        Ok(match entry {
            Some(entry) => Segment::of_run(&self.bytes, &entry),
            None => Segment::empty(partition),
        })
    }

    fn find(&self, from: PartitionId) -> Result<Option<IndexEntry>, ReadRunError> {
        let at = self.index.at();
        let found = self.index.find(&self.bytes, from);
        self.bytes.release_touched(at..self.bytes.len());
        found.map_err(|Changed| ReadRunError::Corrupt {
            place: self.bytes.place(),
            offset: at as u64,
            fault: if self.bytes.have_lost() {
                Fault::Lost
            } else {
                Fault::IndexChecksum
            },
        })
    }

    /// Everything but the blocks. An error says where and what.
    fn check(bytes: &RunBytes) -> Result<(Header, Digest, Index), (usize, Fault)> {
        if bytes.len() < HEADER_LEN + FOOTER_LEN {
            return Err((bytes.len(), Fault::Truncated));
        }
        check_version(begin_version(bytes), 0)?;
        check_version(end_version(bytes), bytes.len() - 8)?;
        let footer_at = bytes.len() - FOOTER_LEN;
        // A copy: what is verified and what is kept are then the same bytes.
        let footer = &bytes[footer_at..].to_vec();
        let index_at = index_offset(footer, footer_at).ok_or((footer_at, Fault::Index))?;
        bytes.expect(index_at..footer_at);
        let (header, index) = (
            &bytes[..HEADER_LEN].to_vec(),
            &bytes[index_at..footer_at].to_vec(),
        );
        let checksum = footer_checksum(header, index, &footer[..FOOTER_CHECKED_LEN]);
        if read_u64(footer, FOOTER_CHECKED_LEN) != Some(checksum) {
            return Err((footer_at, Fault::IndexChecksum));
        }
        let header = Header::read(header).ok_or((0, Fault::Truncated))?;
        check_index(index, header.partitions, index_at).ok_or((index_at, Fault::Index))?;
        let digest = run_digest(read_entries(index));
        if read_u128(footer, 16) != Some(digest.0) {
            return Err((footer_at + 16, Fault::Digest));
        }
        Ok((header, digest, Index::new(index_at, index)))
    }
}

fn check_version(version: Option<u16>, offset: usize) -> Result<(), (usize, Fault)> {
    match version {
        Some(VERSION) => Ok(()),
        Some(other) => Err((offset, Fault::Version(other))),
        None => Err((offset, Fault::Magic)),
    }
}

/// Where the index begins, if it is whole entries and ends where the footer begins.
fn index_offset(footer: &[u8], footer_at: usize) -> Option<usize> {
    let offset = usize::try_from(read_u64(footer, 0)?).ok()?;
    let length = usize::try_from(read_u64(footer, 8)?).ok()?;
    let fits = offset >= HEADER_LEN
        && offset.checked_add(length)? == footer_at
        && length.is_multiple_of(INDEX_ENTRY_LEN);
    fits.then_some(offset)
}

/// Whether the segments lie one behind the other, from header to index, in order of partition.
fn check_index(index: &[u8], partitions: u32, index_at: usize) -> Option<()> {
    let mut end = HEADER_LEN as u64;
    let mut next = 0;
    for entry in read_entries(index) {
        let fits = entry.partition.0 >= next
            && entry.partition.0 < partitions
            && entry.offset == end
            && entry.records > 0
            && entry.bytes > 0;
        if !fits {
            return None;
        }
        next = entry.partition.0 + 1;
        end = end.checked_add(entry.bytes)?;
    }
    (end == index_at as u64).then_some(())
}

fn read_entries(index: &[u8]) -> impl Iterator<Item = IndexEntry> {
    index
        .chunks_exact(INDEX_ENTRY_LEN)
        .filter_map(IndexEntry::read)
}
