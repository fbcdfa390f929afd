//! `KeyFieldBasedComparator` as bytes: keys whose encodings are in order are in the comparator's order.
//!
//! So the engine, which sorts by bytes, needs no comparator. Of each part that an option names:
//! ```text
//! 00                                            a part whose field is missing: before all others
//! 01 bytes, with 00 written as 00 ff, then 00 00     text
//! 01 sign, digits before the point, digits after     a number
//! ```
//! and all of it inverted where the option says `r`. Each part tells its own end, so the key's bytes may follow: they order keys that the
//! comparator holds for equal.

use memchr::memchr;

use crate::key_spec::KeySpecs;

const MISSING: u8 = 0;
const PRESENT: u8 = 1;
/// Signs. What is below zero is inverted.
const NEGATIVE: u8 = 0;
const ZERO: u8 = 1;
const POSITIVE: u8 = 2;

/// Appends what `key` is compared by.
pub(crate) fn encode(specs: &KeySpecs, key: &[u8], out: &mut Vec<u8>) {
    for (spec, part) in specs.parts(key) {
        let start = out.len();
        match part {
            None => out.push(MISSING),
            Some(part) => {
                out.push(PRESENT);
                match spec.numeric {
                    true => number(part, out),
                    false => text(part, out),
                }
            }
        }
        if spec.reverse {
            invert(&mut out[start..]);
        }
    }
}

/// The key of `sorted`, which is what it is compared by and then the key.
pub(crate) fn key<'a>(specs: &KeySpecs, sorted: &'a [u8]) -> &'a [u8] {
    specs.iter().fold(sorted, |rest, spec| {
        let length = part_len(rest, spec.numeric, if spec.reverse { 0xff } else { 0 });
        rest.get(length..).unwrap_or_default()
    })
}

/// Length of the part at the front of `rest`, whose bytes are inverted by `mask`.
fn part_len(rest: &[u8], numeric: bool, mask: u8) -> usize {
    let byte = |at: usize| rest.get(at).map(|byte| byte ^ mask);
    if byte(0) != Some(PRESENT) {
        return 1;
    }
    if !numeric {
        let mut at = 1;
        while let Some(zero) = memchr(mask, rest.get(at..).unwrap_or_default()) {
            at += zero + 2;
            if byte(at - 1) == Some(0) {
                break;
            }
        }
        return at;
    }
    let sign = byte(1);
    if sign == Some(ZERO) {
        return 2;
    }
    let end = if sign == Some(NEGATIVE) { !mask } else { mask };
    let digits = 2 + size_of::<u32>();
    let length = memchr(end, rest.get(digits..).unwrap_or_default());
    digits + length.map_or(0, |length| length + 1)
}

fn text(part: &[u8], out: &mut Vec<u8>) {
    for byte in part {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// A number as far as it can be read: `-`, digits, a point, digits. What comes after is not looked at, and what is no number is zero.
fn number(part: &[u8], out: &mut Vec<u8>) {
    let (negative, rest) = match part.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, part),
    };
    let (whole, rest) = digits(rest);
    let fraction = rest
        .strip_prefix(b".")
        .map_or(&[][..], |rest| digits(rest).0);
    let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
    let whole = &whole[zeros..];
    let fraction_len = fraction
        .iter()
        .rposition(|digit| *digit != b'0')
        .map_or(0, |at| at + 1);
    let fraction = &fraction[..fraction_len];
    if whole.is_empty() && fraction.is_empty() {
        return out.push(ZERO);
    }
    out.push(if negative { NEGATIVE } else { POSITIVE });
    let start = out.len();
    // More digits are a larger number. A key is shorter than 4 GiB.
    out.extend_from_slice(&u32::try_from(whole.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(whole);
    out.extend_from_slice(fraction);
    // Below all digits, so that 1.5 is before 1.51.
    out.push(0);
    if negative {
        invert(&mut out[start..]);
    }
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

fn invert(bytes: &mut [u8]) {
    for byte in bytes {
        *byte = !*byte;
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    fn order(options: &str, one: &[u8], other: &[u8]) -> Ordering {
        let specs = KeySpecs::parse(options, b"\t").unwrap();
        let encoded = |key: &[u8]| {
            let mut out = Vec::new();
            encode(&specs, key, &mut out);
            assert_eq!(super::key(&specs, &[&out, key].concat()), key);
            out
        };
        encoded(one).cmp(&encoded(other))
    }

    #[track_caller]
    fn check(options: &str, one: &str, want: Ordering, other: &str) {
        assert_eq!(
            order(options, one.as_bytes(), other.as_bytes()),
            want,
            "{one:?} {other:?}"
        );
        assert_eq!(
            order(options, other.as_bytes(), one.as_bytes()),
            want.reverse()
        );
    }

    #[test]
    fn numbers_are_in_order_whatever_their_length() {
        let numbers = [
            "-100", "-99.5", "-99", "-2", "-1.51", "-1.5", "-0.1", "0", "0.01", "0.1", "1", "1.5",
            "1.51", "2", "10", "99", "100",
        ];
        for (at, one) in numbers.iter().enumerate() {
            for (other_at, other) in numbers.iter().enumerate() {
                check("-n", one, at.cmp(&other_at), other);
                check("-nr", one, other_at.cmp(&at), other);
            }
        }
        for same in ["-0.0", "0", "000", "0.000", "x", "-"] {
            check("-n", same, Ordering::Equal, "0.0");
        }
        check("-n", "007", Ordering::Equal, "7.0");
    }

    #[test]
    fn a_missing_field_is_first_or_last_if_backwards() {
        check("-k2", "z", Ordering::Less, "a\tb");
        check("-k2r", "z", Ordering::Greater, "a\tb");
        check("-k2,2n -k1,1", "b\t1", Ordering::Greater, "a\t01");
        check("-k2,2n -k1,1r", "b\t1", Ordering::Less, "a\t1");
        check("-k1,1", "a\tz", Ordering::Equal, "a\tb");
    }

    /// Keys are in the order that Hadoop has put them in, without those that it puts anywhere.
    #[track_caller]
    fn check_sorted(options: &str, keys: &[&str]) {
        for pair in keys.windows(2) {
            check(options, pair[0], Ordering::Less, pair[1]);
        }
    }

    #[test]
    fn keys_are_in_the_order_of_hadoop() {
        let numbers = [
            "-3.5", "-3", "0.001", "2.45", "2.5", "9", "10", "100", "1000000",
        ];
        check_sorted("-n", &numbers);
        check_sorted("-r", &["\u{fc}", "c", "b", "ab", "a", "B"]);
        check_sorted("-k2,2nr", &["d\t200", "b\t30", "c\t4", "a\t1"]);
        check_sorted("-k2,2 -k1,1r", &["d\tw", "b\tx", "a\tx", "c\ty", "a\ty"]);
        check_sorted(
            "-k1,1 -k2,2n",
            &["a\t-1", "a\t9", "a\t10", "b\t9", "b\t10", "b\t100"],
        );
        check_sorted("-k1.2,1.3", &["x", "xaz", "xba", "xbb", "xcz"]);
        check_sorted("-k2,2 -k1,1", &["d", "b\tx", "c\tx", "a\ty"]);
        check_sorted("-k2,2r -k1,1", &["c\ty", "a\tx", "b\tx", "d"]);
        check_sorted("-n", &["abc", "9", "10"]);
    }

    proptest! {
        #[test]
        fn text_is_in_the_order_of_its_bytes(one: Vec<u8>, other: Vec<u8>) {
            // A part that begins beyond the end of the key is missing, which an empty key is.
            prop_assert_eq!(order("-r", &one, &other), other.cmp(&one));
        }

        #[test]
        fn a_key_is_found_behind_what_it_is_compared_by(
            key in proptest::collection::vec(prop_oneof![Just(b'\t'), Just(0), Just(b'-'), Just(b'.'), Just(b'7'), any::<u8>()], 0..12),
            options in "(-k[12](\\.[12])?(,[23])?n?r? ){0,3}(-nr?)?",
        ) {
            prop_assert_eq!(order(&options, &key, &key), Ordering::Equal);
        }

        #[test]
        fn whole_numbers_are_in_their_order(one: i64, other: i64) {
            let text = |n: i64| n.to_string().into_bytes();
            prop_assert_eq!(order("-n", &text(one), &text(other)), one.cmp(&other));
        }
    }
}
