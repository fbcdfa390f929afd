//! Which partition a key belongs to, to the number as in Hadoop.

use crate::key_spec::KeySpecs;

/// A partitioner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Partitioner {
    /// `HashPartitioner`, over the bytes of the key.
    Hash,
    /// `KeyFieldBasedPartitioner`: over parts of the key; without any over its characters, as Java counts them.
    KeyFields(KeySpecs),
}

impl Partitioner {
    /// The partition of `key`, one of `partitions`.
    pub(crate) fn of(&self, key: &[u8], partitions: u32) -> u32 {
        let hash = match self {
            Self::Hash => hash(1, key),
            Self::KeyFields(_) if key.is_empty() => 0,
            Self::KeyFields(specs) if specs.is_empty() => java_string_hash(key),
            Self::KeyFields(specs) => {
                let parts = specs.parts(key).filter_map(|(_, part)| part);
                parts.fold(0, hash)
            }
        };
        (hash & 0x7fff_ffff) % partitions
    }
}

/// 31 times what was, and one more byte, which has a sign.
fn hash(begin: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(begin, |hash, byte| {
        let signed = i32::from(byte.cast_signed());
        hash.wrapping_mul(31).wrapping_add_signed(signed)
    })
}

/// `String.hashCode` of the text that Java makes of the bytes.
fn java_string_hash(bytes: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(bytes);
    text.encode_utf16().fold(0, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_java() {
        // `new Text("hello").hashCode()` is 31^5 more than `"hello".hashCode()`, as it begins with 1.
        assert_eq!(java_string_hash(b"hello"), 99_162_322);
        assert_eq!(hash(1, b"hello"), 99_162_322 + 31_u32.pow(5));
        assert_eq!(java_string_hash("\u{1f600}".as_bytes()), 1_772_899);
        assert_eq!(hash(0, b"\xff"), u32::MAX);
    }

    #[test]
    fn an_empty_key_and_missing_fields_go_to_the_first() {
        let fields =
            |options: &str| Partitioner::KeyFields(KeySpecs::parse(options, b"\t").unwrap());
        assert_eq!(fields("-k2").of(b"", 7), 0);
        assert_eq!(fields("-k2").of(b"only", 7), 0);
        assert_eq!(
            fields("-k1,1").of(b"a\tb", 7),
            fields("-k1,1").of(b"a\tc", 7)
        );
        assert_eq!(Partitioner::Hash.of(b"", 7), 1);
    }
}
