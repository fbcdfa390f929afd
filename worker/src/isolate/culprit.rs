//! The record at which a map attempt's process ended or stood still, so that an abort or a loop is told as well as a panic.
//!
//! Whoever dies or never comes back says nothing. But a child tells how many records it has done, block by block; so the slot reads on from there, and
//! gives a new child the records that follow, each as a piece of its own, so that it tells of each. The one at which that child stops is given to
//! another child alone, and a last one is given nothing at all: three children and some tens of milliseconds for code that
//! dies; code that stands still has to be waited for twice. Code that does not do it for one record alone (its memory is used up by many of them, or it
//! depends on chance) is told without a place.

use mapfold_data::input::SplitReader;
use mapfold_terms::{ByteSize, Codec, Format, InputFile, Piece, RecordAt, Split};

/// Bytes of records that are looked at: more than a child reads as one block.
const WINDOW_MAX: u64 = 512 << 10;
/// Pieces that a child is given: each is opened and told of. Where there are more records, each has several.
const PIECES_MAX: usize = 1024;

/// A record that may be the one.
struct Suspect {
    file: InputFile,
    /// The first byte, and the byte after the last; the end of its line included.
    start: u64,
    end: u64,
    at: RecordAt,
}

/// What a new child made of some records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// It has done all of them.
    Passed,
    /// It does what is looked into, having done so many of them.
    Repeats { done: u64 },
    /// That cannot be told.
    Unclear,
}

/// Who it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Culprit {
    /// A record that does it alone.
    Record(RecordAt),
    /// No record is needed.
    Nobody,
    /// That cannot be told.
    Unknown,
}

/// Finds it. `done`: records of the split that the first child had mapped for sure. `try_out`: has a new child map this split.
pub(super) fn find(
    split: &Split,
    format: Format,
    record_max: ByteSize,
    done: u64,
    mut try_out: impl FnMut(Split) -> Trial,
) -> Culprit {
    let Some(mut suspects) = suspects(split, format, record_max, done) else {
        return Culprit::Unknown;
    };
    while suspects.len() > 1 {
        let piece = suspects.len().div_ceil(PIECES_MAX);
        let Trial::Repeats { done } = try_out(split_of(&suspects, piece)) else {
            return Culprit::Unknown;
        };
        let done = usize::try_from(done).unwrap_or(usize::MAX);
        if done >= suspects.len() {
            return Culprit::Unknown;
        }
        // Its piece may be of several blocks.
        suspects.truncate((done / piece + 1) * piece);
        suspects.drain(..done);
    }
    let Some(one) = suspects.pop() else {
        return Culprit::Unknown;
    };
    let at = one.at.clone();
    let nothing = Split {
        index: 0,
        pieces: Vec::new(),
    };
    match try_out(split_of(&[one], 1)) {
        Trial::Repeats { .. } => match try_out(nothing) {
            Trial::Passed => Culprit::Record(at),
            Trial::Repeats { .. } => Culprit::Nobody,
            Trial::Unclear => Culprit::Unknown,
        },
        Trial::Passed | Trial::Unclear => Culprit::Unknown,
    }
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

/// These records and no others, so many to a piece.
fn split_of(suspects: &[Suspect], piece: usize) -> Split {
    let mut pieces: Vec<Piece> = Vec::new();
    for group in suspects.chunks(piece) {
        let first = pieces.len();
        for suspect in group {
            match pieces[first..].last_mut() {
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

    /// What a child makes of a split that stops at a record: it tells of whole blocks.
    fn stops(split: &Split, format: Format, at: impl Fn(u64, &str) -> bool) -> Trial {
        let mut reader = SplitReader::new(split, format, ByteSize::mib(1));
        let mut done = 0;
        while let Some(block) = reader.next_block().unwrap() {
            if block.records().any(|it| at(it.offset, &it.text())) {
                return Trial::Repeats { done };
            }
            done += block.record_count();
        }
        Trial::Passed
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
                    for done in 0..=index as u64 {
                        let found = find(&split, format, ByteSize::mib(1), done, |sub| {
                            stops(&sub, format, |at, it| at == *offset && it == text)
                        });
                        let Culprit::Record(found) = found else {
                            panic!("{format} {text:?} after {done}: {found:?}");
                        };
                        assert_eq!((found.offset, found.record), (*offset, index as u64 + 1));
                        assert_eq!(found.excerpt, text.as_bytes());
                    }
                    let find = |trial| find(&split, format, ByteSize::mib(1), 0, |_| trial);
                    assert_eq!(find(Trial::Passed), Culprit::Unknown);
                    assert_eq!(find(Trial::Unclear), Culprit::Unknown);
                    let always = find(Trial::Repeats { done: 0 });
                    assert_eq!(always, Culprit::Nobody);
                }
            }
        }
    }

    /// More records than a child is given pieces.
    #[test]
    fn the_record_is_found_among_many() {
        let folder = tempfile::tempdir().unwrap();
        let text: String = (0..9000).map(|n| format!("line {n}\n")).collect();
        fs::write(folder.path().join("a"), text).unwrap();
        let [split] = plan(folder.path(), Format::Lines, 1 << 20)
            .try_into()
            .unwrap();
        for n in [0, 1, 1023, 1024, 5000, 8999] {
            let mut trials = 0;
            let found = find(&split, Format::Lines, ByteSize::mib(1), 0, |sub| {
                trials += 1;
                assert!(sub.pieces.len() <= PIECES_MAX);
                stops(&sub, Format::Lines, |_, it| it == format!("line {n}"))
            });
            assert!(matches!(found, Culprit::Record(at) if at.record == n + 1));
            assert!(trials <= 4, "{trials} trials");
        }
    }
}
