//! Which partition a key belongs to, to the number as in Hadoop.

use crate::key_spec::KeySpecs;
use crate::kind::Kind;

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
    pub(crate) fn of(&self, kind: Kind, key: &[u8], partitions: u32) -> u32 {
        let hash = match self {
            Self::Hash if kind == Kind::Number => low_half(key),
            Self::Hash => hash(1, key),
            Self::KeyFields(specs) => fields_hash(specs, &kind.shown(key)),
        };
        (hash & 0x7fff_ffff) % partitions
    }
}

/// The hash of a number in eight bytes.
fn low_half(number: &[u8]) -> u32 {
    number
        .last_chunk()
        .map_or(0, |half| u32::from_be_bytes(*half))
}

/// Of what Java makes of the key when it makes a text of it.
fn fields_hash(specs: &KeySpecs, key: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(key);
    match specs.is_empty() || text.is_empty() {
        true => java_string_hash(&text),
        false => {
            let parts = specs.parts(text.as_bytes());
            parts.filter_map(|(_, part)| part).fold(0, hash)
        }
    }
}

/// 31 times what was, and one more byte, which has a sign.
fn hash(begin: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(begin, |hash, byte| {
        let signed = i32::from(byte.cast_signed());
        hash.wrapping_mul(31).wrapping_add_signed(signed)
    })
}

/// `String.hashCode`.
fn java_string_hash(text: &str) -> u32 {
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
        assert_eq!(java_string_hash("hello"), 99_162_322);
        assert_eq!(hash(1, b"hello"), 99_162_322 + 31_u32.pow(5));
        assert_eq!(java_string_hash("\u{1f600}"), 1_772_899);
        assert_eq!(hash(0, b"\xff"), u32::MAX);
    }

    #[test]
    fn an_empty_key_and_missing_fields_go_to_the_first() {
        let fields =
            |options: &str| Partitioner::KeyFields(KeySpecs::parse(options, b"\t").unwrap());
        assert_eq!(fields("-k2").of(Kind::Text, b"", 7), 0);
        assert_eq!(fields("-k2").of(Kind::Text, b"only", 7), 0);
        assert_eq!(
            fields("-k1,1").of(Kind::Text, b"a\tb", 7),
            fields("-k1,1").of(Kind::Text, b"a\tc", 7)
        );
        assert_eq!(Partitioner::Hash.of(Kind::Text, b"", 7), 1);
    }

    #[test]
    fn numbers_are_their_own_hashes() {
        let number = ((1_u64 << 32) + 9).to_be_bytes();
        assert_eq!(Partitioner::Hash.of(Kind::Number, &number, 7), 2);
        let by_text = Partitioner::KeyFields(KeySpecs::parse("", b"\t").unwrap());
        let text = (1_u64 << 32) + 9;
        assert_eq!(
            by_text.of(Kind::Number, &number, 7),
            by_text.of(Kind::Text, text.to_string().as_bytes(), 7)
        );
    }

    /// As Hadoop has put them: keys in the order of their partitions, with `|` before each next one.
    #[track_caller]
    fn check(partitioner: &Partitioner, partitions: u32, want: &str) {
        for (partition, keys) in (0..).zip(want.split('|')) {
            for key in keys.split(' ').filter(|key| !key.is_empty()) {
                let got = partitioner.of(Kind::Text, key.as_bytes(), partitions);
                assert_eq!(got, partition, "{key}");
            }
        }
    }

    #[test]
    fn keys_go_where_hadoop_has_put_them() {
        let hashed = "-1|0 \u{fc}|1|2 \u{65e5}\u{672c}\u{8a9e}|3 hello world|4|10 5|6";
        check(&Partitioner::Hash, 13, hashed);
        let fields =
            |options: &str| Partitioner::KeyFields(KeySpecs::parse(options, b".").unwrap());
        check(&fields(""), 13, "4 A,B|-1 5|6|7|8|9 \u{fc}|a|10 b");
        check(
            &fields("-k1,1"),
            5,
            "a\u{fc}cb.a.a\u{65e5} ced.de\u{65e5}a|aaa \u{65e5}..|ad cb.\u{65e5}.cad.\u{fc}ab\u{fc}|b.c.b\u{fc}c\u{fc}|c. \u{fc}.d",
        );
        check(
            &fields("-k1,2"),
            7,
            "b bb|ad.|cbb|e|\u{65e5}dc.\u{65e5}\u{fc}|c.da.de|a",
        );
        check(
            &fields("-k2"),
            6,
            "a adb beb|b\u{fc}d\u{65e5}.d.a. beb.d.bc|ea.debc|c.c a..\u{fc}ce|a\u{fc}d.baa|dc.c.ebc",
        );
        // Characters are bytes, of the field and of what comes after it.
        check(
            &fields("-k1.2,1.3"),
            8,
            "d..c|c\u{65e5}b\u{65e5}.cce.e|abdc.a|ac|d.b bead.cd\u{fc}||\u{65e5}b|\u{fc}\u{fc}",
        );
        let fields =
            |options: &str| Partitioner::KeyFields(KeySpecs::parse(options, b",").unwrap());
        check(
            &fields("-k1,1 -k3,3"),
            9,
            "ce,cec,ded|d,\u{65e5},,\u{fc}\u{65e5}dd ccd|e,dc\u{fc},ab\u{fc},dd bed||eaa,\u{fc}eba,\u{fc}cc\u{fc}|bc|d,a,cb,e|a\u{fc},, e\u{fc}e",
        );
    }
}
