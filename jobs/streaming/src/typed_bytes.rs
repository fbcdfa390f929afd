//! Typed bytes: items that tell by their first byte what they are. Numbers are big-endian.
//!
//! ```text
//! 0  bytes    length (4), bytes           6  double   8 bytes
//! 1  byte     1 byte                      7  text     length (4), UTF-8
//! 2  boolean  1 byte                      8  vector   number of items (4), items
//! 3  integer  4 bytes                     9  list     items, 255
//! 4  long     8 bytes                    10  map      number of pairs (4), keys and values
//! 5  float    4 bytes                50-200  as 0, of the application's own
//! ```

use std::cmp::Ordering;
use std::fmt;

use crate::java_number;

/// How deep items may lie in items.
const DEPTH_MAX: u32 = 64;

/// What is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TypedBytesError {
    /// There is no such type.
    #[error("there is no type {0} of typed bytes")]
    UnknownType(u8),
    /// A length or a number of items.
    #[error("a length in typed bytes is below zero: {0}")]
    NegativeLength(i32),
    /// Lists of lists of lists.
    #[error("typed bytes lie more than {DEPTH_MAX} deep in each other")]
    TooDeep,
}

/// The length of the item that `bytes` begin with; `None` if its end is still to come.
///
/// # Errors
/// They begin with no item.
pub(crate) fn item_len(bytes: &[u8]) -> Result<Option<usize>, TypedBytesError> {
    let mut rest = bytes;
    Ok(Item::read(&mut rest, 0)?.map(|_| bytes.len() - rest.len()))
}

/// Appends a text as an item.
pub(crate) fn put_text(text: &[u8], out: &mut Vec<u8>) {
    put_sized(7, text, out);
}

/// Appends bytes as an item.
pub(crate) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_sized(0, bytes, out);
}

/// Appends a number, which is the eight bytes of a long.
pub(crate) fn put_long(number: &[u8], out: &mut Vec<u8>) {
    out.push(4);
    out.extend_from_slice(number);
}

fn put_sized(code: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(code);
    out.extend_from_slice(&len32(bytes).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The length of a key or a value, which is below 2 GiB.
pub(crate) fn len32(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// An item, which shows itself as Java would.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item<'a> {
    Bytes(&'a [u8]),
    Byte(i8),
    Bool(bool),
    Int(i32),
    Long(i64),
    Float(f32),
    Double(f64),
    Text(&'a [u8]),
    List(Vec<Item<'a>>),
    Map(Vec<(Item<'a>, Item<'a>)>),
}

/// Ends a list.
const MARKER: u8 = 255;

impl<'a> Item<'a> {
    /// The item that `bytes` begin with, if it is whole.
    pub(crate) fn of(mut bytes: &'a [u8]) -> Option<Self> {
        Self::read(&mut bytes, 0).ok().flatten()
    }

    /// Takes it from the beginning of `rest`.
    fn read(rest: &mut &'a [u8], depth: u32) -> Result<Option<Self>, TypedBytesError> {
        if depth > DEPTH_MAX {
            return Err(TypedBytesError::TooDeep);
        }
        let Some([code]) = take_array(rest) else {
            return Ok(None);
        };
        Ok(match code {
            0 | 50..=200 => take_sized(rest)?.map(Self::Bytes),
            1 => take_array(rest).map(|[byte]| Self::Byte(byte.cast_signed())),
            2 => take_array(rest).map(|[byte]| Self::Bool(byte != 0)),
            3 => take_array(rest).map(|bytes| Self::Int(i32::from_be_bytes(bytes))),
            4 => take_array(rest).map(|bytes| Self::Long(i64::from_be_bytes(bytes))),
            5 => take_array(rest).map(|bytes| Self::Float(f32::from_be_bytes(bytes))),
            6 => take_array(rest).map(|bytes| Self::Double(f64::from_be_bytes(bytes))),
            7 => take_sized(rest)?.map(Self::Text),
            8 => Self::read_vector(rest, depth)?,
            9 => Self::read_list(rest, depth)?,
            10 => Self::read_map(rest, depth)?,
            other => return Err(TypedBytesError::UnknownType(other)),
        })
    }

    fn read_vector(rest: &mut &'a [u8], depth: u32) -> Result<Option<Self>, TypedBytesError> {
        let Some(count) = take_length(rest)? else {
            return Ok(None);
        };
        let mut items = Vec::new();
        for _ in 0..count {
            match Self::read(rest, depth + 1)? {
                Some(item) => items.push(item),
                None => return Ok(None),
            }
        }
        Ok(Some(Self::List(items)))
    }

    fn read_list(rest: &mut &'a [u8], depth: u32) -> Result<Option<Self>, TypedBytesError> {
        let mut items = Vec::new();
        while rest.first() != Some(&MARKER) {
            match Self::read(rest, depth + 1)? {
                Some(item) => items.push(item),
                None => return Ok(None),
            }
        }
        *rest = &rest[1..];
        Ok(Some(Self::List(items)))
    }

    fn read_map(rest: &mut &'a [u8], depth: u32) -> Result<Option<Self>, TypedBytesError> {
        let Some(count) = take_length(rest)? else {
            return Ok(None);
        };
        let mut pairs = Vec::new();
        for _ in 0..count {
            let key = Self::read(rest, depth + 1)?;
            let value = Self::read(rest, depth + 1)?;
            match key.zip(value) {
                Some(pair) => pairs.push(pair),
                None => return Ok(None),
            }
        }
        Ok(Some(Self::Map(pairs)))
    }

    /// The order of keys in a map, if they are of one type.
    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bytes(one), Self::Bytes(other)) | (Self::Text(one), Self::Text(other)) => {
                one.cmp(other)
            }
            (Self::Byte(one), Self::Byte(other)) => one.cmp(other),
            (Self::Bool(one), Self::Bool(other)) => one.cmp(other),
            (Self::Int(one), Self::Int(other)) => one.cmp(other),
            (Self::Long(one), Self::Long(other)) => one.cmp(other),
            (Self::Float(one), Self::Float(other)) => one.total_cmp(other),
            (Self::Double(one), Self::Double(other)) => one.total_cmp(other),
            _ => Ordering::Equal,
        }
    }
}

impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Byte(number) => write!(f, "{number}"),
            Self::Bool(is) => write!(f, "{is}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Long(number) => write!(f, "{number}"),
            Self::Float(number) => f.write_str(&java_number::float(*number)),
            Self::Double(number) => f.write_str(&java_number::double(*number)),
            Self::Text(text) => f.write_str(&String::from_utf8_lossy(text)),
            Self::List(items) => {
                f.write_str("[")?;
                for (place, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", comma_before(place))?;
                }
                f.write_str("]")
            }
            Self::Map(pairs) => {
                let mut sorted: Vec<_> = pairs.iter().collect();
                sorted.sort_by(|one, other| one.0.compare(&other.0));
                f.write_str("{")?;
                for (place, (key, value)) in sorted.into_iter().enumerate() {
                    write!(f, "{}{key}={value}", comma_before(place))?;
                }
                f.write_str("}")
            }
        }
    }
}

fn comma_before(place: usize) -> &'static str {
    if place > 0 { ", " } else { "" }
}

fn take_array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*array)
}

fn take_length(rest: &mut &[u8]) -> Result<Option<usize>, TypedBytesError> {
    let Some(length) = take_array(rest).map(i32::from_be_bytes) else {
        return Ok(None);
    };
    let negative = |_| TypedBytesError::NegativeLength(length);
    usize::try_from(length).map(Some).map_err(negative)
}

fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<Option<&'a [u8]>, TypedBytesError> {
    let Some(length) = take_length(rest)? else {
        return Ok(None);
    };
    let Some((bytes, after)) = rest.split_at_checked(length) else {
        return Ok(None);
    };
    *rest = after;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `hex` is a whole item, which shows itself as `want`, and no beginning of it is one.
    #[track_caller]
    fn check(hex: &str, want: &str) {
        let bytes: Vec<u8> = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        assert_eq!(item_len(&bytes), Ok(Some(bytes.len())), "{hex}");
        for end in 0..bytes.len() {
            assert_eq!(item_len(&bytes[..end]), Ok(None), "{hex} to {end}");
        }
        assert_eq!(Item::of(&bytes).unwrap().to_string(), want);
    }

    #[test]
    fn each_type_is_read_and_shown_as_java_shows_it() {
        check("000000000201ab", "01ab");
        check("0107", "7");
        check("01c8", "-56");
        check("0201", "true");
        check("0200", "false");
        check("03fffffffb", "-5");
        check("040000010000000000", "1099511627776");
        check("053f000000", "0.5");
        check("064202a05f20000000", "1.0E10");
        check("063fb999999999999a", "0.1");
        check("070000000368c3a9", "h\u{e9}");
        check("08000000020300000001070000000178", "[1, x]");
        check("0903000000010300000002ff", "[1, 2]");
        check("0a0000000107000000016b0300000003", "{k=3}");
        check("0a0000000207000000016201010700000001610102", "{a=2, b=1}");
        check("6400000001ff", "ff");
        check("0800000000", "[]");
        check("09ff", "[]");
    }

    #[test]
    fn what_is_no_item_is_told() {
        assert_eq!(item_len(&[11]), Err(TypedBytesError::UnknownType(11)));
        assert_eq!(item_len(&[255]), Err(TypedBytesError::UnknownType(255)));
        assert_eq!(
            item_len(&[7, 255, 255, 255, 255]),
            Err(TypedBytesError::NegativeLength(-1))
        );
        assert_eq!(item_len(&[9; 1000]), Err(TypedBytesError::TooDeep));
    }

    #[test]
    fn what_is_put_can_be_read() {
        let mut out = Vec::new();
        put_text(b"x", &mut out);
        put_bytes(b"y", &mut out);
        put_long(&7_u64.to_be_bytes(), &mut out);
        assert_eq!(out, b"\x07\0\0\0\x01x\0\0\0\0\x01y\x04\0\0\0\0\0\0\0\x07");
        let mut rest = &out[..];
        let mut shown = Vec::new();
        while let Some(item) = Item::read(&mut rest, 0).unwrap() {
            shown.push(item.to_string());
        }
        assert_eq!(shown, ["x", "79", "7"]);
    }
}
