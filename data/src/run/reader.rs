//! Opens a run and finds its segments.

use mapfold_terms::{Digest, PartitionId, Token};

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
    /// Offset of the index, which lies between the blocks and the footer.
    index: usize,
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
                index,
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

    /// Records in all partitions.
    pub fn records(&self) -> u64 {
        self.entries().map(|entry| entry.records).sum()
    }

    /// The bytes, for whoever serves them.
    pub fn bytes(&self) -> &RunBytes {
        &self.bytes
    }

    /// The partitions that hold records, in order. What comes from a file is certain only once [`segment`](Self::segment) has returned for it.
    pub fn present(&self) -> impl Iterator<Item = PartitionId> {
        self.entries().map(|entry| entry.partition)
    }

    /// The blocks of one partition; an empty segment if it has no records. Logarithmic in the number of partitions.
    ///
    /// # Errors
    /// The index came out of memory meanwhile, and its file does not give it any more.
    pub fn segment(&self, partition: PartitionId) -> Result<Segment, ReadRunError> {
        let segment = self.find(partition);
        self.check_seen()?;
        self.bytes.release_touched(self.index..self.bytes.len());
        Ok(segment)
    }

    /// Whether all bytes that were seen so far came from the file.
    pub(crate) fn check_seen(&self) -> Result<(), ReadRunError> {
        if self.bytes.have_lost() {
            return Err(ReadRunError::Corrupt {
                place: self.bytes.place(),
                offset: self.index as u64,
                fault: Fault::Lost,
            });
        }
        Ok(())
    }

    fn find(&self, partition: PartitionId) -> Segment {
        let index = self.index_bytes();
        let (mut low, mut high) = (0, index.len() / INDEX_ENTRY_LEN);
        while low < high {
            let middle = low.midpoint(high);
            let entry = IndexEntry::read(&index[middle * INDEX_ENTRY_LEN..])
                .expect("the index is whole entries");
            match entry.partition.cmp(&partition) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Segment::of_run(&self.bytes, &entry),
            }
        }
        Segment::empty(partition)
    }

    fn entries(&self) -> impl Iterator<Item = IndexEntry> {
        read_entries(self.index_bytes())
    }

    fn index_bytes(&self) -> &[u8] {
        &self.bytes[self.index..self.bytes.len() - FOOTER_LEN]
    }

    /// Everything but the blocks. An error says where and what.
    fn check(bytes: &RunBytes) -> Result<(Header, Digest, usize), (usize, Fault)> {
        if bytes.len() < HEADER_LEN + FOOTER_LEN {
            return Err((bytes.len(), Fault::Truncated));
        }
        check_version(begin_version(bytes), 0)?;
        check_version(end_version(bytes), bytes.len() - 8)?;
        let footer_at = bytes.len() - FOOTER_LEN;
        let footer = &bytes[footer_at..];
        let index_at = index_offset(footer, footer_at).ok_or((footer_at, Fault::Index))?;
        bytes.expect(index_at..footer_at);
        let (header, index) = (&bytes[..HEADER_LEN], &bytes[index_at..footer_at]);
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
        Ok((header, digest, index_at))
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
