//! Values of any serde type, through bincode.
//!
//! The only place where job values meet bincode (unmaintained upstream, so it must stay replaceable);
//! values live in runs only, which never outlive a job, so their encoding is free to change.

use std::marker::PhantomData;

use bincode::config::{self, Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::value::{DecodeValueError, Value};

/// Any serde type as a value: `type Value = Coded<MyStruct>`. Costs a clone where a combiner's
/// accumulator is read.
pub struct Coded<T>(PhantomData<fn() -> T>);

/// A value larger than this is refused rather than decoded: a length prefix cannot claim more.
const ENCODED_MAX: usize = 1 << 30;

const fn settings() -> Configuration<LittleEndian, Varint, Limit<ENCODED_MAX>> {
    config::standard().with_limit::<ENCODED_MAX>()
}

impl<T: Serialize + DeserializeOwned + Clone + Send + 'static> Value for Coded<T> {
    type Ref<'a> = T;
    type Owned = T;

    fn kind() -> String {
        without_paths(std::any::type_name::<T>())
    }

    fn encode(value: T, out: &mut Vec<u8>) {
        Self::encode_owned(&value, out);
    }

    /// # Panics
    /// If the type's own `Serialize` fails, which is a bug of the job.
    fn encode_owned(value: &T, out: &mut Vec<u8>) {
        bincode::serde::encode_into_std_write(value, out, settings())
            .expect("writing to memory cannot fail, so the value's Serialize did");
    }

    fn into_owned(value: T) -> T {
        value
    }

    fn borrow(value: &T) -> T {
        value.clone()
    }

    /// Not known for a foreign type; its own size is counted by the table.
    fn heap_bytes(_: &T) -> usize {
        0
    }

    fn decode(encoded: &[u8]) -> Result<T, DecodeValueError> {
        let error = || DecodeValueError {
            kind: Self::kind(),
            len: encoded.len(),
        };
        let (value, used) =
            bincode::serde::decode_from_slice(encoded, settings()).map_err(|_| error())?;
        if used == encoded.len() {
            Ok(value)
        } else {
            Err(error())
        }
    }
}

/// The name of a type as it is typed where it is imported: `(u64, Option<ByteBuf>)`.
fn without_paths(name: &str) -> String {
    let in_path = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ':');
    name.split_inclusive(|letter| !in_path(letter))
        .map(|part| part.rsplit("::").next().unwrap_or(part))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_the_name_of_its_type_whole() {
        assert_eq!(Coded::<String>::kind(), "String");
        assert_eq!(
            Coded::<(u64, Option<Vec<(bool, String)>>)>::kind(),
            "(u64, Option<Vec<(bool, String)>>)"
        );
    }
}
