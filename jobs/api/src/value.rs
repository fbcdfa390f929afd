//! Values: what travels with a key from `map` to `reduce`.
//!
//! Integers are little-endian without the zero bytes at their end, as most are small, and bytes are themselves; everything else
//! goes through serde with [`Coded`](crate::Coded).

use std::str;

/// A type of value. `Ref` is what a job handles, `Owned` what a combiner accumulates in.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no type of a value",
    label = "not a value",
    note = "values are numbers, `String`, `Vec<u8>`, `()`, and any other type that serde can write and read, such as a tuple or a struct of yours, as `mapfold_job::Coded<{Self}>`"
)]
pub trait Value: 'static {
    /// The borrowed form: `&[u8]` for `Vec<u8>`, `&str` for `String`, numbers themselves.
    type Ref<'a>;
    /// The accumulator of a combiner.
    type Owned: Send + 'static;

    /// Name of the kind, for people and the manifest.
    fn kind() -> String;
    /// Appends the encoding.
    fn encode(value: Self::Ref<'_>, out: &mut Vec<u8>);
    /// Appends the encoding of an accumulator.
    fn encode_owned(value: &Self::Owned, out: &mut Vec<u8>);
    /// A value of its own.
    fn into_owned(value: Self::Ref<'_>) -> Self::Owned;
    /// A look at an accumulator. Copies where `Ref` does not borrow ([`Coded`](crate::Coded)).
    fn borrow(value: &Self::Owned) -> Self::Ref<'_>;
    /// Bytes on the heap that an accumulator owns; what a memory budget counts beside its size.
    fn heap_bytes(value: &Self::Owned) -> usize;

    /// The value back.
    ///
    /// # Errors
    /// Bytes that no value encodes to.
    fn decode(encoded: &[u8]) -> Result<Self::Ref<'_>, DecodeValueError>;
}

/// Bytes that are no encoded value of this type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these {len} bytes are no encoded value of type {kind}")]
pub struct DecodeValueError {
    /// The type that was expected.
    pub kind: String,
    /// How many bytes there were.
    pub len: usize,
}

macro_rules! number {
    (|$value:pat_param| $zeros:expr, $decode:ident: $($type:ident)+) => {$(
        impl Value for $type {
            type Ref<'a> = $type;
            type Owned = $type;

            fn kind() -> String {
                stringify!($type).to_owned()
            }

            #[inline]
            fn encode(value: $type, out: &mut Vec<u8>) {
                let $value = value;
                // All, then less: to copy a number of bytes that is not known beforehand costs a call.
                out.extend_from_slice(&value.to_le_bytes());
                out.truncate(out.len() - $zeros as usize);
            }

            #[inline]
            fn encode_owned(value: &$type, out: &mut Vec<u8>) {
                Self::encode(*value, out);
            }

            #[inline]
            fn into_owned(value: $type) -> $type {
                value
            }

            #[inline]
            fn borrow(value: &$type) -> $type {
                *value
            }

            #[inline]
            fn heap_bytes(_: &$type) -> usize {
                0
            }

            #[inline]
            fn decode(encoded: &[u8]) -> Result<$type, DecodeValueError> {
                let bytes = $decode(encoded).ok_or_else(|| DecodeValueError {
                    kind: <Self as Value>::kind(),
                    len: encoded.len(),
                })?;
                Ok($type::from_le_bytes(bytes))
            }
        }
    )+};
}

number!(|value| value.leading_zeros() / 8, decode_short: u8 u16 u32 u64 u128 i8 i16 i32 i64 i128);
number!(|_| 0_u32, decode_whole: f32 f64);

/// The only encoding of each number, so a zero at the end is refused.
#[inline]
fn decode_short<const N: usize>(encoded: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    match encoded {
        [] => {}
        [.., 0] => return None,
        [only] => bytes[0] = *only,
        _ => bytes.get_mut(..encoded.len())?.copy_from_slice(encoded),
    }
    Some(bytes)
}

#[inline]
fn decode_whole<const N: usize>(encoded: &[u8]) -> Option<[u8; N]> {
    encoded.try_into().ok()
}

impl Value for () {
    type Ref<'a> = ();
    type Owned = ();

    fn kind() -> String {
        "none".to_owned()
    }

    #[inline]
    fn encode((): (), _: &mut Vec<u8>) {}

    #[inline]
    fn encode_owned((): &(), _: &mut Vec<u8>) {}

    #[inline]
    fn into_owned((): ()) {}

    #[inline]
    fn borrow((): &()) {}

    #[inline]
    fn heap_bytes((): &()) -> usize {
        0
    }

    #[inline]
    fn decode(encoded: &[u8]) -> Result<(), DecodeValueError> {
        if encoded.is_empty() {
            return Ok(());
        }
        Err(DecodeValueError {
            kind: <Self as Value>::kind(),
            len: encoded.len(),
        })
    }
}

impl Value for Vec<u8> {
    type Ref<'a> = &'a [u8];
    type Owned = Vec<u8>;

    fn kind() -> String {
        "bytes".to_owned()
    }

    #[inline]
    fn encode(value: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(value);
    }

    #[inline]
    fn encode_owned(value: &Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(value);
    }

    #[inline]
    fn into_owned(value: &[u8]) -> Vec<u8> {
        value.to_vec()
    }

    #[inline]
    fn borrow(value: &Vec<u8>) -> &[u8] {
        value
    }

    #[inline]
    fn heap_bytes(value: &Vec<u8>) -> usize {
        value.capacity()
    }

    #[inline]
    fn decode(encoded: &[u8]) -> Result<&[u8], DecodeValueError> {
        Ok(encoded)
    }
}

impl Value for String {
    type Ref<'a> = &'a str;
    type Owned = String;

    fn kind() -> String {
        "text".to_owned()
    }

    #[inline]
    fn encode(value: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(value.as_bytes());
    }

    #[inline]
    fn encode_owned(value: &String, out: &mut Vec<u8>) {
        out.extend_from_slice(value.as_bytes());
    }

    #[inline]
    fn into_owned(value: &str) -> String {
        value.to_owned()
    }

    #[inline]
    fn borrow(value: &String) -> &str {
        value
    }

    #[inline]
    fn heap_bytes(value: &String) -> usize {
        value.capacity()
    }

    fn decode(encoded: &[u8]) -> Result<&str, DecodeValueError> {
        str::from_utf8(encoded).map_err(|_| DecodeValueError {
            kind: <Self as Value>::kind(),
            len: encoded.len(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Coded;

    fn round_trip<V: Value>(value: V::Ref<'_>, check: impl Fn(V::Ref<'_>)) {
        let mut bytes = Vec::new();
        V::encode(value, &mut bytes);
        check(V::decode(&bytes).unwrap());
        let owned = V::into_owned(V::decode(&bytes).unwrap());
        let mut again = Vec::new();
        V::encode_owned(&owned, &mut again);
        assert_eq!(bytes, again);
        check(V::borrow(&owned));
    }

    proptest! {
        #[test]
        fn values_come_back_as_they_went(n: u64, i: i32, text: String, bytes: Vec<u8>, pair: (u32, String)) {
            round_trip::<u64>(n, |back| assert_eq!(back, n));
            round_trip::<i32>(i, |back| assert_eq!(back, i));
            for shift in 0..64 {
                round_trip::<u64>(n >> shift, |back| assert_eq!(back, n >> shift));
                round_trip::<i64>((n >> shift).cast_signed(), |back| assert_eq!(back, (n >> shift).cast_signed()));
            }
            round_trip::<String>(&text, |back| assert_eq!(back, text));
            round_trip::<Vec<u8>>(&bytes, |back| assert_eq!(back, bytes));
            round_trip::<Coded<(u32, String)>>(pair.clone(), |back| assert_eq!(back, pair));
        }

        #[test]
        fn foreign_bytes_are_refused_or_read(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            assert_eq!(u64::decode(&bytes).is_ok(), bytes.len() <= 8 && bytes.last() != Some(&0));
            assert_eq!(f64::decode(&bytes).is_ok(), bytes.len() == 8);
            assert_eq!(<()>::decode(&bytes).is_ok(), bytes.is_empty());
            let _ = Coded::<Vec<(u64, String)>>::decode(&bytes);
        }
    }
}
