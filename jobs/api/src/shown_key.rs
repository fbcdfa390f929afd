//! Keys as people read them in errors.

use std::fmt::Display;

use mapfold_terms::{RecordAt, excerpt};

use crate::KeyPart;

/// A key of a [`kind`](crate::Key::kind) from its encoding: text and bytes with what cannot be seen escaped, numbers as numbers, tuples as in Rust. Of a long one
/// the beginning; what is no key of that kind, or only the beginning of one, as escaped bytes.
pub fn shown_key(kind: &str, encoded: &[u8]) -> String {
    let mut shown = match kind {
        "text" | "bytes" => return shortened(excerpt(encoded)),
        _ => String::new(),
    };
    let mut copy = encoded.to_vec();
    let (mut kind, mut rest) = (kind, copy.as_mut_slice());
    match push_part(&mut kind, &mut rest, &mut shown) {
        Some(()) if rest.is_empty() && kind.is_empty() => shortened(shown),
        _ => shortened(excerpt(encoded)),
    }
}

/// Takes the first kind and the part of that kind, which go to the end of `shown`.
fn push_part(kind: &mut &str, rest: &mut &mut [u8], shown: &mut String) -> Option<()> {
    if let Some(parts) = kind.strip_prefix('(') {
        *kind = parts;
        shown.push('(');
        loop {
            push_part(kind, rest, shown)?;
            if let Some(more) = kind.strip_prefix(", ") {
                *kind = more;
                shown.push_str(", ");
            } else {
                *kind = kind.strip_prefix(')')?;
                shown.push(')');
                return Some(());
            }
        }
    }
    let end = kind.find([',', ')']).unwrap_or(kind.len());
    let (first, behind) = kind.split_at(end);
    *kind = behind;
    match first {
        "text" | "bytes" => {
            let bytes = Vec::<u8>::decode_part(rest).ok()?;
            shown.push('"');
            shown.push_str(&excerpt(bytes));
            shown.push('"');
        }
        "none" => shown.push_str("()"),
        "bool" => push::<bool>(rest, shown)?,
        "u8" => push::<u8>(rest, shown)?,
        "u16" => push::<u16>(rest, shown)?,
        "u32" => push::<u32>(rest, shown)?,
        "u64" => push::<u64>(rest, shown)?,
        "i8" => push::<i8>(rest, shown)?,
        "i16" => push::<i16>(rest, shown)?,
        "i32" => push::<i32>(rest, shown)?,
        "i64" => push::<i64>(rest, shown)?,
        "f64" => push::<f64>(rest, shown)?,
        _ => return None,
    }
    Some(())
}

fn push<K: KeyPart>(rest: &mut &mut [u8], shown: &mut String) -> Option<()>
where
    for<'a> K::Ref<'a>: Display,
{
    let part = K::decode_part(rest).ok()?;
    shown.push_str(&part.to_string());
    Some(())
}

fn shortened(mut shown: String) -> String {
    if shown.len() > RecordAt::EXCERPT_MAX {
        shown.truncate(shown.floor_char_boundary(RecordAt::EXCERPT_MAX));
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[track_caller]
    fn check<K: Key>(key: K::Ref<'_>, want: &str) {
        let mut scratch = Vec::new();
        let encoded = K::encode(key, &mut scratch);
        assert_eq!(shown_key(&K::kind(), encoded), want);
    }

    #[test]
    fn keys_are_shown_as_people_write_them() {
        check::<String>("it's\there", "it's\\there");
        check::<Vec<u8>>(b"a\xff", "a\\xff");
        check::<u64>(42, "42");
        check::<i32>(-7, "-7");
        check::<f64>(-0.5, "-0.5");
        check::<bool>(true, "true");
        check::<()>((), "()");
        check::<(String, u64)>(("a, b)", 3), "(\"a, b)\", 3)");
        type Nested = (i8, (Vec<u8>, ()), u16);
        check::<Nested>((-1, (b"\0", ()), 9), "(-1, (\"\\0\", ()), 9)");
    }

    #[test]
    fn of_long_keys_the_beginning_is_shown() {
        let long = "ä".repeat(100);
        let want = format!("{}...", "ä".repeat(40));
        check::<String>(&long, &want);
    }

    #[test]
    fn other_bytes_are_escaped() {
        for (kind, bytes) in [
            ("u64", &b"abc"[..]),
            ("u8", b"ab"),
            ("(text, u64)", b"a\0\0"),
            ("(text", b"a\0\0"),
            ("of an author's own", b"a"),
        ] {
            assert_eq!(shown_key(kind, bytes), excerpt(bytes), "{kind}");
        }
    }
}
