//! The records of a block: what is a key and what is a value.

use mapfold_job::{Block, JobError, Piece};
use memchr::memchr;

use crate::conf::Records;
use crate::kind::{Kind, Kinds};
use crate::lines;
use crate::xml::{Open, Xml};

/// Stands at the beginning of some files, and is no part of their first line.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How blocks are cut into records.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    cut: Cut,
    /// Lines with their ends are shorter.
    line_max: usize,
}

#[derive(Clone, Debug)]
enum Cut {
    Lines,
    /// At a byte.
    KeyValueLines(u8),
    Xml(Box<Xml>),
}

impl Input {
    /// Of such records.
    ///
    /// # Errors
    /// The marks or the separator are none.
    pub(crate) fn new(records: &Records, line_max: u64) -> Result<Self, JobError> {
        Ok(Self {
            cut: match records {
                Records::Lines => Cut::Lines,
                Records::KeyValueLines { separator } => {
                    let first = separator.bytes().next().filter(u8::is_ascii);
                    let none = || format!("`{separator}` does not begin with an ASCII character");
                    Cut::KeyValueLines(first.ok_or_else(none)?)
                }
                Records::Xml { begin, end } => Cut::Xml(Box::new(Xml::new(begin, end)?)),
            },
            line_max: match line_max {
                0 => usize::MAX,
                max => usize::try_from(max).unwrap_or(usize::MAX),
            },
        })
    }

    /// What keys and values are.
    pub(crate) fn kinds(&self) -> Kinds {
        let key = match self.cut {
            Cut::Lines => Kind::Number,
            Cut::KeyValueLines(_) | Cut::Xml(_) => Kind::Text,
        };
        Kinds {
            key,
            value: Kind::Text,
        }
    }

    /// The lines of a block with LFs as ends, if they are the values and stand there so.
    pub(crate) fn values_as_they_are<'a>(&self, block: &Block<'a>) -> Option<&'a [u8]> {
        let bytes = block.bytes();
        let are = matches!(self.cut, Cut::Lines)
            && self.line_max == usize::MAX
            && block.has_lines()
            && bytes.last().is_none_or(|last| *last == b'\n')
            && memchr(b'\r', bytes).is_none();
        are.then(|| &bytes[mark_len(block)..])
    }

    /// Gives each record of a block to `record`: its key and its value. `open` is what earlier blocks of the file have left.
    ///
    /// # Errors
    /// The first of `record`; one is too long.
    pub(crate) fn each(
        &self,
        block: &Block<'_>,
        open: &mut Open,
        mut record: impl FnMut(&[u8], &[u8]) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        match &self.cut {
            Cut::Lines => self.each_line(block, |offset, line| record(&offset.to_be_bytes(), line)),
            Cut::KeyValueLines(separator) => self.each_line(block, |_, line| {
                let at = memchr(*separator, line).unwrap_or(line.len());
                record(&line[..at], line.get(at + 1..).unwrap_or_default())
            }),
            Cut::Xml(xml) => xml.push(open, block.offset(), block.bytes(), |text| {
                record(text, &[])
            }),
        }
    }

    /// After the last block of a split, of which `last` is the last piece: gives what has begun in it and ends behind it.
    ///
    /// # Errors
    /// The file cannot be read; of `record`.
    pub(crate) fn finish(
        &self,
        open: Open,
        last: Option<&Piece>,
        mut record: impl FnMut(&[u8], &[u8]) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        match (&self.cut, last) {
            // A packed file is one split, so nothing is behind it.
            (Cut::Xml(xml), Some(piece)) if piece.end < piece.file.fingerprint.len => {
                let path = piece.file.path.as_path();
                xml.finish(open, path, |text| record(text, &[]))
            }
            _ => Ok(()),
        }
    }

    /// Each line and its offset in the file.
    fn each_line(
        &self,
        block: &Block<'_>,
        mut each: impl FnMut(u64, &[u8]) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        let bytes = block.bytes();
        let (mut start, mut mark) = (0, mark_len(block));
        while start + mark < bytes.len() {
            let (line, length) = lines::first(&bytes[start + mark..]);
            if length < self.line_max {
                each(block.offset() + start as u64, line)?;
            }
            start += mark + length;
            mark = 0;
        }
        Ok(())
    }
}

fn mark_len(block: &Block<'_>) -> usize {
    match block.offset() == 0 && block.bytes().starts_with(BYTE_ORDER_MARK) {
        true => BYTE_ORDER_MARK.len(),
        false => 0,
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::{Format, InputFile};

    use super::*;

    fn file() -> InputFile {
        let json = r#"{"name":"a","path":"a","codec":"Plain","fingerprint":{"inode":0,"len":0,"modified_ns":0,"changed_ns":0},"input":0}"#;
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn check(records: &Records, line_max: u64, offset: u64, text: &str, want: &[(&str, &str)]) {
        let input = Input::new(records, line_max).unwrap();
        let (file, mut got) = (file(), Vec::new());
        let block = Block::new(&file, offset, text.as_bytes(), Format::Lines);
        let keep = |key: &[u8], value: &[u8]| {
            let (mut shown, kinds) = ([Vec::new(), Vec::new()], input.kinds());
            kinds.key.put_shown(key, &mut shown[0]);
            kinds.value.put_shown(value, &mut shown[1]);
            got.push(shown.map(|text| String::from_utf8(text).unwrap()));
            Ok(())
        };
        input.each(&block, &mut Open::default(), keep).unwrap();
        let got: Vec<_> = got.iter().map(|[key, value]| (&**key, &**value)).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn lines_have_offsets_in_the_file() {
        let lines = Records::Lines;
        check(
            &lines,
            0,
            0,
            "ab\r\nc\nd",
            &[("0", "ab"), ("4", "c"), ("6", "d")],
        );
        check(
            &lines,
            0,
            100,
            "a\r\r\n\nb",
            &[("100", "a"), ("102", ""), ("104", ""), ("105", "b")],
        );
        let marked = "\u{feff}a\n\u{feff}b\n";
        check(&lines, 0, 0, marked, &[("0", "a"), ("5", "\u{feff}b")]);
        check(&lines, 0, 9, "\u{feff}\n", &[("9", "\u{feff}")]);
        check(&lines, 0, 0, "\u{feff}", &[]);
        let long = "abc\nabcdefgh\n1234\n12345\n123456\nx\nxy\r\nxyz\r\n";
        check(
            &lines,
            5,
            0,
            long,
            &[("0", "abc"), ("31", "x"), ("33", "xy")],
        );
    }

    #[test]
    fn lines_may_have_keys_of_their_own() {
        let by = |separator: &str| Records::KeyValueLines {
            separator: separator.to_owned(),
        };
        check(
            &by("\t"),
            0,
            0,
            "k\ta\tb\nnone\n\tv",
            &[("k", "a\tb"), ("none", ""), ("", "v")],
        );
        check(&by(",,"), 0, 0, "k,v,w\r\n", &[("k", "v,w")]);
        assert!(Input::new(&by(""), 0).is_err());
    }

    #[test]
    fn what_is_between_marks_is_a_key() {
        let xml = Records::Xml {
            begin: "<d>".to_owned(),
            end: "</d>".to_owned(),
        };
        check(
            &xml,
            0,
            0,
            "<d>a</d>\n<d>b\nc</d>",
            &[("<d>a</d>", ""), ("<d>b\nc</d>", "")],
        );
    }

    #[test]
    fn only_plain_lines_are_values_as_they_are() {
        let file = file();
        let of = |text: &'static str, line_max| {
            let block = Block::new(&file, 0, text.as_bytes(), Format::Lines);
            let input = Input::new(&Records::Lines, line_max).unwrap();
            input.values_as_they_are(&block)
        };
        assert_eq!(of("a\nb\n", 0), Some(&b"a\nb\n"[..]));
        assert_eq!(of("\u{feff}a\n", 0), Some(&b"a\n"[..]));
        assert_eq!(of("", 0), Some(&b""[..]));
        for (text, line_max) in [("a\nb", 0), ("a\r\n", 0), ("a\n", 9)] {
            assert_eq!(of(text, line_max), None);
        }
    }
}
