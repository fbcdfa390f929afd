//! Records between two marks, such as `<page>` and `</page>`. It is no parser of XML: the marks are texts like others.

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
    /// One is empty.
    pub(crate) fn new(begin: &str, end: &str) -> Result<Self, JobError> {
        if begin.is_empty() || end.is_empty() {
            return Err("what a record begins or ends with is empty".into());
        }
        Ok(Self {
            begin: Finder::new(begin).into_owned(),
            end: Finder::new(end).into_owned(),
        })
    }

    /// Gives each record that ends in `piece` to `record`, with its marks. It begins at `offset` of its file.
    ///
    /// # Errors
    /// The first of `record`; one is too long; what is before the piece was not read.
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
        match offset {
            0 => open.clear(),
            at if at == *next => {}
            _ => return Err(
                "records between marks are read from whole files: a split may not begin within one"
                    .into(),
            ),
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
        match open.len() > RECORD_MAX {
            true => Err(format!("a record is longer than {RECORD_MAX} bytes").into()),
            false => Ok(()),
        }
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
    fn files_are_read_from_their_beginnings() {
        let xml = Xml::new("<d>", "</d>").unwrap();
        let (mut open, mut got) = (Open::default(), Vec::new());
        let mut push = |offset, piece: &[u8]| {
            xml.push(&mut open, offset, piece, |record| {
                got.push(record.to_vec());
                Ok(())
            })
        };
        push(0, b"<d>of one file").unwrap();
        push(0, b"</d><d>of another").unwrap();
        push(17, b"</d>").unwrap();
        assert!(push(100, b"<d></d>").is_err());
        assert_eq!(got, [b"<d>of another</d>"]);
    }

    #[test]
    fn a_mark_has_a_length() {
        assert!(Xml::new("", "x").is_err());
        assert!(Xml::new("x", "").is_err());
    }
}
