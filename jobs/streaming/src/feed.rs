//! What programs are fed: keys and values in the form that they want.

use mapfold_job::JobError;

use crate::conf::{Fed, Form};
use crate::kind::{Kind, Kinds};

/// How keys and values are written for a program.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    form: Form,
    separator: Vec<u8>,
    kinds: Kinds,
    /// Whether text has the key in it, or the value alone.
    has_key: bool,
}

impl Feed {
    /// Of keys and values of `kinds`.
    ///
    /// # Errors
    /// They cannot be written so.
    pub(crate) fn new(fed: &Fed, kinds: Kinds) -> Result<Self, JobError> {
        if fed.form == Form::TypedBytes && kinds.value == Kind::Nothing {
            return Err(
                "keys without values cannot be fed as typed bytes: let what prints them print text"
                    .into(),
            );
        }
        Ok(Self {
            form: fed.form,
            separator: fed.separator.as_bytes().to_vec(),
            kinds,
            has_key: true,
        })
    }

    /// The same, without the keys if they are `to_be_ignored` and it is text: all other forms have them.
    pub(crate) fn ignoring_keys(mut self, to_be_ignored: bool) -> Self {
        self.has_key = self.form != Form::Text || !to_be_ignored;
        self
    }

    /// Whether it is lines as they are: texts without keys.
    pub(crate) fn is_values_alone(&self) -> bool {
        self.kinds.value == Kind::Text && !self.has_key
    }

    /// What all lines of a key begin with, if it is fed as lines of texts and short.
    pub(crate) fn line(&self, key: &[u8]) -> Option<Line> {
        let len = key.len() + self.separator.len();
        if self.form != Form::Text || self.kinds != Kinds::TEXTS || !self.has_key || len > Line::MAX
        {
            return None;
        }
        let mut bytes = [0; Line::MAX];
        bytes[..key.len()].copy_from_slice(key);
        bytes[key.len()..len].copy_from_slice(&self.separator);
        Some(Line { bytes, len })
    }

    /// Appends one key and its value to `fed`.
    pub(crate) fn put(&self, key: &[u8], value: &[u8], fed: &mut Vec<u8>) {
        let Kinds {
            key: key_kind,
            value: value_kind,
        } = self.kinds;
        match self.form {
            Form::Text => {
                if self.has_key {
                    key_kind.put_text(key, fed);
                    fed.extend_from_slice(&self.separator);
                }
                value_kind.put_text(value, fed);
                fed.push(b'\n');
            }
            Form::KeyOnlyText => {
                key_kind.put_text(key, fed);
                fed.push(b'\n');
            }
            Form::TypedBytes => {
                key_kind.put_typed(key, fed);
                value_kind.put_typed(value, fed);
            }
            Form::RawBytes => {
                key_kind.put_raw(key, fed);
                value_kind.put_raw(value, fed);
            }
        }
    }
}

/// Appends what is in `fed` from `begin` on so many times more, or until there are `bytes_max` or more. Tells how often.
#[inline]
pub(crate) fn put_again(fed: &mut Vec<u8>, begin: usize, times: u64, bytes_max: usize) -> u64 {
    let once = fed.len() - begin;
    if times == 0 || once == 0 {
        return times;
    }
    let room = bytes_max.saturating_sub(fed.len()).div_ceil(once);
    let times = usize::try_from(times).map_or(room, |times| times.min(room));
    let end = fed.len() + times * once;
    while fed.len() < end {
        // Twice as much each time.
        let more = (fed.len() - begin).min(end - fed.len());
        fed.extend_from_within(begin..begin + more);
    }
    times as u64
}

/// The begin of a line: a key and the separator. To append a known number of bytes takes a few instructions, and a call else.
pub(crate) struct Line {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Line {
    const MAX: usize = 32;

    /// Appends the line of one value.
    #[inline]
    pub(crate) fn put(&self, value: &[u8], fed: &mut Vec<u8>) {
        let begin = fed.len();
        fed.extend_from_slice(&self.bytes);
        fed.truncate(begin + self.len);
        match value {
            [byte] => fed.push(*byte),
            _ => fed.extend_from_slice(value),
        }
        fed.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(form: Form, kinds: Kinds, ignore_key: bool, key: &[u8], value: &[u8]) -> Vec<u8> {
        let fed = Fed {
            form,
            separator: ":".to_owned(),
        };
        let feed = Feed::new(&fed, kinds).unwrap().ignoring_keys(ignore_key);
        let mut out = Vec::new();
        feed.put(key, value, &mut out);
        if let Some(line) = feed.line(key) {
            let mut same = Vec::new();
            line.put(value, &mut same);
            assert_eq!(same, out);
        }
        out
    }

    #[test]
    fn what_is_put_again_is_the_same_and_stops_when_there_is_enough() {
        for times in [0, 1, 2, 3, 7, 100] {
            let mut fed = b"before ab\n".to_vec();
            let put = put_again(&mut fed, 7, times, 40);
            assert_eq!(put, times.min(10), "{times}");
            let again = "ab\n".repeat(usize::try_from(put).unwrap());
            assert_eq!(fed, format!("before ab\n{again}").as_bytes());
        }
        assert_eq!(put_again(&mut vec![b'x'; 10], 5, 3, 10), 0);
    }

    #[test]
    fn texts_are_lines_whatever_their_length() {
        for (key, value) in [
            ("", ""),
            ("k", "v"),
            ("key", "value"),
            (&"k".repeat(40), "v"),
        ] {
            let got = fed(
                Form::Text,
                Kinds::TEXTS,
                false,
                key.as_bytes(),
                value.as_bytes(),
            );
            assert_eq!(got, format!("{key}:{value}\n").as_bytes());
        }
    }

    #[test]
    fn all_forms_have_the_key_but_text_may_be_without() {
        let kinds = Kinds {
            key: Kind::Number,
            value: Kind::Text,
        };
        let put = |form, ignore_key| fed(form, kinds, ignore_key, &4_u64.to_be_bytes(), b"x");
        assert_eq!(put(Form::Text, true), b"x\n");
        assert_eq!(put(Form::Text, false), b"4:x\n");
        assert_eq!(put(Form::KeyOnlyText, true), b"4\n");
        // As Hadoop has fed it.
        let typed = b"\x04\0\0\0\0\0\0\0\x04\x07\0\0\0\x01x";
        assert_eq!(put(Form::TypedBytes, true), typed);
        let raw = b"\0\0\0\x08\0\0\0\0\0\0\0\x04\0\0\0\x02\x01x";
        assert_eq!(put(Form::RawBytes, true), raw);
    }

    #[test]
    fn values_that_are_nothing_are_no_typed_bytes() {
        let kinds = Kinds::printed(Form::KeyOnlyText);
        assert_eq!(fed(Form::KeyOnlyText, kinds, false, b"k", b""), b"k\n");
        let typed = Fed {
            form: Form::TypedBytes,
            ..Fed::default()
        };
        assert!(Feed::new(&typed, kinds).is_err());
    }
}
