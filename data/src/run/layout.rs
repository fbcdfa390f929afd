//! The numbers of the run format, and the parts of it that writer and reader share.

use mapfold_terms::{Digest, MasterEpoch, PartitionId, Token};
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

/// The longest record, key and value together. Keeps every length of the format far inside a u32.
pub const RECORD_BYTES_MAX: usize = 1 << 30;

/// A payload grows to about this size: large enough that checksums and headers cost nothing, small enough to be in
/// cache between its verification and its reading.
pub(super) const PAYLOAD_TARGET: usize = 64 << 10;

/// Of the run format.
pub const VERSION: u16 = 3;

/// Stands where the length of a key does if the record has the key of the one before.
pub(super) const SAME_KEY: u32 = 0;
/// Stands there if the record is the one before, so often as the number after it says.
pub(super) const SAME_RECORD: u32 = 1;
/// Where the length of a key stands, it is so much more.
pub(super) const KEY_LEN_ABOVE: u32 = 2;
pub(super) const HEADER_LEN: usize = 24;
pub(super) const BLOCK_HEADER_LEN: usize = 16;
pub(super) const INDEX_ENTRY_LEN: usize = 36;
pub(super) const FOOTER_LEN: usize = 48;
/// Bytes of the footer that its checksum covers.
pub(super) const FOOTER_CHECKED_LEN: usize = 32;

const MAGIC_BEGIN: [u8; 6] = *b"MFRUN\0";
const MAGIC_END: [u8; 6] = *b"NURFM\0";

/// What a run begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) token: Token,
    pub(super) partitions: u32,
}

impl Header {
    pub(super) fn write(self, out: &mut Vec<u8>) {
        write_magic(MAGIC_BEGIN, out);
        out.extend_from_slice(&self.token.epoch.0.to_le_bytes());
        out.extend_from_slice(&self.token.counter.to_le_bytes());
        out.extend_from_slice(&self.partitions.to_le_bytes());
    }

    /// The fields; the magic is checked by [`begin_version`].
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            token: Token {
                epoch: MasterEpoch(read_u32(bytes, 8)?),
                counter: read_u64(bytes, 12)?,
            },
            partitions: read_u32(bytes, 20)?,
        })
    }
}

/// The version in front of a run; `None` if it does not begin like one.
pub(super) fn begin_version(bytes: &[u8]) -> Option<u16> {
    magic_version(bytes, MAGIC_BEGIN)
}

/// The version in the last bytes of a run; `None` if it does not end like one.
pub(super) fn end_version(bytes: &[u8]) -> Option<u16> {
    magic_version(bytes.get(bytes.len().checked_sub(8)?..)?, MAGIC_END)
}

pub(super) fn write_end(out: &mut Vec<u8>) {
    write_magic(MAGIC_END, out);
}

fn write_magic(magic: [u8; 6], out: &mut Vec<u8>) {
    out.extend_from_slice(&magic);
    out.extend_from_slice(&VERSION.to_le_bytes());
}

fn magic_version(bytes: &[u8], magic: [u8; 6]) -> Option<u16> {
    let version = bytes.get(6..8)?;
    (bytes[..6] == magic).then(|| u16::from_le_bytes([version[0], version[1]]))
}

/// One line of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexEntry {
    pub(super) partition: PartitionId,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) checksum: u64,
}

impl IndexEntry {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.partition.0.to_le_bytes());
        for number in [self.offset, self.bytes, self.records, self.checksum] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            partition: PartitionId(read_u32(bytes, 0)?),
            offset: read_u64(bytes, 4)?,
            bytes: read_u64(bytes, 12)?,
            records: read_u64(bytes, 20)?,
            checksum: read_u64(bytes, 28)?,
        })
    }
}

/// Digest of a run, fed with the lines of its index in order.
pub(super) fn run_digest(entries: impl IntoIterator<Item = IndexEntry>) -> Digest {
    let mut hasher = Xxh3::new();
    for entry in entries {
        hasher.update(&entry.partition.0.to_le_bytes());
        hasher.update(&entry.records.to_le_bytes());
        hasher.update(&entry.checksum.to_le_bytes());
    }
    Digest(hasher.digest128())
}

/// Checksum of all that is neither block nor magic.
pub(super) fn footer_checksum(header: &[u8], index: &[u8], footer: &[u8]) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(header);
    hasher.update(index);
    hasher.update(footer);
    hasher.digest()
}

/// Checksum of one block.
pub(super) fn block_checksum(
    partition: PartitionId,
    ordinal: u64,
    records: u32,
    payload: &[u8],
) -> u64 {
    let mut place = [0; 20];
    place[..4].copy_from_slice(&partition.0.to_le_bytes());
    place[4..12].copy_from_slice(&ordinal.to_le_bytes());
    place[12..16].copy_from_slice(&length_u32(payload.len()).to_le_bytes());
    place[16..].copy_from_slice(&records.to_le_bytes());
    xxh3_64_with_seed(payload, xxh3_64(&place))
}

/// Checksum of a partition, one block further.
pub(super) fn chain(partition_checksum: u64, block_checksum: u64) -> u64 {
    let mut both = [0; 16];
    both[..8].copy_from_slice(&partition_checksum.to_le_bytes());
    both[8..].copy_from_slice(&block_checksum.to_le_bytes());
    xxh3_64(&both)
}

/// A length that [`RECORD_BYTES_MAX`] keeps inside a u32.
#[inline]
pub(super) fn length_u32(length: usize) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "records are at most RECORD_BYTES_MAX long, and a payload is one record or at most its target"
    )]
    {
        length as u32
    }
}

#[inline]
pub(super) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[inline]
pub(super) fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(super) fn read_u128(bytes: &[u8], at: usize) -> Option<u128> {
    Some(u128::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
