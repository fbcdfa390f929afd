//! The value of `join`: a record and the side it is from.

use mapfold_job::{DecodeValueError, Value};

/// A record, after a byte that tells its side.
pub enum Sided {}

/// One of two inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The first.
    Left,
    /// The second.
    Right,
}

impl Value for Sided {
    type Ref<'a> = (Side, &'a [u8]);
    type Owned = (Side, Vec<u8>);

    fn kind() -> String {
        "record".to_owned()
    }

    #[inline]
    fn encode((side, record): (Side, &[u8]), out: &mut Vec<u8>) {
        out.push(match side {
            Side::Left => 0,
            Side::Right => 1,
        });
        out.extend_from_slice(record);
    }

    fn encode_owned(value: &(Side, Vec<u8>), out: &mut Vec<u8>) {
        Self::encode(Self::borrow(value), out);
    }

    fn into_owned((side, record): (Side, &[u8])) -> (Side, Vec<u8>) {
        (side, record.to_vec())
    }

    fn borrow((side, record): &(Side, Vec<u8>)) -> (Side, &[u8]) {
        (*side, record)
    }

    fn heap_bytes((_, record): &(Side, Vec<u8>)) -> usize {
        record.capacity()
    }

    #[inline]
    fn decode(encoded: &[u8]) -> Result<(Side, &[u8]), DecodeValueError> {
        match encoded {
            [0, record @ ..] => Ok((Side::Left, record)),
            [1, record @ ..] => Ok((Side::Right, record)),
            _ => Err(DecodeValueError {
                kind: Self::kind(),
                len: encoded.len(),
            }),
        }
    }
}
