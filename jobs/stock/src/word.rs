//! Words: maximal runs of Unicode letters (general category L), found in bytes that need not be text.

use std::str;

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// The words of `bytes` in order, as slices of it. Bytes that are not UTF-8 are no letters, so they end a word.
/// ASCII costs one table look-up a byte.
#[inline]
pub fn words(bytes: &[u8]) -> Words<'_> {
    Words { bytes, at: 0 }
}

/// Iterator over the [`words`] of bytes.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let mut start = self.at;
        loop {
            match class_at(self.bytes, start)? {
                Class::AsciiLetter => break,
                Class::AsciiOther => start += 1,
                Class::Wide => match letter_at(self.bytes, start) {
                    Ok(_) => break,
                    Err(width) => start += width,
                },
            }
        }
        let mut end = start;
        loop {
            match class_at(self.bytes, end) {
                Some(Class::AsciiLetter) => end += 1,
                Some(Class::Wide) => match letter_at(self.bytes, end) {
                    Ok(width) => end += width,
                    Err(_) => break,
                },
                Some(Class::AsciiOther) | None => break,
            }
        }
        self.at = end;
        Some(&self.bytes[start..end])
    }
}

/// What one byte tells about the character that it begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    AsciiLetter,
    AsciiOther,
    Wide,
}

static CLASSES: [Class; 256] = {
    let mut classes = [Class::Wide; 256];
    let mut byte = 0_u8;
    while byte.is_ascii() {
        let letter = byte.is_ascii_alphabetic();
        classes[byte as usize] = if letter {
            Class::AsciiLetter
        } else {
            Class::AsciiOther
        };
        byte += 1;
    }
    classes
};

#[inline]
fn class_at(bytes: &[u8], at: usize) -> Option<Class> {
    bytes.get(at).map(|byte| CLASSES[usize::from(*byte)])
}

/// The width of the letter that begins at `at`, or else the width of what to step over.
#[cold]
fn letter_at(bytes: &[u8], at: usize) -> Result<usize, usize> {
    let width = match bytes[at] {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return Err(1),
    };
    let text = bytes
        .get(at..at + width)
        .and_then(|bytes| str::from_utf8(bytes).ok());
    let character = text.and_then(|text| text.chars().next()).ok_or(1_usize)?;
    if character.general_category_group() == GeneralCategoryGroup::Letter {
        Ok(width)
    } else {
        Err(width)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], want: &[&str]) {
        let got: Vec<_> = words(bytes)
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect();
        assert_eq!(got, want);
    }

    #[test]
    fn words_are_runs_of_letters() {
        check(b"", &[]);
        check(b"Call me Ishmael.", &["Call", "me", "Ishmael"]);
        check(b"don't x1y_z", &["don", "t", "x", "y", "z"]);
        check(
            "Fu\u{df}g\u{e4}nger, \u{391}\u{3b8}\u{3ae}\u{3bd}\u{3b1}\u{2014}\u{6771}\u{4eac}"
                .as_bytes(),
            &[
                "Fu\u{df}g\u{e4}nger",
                "\u{391}\u{3b8}\u{3ae}\u{3bd}\u{3b1}",
                "\u{6771}\u{4eac}",
            ],
        );
    }

    #[test]
    fn bytes_that_are_no_text_end_a_word() {
        check(b"ab\xffcd\xc3", &["ab", "cd"]);
        check(b"\xe4\xb8", &[]);
        check(b"a\0b\xc3\xa9", &["a", "b\u{e9}"]);
        check(b"\xed\xa0\x80x", &["x"]);
    }

    /// The definition, character by character over text that is known to be valid.
    fn naive(text: &str) -> Vec<String> {
        text.split(|c: char| c.general_category_group() != GeneralCategoryGroup::Letter)
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    proptest! {
        #[test]
        fn words_of_text_equal_the_definition(text in "(\\PC|[a-zA-Z ]|[àéß東京\u{300}٣]){0,60}") {
            let want = naive(&text);
            check(text.as_bytes(), &want.iter().map(String::as_str).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_give_valid_words(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let lossy = String::from_utf8_lossy(&bytes);
            let want = naive(&lossy);
            check(&bytes, &want.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
