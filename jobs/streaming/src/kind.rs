//! What a key or a value is: a text, a number, an item of typed bytes or just bytes. Its own bytes do not tell, but the job does.
//!
//! Programs are fed it in the form that they want, whatever it is, and rows show it as Hadoop's do:
//! ```text
//!             text      in a row       typed bytes     raw bytes
//! Text        itself    itself         7 text          length and text
//! Number      digits    digits         4 long          8 bytes
//! Typed       itself    as Java shows  itself          itself
//! Raw         itself    hexadecimal    0 bytes         itself
//! Nothing     (null)    is no column   -               nothing
//! ```

use std::borrow::Cow;

use mapfold_job::Field as _;

use crate::conf::Form;
use crate::typed_bytes::{self, Item};

/// What a key or a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text in any encoding.
    Text,
    /// A number, in eight bytes, the most significant first. It is a place in a file, so they are in the order of the numbers.
    Number,
    /// An item of typed bytes.
    Typed,
    /// Bytes.
    Raw,
    /// The value that is not there where a line is all key.
    Nothing,
}

/// What keys and values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kinds {
    /// The keys.
    pub(crate) key: Kind,
    /// The values.
    pub(crate) value: Kind,
}

impl Kinds {
    pub(crate) const TEXTS: Self = Self {
        key: Kind::Text,
        value: Kind::Text,
    };

    /// Of what a program prints in that form.
    pub(crate) const fn printed(form: Form) -> Self {
        let (key, value) = match form {
            Form::Text => (Kind::Text, Kind::Text),
            Form::KeyOnlyText => (Kind::Text, Kind::Nothing),
            Form::TypedBytes => (Kind::Typed, Kind::Typed),
            Form::RawBytes => (Kind::Raw, Kind::Raw),
        };
        Self { key, value }
    }
}

impl Kind {
    /// What it is called in messages.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Text => "texts",
            Self::Number => "numbers",
            Self::Typed => "typed bytes",
            Self::Raw => "raw bytes",
            Self::Nothing => "nothing",
        }
    }

    /// Appends what a program reads that is fed text.
    pub(crate) fn put_text(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Text | Self::Typed | Self::Raw => out.extend_from_slice(bytes),
            Self::Number => number(bytes).write(out),
            Self::Nothing => out.extend_from_slice(b"(null)"),
        }
    }

    /// Appends what stands in a row, which is what Java's `toString` makes of it.
    #[inline]
    pub(crate) fn put_shown(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Text => out.extend_from_slice(bytes),
            other => other.put_java_text(bytes, out),
        }
    }

    fn put_java_text(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Text | Self::Nothing => out.extend_from_slice(bytes),
            Self::Number => number(bytes).write(out),
            Self::Typed => {
                if let Some(item) = Item::of(bytes) {
                    item.to_string().write(out);
                }
            }
            Self::Raw => spaced_hex(bytes, out),
        }
    }

    /// The same by itself.
    pub(crate) fn shown(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Text => Cow::Borrowed(bytes),
            other => {
                let mut out = Vec::new();
                other.put_java_text(bytes, &mut out);
                Cow::Owned(out)
            }
        }
    }

    /// Appends it as an item of typed bytes. Nothing is none.
    pub(crate) fn put_typed(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Text => {
                typed_bytes::put_text(String::from_utf8_lossy(bytes).as_bytes(), out);
            }
            Self::Number => typed_bytes::put_long(bytes, out),
            Self::Typed => out.extend_from_slice(bytes),
            Self::Raw => typed_bytes::put_bytes(bytes, out),
            Self::Nothing => {}
        }
    }

    /// Appends it as raw bytes, after their length.
    pub(crate) fn put_raw(self, bytes: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        if self == Self::Text {
            put_variable(typed_bytes::len32(bytes), out);
        }
        out.extend_from_slice(bytes);
        let length = typed_bytes::len32(&out[start + 4..]).to_be_bytes();
        out[start..start + 4].copy_from_slice(&length);
    }
}

fn number(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_be_bytes)
}

fn spaced_hex(bytes: &[u8], out: &mut Vec<u8>) {
    for (place, byte) in bytes.iter().enumerate() {
        let space = if place > 0 { " " } else { "" };
        format!("{space}{byte:02x}").write(out);
    }
}

/// A length as in front of a text: in one byte up to 127, else one that tells how many follow.
fn put_variable(length: u32, out: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(byte @ ..=127) => out.push(byte),
        _ => {
            let bytes = length.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            let follow = &bytes[zeros..];
            out.push([0x8f, 0x8e, 0x8d, 0x8c][follow.len() - 1]);
            out.extend_from_slice(follow);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: [u8; 8] = 1234_u64.to_be_bytes();

    #[track_caller]
    fn check(kind: Kind, bytes: &[u8], text: &str, shown: &str, typed: &[u8], raw: &[u8]) {
        assert_eq!(*kind.shown(bytes), *shown.as_bytes());
        let [mut as_text, mut as_typed, mut as_raw] = [const { Vec::new() }; 3];
        kind.put_text(bytes, &mut as_text);
        kind.put_typed(bytes, &mut as_typed);
        kind.put_raw(bytes, &mut as_raw);
        assert_eq!(
            (&*as_text, &*as_typed, &*as_raw),
            (text.as_bytes(), typed, raw)
        );
    }

    #[test]
    fn each_kind_is_written_in_each_form() {
        check(
            Kind::Text,
            b"ab",
            "ab",
            "ab",
            b"\x07\0\0\0\x02ab",
            b"\0\0\0\x03\x02ab",
        );
        let (typed, raw) = (
            [&[4], &NUMBER[..]].concat(),
            [&[0, 0, 0, 8], &NUMBER[..]].concat(),
        );
        check(Kind::Number, &NUMBER, "1234", "1234", &typed, &raw);
        check(
            Kind::Typed,
            b"\x01\x07",
            "\x01\x07",
            "7",
            b"\x01\x07",
            b"\0\0\0\x02\x01\x07",
        );
        check(
            Kind::Raw,
            b"ab",
            "ab",
            "61 62",
            b"\0\0\0\0\x02ab",
            b"\0\0\0\x02ab",
        );
        check(Kind::Nothing, b"", "(null)", "", b"", b"\0\0\0\0");
    }

    #[test]
    fn lengths_take_as_many_bytes_as_they_need() {
        let known: [(u32, &[u8]); 6] = [
            (0, &[0]),
            (127, &[127]),
            (128, &[0x8f, 128]),
            (255, &[0x8f, 255]),
            (256, &[0x8e, 1, 0]),
            (1 << 24, &[0x8c, 1, 0, 0, 0]),
        ];
        for (length, want) in known {
            let mut out = Vec::new();
            put_variable(length, &mut out);
            assert_eq!(out, want, "{length}");
        }
    }
}
