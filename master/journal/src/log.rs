//! How records follow one another in a file, and how damage shows.
//!
//! ```text
//! file     "MFJNL\0"  version u16                                                                8 bytes
//!          records
//! record   length u32    of the payload, at most 2 MiB                                          40 bytes + payload
//!          epoch u32     of the master that wrote it; never falls
//!          sequence u64  counts the records of the file, from 1
//!          durable u64   the last record that was known to be on disk when this one was made
//!          previous u64  the checksum of the record before; of the first, the XXH3-64 of the file's first 8 bytes
//!          checksum u64  XXH3-64 of the 32 bytes before and the payload
//!          payload       kind u8, then its fields (`layout`)
//! ```
//! Numbers are little-endian. A record is taken only if its length, epoch, sequence, predecessor and checksum are right;
//! reading stops at the first that is not. What follows decides what that means. Records are written in batches,
//! and a batch is synced before anything that it says is told to anybody. So if no valid record follows that was
//! made after the bad one was known to be durable, then power was lost while the bad one's batch was written, nobody
//! knows of it, and it is cut off: a torn tail, with holes or without. If one does follow, the bad one was on disk
//! and is damaged now, and the file is refused: there is no way to tell what it said. (Damage within the very last batch
//! cannot be told from a torn tail.)

use mapfold_terms::MasterEpoch;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::record::Record;

/// Payload of one record, in bytes: above the largest message, of which every record is a part, and small enough that a damaged length
/// costs nothing.
pub const RECORD_MAX: usize = 2 << 20;

const MAGIC: [u8; 8] = *b"MFJNL\0\x01\x00";
/// Without the version.
const MAGIC_NAME: usize = 6;

/// A record without its payload.
const HEADER: usize = 40;

/// Why a file is not read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It does not begin as a journal does.
    #[error("it is not a journal")]
    NoJournal,
    /// Another version of this program wrote it.
    #[error("it has version {0}, and this program writes version 1")]
    Version(u16),
    /// A record that was once whole is not any more.
    #[error("it is damaged at byte {offset}, in record {sequence}: later records are whole")]
    Record {
        /// Where the damaged record begins.
        offset: u64,
        /// Its number.
        sequence: u64,
    },
    /// A record is whole and makes no sense.
    #[error("record {sequence} at byte {offset} cannot be understood")]
    Unknown {
        /// Where the record begins.
        offset: u64,
        /// Its number.
        sequence: u64,
    },
}

/// Makes the bytes of one file, record by record.
#[derive(Clone, Debug)]
pub struct Writer {
    epoch: MasterEpoch,
    /// Of the last record.
    sequence: u64,
    durable: u64,
    previous: u64,
}

impl Writer {
    /// A new file, whose first bytes are appended to `out`.
    pub fn new(epoch: MasterEpoch, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(&MAGIC);
        Self {
            epoch,
            sequence: 0,
            durable: 0,
            previous: xxh3_64(&MAGIC),
        }
    }

    /// Appends a record to what is to be written next.
    ///
    /// # Panics
    /// It is longer than [`RECORD_MAX`]: a bug, as no message is.
    pub fn append(&mut self, record: &Record, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + HEADER, 0);
        record.encode(out);
        let length = out.len() - start - HEADER;
        assert!(length <= RECORD_MAX, "a record of {length} bytes");
        self.sequence += 1;
        let header = Header {
            length: u32::try_from(length).unwrap_or(u32::MAX),
            epoch: self.epoch,
            sequence: self.sequence,
            durable: self.durable,
            previous: self.previous,
        };
        let header = header.to_bytes();
        let checksum = checksum(&header, &out[start + HEADER..]);
        out[start..start + 32].copy_from_slice(&header);
        out[start + 32..start + HEADER].copy_from_slice(&checksum.to_le_bytes());
        self.previous = checksum;
    }

    /// All that was appended so far is on disk.
    pub fn synced(&mut self) {
        self.durable = self.sequence;
    }
}

/// Reads a whole file. Returns its records and how many of its bytes they take up; what is behind was never told to
/// anybody.
///
/// # Errors
/// See [`Damage`].
pub fn read(bytes: &[u8]) -> Result<(Vec<Record>, usize), Damage> {
    let magic = bytes.get(..MAGIC.len()).ok_or(Damage::NoJournal)?;
    if magic != MAGIC {
        let name_fits = magic[..MAGIC_NAME] == MAGIC[..MAGIC_NAME];
        let version = u16::from_le_bytes([magic[MAGIC_NAME], magic[MAGIC_NAME + 1]]);
        return Err(match name_fits {
            true => Damage::Version(version),
            false => Damage::NoJournal,
        });
    }
    let mut records = Vec::new();
    let mut offset = MAGIC.len();
    let mut epoch = MasterEpoch(0);
    let mut previous = xxh3_64(&MAGIC);
    let mut sequence = 1;
    while let Some((header, checksum, payload)) = Header::read(&bytes[offset..]) {
        let follows = header.sequence == sequence
            && header.previous == previous
            && header.epoch >= epoch
            && header.durable < sequence;
        if !follows {
            break;
        }
        let at = offset as u64;
        records.push(Record::decode(payload).ok_or(Damage::Unknown {
            offset: at,
            sequence,
        })?);
        offset += HEADER + payload.len();
        epoch = header.epoch;
        previous = checksum;
        sequence += 1;
    }
    if was_durable(&bytes[offset..], sequence) {
        return Err(Damage::Record {
            offset: offset as u64,
            sequence,
        });
    }
    Ok((records, offset))
}

/// Whether a record behind the bad one, which has number `bad`, shows that the bad one was durable once.
/// Cost: a few compares for each byte of the rest, as hardly any place looks like a header.
fn was_durable(rest: &[u8], bad: u64) -> bool {
    let places = 1..rest.len().saturating_sub(HEADER);
    let most = bad + rest.len() as u64;
    places.into_iter().any(|place| {
        let Some(header) = Header::parse(&rest[place..]) else {
            return false;
        };
        let plausible = (bad..most).contains(&header.durable)
            && (header.durable + 1..=most).contains(&header.sequence);
        plausible && Header::read(&rest[place..]).is_some()
    })
}

/// The first 32 bytes of a record.
struct Header {
    length: u32,
    epoch: MasterEpoch,
    sequence: u64,
    durable: u64,
    previous: u64,
}

impl Header {
    fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&self.length.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.epoch.0.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.durable.to_le_bytes());
        bytes[24..].copy_from_slice(&self.previous.to_le_bytes());
        bytes
    }

    /// What stands at the front of `bytes`, right or wrong; `None` if they are too few.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let u32_at = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        Some(Self {
            length: u32_at(0)?,
            epoch: MasterEpoch(u32_at(4)?),
            sequence: u64_at(8)?,
            durable: u64_at(16)?,
            previous: u64_at(24)?,
        })
    }

    /// The record at the front of `bytes`, if it is whole: header, checksum, payload.
    fn read(bytes: &[u8]) -> Option<(Self, u64, &[u8])> {
        let header = Self::parse(bytes)?;
        let length = header.length as usize;
        if length > RECORD_MAX {
            return None;
        }
        let want = u64::from_le_bytes(bytes.get(32..HEADER)?.try_into().ok()?);
        let payload = bytes.get(HEADER..HEADER + length)?;
        let got = checksum(bytes.get(..32)?, payload);
        (got == want).then_some((header, want, payload))
    }
}

fn checksum(header: &[u8], payload: &[u8]) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(header);
    hash.update(payload);
    hash.digest()
}

#[cfg(test)]
mod tests {
    use mapfold_terms::JobId;
    use proptest::prelude::*;

    use super::*;
    use crate::samples;

    const EPOCH: MasterEpoch = MasterEpoch(7);

    /// A file of these batches, each synced; where each record begins, and the end.
    fn file(batches: &[Vec<Record>]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(EPOCH, &mut bytes);
        let mut starts = Vec::new();
        for batch in batches {
            for record in batch {
                starts.push(bytes.len());
                writer.append(record, &mut bytes);
            }
            writer.synced();
        }
        starts.push(bytes.len());
        (bytes, starts)
    }

    fn batches() -> Vec<Vec<Record>> {
        let records = samples::records();
        vec![
            records[..1].to_vec(),
            records[1..6].to_vec(),
            records[6..8].to_vec(),
            records[8..].to_vec(),
        ]
    }

    #[test]
    fn a_file_reads_back_as_written() {
        let batches = batches();
        let (bytes, _) = file(&batches);
        assert_eq!(read(&bytes), Ok((batches.concat(), bytes.len())));
    }

    #[test]
    fn a_file_cut_anywhere_gives_the_whole_records_before_the_cut() {
        let batches = batches();
        let (bytes, starts) = file(&batches);
        let records = batches.concat();
        for cut in MAGIC.len()..bytes.len() {
            let whole = starts.iter().filter(|start| **start <= cut).count() - 1;
            let want = (records[..whole].to_vec(), starts[whole]);
            assert_eq!(read(&bytes[..cut]), Ok(want), "cut at {cut}");
        }
        for cut in 0..MAGIC.len() {
            assert_eq!(read(&bytes[..cut]), Err(Damage::NoJournal));
        }
    }

    /// Flips bits of every byte. In the last batch the rest of the file goes, as a torn tail; anywhere before, the file is
    /// refused, naming the record.
    #[test]
    fn a_flipped_byte_is_never_accepted() {
        let batches = batches();
        let (bytes, starts) = file(&batches);
        let records = batches.concat();
        let last_batch = records.len() - batches.last().unwrap().len();
        for (at, mask) in (0..bytes.len()).flat_map(|at| [(at, 1), (at, 0x80), (at, 0xff)]) {
            let mut damaged = bytes.clone();
            damaged[at] ^= mask;
            let got = read(&damaged);
            if at < MAGIC.len() {
                assert!(got.is_err(), "byte {at}");
                continue;
            }
            let hit = starts.iter().filter(|start| **start <= at).count() - 1;
            let want = if hit < last_batch {
                Err(Damage::Record {
                    offset: starts[hit] as u64,
                    sequence: hit as u64 + 1,
                })
            } else {
                Ok((records[..hit].to_vec(), starts[hit]))
            };
            assert_eq!(got, want, "byte {at} ^ {mask:#x}");
        }
    }

    #[test]
    fn a_hole_in_a_batch_that_was_never_synced_is_a_torn_tail() {
        let batches = batches();
        let (mut bytes, starts) = file(&batches);
        // The first record of the last batch never reached the disk; those behind it did.
        let hole = batches[..3].concat().len();
        bytes[starts[hole]..starts[hole + 1]].fill(0);
        assert_eq!(read(&bytes), Ok((batches[..3].concat(), starts[hole])));
    }

    #[test]
    fn a_record_of_another_file_does_not_follow() {
        let (one, starts) = file(&batches());
        let other = vec![
            vec![Record::Committing { job: JobId(9) }],
            batches()[1].clone(),
        ];
        let (two, two_starts) = file(&other);
        let mixed = [&one[..starts[1]], &two[two_starts[1]..two_starts[2]]].concat();
        let (records, len) = read(&mixed).unwrap();
        assert_eq!((records.len(), len), (1, starts[1]));
    }

    #[test]
    fn the_bytes_of_a_record_are_the_documented_ones() {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(MasterEpoch(0x0102_0304), &mut bytes);
        writer.append(&Record::Committing { job: JobId(5) }, &mut bytes);
        let want = [
            b"MFJNL\0\x01\0".as_slice(),
            &[9, 0, 0, 0],
            &[4, 3, 2, 1],
            &[1, 0, 0, 0, 0, 0, 0, 0],
            &[0; 8],
            &xxh3_64(b"MFJNL\0\x01\0").to_le_bytes(),
            &xxh3_64(&[&bytes[8..40], &bytes[48..]].concat()).to_le_bytes(),
            &[11, 5, 0, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        assert_eq!(bytes, want);
    }

    #[test]
    fn another_version_is_told_apart_from_another_file() {
        let (mut bytes, _) = file(&batches());
        bytes[6] = 2;
        assert_eq!(read(&bytes), Err(Damage::Version(2)));
        bytes[0] = b'x';
        assert_eq!(read(&bytes), Err(Damage::NoJournal));
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(tail in proptest::collection::vec(any::<u8>(), 0..400)) {
            let (mut bytes, _) = file(&batches()[..2]);
            let whole = read(&bytes).unwrap();
            bytes.extend(tail);
            prop_assert_eq!(read(&bytes).unwrap(), whole);
        }
    }
}
