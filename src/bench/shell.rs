//! Words for `sh`.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// One word, quoted if it must be.
pub(crate) fn quote(word: &OsStr) -> Cow<'_, OsStr> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./,:=@%+".contains(byte);
    if !word.is_empty() && word.as_bytes().iter().all(plain) {
        return Cow::Borrowed(word);
    }
    let mut quoted = vec![b'\''];
    for &byte in word.as_bytes() {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            byte => quoted.push(byte),
        }
    }
    quoted.push(b'\'');
    Cow::Owned(OsString::from_vec(quoted))
}

/// Words with blanks between them.
pub(crate) fn join<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> OsString {
    let mut line = OsString::new();
    for word in words {
        if !line.is_empty() {
            line.push(" ");
        }
        line.push(quote(word));
    }
    line
}

/// `line` with each of `from` replaced by `to`.
pub(crate) fn replace(line: &str, from: &str, to: &OsStr) -> OsString {
    let mut parts = line.split(from);
    let mut replaced = OsString::from(parts.next().unwrap_or_default());
    for part in parts {
        replaced.push(to);
        replaced.push(part);
    }
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_the_shell_would_change_them() {
        for (word, want) in [
            ("a/b.txt", "a/b.txt"),
            ("", "''"),
            ("it's", r"'it'\''s'"),
            ("*.txt", "'*.txt'"),
        ] {
            assert_eq!(quote(OsStr::new(word)), OsStr::new(want));
        }
        assert_eq!(join(["a", "b c"].map(OsStr::new)), "a 'b c'");
        assert_eq!(
            replace("x {in} {in}", "{in}", OsStr::new("y")),
            OsStr::new("x y y")
        );
    }
}
