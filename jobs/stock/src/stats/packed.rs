//! Counts of parts as bytes, for runs: what is in order lies close together, so differences are short.
//!
//! ```text
//! list     number of items varint, items     twice: those in order, those that wait
//! item     varint of twice the difference to the number before, zigzag, and whether a count follows     count varint, if it is not 1
//! varint   seven bits a byte, lowest first, the high bit on all but the last
//! ```
//! As items of serde each would cost several calls, which was a sixth of a job.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};
use serde_bytes::ByteBuf;

use super::counts::{Counted, Counts};
use super::spread::PARTS_MAX;

pub(super) fn serialize<S: Serializer>(counts: &Counts<i64>, to: S) -> Result<S::Ok, S::Error> {
    let lists = counts.lists();
    let mut bytes = Vec::with_capacity(lists.iter().map(|list| 2 + 4 * list.len()).sum());
    lists.iter().for_each(|list| put(list, &mut bytes));
    to.serialize_bytes(&bytes)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Counts<i64>, D::Error> {
    let bytes = ByteBuf::deserialize(from)?;
    let mut rest = &bytes[..];
    let lists = take(&mut rest).zip(take(&mut rest));
    let (ordered, waiting) = lists.ok_or_else(|| D::Error::custom("no counts of numbers"))?;
    Ok(Counts::of_lists(ordered, waiting))
}

fn put(list: &[Counted<i64>], out: &mut Vec<u8>) {
    put_varint(list.len() as u64, out);
    let mut before = 0;
    for (parts, count) in list {
        // Of two that are in bounds: less than 2 to the 61 in size.
        let difference = parts - before;
        let zigzag = ((difference << 1) ^ (difference >> 63)).cast_unsigned();
        put_varint(zigzag << 1 | u64::from(*count != 1), out);
        if *count != 1 {
            put_varint(*count, out);
        }
        before = *parts;
    }
}

fn take(from: &mut &[u8]) -> Option<Vec<Counted<i64>>> {
    let len = usize::try_from(take_varint(from)?).ok()?;
    // Each has a byte at least.
    let mut list = Vec::with_capacity(Some(len).filter(|len| *len <= from.len())?);
    let mut before = 0_i64;
    for _ in 0..len {
        let item = take_varint(from)?;
        let zigzag = item >> 1;
        let difference = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
        before = before.checked_add(difference)?;
        (before.unsigned_abs() <= PARTS_MAX).then_some(())?;
        let count = if item & 1 == 1 { take_varint(from)? } else { 1 };
        list.push((before, count));
    }
    Some(list)
}

#[inline]
fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[inline]
fn take_varint(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (at, byte) in from.iter().enumerate() {
        // What is beyond 64 bits of damaged bytes is lost.
        number |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(at).ok()?)?;
        if byte & 0x80 == 0 {
            *from = &from[at + 1..];
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lists_read_back_as_written(
            list in proptest::collection::vec((-(PARTS_MAX.cast_signed())..=PARTS_MAX.cast_signed(), 0..3_u64), 0..20), close in any::<bool>()
        ) {
            let mut list = list;
            if close {
                list.iter_mut().for_each(|(parts, _)| *parts %= 1000);
            }
            let mut bytes = Vec::new();
            put(&list, &mut bytes);
            put(&[(7, u64::MAX)], &mut bytes);
            let mut rest = &bytes[..];
            prop_assert_eq!(take(&mut rest), Some(list));
            prop_assert_eq!(take(&mut rest), Some(vec![(7, u64::MAX)]));
            prop_assert!(rest.is_empty());
            prop_assert_eq!(take(&mut &bytes[..bytes.len() - 1]).zip(take(&mut rest)), None);
        }

        #[test]
        fn damaged_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = &bytes[..];
            if let Some(list) = take(&mut rest) {
                prop_assert!(list.iter().all(|(parts, _)| parts.unsigned_abs() <= PARTS_MAX));
            }
        }
    }
}
