//! An order of records: which bytes are the key, and how keys compare.
//!
//! A key is encoded so that encodings compare as the keys should. Where the key's own bytes can be had back from the
//! encoding, the record is taken apart into key and rest, so that no byte of it travels twice.

use mapfold_job::{DecodeKeyError, Key, KeyPart};
use memchr::memchr;

use super::number;
use crate::column;

/// An order of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordOrder {
    pub(super) part: Part,
    pub(super) coding: Coding,
}

/// The part of a record that is its key. What a record does not have is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// A range of its bytes.
    Bytes { start: usize, len: usize },
    /// What comes after so many delimiters, up to the next.
    Column { before: usize, delimiter: u8 },
}

/// How keys compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Coding {
    /// As the decimal numbers that they begin with, not as bytes.
    pub(super) numeric: bool,
    /// Largest first.
    pub(super) reverse: bool,
}

/// A record in two: the key, and what is before it and after it.
pub(super) type TakenApart<'r> = (SortKey<'r>, (&'r [u8], &'r [u8]));

impl RecordOrder {
    /// Appends the encoded key of a record; encodings compare as the records should.
    pub fn append_key(&self, record: &[u8], out: &mut Vec<u8>) {
        self.take_apart(record).0.append(out);
    }

    /// The key, and what is needed beside it to have the record back.
    #[inline]
    pub(super) fn take_apart<'r>(&self, record: &'r [u8]) -> TakenApart<'r> {
        let (begin, end) = self.part.range(record);
        let key = SortKey {
            bytes: &record[begin..end],
            coding: self.coding,
        };
        let rest = if self.key_is_enough() {
            (&record[..begin], &record[end..])
        } else {
            (record, &[][..])
        };
        (key, rest)
    }

    /// Appends the record that was taken apart.
    #[inline]
    pub(super) fn put_together(&self, key: &[u8], rest: &[u8], out: &mut Vec<u8>) {
        if !self.key_is_enough() {
            out.extend_from_slice(rest);
            return;
        }
        let begin = match self.part {
            Part::Bytes { start, .. } => start.min(rest.len()),
            Part::Whole | Part::Column { .. } => 0,
        };
        out.extend_from_slice(&rest[..begin]);
        if self.coding.reverse {
            restore_reversed(key, out);
        } else {
            out.extend_from_slice(key);
        }
        out.extend_from_slice(&rest[begin..]);
    }

    /// Whether the key can be had back from its encoding, and its place is the same in every record.
    #[inline]
    fn key_is_enough(&self) -> bool {
        !self.coding.numeric && !matches!(self.part, Part::Column { .. })
    }
}

impl Part {
    /// Begin and end.
    #[inline]
    fn range(self, record: &[u8]) -> (usize, usize) {
        match self {
            Self::Whole => (0, record.len()),
            Self::Bytes { start, len } => {
                (start.min(record.len()), (start + len).min(record.len()))
            }
            Self::Column { before, delimiter } => column::range(record, before, delimiter),
        }
    }
}

/// A key on its way to its encoding; read back, it is the encoding.
#[derive(Clone, Copy, Debug)]
pub struct SortKey<'a> {
    pub(super) bytes: &'a [u8],
    coding: Coding,
}

impl SortKey<'_> {
    /// Appends the encoding.
    fn append(&self, out: &mut Vec<u8>) {
        let Coding { numeric, reverse } = self.coding;
        let begin = out.len();
        if numeric {
            number::encode(self.bytes, out);
        } else if reverse {
            Vec::<u8>::encode_part(self.bytes, out);
        } else {
            out.extend_from_slice(self.bytes);
        }
        if reverse {
            // The encodings tell their own end, so that of no key begins that of another.
            out[begin..].iter_mut().for_each(|byte| *byte = !*byte);
        }
    }
}

/// The type of encoded keys.
pub struct Encoded;

impl Key for Encoded {
    type Ref<'a> = SortKey<'a>;

    fn kind() -> String {
        "record".to_owned()
    }

    #[inline]
    fn encode<'k: 's, 's>(key: SortKey<'k>, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        let Coding { numeric, reverse } = key.coding;
        if !numeric && !reverse {
            return key.bytes;
        }
        scratch.clear();
        key.append(scratch);
        scratch
    }

    #[inline]
    fn decode<'a>(encoded: &'a [u8], _: &'a mut Vec<u8>) -> Result<SortKey<'a>, DecodeKeyError> {
        Ok(SortKey {
            bytes: encoded,
            coding: Coding::default(),
        })
    }
}

/// Appends the key of which `encoded` is the complement of the encoding in a tuple: in that, a zero is `00 FF`, and `00 00` is the
/// end.
fn restore_reversed(encoded: &[u8], out: &mut Vec<u8>) {
    let mut rest = encoded;
    while let Some(at) = memchr(0xFF, rest) {
        out.extend(rest[..at].iter().map(|byte| !byte));
        if rest.get(at + 1) != Some(&0x00) {
            return;
        }
        out.push(0);
        rest = &rest[at + 2..];
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn orders() -> impl Strategy<Value = RecordOrder> {
        let part = prop_oneof![
            Just(Part::Whole),
            (0..6_usize, 1..6_usize).prop_map(|(start, len)| Part::Bytes { start, len }),
            (0..4_usize).prop_map(|before| Part::Column {
                before,
                delimiter: b','
            }),
        ];
        (part, any::<bool>(), any::<bool>()).prop_map(|(part, numeric, reverse)| RecordOrder {
            part,
            coding: Coding { numeric, reverse },
        })
    }

    fn record() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            Just(0),
            Just(0xFF),
            Just(b','),
            Just(b'-'),
            Just(b'1'),
            any::<u8>()
        ];
        vec(byte, 0..12)
    }

    /// How two records should compare, by the bytes of their keys.
    fn compare(order: &RecordOrder, one: &[u8], two: &[u8]) -> Ordering {
        let bytes = |record| order.take_apart(record).0.bytes.to_vec();
        let bytewise = bytes(one).cmp(&bytes(two));
        if order.coding.reverse {
            bytewise.reverse()
        } else {
            bytewise
        }
    }

    proptest! {
        #[test]
        fn a_record_is_put_together_as_it_was(order in orders(), record in record()) {
            let (key, (before, after)) = order.take_apart(&record);
            let mut scratch = Vec::new();
            let encoded = Encoded::encode(key, &mut scratch);
            let mut out = b"row".to_vec();
            order.put_together(encoded, &[before, after].concat(), &mut out);
            prop_assert_eq!(&out[3..], record);
        }

        #[test]
        fn encodings_compare_as_keys_do(mut order in orders(), one in record(), two in record()) {
            order.coding.numeric = false;
            let (mut first, mut second) = (Vec::new(), Vec::new());
            order.append_key(&one, &mut first);
            order.append_key(&two, &mut second);
            prop_assert_eq!(first.cmp(&second), compare(&order, &one, &two));
        }
    }
}
