//! Records between two marks, such as `<page>` and `</page>`. It is no parser of XML: the marks are texts like others.
//!
//! A record belongs to the split in which it begins. What it has behind the split's end is read from the file.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use memchr::memmem::Finder;

use mapfold_job::JobError;

/// A record may be about as long as one of a run.
const RECORD_MAX: usize = 1 << 30;

/// Where records begin and end.
#[derive(Clone, Debug)]
pub(crate) struct Xml {
    begin: Finder<'static>,
    end: Finder<'static>,
}

/// Bytes that are read at once behind the end of a split.
const READ_BYTES: u64 = 64 << 10;

/// What is left of earlier pieces of a file.
#[derive(Debug, Default)]
pub(crate) struct Open {
    /// The beginning of a record, or of a mark.
    bytes: Vec<u8>,
    /// Where the next piece must begin.
    offset: u64,
}

impl Xml {
    /// Between these marks.
    ///
    /// # Errors
    /// One is empty. The first has a line end in it, between which a split may begin.
    pub(crate) fn new(begin: &str, end: &str) -> Result<Self, JobError> {
        if begin.is_empty() || end.is_empty() {
            return Err("what a record begins or ends with is empty".into());
        }
        if begin.contains('\n') {
            return Err("what a record begins with is in more than one line".into());
        }
        Ok(Self {
            begin: Finder::new(begin).into_owned(),
            end: Finder::new(end).into_owned(),
        })
    }

    /// Gives each record that ends in `piece` to `record`, with its marks. The piece begins at `offset` of its file; what is left of another file, or of
    /// another place, is dropped.
    ///
    /// # Errors
    /// The first of `record`; one is too long.
    pub(crate) fn push(
        &self,
        Open {
            bytes: open,
            offset: next,
        }: &mut Open,
        offset: u64,
        piece: &[u8],
        mut record: impl FnMut(&[u8]) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        if offset != *next || offset == 0 {
            open.clear();
        }
        *next = offset + piece.len() as u64;
        open.extend_from_slice(piece);
        let mut from = 0;
        let left_from = loop {
            let Some(begin) = self.begin.find(&open[from..]).map(|at| from + at) else {
                let mark_begin = open.len().saturating_sub(self.begin.needle().len() - 1);
                break mark_begin.max(from);
            };
            let Some(length) = self.end.find(&open[begin..]) else {
                break begin;
            };
            from = begin + length + self.end.needle().len();
            record(&open[begin..from])?;
        };
        open.drain(..left_from);
        length_checked(open)
    }

    /// After the last piece of a split of the file `path`: gives the record to `record` that has begun, if it has an end further on.
    ///
    /// # Errors
    /// The file cannot be read; the record is too long; of `record`.
    pub(crate) fn finish(
        &self,
        open: Open,
        path: &Path,
        record: impl FnOnce(&[u8]) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        let Open { mut bytes, offset } = open;
        if !bytes.starts_with(self.begin.needle()) {
            return Ok(());
        }
        let cannot_read = |error: io::Error| format!("cannot read {}: {error}", path.display());
        let mut file = File::open(path).map_err(cannot_read)?;
        file.seek(SeekFrom::Start(offset)).map_err(cannot_read)?;
        loop {
            // The end may have begun before.
            let from = bytes.len().saturating_sub(self.end.needle().len() - 1);
            let mut piece = (&file).take(READ_BYTES);
            let length = piece.read_to_end(&mut bytes).map_err(cannot_read)?;
            if let Some(at) = self.end.find(&bytes[from..]) {
                return record(&bytes[..from + at + self.end.needle().len()]);
            }
            if length == 0 {
                return Ok(());
            }
            length_checked(&bytes)?;
        }
    }
}

fn length_checked(record: &[u8]) -> Result<(), JobError> {
    match record.len() > RECORD_MAX {
        true => Err(format!("a record is longer than {RECORD_MAX} bytes").into()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(pieces: &[&[u8]]) -> Vec<String> {
        let xml = Xml::new("<d>", "</d>").unwrap();
        let (mut open, mut got) = (Open::default(), Vec::new());
        let mut offset = 0;
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            let keep = |record: &[u8]| {
                got.push(String::from_utf8_lossy(record).into_owned());
                Ok(())
            };
            xml.push(&mut open, offset, piece, keep).unwrap();
            offset += piece.len() as u64;
        }
        got
    }

    #[test]
    fn records_lie_between_marks_in_whatever_pieces_they_come() {
        let text = b"<x><d>one</d> mid <<d>t\nw<d>o</d></d></x>\n<d>never ends";
        let want = ["<d>one</d>", "<d>t\nw<d>o</d>"];
        assert_eq!(records(&[text]), want);
        for at in 0..text.len() {
            assert_eq!(records(&[&text[..at], &text[at..]]), want, "cut at {at}");
        }
        let bytewise: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(records(&bytewise), want);
    }

    #[test]
    fn a_record_is_of_the_split_in_which_it_begins() {
        let text = b"<d>one</d>\n<d>t\nw\no</d>\n<d>three\n</d>\n<d>no end\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.xml");
        std::fs::write(&path, text).unwrap();
        let xml = Xml::new("<d>", "</d>").unwrap();
        let of = |start: usize, end: usize| {
            let (mut open, mut got) = (Open::default(), Vec::new());
            let mut keep = |record: &[u8]| {
                got.push(String::from_utf8_lossy(record).into_owned());
                Ok(())
            };
            let piece = &text[start..end];
            xml.push(&mut open, start as u64, piece, &mut keep).unwrap();
            xml.finish(open, &path, &mut keep).unwrap();
            got
        };
        let want = ["<d>one</d>", "<d>t\nw\no</d>", "<d>three\n</d>"];
        assert_eq!(of(0, text.len()), want);
        // Splits begin where lines do.
        let line_starts = (1..text.len()).filter(|at| text[at - 1] == b'\n');
        for at in line_starts {
            assert_eq!(
                [of(0, at), of(at, text.len())].concat(),
                want,
                "cut at {at}"
            );
        }
    }

    #[test]
    fn what_is_left_of_another_file_is_dropped() {
        let xml = Xml::new("<d>", "</d>").unwrap();
        let (mut open, mut got) = (Open::default(), Vec::new());
        let mut push = |offset, piece: &[u8]| {
            let keep = |record: &[u8]| {
                got.push(record.to_vec());
                Ok(())
            };
            xml.push(&mut open, offset, piece, keep).unwrap();
        };
        push(0, b"<d>of one file");
        push(0, b"</d><d>of another");
        push(17, b"</d><d>");
        push(100, b"</d>");
        assert_eq!(got, [b"<d>of another</d>"]);
    }

    #[test]
    fn marks_that_are_none_are_told() {
        assert!(Xml::new("", "x").is_err());
        assert!(Xml::new("x", "").is_err());
        assert!(Xml::new("x\n", "y").is_err());
    }
}
