//! The record at which a map attempt's process ended, so that an abort is told as well as a panic.
//!
//! Whoever dies says nothing. But a child tells how many records it has done, block by block; so the slot reads on from there, and has new children map
//! fewer and fewer of the records that follow, until one is left that ends its process by itself: a dozen children and some
//! tens of milliseconds for a block of ten thousand lines. Code that does not die of one record alone (its memory is used up by many of them, or it
//! depends on chance) is told without a place.

use std::time::{Duration, Instant};

use mapfold_data::input::SplitReader;
use mapfold_terms::{ByteSize, Codec, Format, InputFile, Piece, RecordAt, Split};

/// Bytes of records that are looked at: more than a child reads as one block.
const WINDOW_MAX: u64 = 512 << 10;
/// Code that takes its time to die is not waited for for ever.
const SEARCH_MAX: Duration = Duration::from_secs(20);

/// A record that may be the one.
struct Suspect {
    file: InputFile,
    /// The first byte, and the byte after the last; the end of its line included.
    start: u64,
    end: u64,
    at: RecordAt,
}

/// Finds it. `done`: records of the split that the dead child had mapped for sure. `dies`: whether a child that maps this split
/// dies; `None` if that is not known.
pub(super) fn find(
    split: &Split,
    format: Format,
    record_max: ByteSize,
    done: u64,
    mut dies: impl FnMut(Split) -> Option<bool>,
) -> Option<RecordAt> {
    let deadline = Instant::now() + SEARCH_MAX;
    let mut suspects = suspects(split, format, record_max, done)?;
    while suspects.len() > 1 {
        if Instant::now() > deadline {
            return None;
        }
        let later = suspects.split_off(suspects.len() / 2);
        if !dies(split_of(&suspects))? {
            suspects = later;
        }
    }
    // By itself, and not only by elimination.
    let [one] = suspects.as_slice() else {
        return None;
    };
    dies(split_of(&suspects))?.then(|| one.at.clone())
}

/// The records after the first `done` ones, some of them.
fn suspects(
    split: &Split,
    format: Format,
    record_max: ByteSize,
    done: u64,
) -> Option<Vec<Suspect>> {
    // A piece of a packed file is all of it, and a row of a Parquet file no piece.
    let mut files = split.pieces.iter().map(|piece| &piece.file);
    if files.any(|it| it.codec != Codec::Plain || it.format_or(format) == Format::Parquet) {
        return None;
    }
    let mut reader = SplitReader::new(split, format, record_max);
    let mut suspects: Vec<Suspect> = Vec::new();
    let (mut before, mut bytes) = (0, 0);
    while bytes < WINDOW_MAX
        && let Some(block) = reader.next_block().ok()?
    {
        let block_end = block.offset() + block.bytes().len() as u64;
        let count = block.record_count();
        if before + count <= done {
            before += count;
            continue;
        }
        for record in block.records() {
            // The one before ends where this one begins.
            if let Some(last) = suspects.last_mut().filter(|last| last.end == u64::MAX) {
                last.end = record.offset;
            }
            before += 1;
            if before <= done {
                continue;
            }
            bytes += record.bytes.len() as u64 + 1;
            suspects.push(Suspect {
                file: record.file.clone(),
                start: record.offset,
                end: u64::MAX,
                at: RecordAt {
                    record: before,
                    ..record.at()
                },
            });
        }
        if let Some(last) = suspects.last_mut() {
            last.end = last.end.min(block_end);
        }
    }
    Some(suspects)
}

/// These records and no others.
fn split_of(suspects: &[Suspect]) -> Split {
    let mut pieces: Vec<Piece> = Vec::new();
    for suspect in suspects {
        match pieces.last_mut() {
            Some(last) if last.file == suspect.file && last.end == suspect.start => {
                last.end = suspect.end;
            }
            _ => pieces.push(Piece {
                file: suspect.file.clone(),
                start: suspect.start,
                end: suspect.end,
            }),
        }
    }
    Split { index: 0, pieces }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use mapfold_terms::{InputName, RawPath};

    use super::*;

    /// The records of a split, in words.
    fn records(split: &Split, format: Format) -> Vec<(u64, String)> {
        let mut reader = SplitReader::new(split, format, ByteSize::mib(1));
        let mut records = Vec::new();
        while let Some(block) = reader.next_block().unwrap() {
            records.extend(
                block
                    .records()
                    .map(|it| (it.offset, it.text().into_owned())),
            );
        }
        records
    }

    fn plan(folder: &Path, format: Format, split_size: u64) -> Vec<Split> {
        let name = InputName {
            typed: RawPath::from(folder),
            absolute: RawPath::from(folder),
            input: 0,
            format: None,
        };
        let found = mapfold_data::input::discover(&[name]).unwrap();
        let plan = mapfold_data::input::plan(found, format, Some(ByteSize(split_size)), None);
        plan.unwrap().splits
    }

    /// Wherever the one record is that kills, in whatever split, and however far the child had come.
    #[test]
    fn the_record_is_found_wherever_it_is() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "one\r\ntwo\n\nthree\nfour\n").unwrap();
        fs::write(folder.path().join("b"), "five\nsix\nseven").unwrap();
        let seven = Format::Fixed(std::num::NonZeroU32::new(7).unwrap());
        for (format, split_size) in [
            (Format::Lines, 6),
            (Format::Lines, 1000),
            (Format::Files, 9),
            (seven, 14),
        ] {
            for split in plan(folder.path(), format, split_size) {
                let all = records(&split, format);
                for (index, (offset, text)) in all.iter().enumerate() {
                    for done in 0..=index {
                        let found = find(&split, format, ByteSize::mib(1), done as u64, |sub| {
                            Some(
                                records(&sub, format)
                                    .iter()
                                    .any(|it| it.1 == *text && it.0 == *offset),
                            )
                        });
                        let found =
                            found.unwrap_or_else(|| panic!("{format} {text:?} after {done}"));
                        assert_eq!((found.offset, found.record), (*offset, index as u64 + 1));
                        assert_eq!(found.excerpt, text.as_bytes());
                    }
                    let innocent = find(&split, format, ByteSize::mib(1), 0, |_| Some(false));
                    assert_eq!(innocent, None);
                }
            }
        }
    }
}
