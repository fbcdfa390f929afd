//! What programs print, understood as keys and values.

use std::fmt;

use mapfold_job::JobError;
use memchr::memchr;

use crate::conf::{Form, Printed};
use crate::fields::Fields;
use crate::lines::Lines;
use crate::pairs;
use crate::typed_bytes::{self, TypedBytesError};

/// A key with its value may be about as long as a record of a run.
const PAIR_MAX: usize = 1 << 30;

/// How what a program prints is cut into keys and values.
#[derive(Clone)]
pub(crate) enum Ear {
    /// Lines, which are cut into both.
    Lines(Box<Fields>),
    /// Lines, which are keys.
    Keys,
    /// Items that tell their lengths, in pairs.
    Items(TakeItem),
}

/// Takes the first item, if it is whole.
type TakeItem = for<'a> fn(&mut &'a [u8]) -> Result<Option<&'a [u8]>, EarError>;

/// What was heard and not understood yet.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    lines: Lines,
    /// The beginning of a pair of items.
    open: Vec<u8>,
    /// While there is less than that of it, there is no point in looking again.
    next_look: usize,
}

/// What is no key and value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EarError {
    /// It is none of the types.
    #[error("it prints what is not typed bytes")]
    NotTyped(#[from] TypedBytesError),
    /// A length of raw bytes is below zero.
    #[error("it prints what is not raw bytes: a length of {0}")]
    NotRaw(i32),
    /// The last key or value is not whole.
    #[error("it ends within a key and its value, after {bytes} bytes of them")]
    CutShort {
        /// What there is of them.
        bytes: usize,
    },
    /// A key with its value is too long.
    #[error("it prints a key with a value of more than {PAIR_MAX} bytes")]
    TooLong,
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lines(_) => "Lines",
            Self::Keys => "Keys",
            Self::Items(_) => "Items",
        })
    }
}

impl Ear {
    /// For what is printed so.
    pub(crate) fn new(printed: &Printed) -> Self {
        match printed.form {
            Form::Text => {
                let fields = Fields::new(printed.separator.as_bytes(), printed.keys);
                Self::Lines(Box::new(fields))
            }
            Form::KeyOnlyText => Self::Keys,
            Form::TypedBytes => Self::Items(take_typed),
            Form::RawBytes => Self::Items(take_raw),
        }
    }

    /// Gives each key with its value to `pair`, of those that end in `piece`.
    ///
    /// # Errors
    /// [`EarError`], or the first of `pair`.
    pub(crate) fn hear(
        &self,
        heard: &mut Heard,
        piece: &[u8],
        mut pair: impl FnMut(&[u8], &[u8]) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        match self {
            Self::Lines(fields) => heard.lines(fields, piece, pair)?,
            Self::Keys => heard.lines.push(piece, |line| pair(line, &[]))?,
            Self::Items(take) => heard.items(*take, piece, pair)?,
        }
        match heard.lines.open_bytes().max(heard.open.len()) > PAIR_MAX {
            true => Err(EarError::TooLong.into()),
            false => Ok(()),
        }
    }

    /// After the last piece: a last line may lack its end.
    ///
    /// # Errors
    /// As [`hear`](Self::hear).
    pub(crate) fn finish(
        &self,
        heard: Heard,
        mut pair: impl FnMut(&[u8], &[u8]) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        match self {
            Self::Lines(fields) => heard.lines.finish(fields.to(pair)),
            Self::Keys => heard.lines.finish(|line| pair(line, &[])),
            Self::Items(take) => match take_pairs(*take, &heard.open, &mut pair)? {
                [] => Ok(()),
                rest => Err(EarError::CutShort { bytes: rest.len() }.into()),
            },
        }
    }
}

impl Heard {
    fn lines(
        &mut self,
        fields: &Fields,
        mut piece: &[u8],
        mut pair: impl FnMut(&[u8], &[u8]) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        let Some(separator) = fields.first_byte() else {
            return self.lines.push(piece, fields.to(pair));
        };
        if !self.lines.are_closed()
            && let Some(end) = memchr(b'\n', piece)
        {
            let open;
            (open, piece) = piece.split_at(end + 1);
            self.lines.push(open, fields.to(&mut pair))?;
        }
        if self.lines.are_closed() {
            piece = pairs::cut(piece, separator, &mut pair)?;
        }
        self.lines.push(piece, fields.to(pair))
    }

    fn items(
        &mut self,
        take: TakeItem,
        piece: &[u8],
        mut pair: impl FnMut(&[u8], &[u8]) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        if self.open.is_empty() {
            let rest = take_pairs(take, piece, &mut pair)?;
            self.open.extend_from_slice(rest);
        } else {
            self.open.extend_from_slice(piece);
            if self.open.len() < self.next_look {
                return Ok(());
            }
            let rest = take_pairs(take, &self.open, &mut pair)?.len();
            self.open.drain(..self.open.len() - rest);
        }
        self.next_look = 2 * self.open.len();
        Ok(())
    }
}

/// Gives away all pairs that are whole; the rest is returned.
fn take_pairs<'a>(
    take: TakeItem,
    mut rest: &'a [u8],
    pair: &mut impl FnMut(&[u8], &[u8]) -> Result<(), JobError>,
) -> Result<&'a [u8], JobError> {
    let mut after = rest;
    while let Some(key) = take(&mut after)?
        && let Some(value) = take(&mut after)?
    {
        pair(key, value)?;
        rest = after;
    }
    Ok(rest)
}

fn take_typed<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, EarError> {
    Ok(typed_bytes::item_len(rest)?.map(|length| {
        let (item, after) = rest.split_at(length);
        *rest = after;
        item
    }))
}

fn take_raw<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, EarError> {
    let Some((length, after)) = rest.split_first_chunk() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*length);
    let bytes = usize::try_from(length).map_err(|_| EarError::NotRaw(length))?;
    Ok(after.split_at_checked(bytes).map(|(item, after)| {
        *rest = after;
        item
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair = (Vec<u8>, Vec<u8>);

    fn hear(form: Form, pieces: &[&[u8]]) -> Result<Vec<Pair>, JobError> {
        let ear = Ear::new(&Printed {
            form,
            ..Printed::default()
        });
        let (mut heard, mut got) = (Heard::default(), Vec::new());
        let mut keep = |key: &[u8], value: &[u8]| {
            got.push((key.to_vec(), value.to_vec()));
            Ok(())
        };
        for piece in pieces {
            ear.hear(&mut heard, piece, &mut keep)?;
        }
        ear.finish(heard, &mut keep)?;
        Ok(got)
    }

    #[track_caller]
    fn check(form: Form, bytes: &[u8], want: &[(&str, &str)]) {
        let want: Vec<Pair> = want
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()))
            .collect();
        assert_eq!(hear(form, &[bytes]).unwrap(), want);
        let bytewise: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(hear(form, &bytewise).unwrap(), want);
        for at in 0..bytes.len() {
            assert_eq!(
                hear(form, &[&bytes[..at], &bytes[at..]]).unwrap(),
                want,
                "cut at {at}"
            );
        }
    }

    #[test]
    fn pairs_are_heard_in_whatever_pieces_they_come() {
        check(
            Form::Text,
            b"a\tb\tc\r\n\nx",
            &[("a", "b\tc"), ("", ""), ("x", "")],
        );
        check(Form::KeyOnlyText, b"a\tb\rx", &[("a\tb", ""), ("x", "")]);
        check(
            Form::TypedBytes,
            b"\x07\0\0\0\x01k\x01\x05\x02\x01\x08\0\0\0\x01\x01\x02",
            &[
                ("\x07\0\0\0\x01k", "\x01\x05"),
                ("\x02\x01", "\x08\0\0\0\x01\x01\x02"),
            ],
        );
        check(
            Form::RawBytes,
            b"\0\0\0\x01k\0\0\0\x02vv\0\0\0\0\0\0\0\0",
            &[("k", "vv"), ("", "")],
        );
    }

    #[test]
    fn what_is_no_pair_is_told() {
        let told = |form, bytes: &[u8]| hear(form, &[bytes]).unwrap_err().to_string();
        let cut = "it ends within a key and its value, after 6 bytes of them";
        assert_eq!(told(Form::RawBytes, b"\0\0\0\x01k\0"), cut);
        assert_eq!(told(Form::TypedBytes, b"\x07\0\0\0\x01k"), cut);
        assert_eq!(
            told(Form::RawBytes, b"text"),
            "it ends within a key and its value, after 4 bytes of them"
        );
        assert_eq!(
            told(Form::RawBytes, b"\xff\xff\xff\xff"),
            "it prints what is not raw bytes: a length of -1"
        );
        assert_eq!(
            told(Form::TypedBytes, b"\x0bx"),
            "it prints what is not typed bytes"
        );
    }
}
