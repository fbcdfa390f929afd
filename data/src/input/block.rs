//! What a job sees of its input: a block of whole records, and the records in it.

use std::borrow::Cow;

use mapfold_terms::{Format, InputFile, RecordAt};
use memchr::{memchr, memchr_iter, memrchr};

use super::Header;

/// Some whole records that follow each other in one file.
///
/// A job takes it record by record ([`Block::records`]) or, where it does not care where records
/// end, as it is ([`Block::bytes`]). A block may be empty: an empty file is one empty block.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    file: &'a InputFile,
    offset: u64,
    bytes: &'a [u8],
    format: Format,
    header: Option<&'a Header>,
    row_group: Option<u32>,
}

impl<'a> Block<'a> {
    /// A block of `bytes`, which begin at `offset` of `file` and are whole records of `format`.
    pub const fn new(file: &'a InputFile, offset: u64, bytes: &'a [u8], format: Format) -> Self {
        Self {
            file,
            offset,
            bytes,
            format,
            header: None,
            row_group: None,
        }
    }

    /// The same of a file with a header, which is not part of the bytes.
    #[must_use]
    pub const fn with_header(self, header: Option<&'a Header>) -> Self {
        Self { header, ..self }
    }

    /// The same of rows of a Parquet file.
    #[cfg(feature = "parquet")]
    #[must_use]
    pub(super) const fn of_row_group(self, row_group: Option<u32>) -> Self {
        Self { row_group, ..self }
    }

    /// Which row group of a Parquet file it is from, counted from 0; `None` of other files.
    pub const fn row_group(&self) -> Option<u32> {
        self.row_group
    }

    /// The columns of the file, if its format has a header.
    pub const fn header(&self) -> Option<&'a Header> {
        self.header
    }

    /// The file.
    pub const fn file(&self) -> &'a InputFile {
        self.file
    }

    /// Where the block begins in the file: counted in unpacked bytes, if it is packed; in rows of all the file, if its format is
    /// [`Format::Parquet`].
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The records as they stand in the file, line ends included.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether a record never ends inside a word, so that a job that counts words may take the whole
    /// block as one text: true of lines and of whole files, false of fixed-length records.
    pub const fn line_based(&self) -> bool {
        match self.format {
            Format::Lines | Format::NLine(_) | Format::Files | Format::Csv(_) | Format::Parquet => {
                true
            }
            Format::Fixed(_) => false,
        }
    }

    /// Whether each record is a line, so that [`Block::line_around`] may be asked.
    pub const fn has_lines(&self) -> bool {
        match self.format {
            Format::Lines | Format::NLine(_) => true,
            Format::Files | Format::Fixed(_) | Format::Csv(_) | Format::Parquet => false,
        }
    }

    /// In a block of lines, the line in which the place `at` lies (its end is such a place, the beginning of the next line is
    /// not), and where the next line begins. `None` after the last line.
    ///
    /// For a search over many lines at once; costs two searches for an LF.
    pub fn line_around(&self, at: usize) -> Option<(Record<'a>, usize)> {
        let start = memrchr(b'\n', &self.bytes[..at]).map_or(0, |end| end + 1);
        let rest = &self.bytes[start..];
        if rest.is_empty() {
            return None;
        }
        let (bytes, step) = first_line(rest);
        let line = Record {
            bytes,
            offset: self.offset + start as u64,
            file: self.file,
            header: self.header,
        };
        Some((line, start + step))
    }

    /// How many [`records`](Self::records) there are, without looking at each: ends of lines are counted at
    /// the speed of the cache.
    pub fn record_count(&self) -> u64 {
        match self.format {
            Format::Lines | Format::NLine(_) | Format::Parquet => {
                let ends = memchr_iter(b'\n', self.bytes).count();
                let unended = self.bytes.last().is_some_and(|byte| *byte != b'\n');
                ends as u64 + u64::from(unended)
            }
            Format::Files => 1,
            // Empty lines are none.
            Format::Csv(_) => self.records().count() as u64,
            Format::Fixed(len) => (self.bytes.len() as u64).div_ceil(u64::from(len.get())),
        }
    }

    /// The records, in the order of the file.
    #[inline]
    pub fn records(&self) -> Records<'a> {
        Records {
            file: self.file,
            offset: self.offset,
            rest: self.bytes,
            header: self.header,
            cut: match self.format {
                Format::Lines | Format::NLine(_) => Cut::Line,
                Format::Csv(_) => Cut::Row,
                Format::Parquet => Cut::Table,
                Format::Files => Cut::Whole,
                Format::Fixed(len) => Cut::Fixed(len.get() as usize),
            },
        }
    }
}

impl<'a> IntoIterator for Block<'a> {
    type Item = Record<'a>;
    type IntoIter = Records<'a>;

    #[inline]
    fn into_iter(self) -> Records<'a> {
        self.records()
    }
}

/// One record, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its content; a line is without its LF or CRLF.
    pub bytes: &'a [u8],
    /// Offset of its first byte in the file: counted in unpacked bytes, if it is packed. Of a row of a Parquet file its number, from 0.
    pub offset: u64,
    /// The file.
    pub file: &'a InputFile,
    pub(super) header: Option<&'a Header>,
}

impl<'a> Record<'a> {
    /// The content as text; bytes that are not UTF-8 become replacement characters.
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes)
    }

    /// Which of the job's inputs the record is from: its place in the `INPUTS` of the job, counted from 0. Always 0 where
    /// the job has but one.
    #[inline]
    pub const fn input(&self) -> usize {
        self.file.input as usize
    }

    /// The place of the record, for an error that is about it.
    pub fn at(&self) -> RecordAt {
        RecordAt {
            file: self.file.name.clone(),
            offset: self.offset,
            row_group: None,
            record: 0,
            excerpt: excerpt(self.bytes),
        }
    }
}

/// The first bytes of a record.
pub(super) fn excerpt(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(RecordAt::EXCERPT_MAX)].to_vec()
}

/// The records of a [`Block`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    file: &'a InputFile,
    offset: u64,
    rest: &'a [u8],
    header: Option<&'a Header>,
    cut: Cut,
}

#[derive(Clone, Copy, Debug)]
enum Cut {
    Line,
    Row,
    /// Lines, of which each is one place in its file.
    Table,
    Whole,
    Fixed(usize),
    Done,
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    #[inline]
    fn next(&mut self) -> Option<Record<'a>> {
        if let Cut::Row = self.cut {
            self.skip_empty_lines();
        }
        let (bytes, step) = match self.cut {
            Cut::Line | Cut::Row | Cut::Table if self.rest.is_empty() => return None,
            Cut::Line | Cut::Row | Cut::Table => first_line(self.rest),
            Cut::Fixed(_) if self.rest.is_empty() => return None,
            Cut::Fixed(len) => {
                let len = len.min(self.rest.len());
                (&self.rest[..len], len)
            }
            Cut::Whole => {
                self.cut = Cut::Done;
                (self.rest, self.rest.len())
            }
            Cut::Done => return None,
        };
        let record = Record {
            bytes,
            offset: self.offset,
            file: self.file,
            header: self.header,
        };
        self.rest = &self.rest[step..];
        self.offset += match self.cut {
            Cut::Table => 1,
            _ => step as u64,
        };
        Some(record)
    }
}

impl Records<'_> {
    fn skip_empty_lines(&mut self) {
        while let (b"", step @ 1..) = first_line(self.rest) {
            self.rest = &self.rest[step..];
            self.offset += step as u64;
        }
    }
}

impl std::iter::FusedIterator for Records<'_> {}

/// The first line without its end, and its length with it. A CR counts as part of the end only
/// before an LF.
#[inline]
fn first_line(bytes: &[u8]) -> (&[u8], usize) {
    match memchr(b'\n', bytes) {
        Some(end) => {
            let line = &bytes[..end];
            (line.strip_suffix(b"\r").unwrap_or(line), end + 1)
        }
        None => (bytes, bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use mapfold_terms::{Codec, Fingerprint, RawPath};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn file() -> InputFile {
        let name = RawPath::from(std::path::Path::new("a.txt"));
        InputFile {
            name: name.clone(),
            path: name,
            codec: Codec::Plain,
            fingerprint: Fingerprint {
                inode: 0,
                len: 0,
                modified_ns: 0,
                changed_ns: 0,
            },
            input: 0,
            format: None,
        }
    }

    #[track_caller]
    fn check(format: Format, bytes: &[u8], want: &[(&[u8], u64)]) {
        let file = file();
        let got: Vec<_> = Block::new(&file, 100, bytes, format)
            .records()
            .map(|record| (record.bytes, record.offset))
            .collect();
        assert_eq!(got, want);
    }

    proptest! {
        #[test]
        fn records_are_counted_as_they_are_cut(
            bytes in vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..40),
            len in 1..9_u32,
        ) {
            let len = NonZeroU32::new(len).unwrap();
            let formats = [Format::Lines, Format::NLine(len), Format::Files, Format::Fixed(len), Format::CSV];
            for format in formats {
                let file = file();
                let block = Block::new(&file, 0, &bytes, format);
                prop_assert_eq!(block.record_count(), block.records().count() as u64);
            }
        }
    }

    proptest! {
        #[test]
        fn every_place_lies_in_one_line(
            bytes in vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..40),
        ) {
            let file = file();
            let block = Block::new(&file, 100, &bytes, Format::Lines);
            let mut start = 0;
            for record in block.records() {
                let end = memchr(b'\n', &bytes[start..]).map_or(bytes.len(), |end| start + end);
                let next = (end + 1).min(bytes.len());
                for at in start..=end {
                    let (line, after) = block.line_around(at).unwrap();
                    prop_assert_eq!((line.bytes, line.offset), (record.bytes, record.offset));
                    prop_assert_eq!(after, next);
                }
                start = next;
            }
            if bytes.last().is_none_or(|last| *last == b'\n') {
                prop_assert!(block.line_around(bytes.len()).is_none());
            }
        }
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        check(Format::Lines, b"", &[]);
        check(Format::Lines, b"\n", &[(b"", 100)]);
        check(
            Format::Lines,
            b"a\r\nb\nc",
            &[(b"a", 100), (b"b", 103), (b"c", 105)],
        );
        check(
            Format::Lines,
            b"a\rb\r\r\n\r",
            &[(b"a\rb\r", 100), (b"\r", 106)],
        );
        check(
            Format::Lines,
            b"\0\xff\n\n",
            &[(b"\0\xff", 100), (b"", 103)],
        );
    }

    #[test]
    fn empty_lines_are_no_rows() {
        check(Format::CSV, b"", &[]);
        check(Format::CSV, b"\n\r\n", &[]);
        check(
            Format::CSV,
            b"\na\r\n\r\n\nb,\n \n",
            &[(b"a", 101), (b"b,", 107), (b" ", 110)],
        );
        check(Format::CSV, b"a\n\r", &[(b"a", 100), (b"\r", 102)]);
    }

    #[test]
    fn a_file_is_one_record_even_if_empty() {
        check(Format::Files, b"", &[(b"", 100)]);
        check(Format::Files, b"a\nb\n", &[(b"a\nb\n", 100)]);
    }

    #[test]
    fn fixed_records_keep_every_byte() {
        let three = Format::Fixed(NonZeroU32::new(3).unwrap());
        check(three, b"", &[]);
        check(three, b"a\nbcd\r", &[(b"a\nb", 100), (b"cd\r", 103)]);
    }
}
