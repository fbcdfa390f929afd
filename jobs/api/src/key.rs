//! Keys, encoded so that the order of the bytes is the order of the values.
//!
//! Sorting and merging compare bytes and never decode. Two keys are equal exactly if their encodings are.
//!
//! | type | encoding |
//! | --- | --- |
//! | `Vec<u8>`, `String`, alone | the bytes as they are |
//! | `u8` .. `u64` | big-endian |
//! | `i8` .. `i64` | big-endian with the sign bit flipped |
//! | `f64` | IEEE bits; all flipped if negative, else the sign bit (IEEE 754 totalOrder: -0.0 before 0.0, NaN last) |
//! | `bool` | one byte, 0 or 1 |
//! | `()` | nothing |
//! | tuple | its parts one after another; text and bytes with each `00` as `00 FF`, ended by `00 00` |
//!
//! The tuple encoding is that of ordered key-value stores (FoundationDB's tuple layer is the best known).

use std::str;

/// A type of key. `Ref` is what a job handles: borrowed where that saves a copy.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of a key",
    label = "not a key",
    note = "keys are `String`, `Vec<u8>`, whole numbers of up to 64 bits, `f64`, `bool`, `()`, and tuples of two to four of these",
    note = "write a struct as a tuple of its fields: their order is that of the rows; what need not be in order can travel in the value, as `Coded<T>`"
)]
pub trait Key: 'static {
    /// The borrowed form: `&[u8]` for `Vec<u8>`, `&str` for `String`, numbers themselves, tuples of these.
    type Ref<'a>: Copy;

    /// Name of the kind for people and the manifest: `bytes`, `text`, `u64`, `(text, u64)`.
    fn kind() -> String;

    /// The encoding: the key's own bytes where they are their encoding, else written to `scratch`.
    fn encode<'k: 's, 's>(key: Self::Ref<'k>, scratch: &'s mut Vec<u8>) -> &'s [u8];

    /// The encoding of a tuple's first part, as it stands at the front of the tuple's; of other keys the whole.
    #[inline]
    fn first_part(encoded: &[u8]) -> &[u8] {
        encoded
    }

    /// What all keys with the same first part have in common: the key with the least values in place of the rest of its parts. Of
    /// keys that are no tuples the key itself.
    #[inline]
    fn group<'a>(key: Self::Ref<'a>) -> Self::Ref<'a> {
        key
    }

    /// The key back; may borrow from either argument.
    ///
    /// # Errors
    /// Bytes that no key encodes to.
    fn decode<'a>(
        encoded: &'a [u8],
        scratch: &'a mut Vec<u8>,
    ) -> Result<Self::Ref<'a>, DecodeKeyError>;
}

/// A key that can stand in a tuple, where it must tell its own end.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a part of a key",
    label = "not a part of a key",
    note = "parts are `String`, `Vec<u8>`, whole numbers of up to 64 bits, `f64`, `bool`, `()`, and tuples of two to four of these"
)]
pub trait KeyPart: Key {
    /// The key that is before all others.
    fn least<'a>() -> Self::Ref<'a>;

    /// Appends the encoding within a tuple.
    fn encode_part(key: Self::Ref<'_>, out: &mut Vec<u8>);

    /// Length of the part's encoding at the front of `encoded`; all of it, if no part is encoded there.
    fn part_len(encoded: &[u8]) -> usize;

    /// Takes the part from the front of `rest`, which may be changed in place (escapes only shrink).
    ///
    /// # Errors
    /// Bytes that no part encodes to.
    fn decode_part<'a>(rest: &mut &'a mut [u8]) -> Result<Self::Ref<'a>, DecodeKeyError>;
}

/// Bytes that are no encoded key of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no encoded key of type {kind}")]
pub struct DecodeKeyError {
    /// The type that was expected.
    pub kind: &'static str,
}

const END: u8 = 0x00;
const ESCAPED: u8 = 0xFF;

impl Key for Vec<u8> {
    type Ref<'a> = &'a [u8];

    fn kind() -> String {
        "bytes".to_owned()
    }

    #[inline]
    fn encode<'k: 's, 's>(key: &'k [u8], _: &'s mut Vec<u8>) -> &'s [u8] {
        key
    }

    #[inline]
    fn decode<'a>(encoded: &'a [u8], _: &'a mut Vec<u8>) -> Result<&'a [u8], DecodeKeyError> {
        Ok(encoded)
    }
}

impl KeyPart for Vec<u8> {
    fn least<'a>() -> Self::Ref<'a> {
        &[]
    }

    fn encode_part(key: &[u8], out: &mut Vec<u8>) {
        let mut rest = key;
        while let Some(at) = memchr::memchr(0, rest) {
            out.extend_from_slice(&rest[..=at]);
            out.push(ESCAPED);
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
        out.extend_from_slice(&[0, END]);
    }

    fn part_len(encoded: &[u8]) -> usize {
        let mut from = 0;
        while let Some(at) = memchr::memchr(0, &encoded[from..]) {
            from = (from + at + 2).min(encoded.len());
            if encoded[from - 1] == END {
                return from;
            }
        }
        encoded.len()
    }

    fn decode_part<'a>(rest: &mut &'a mut [u8]) -> Result<&'a [u8], DecodeKeyError> {
        const ERROR: DecodeKeyError = DecodeKeyError { kind: "bytes" };
        let bytes = std::mem::take(rest);
        let mut from = 0;
        let mut to = 0;
        loop {
            let zero = from + memchr::memchr(0, &bytes[from..]).ok_or(ERROR)?;
            bytes.copy_within(from..zero, to);
            to += zero - from;
            match bytes.get(zero + 1) {
                Some(&END) => {
                    let (part, tail) = bytes.split_at_mut(zero + 2);
                    *rest = tail;
                    return Ok(&part[..to]);
                }
                Some(&ESCAPED) => {
                    bytes[to] = 0;
                    to += 1;
                    from = zero + 2;
                }
                _ => return Err(ERROR),
            }
        }
    }
}

impl Key for String {
    type Ref<'a> = &'a str;

    fn kind() -> String {
        "text".to_owned()
    }

    #[inline]
    fn encode<'k: 's, 's>(key: &'k str, _: &'s mut Vec<u8>) -> &'s [u8] {
        key.as_bytes()
    }

    #[inline]
    fn decode<'a>(encoded: &'a [u8], _: &'a mut Vec<u8>) -> Result<&'a str, DecodeKeyError> {
        str::from_utf8(encoded).map_err(|_| DecodeKeyError { kind: "text" })
    }
}

impl KeyPart for String {
    fn least<'a>() -> Self::Ref<'a> {
        ""
    }

    fn encode_part(key: &str, out: &mut Vec<u8>) {
        Vec::<u8>::encode_part(key.as_bytes(), out);
    }

    fn part_len(encoded: &[u8]) -> usize {
        Vec::<u8>::part_len(encoded)
    }

    fn decode_part<'a>(rest: &mut &'a mut [u8]) -> Result<&'a str, DecodeKeyError> {
        let bytes = Vec::<u8>::decode_part(rest)?;
        str::from_utf8(bytes).map_err(|_| DecodeKeyError { kind: "text" })
    }
}

/// A key of fixed width: what it encodes to within a tuple is what it encodes to alone.
macro_rules! fixed_width {
    ($type:ty, $kind:literal, $width:literal, $least:expr, |$key:ident| $encode:expr, |$bytes:ident| $decode:expr) => {
        impl Key for $type {
            type Ref<'a> = $type;

            fn kind() -> String {
                $kind.to_owned()
            }

            #[inline]
            fn encode<'k: 's, 's>(key: $type, scratch: &'s mut Vec<u8>) -> &'s [u8] {
                scratch.clear();
                Self::encode_part(key, scratch);
                scratch
            }

            #[inline]
            fn decode<'a>(encoded: &'a [u8], _: &'a mut Vec<u8>) -> Result<$type, DecodeKeyError> {
                const ERROR: DecodeKeyError = DecodeKeyError { kind: $kind };
                let $bytes: [u8; $width] = encoded.try_into().map_err(|_| ERROR)?;
                $decode.ok_or(ERROR)
            }
        }

        impl KeyPart for $type {
            #[inline]
            fn least<'a>() -> Self::Ref<'a> {
                $least
            }

            #[inline]
            fn encode_part($key: $type, out: &mut Vec<u8>) {
                let bytes: [u8; $width] = $encode;
                out.extend_from_slice(&bytes);
            }

            #[inline]
            fn part_len(encoded: &[u8]) -> usize {
                encoded.len().min($width)
            }

            #[inline]
            fn decode_part(rest: &mut &mut [u8]) -> Result<$type, DecodeKeyError> {
                const ERROR: DecodeKeyError = DecodeKeyError { kind: $kind };
                let (part, tail) = std::mem::take(rest)
                    .split_at_mut_checked($width)
                    .ok_or(ERROR)?;
                *rest = tail;
                Self::decode(part, &mut Vec::new())
            }
        }
    };
}

fixed_width!((), "none", 0, (), |_key| [], |_bytes| Some(()));
fixed_width!(
    bool,
    "bool",
    1,
    false,
    |key| [u8::from(key)],
    |bytes| match bytes[0] {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
);
fixed_width!(u8, "u8", 1, 0, |key| key.to_be_bytes(), |bytes| Some(
    u8::from_be_bytes(bytes)
));
fixed_width!(u16, "u16", 2, 0, |key| key.to_be_bytes(), |bytes| Some(
    u16::from_be_bytes(bytes)
));
fixed_width!(u32, "u32", 4, 0, |key| key.to_be_bytes(), |bytes| Some(
    u32::from_be_bytes(bytes)
));
fixed_width!(u64, "u64", 8, 0, |key| key.to_be_bytes(), |bytes| Some(
    u64::from_be_bytes(bytes)
));
fixed_width!(
    i8,
    "i8",
    1,
    i8::MIN,
    |key| (key ^ i8::MIN).to_be_bytes(),
    |bytes| { Some(i8::from_be_bytes(bytes) ^ i8::MIN) }
);
fixed_width!(
    i16,
    "i16",
    2,
    i16::MIN,
    |key| (key ^ i16::MIN).to_be_bytes(),
    |bytes| Some(i16::from_be_bytes(bytes) ^ i16::MIN)
);
fixed_width!(
    i32,
    "i32",
    4,
    i32::MIN,
    |key| (key ^ i32::MIN).to_be_bytes(),
    |bytes| Some(i32::from_be_bytes(bytes) ^ i32::MIN)
);
fixed_width!(
    i64,
    "i64",
    8,
    i64::MIN,
    |key| (key ^ i64::MIN).to_be_bytes(),
    |bytes| Some(i64::from_be_bytes(bytes) ^ i64::MIN)
);
fixed_width!(
    f64,
    "f64",
    8,
    from_ordered_bits(0),
    |key| ordered_bits(key).to_be_bytes(),
    |bytes| Some(from_ordered_bits(u64::from_be_bytes(bytes)))
);

const SIGN: u64 = 1 << 63;

fn ordered_bits(key: f64) -> u64 {
    let bits = key.to_bits();
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn from_ordered_bits(bits: u64) -> f64 {
    f64::from_bits(if bits & SIGN == 0 {
        !bits
    } else {
        bits & !SIGN
    })
}

macro_rules! tuple {
    ($first:ident $first_part:ident, $($rest:ident $rest_part:ident),+) => {
        tuple!(@ $first $first_part, $($rest $rest_part),+; $first $first_part, $($rest $rest_part),+);
    };
    (@ $first:ident $first_part:ident, $($rest:ident $rest_part:ident),+; $($name:ident $part:ident),+) => {
        impl<$($name: KeyPart),+> Key for ($($name,)+) {
            type Ref<'a> = ($($name::Ref<'a>,)+);

            fn kind() -> String {
                format!("({})", [$($name::kind()),+].join(", "))
            }

            #[inline]
            fn encode<'k: 's, 's>(key: Self::Ref<'k>, scratch: &'s mut Vec<u8>) -> &'s [u8] {
                scratch.clear();
                Self::encode_part(key, scratch);
                scratch
            }

            #[inline]
            fn first_part(encoded: &[u8]) -> &[u8] {
                &encoded[..$first::part_len(encoded)]
            }

            #[inline]
            fn group<'a>(($first_part, ..): Self::Ref<'a>) -> Self::Ref<'a> {
                ($first_part, $($rest::least(),)+)
            }

            fn decode<'a>(
                encoded: &'a [u8],
                scratch: &'a mut Vec<u8>,
            ) -> Result<Self::Ref<'a>, DecodeKeyError> {
                scratch.clear();
                scratch.extend_from_slice(encoded);
                let mut rest = scratch.as_mut_slice();
                let key = Self::decode_part(&mut rest)?;
                if rest.is_empty() { Ok(key) } else { Err(DecodeKeyError { kind: "tuple" }) }
            }
        }

        impl<$($name: KeyPart),+> KeyPart for ($($name,)+) {
            #[inline]
            fn least<'a>() -> Self::Ref<'a> {
                ($($name::least(),)+)
            }

            #[inline]
            fn encode_part(($($part,)+): Self::Ref<'_>, out: &mut Vec<u8>) {
                $($name::encode_part($part, out);)+
            }

            fn part_len(encoded: &[u8]) -> usize {
                let mut len = 0;
                $(len += $name::part_len(&encoded[len..]);)+
                len
            }

            fn decode_part<'a>(rest: &mut &'a mut [u8]) -> Result<Self::Ref<'a>, DecodeKeyError> {
                Ok(($($name::decode_part(rest)?,)+))
            }
        }
    };
}

tuple!(A a, B b);
tuple!(A a, B b, C c);
tuple!(A a, B b, C c, D d);

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use proptest::prelude::*;

    use super::*;

    /// Encodes and decodes both, and compares the encodings as the values compare.
    #[track_caller]
    fn check<K: Key>(a: K::Ref<'_>, b: K::Ref<'_>, want: Ordering)
    where
        for<'a> K::Ref<'a>: std::fmt::Debug,
    {
        let (mut scratch_a, mut scratch_b) = (Vec::new(), Vec::new());
        let encoded_a = K::encode(a, &mut scratch_a).to_vec();
        let encoded_b = K::encode(b, &mut scratch_b).to_vec();
        assert_eq!(encoded_a.cmp(&encoded_b), want, "{a:?} {b:?}");
        if want == Ordering::Equal {
            assert_eq!(K::first_part(&encoded_a), K::first_part(&encoded_b));
        }
        let back = format!("{:?}", K::decode(&encoded_a, &mut scratch_a).unwrap());
        assert_eq!(back, format!("{a:?}"));
        let mut longer = encoded_a.clone();
        longer.push(7);
        if K::kind().starts_with('(') || K::kind().ends_with("64") {
            assert!(K::decode(&longer, &mut scratch_a).is_err());
        }
    }

    proptest! {
        #[test]
        fn the_first_part_of_a_tuple_is_found_in_its_encoding(
            first in bytes_with_zeros(),
            inner in bytes_with_zeros(),
            number in any::<u32>(),
        ) {
            type Nested = ((Vec<u8>, u32), Vec<u8>);
            let mut scratch = Vec::new();
            let encoded = <Nested as Key>::encode(((&first, number), &inner), &mut scratch);
            let mut part = Vec::new();
            <(Vec<u8>, u32)>::encode_part((&first, number), &mut part);
            prop_assert_eq!(Nested::first_part(encoded), &part);
            let mut bytes = Vec::new();
            Vec::<u8>::encode_part(&first, &mut bytes);
            prop_assert_eq!(<(Vec<u8>, u32)>::first_part(&part), &bytes);
            let cut = &encoded[..encoded.len() / 2];
            prop_assert!(cut.starts_with(Nested::first_part(cut)));
        }
    }

    fn bytes_with_zeros() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(
            prop_oneof![Just(0_u8), Just(1), Just(255), any::<u8>()],
            0..12,
        )
    }

    proptest! {
        #[test]
        fn unsigned_numbers_keep_their_order(a: u64, b: u64) {
            check::<u64>(a, b, a.cmp(&b));
            check::<u32>((a >> 32) as u32, (b >> 32) as u32, (a >> 32).cmp(&(b >> 32)));
            check::<u8>((a >> 56) as u8, (b >> 56) as u8, (a >> 56).cmp(&(b >> 56)));
        }

        #[test]
        fn signed_numbers_keep_their_order(a: i64, b: i64) {
            check::<i64>(a, b, a.cmp(&b));
            check::<i32>((a >> 32) as i32, (b >> 32) as i32, (a >> 32).cmp(&(b >> 32)));
            check::<i16>((a >> 48) as i16, (b >> 48) as i16, (a >> 48).cmp(&(b >> 48)));
            check::<i8>((a >> 56) as i8, (b >> 56) as i8, (a >> 56).cmp(&(b >> 56)));
        }

        #[test]
        fn floats_keep_their_total_order(a in any::<u64>(), b in any::<u64>()) {
            let (a, b) = (f64::from_bits(a), f64::from_bits(b));
            check::<f64>(a, b, a.total_cmp(&b));
        }

        #[test]
        fn text_and_bytes_keep_their_order(a in bytes_with_zeros(), b in bytes_with_zeros(), s: String, t: String) {
            check::<Vec<u8>>(&a, &b, a.cmp(&b));
            check::<String>(&s, &t, s.cmp(&t));
        }

        #[test]
        fn tuples_keep_their_order(a in bytes_with_zeros(), b in bytes_with_zeros(), m: i64, n: i64, s: String, t: String) {
            check::<(Vec<u8>, i64)>((&a, m), (&b, n), (&a, m).cmp(&(&b, n)));
            check::<(i64, String, Vec<u8>)>((m, &s, &a), (m, &t, &b), (&s, &a).cmp(&(&t, &b)));
            check::<((Vec<u8>, bool), String)>(((&a, true), &s), ((&b, false), &t), ((&a, true), &s).cmp(&((&b, false), &t)));
        }

        #[test]
        fn any_bytes_decode_or_are_refused(bytes in bytes_with_zeros()) {
            let mut scratch = Vec::new();
            if let Ok(key) = <(Vec<u8>, u16, String)>::decode(&bytes, &mut scratch) {
                let mut again = Vec::new();
                assert_eq!(<(Vec<u8>, u16, String)>::encode(key, &mut again), bytes);
            }
        }
    }

    #[test]
    fn a_group_is_its_first_part_with_the_least_of_the_rest() {
        type Long = (String, i64, (Vec<u8>, u8), f64);
        let group = Long::group(("a", -3, (b"b", 7), 0.5));
        assert_eq!((group.0, group.1, group.2), ("a", i64::MIN, (&b""[..], 0)));
        check::<Long>(
            group,
            ("a", i64::MIN, (b"", 0), f64::NEG_INFINITY),
            Ordering::Less,
        );
        assert_eq!(<String as Key>::group("a"), "a");
    }

    #[test]
    fn small_kinds_keep_their_order() {
        check::<bool>(false, true, Ordering::Less);
        check::<()>((), (), Ordering::Equal);
        check::<u16>(255, 256, Ordering::Less);
        check::<f64>(-0.0, 0.0, Ordering::Less);
    }
}
