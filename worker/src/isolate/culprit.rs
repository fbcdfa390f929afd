//! The record at which a map attempt's process ended or stood still, so that an abort or a loop is told as well as a panic.
//!
//! Whoever dies or never comes back says nothing. But a child tells how many records it has done, block by block; so the slot reads on from there, and
//! gives a new child the records that follow, each as a piece of its own, so that it tells of each. The one at which that child stops is given to
//! another child alone, and a last one is given nothing at all: three children and some tens of milliseconds for code that
//! dies; code that stands still has to be waited for twice. Where it takes several of those records (in a combiner, or by what a job keeps), the last of
//! them is told, or that it is after them all. Code that does not do it for them alone (its memory is used up by many others, or it depends on chance) is
//! told without a place.
//!
//! A piece of a packed file is all of it, and a row of a Parquet file no piece. The records of such files are copied into plain ones, which a child reads
//! instead: a record that does it there, too, is the one, and one that does not is told without a place.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use mapfold_data::input::{Block, Header, SplitReader, discover};
use mapfold_terms::{
    ByteSize, Codec, Format, InputFile, InputName, Piece, RawPath, RecordAt, Skipped, Split,
};

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
    /// As it is told if it is put aside; without what it did.
    skipped: Skipped,
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
    /// A record that does it alone, and as it is told if it is put aside.
    Record(RecordAt, Box<Skipped>),
    /// The last one of several that do it together; it does not do it alone.
    NotAlone(RecordAt),
    /// The end of the attempt, when all records are mapped.
    End,
    /// No record is needed.
    Nobody,
    /// That cannot be told.
    Unknown,
}

/// Finds it. `done`: records of the split that the first child had mapped for sure, or left out; those in `left_out` it was not given. Copies of records
/// go into `folder`. `try_out`: has a new child map this split.
pub(super) fn find(
    split: &Split,
    format: Format,
    record_max: ByteSize,
    done: u64,
    left_out: &[Skipped],
    folder: &Path,
    mut try_out: impl FnMut(Split) -> Trial,
) -> Culprit {
    let Some(mut suspects) = suspects(split, format, record_max, done, folder) else {
        return Culprit::Unknown;
    };
    suspects.retain(|it| left_out.iter().all(|known| known.record != it.at.record));
    let mut is_the_last = false;
    while suspects.len() > 1 {
        let piece = suspects.len().div_ceil(PIECES_MAX);
        let Trial::Repeats { done } = try_out(split_of(&suspects, piece)) else {
            return Culprit::Unknown;
        };
        let done = usize::try_from(done).unwrap_or(usize::MAX);
        if done >= suspects.len() {
            return Culprit::End;
        }
        is_the_last = true;
        // Its piece may be of several blocks.
        suspects.truncate((done / piece + 1) * piece);
        suspects.drain(..done);
    }
    let Some(one) = suspects.pop() else {
        return Culprit::End;
    };
    let (at, skipped) = (one.at.clone(), Box::new(one.skipped.clone()));
    let nothing = Split {
        index: 0,
        pieces: Vec::new(),
    };
    match try_out(split_of(&[one], 1)) {
        Trial::Repeats { .. } => match try_out(nothing) {
            Trial::Passed => Culprit::Record(at, skipped),
            Trial::Repeats { .. } => Culprit::Nobody,
            Trial::Unclear => Culprit::Unknown,
        },
        Trial::Passed if is_the_last => Culprit::NotAlone(at),
        Trial::Passed | Trial::Unclear => Culprit::Unknown,
    }
}

/// The records after the first `done` ones, some of them.
fn suspects(
    split: &Split,
    format: Format,
    record_max: ByteSize,
    done: u64,
    folder: &Path,
) -> Option<Vec<Suspect>> {
    let mut reader = SplitReader::new(split, format, record_max);
    let mut copies = Copies::new(folder, format);
    let mut suspects: Vec<Suspect> = Vec::new();
    let (mut before, mut bytes) = (0, 0);
    while bytes < WINDOW_MAX
        && let Some(block) = reader.next_block().ok()?
    {
        let count = block.record_count();
        if before + count <= done {
            before += count;
            continue;
        }
        let (file, block_start) = copies.whereabouts(&block).ok()?;
        let first = suspects.len();
        let mut lines_end = block_start;
        for record in block.records() {
            // A row of a Parquet file is a line here, and has no place in bytes there.
            let start = match block.row_group() {
                Some(_) => lines_end,
                None => block_start + (record.offset - block.offset()),
            };
            lines_end = start + record.bytes.len() as u64 + 1;
            // The one before ends where this one begins.
            if let Some(last) = suspects[first..].last_mut() {
                last.end = start;
            }
            before += 1;
            if before <= done {
                continue;
            }
            bytes += record.bytes.len() as u64 + 1;
            let excerpt_len = record.bytes.len().min(Skipped::TEXT_MAX);
            suspects.push(Suspect {
                file: file.clone(),
                start,
                end: block_start + block.bytes().len() as u64,
                at: RecordAt {
                    record: before,
                    row_group: block.row_group(),
                    ..record.at()
                },
                skipped: Skipped {
                    file: record.file.name.clone(),
                    offset: record.offset,
                    record: before,
                    bytes: record.bytes.len() as u64,
                    excerpt: record.bytes[..excerpt_len].to_vec(),
                    error: String::new(),
                },
            });
        }
    }
    copies.plan(&mut suspects)?;
    Some(suspects)
}

/// Plain files with records of those that cannot be read from the middle.
struct Copies<'a> {
    folder: &'a Path,
    format: Format,
    /// As it is read, and of whom it is a copy.
    made: Vec<(InputFile, InputFile)>,
    /// The last one, and how long it is.
    open: Option<(BufWriter<File>, u64)>,
}

impl<'a> Copies<'a> {
    fn new(folder: &'a Path, format: Format) -> Self {
        Self {
            folder,
            format,
            made: Vec::new(),
            open: None,
        }
    }

    /// In which file, and from which byte on, a child can read the block.
    fn whereabouts(&mut self, block: &Block<'_>) -> io::Result<(InputFile, u64)> {
        let file = block.file();
        let format = file.format_or(self.format);
        if file.codec == Codec::Plain && format != Format::Parquet {
            return Ok((file.clone(), block.offset()));
        }
        let goes_on = self.made.last().is_some_and(|(_, of)| of == file);
        if !goes_on || format == Format::Files {
            self.begin(file, format, block.header())?;
        }
        let (Some((copy, _)), Some((writer, len))) = (self.made.last(), &mut self.open) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        let start = *len;
        writer.write_all(block.bytes())?;
        *len += block.bytes().len() as u64;
        Ok((copy.clone(), start))
    }

    fn begin(
        &mut self,
        file: &InputFile,
        format: Format,
        header: Option<&Header>,
    ) -> io::Result<()> {
        let path = self.folder.join(format!("records-{}", self.made.len()));
        let mut writer = BufWriter::new(File::create_new(&path)?);
        let header = header.map(line_of).unwrap_or_default();
        writer.write_all(&header)?;
        let copy = InputFile {
            path: RawPath::from(path.as_path()),
            codec: Codec::Plain,
            format: Some(match format {
                Format::Parquet => Format::Lines,
                format => format,
            }),
            ..file.clone()
        };
        if let Some((mut before, _)) = self.open.replace((writer, header.len() as u64)) {
            before.flush()?;
        }
        self.made.push((copy, file.clone()));
        Ok(())
    }

    /// Has the suspects know the files that are now written.
    fn plan(mut self, suspects: &mut [Suspect]) -> Option<()> {
        if let Some((mut last, _)) = self.open.take() {
            last.flush().ok()?;
        }
        let mut written = BTreeMap::new();
        for (copy, _) in self.made {
            let name = InputName {
                typed: copy.path.clone(),
                absolute: copy.path.clone(),
                input: copy.input,
                format: copy.format,
            };
            let found = discover(&[name]).ok()?.pop()?;
            written.insert(copy.path, found.fingerprint);
        }
        for suspect in suspects {
            if let Some(fingerprint) = written.get(&suspect.file.path) {
                suspect.file.fingerprint = *fingerprint;
            }
        }
        Some(())
    }
}

/// The names of columns as the first line of a file.
fn line_of(header: &Header) -> Vec<u8> {
    let mut line = Vec::new();
    for name in header.names() {
        line.push(b'"');
        for byte in name {
            line.extend(std::iter::repeat_n(*byte, 1 + usize::from(*byte == b'"')));
        }
        line.extend([b'"', header.delimiter()]);
    }
    line.pop();
    line.push(b'\n');
    line
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

    /// As [`super::find`], with a folder for copies.
    fn find(
        split: &Split,
        format: Format,
        done: u64,
        try_out: impl FnMut(Split) -> Trial,
    ) -> Culprit {
        find_without(&[], split, format, done, try_out)
    }

    /// The same, where some records are left out already.
    fn find_without(
        left_out: &[Skipped],
        split: &Split,
        format: Format,
        done: u64,
        try_out: impl FnMut(Split) -> Trial,
    ) -> Culprit {
        let folder = tempfile::tempdir().unwrap();
        super::find(
            split,
            format,
            ByteSize::mib(1),
            done,
            left_out,
            folder.path(),
            try_out,
        )
    }

    fn plan(folder: &Path, format: Format, split_size: u64) -> Vec<Split> {
        let name = InputName {
            typed: RawPath::from(folder),
            absolute: RawPath::from(folder),
            input: 0,
            format: None,
        };
        let found = discover(&[name]).unwrap();
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
                        let found = find(&split, format, done, |sub| {
                            stops(&sub, format, |at, it| at == *offset && it == text)
                        });
                        let Culprit::Record(found, _) = found else {
                            panic!("{format} {text:?} after {done}: {found:?}");
                        };
                        assert_eq!((found.offset, found.record), (*offset, index as u64 + 1));
                        assert_eq!(found.excerpt, text.as_bytes());
                    }
                    let find = |trial| find(&split, format, 0, |_| trial);
                    assert_eq!(find(Trial::Passed), Culprit::Unknown);
                    assert_eq!(find(Trial::Unclear), Culprit::Unknown);
                    let always = find(Trial::Repeats { done: 0 });
                    assert_eq!(always, Culprit::Nobody);
                }
            }
        }
    }

    /// A child reads copies of records that it could not read from the middle of their file.
    #[test]
    fn the_record_is_found_in_packed_files() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a.gz", "one,\"a\r\ntwo,\"\"\n\nthree,b\nfour,c"),
            ("b.gz", "name,\"o\"\"ther\"\nfive,2\nsix,3\n"),
        ] {
            let file = File::create(folder.path().join(name)).unwrap();
            let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            packed.write_all(text.as_bytes()).unwrap();
            packed.finish().unwrap();
        }
        for format in [Format::Lines, Format::Files] {
            let [split] = plan(folder.path(), format, 1 << 20).try_into().unwrap();
            check_all(&split, format);
        }
        fs::remove_file(folder.path().join("a.gz")).unwrap();
        let [split] = plan(folder.path(), Format::CSV, 1 << 20)
            .try_into()
            .unwrap();
        check_all(&split, Format::CSV);
        let found = find(&split, Format::CSV, 0, |sub| {
            let mut reader = SplitReader::new(&sub, Format::CSV, ByteSize::mib(1));
            while let Some(block) = reader.next_block().unwrap() {
                assert_eq!(block.header().unwrap().column("o\"ther"), Some(1));
            }
            stops(&sub, Format::CSV, |_, it| it == "six,3")
        });
        assert!(matches!(found, Culprit::Record(at, _) if at.offset == 22));
    }

    /// A split of so many lines, each with its number.
    fn lines(count: u32) -> (tempfile::TempDir, Split) {
        let folder = tempfile::tempdir().unwrap();
        let text: String = (0..count).map(|n| format!("line {n}\n")).collect();
        fs::write(folder.path().join("a"), text).unwrap();
        let [split] = plan(folder.path(), Format::Lines, 1 << 20)
            .try_into()
            .unwrap();
        (folder, split)
    }

    /// Each record is found by its text.
    fn check_all(split: &Split, format: Format) {
        for (index, (offset, text)) in records(split, format).iter().enumerate() {
            for done in 0..=index as u64 {
                let found = find(split, format, done, |sub| {
                    stops(&sub, format, |_, it| it == text)
                });
                let Culprit::Record(found, _) = found else {
                    panic!("{format} {text:?} after {done}: {found:?}");
                };
                assert_eq!((found.offset, found.record), (*offset, index as u64 + 1));
            }
        }
    }

    /// A combiner needs two values of a key, and may be called only when all is mapped.
    #[test]
    fn what_takes_several_records_or_the_end_is_told_so() {
        let (_folder, split) = lines(20);
        let find = |done, stops_at: &dyn Fn(&[String]) -> Option<usize>| {
            find(&split, Format::Lines, done, |sub| {
                let texts = records(&sub, Format::Lines).into_iter().map(|it| it.1);
                match stops_at(&texts.collect::<Vec<_>>()) {
                    Some(done) => Trial::Repeats { done: done as u64 },
                    None => Trial::Passed,
                }
            })
        };
        let both = |texts: &[String]| {
            let at = |want| texts.iter().position(|text| text == want);
            at("line 7").and(at("line 9"))
        };
        let found = find(3, &both);
        assert!(matches!(found, Culprit::NotAlone(at) if at.record == 10));
        // Those before 9 were done, so 7 is none of the suspects.
        assert_eq!(find(8, &both), Culprit::Unknown);
        let at_the_end = |texts: &[String]| Some(texts.len());
        assert_eq!(find(0, &at_the_end), Culprit::End);
        assert_eq!(find(20, &at_the_end), Culprit::End);
    }

    #[test]
    fn records_are_found_one_after_the_other() {
        let (_folder, split) = lines(20);
        let mut left_out = Vec::new();
        for want in [5, 6, 15] {
            let found = find_without(&left_out, &split, Format::Lines, 0, |sub| {
                stops(&sub, Format::Lines, |_, it| {
                    ["line 5", "line 6", "line 15"].contains(&it)
                })
            });
            let Culprit::Record(at, skipped) = found else {
                panic!("{found:?}");
            };
            assert_eq!((at.record, skipped.at()), (want + 1, at));
            left_out.push(*skipped);
        }
    }

    /// More records than a child is given pieces.
    #[test]
    fn the_record_is_found_among_many() {
        let (_folder, split) = lines(9000);
        for n in [0, 1, 1023, 1024, 5000, 8999] {
            let mut trials = 0;
            let found = find(&split, Format::Lines, 0, |sub| {
                trials += 1;
                assert!(sub.pieces.len() <= PIECES_MAX);
                stops(&sub, Format::Lines, |_, it| it == format!("line {n}"))
            });
            assert!(matches!(found, Culprit::Record(at, _) if at.record == n + 1));
            assert!(trials <= 4, "{trials} trials");
        }
    }
}
