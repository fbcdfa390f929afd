//! Words: maximal runs of Unicode letters (general category L), found in bytes that need not be text.
//!
//! Text is looked at in blocks of 64 bytes. Vector compares turn a block into an integer with a bit for each byte that
//! belongs to a letter, and that into one with a bit wherever a word begins or ends. A word costs two counts of
//! zeros, and no branch that depends on its length. Bytes beyond ASCII are decoded and only add bits, so all
//! scripts share the rest.

use std::sync::LazyLock;

use regex_syntax::hir::{Class, HirKind};
use wide::u8x16;

/// The words of `text` in order, as slices of it. Bytes that are not UTF-8 are no letters, so they end a word.
///
/// ASCII text costs some 2.5 ns a word, at 2.5 GB/s; Cyrillic and Japanese go at 0.75 GB/s. (Keeping the ends of many
/// words in an array, so that the end of a block is no branch either, was slower by a fifth.)
#[inline]
pub fn words(text: &[u8]) -> Words<'_> {
    Words {
        text,
        edges: 0,
        block: 0,
        next: 0,
        carry: Carry::default(),
    }
}

/// Iterator over the [`words`] of a text.
#[derive(Clone, Debug)]
pub struct Words<'a> {
    text: &'a [u8],
    /// Where words begin and end in the block at hand, a bit for each; what was given out is removed.
    edges: u64,
    /// Where the block at hand begins.
    block: usize,
    /// Where the next one begins.
    next: usize,
    carry: Carry,
}

/// What one block leaves to the next.
#[derive(Clone, Copy, Debug, Default)]
struct Carry {
    /// 1 if the last byte of the block belongs to a letter, else 0.
    open: u64,
    /// Bits for the rest of a letter that begins in the block.
    crossing: u64,
}

/// Bytes that are looked at together, as many as an integer has bits.
const BLOCK: usize = 64;

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    #[inline(always)]
    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.next_edge()?;
        let end = self.next_edge().unwrap_or(self.text.len());
        Some(&self.text[start..end])
    }
}

impl std::iter::FusedIterator for Words<'_> {}

impl Words<'_> {
    /// Where the next word begins, or the one at hand ends; `None` at the end of the text.
    #[inline(always)]
    fn next_edge(&mut self) -> Option<usize> {
        while self.edges == 0 {
            let rest = self.text.get(self.next..).filter(|rest| !rest.is_empty())?;
            (self.edges, self.carry) = edges(rest, self.carry);
            self.block = self.next;
            self.next += BLOCK;
        }
        let edge = self.block + self.edges.trailing_zeros() as usize;
        self.edges &= self.edges - 1;
        Some(edge)
    }
}

/// Where words begin and end in the block at the front of `rest`. It is given values and returns values, and no call sees a [`Words`]: so the
/// loop over words has one in registers.
#[inline(never)]
fn edges(rest: &[u8], carry: Carry) -> (u64, Carry) {
    let (letters, crossing) = match rest.first_chunk() {
        Some(block) => letters(rest, block, carry.crossing),
        None => {
            let mut padded = [0; BLOCK];
            padded[..rest.len()].copy_from_slice(rest);
            letters(rest, &padded, carry.crossing)
        }
    };
    let open = letters >> (BLOCK - 1);
    (
        letters ^ (letters << 1 | carry.open),
        Carry { open, crossing },
    )
}

/// The bytes of `block`, with which `rest` begins, that belong to letters; then those of the block after it that do so
/// as the rest of a letter of this one.
#[inline]
fn letters(rest: &[u8], block: &[u8; BLOCK], crossing: u64) -> (u64, u64) {
    let Seen { letters, wide } = look(block);
    if wide == 0 {
        return (letters, crossing);
    }
    let wide = wide_letters(rest, first_bytes(block));
    (letters | wide.here | crossing, wide.beyond)
}

/// A bit for each byte of a block.
struct Seen {
    /// ASCII letters.
    letters: u64,
    /// Bytes beyond ASCII.
    wide: u64,
}

#[inline]
fn look(block: &[u8; BLOCK]) -> Seen {
    let mut seen = Seen {
        letters: 0,
        wide: 0,
    };
    for (bytes, at) in vectors(block) {
        let from_a = (bytes | u8x16::splat(0x20)) - u8x16::splat(b'a');
        let is_letter = from_a.min(u8x16::splat(25)).simd_eq(from_a);
        seen.letters |= u64::from(is_letter.to_bitmask()) << at;
        seen.wide |= u64::from(bytes.to_bitmask()) << at;
    }
    seen
}

/// The bytes that may be the first of a character beyond ASCII.
fn first_bytes(block: &[u8; BLOCK]) -> u64 {
    let least = u8x16::splat(0xC2);
    let bits = vectors(block).map(|(bytes, at)| {
        let is_first = bytes.max(least).simd_eq(bytes);
        u64::from(is_first.to_bitmask()) << at
    });
    bits.fold(0, |all, some| all | some)
}

/// A block in vectors, each with the place of its first byte.
#[inline]
fn vectors(block: &[u8; BLOCK]) -> impl Iterator<Item = (u8x16, usize)> {
    let (vectors, _) = block.as_chunks();
    vectors
        .iter()
        .zip((0..).step_by(16))
        .map(|(bytes, at)| (u8x16::new(*bytes), at))
}

/// Bits for the bytes of letters that begin in a block.
struct WideLetters {
    here: u64,
    /// Those of the next block.
    beyond: u64,
}

/// The letters of the block at the front of `rest` that begin at the `firsts`. No byte of a letter but its first is one of
/// those, so each can be looked at without regard to the others.
#[inline(never)]
fn wide_letters(rest: &[u8], mut firsts: u64) -> WideLetters {
    let letters = &**LETTERS;
    let mut bits = 0_u128;
    while firsts != 0 {
        let at = firsts.trailing_zeros();
        firsts &= firsts - 1;
        let width = letter_width(&rest[at as usize..], letters);
        bits |= ((1 << width) - 1) << at;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    WideLetters {
        here: bits as u64,
        beyond: (bits >> BLOCK) as u64,
    }
}

/// Bytes of the letter that `bytes` begin with, which is not ASCII; 0 if it is no letter, or not well-formed UTF-8.
#[inline]
fn letter_width(bytes: &[u8], letters: &[u64]) -> u32 {
    let low = |byte: u8| u32::from(byte & 0x3F);
    let follows = |byte: u8| byte & 0xC0 == 0x80;
    let (code, width, well_formed) = match *bytes {
        [a @ 0xC2..=0xDF, b, ..] => {
            let code = u32::from(a & 0x1F) << 6 | low(b);
            (code, 2, follows(b))
        }
        [a @ 0xE0..=0xEF, b, c, ..] => {
            let code = u32::from(a & 0x0F) << 12 | low(b) << 6 | low(c);
            (code, 3, follows(b) & follows(c) & (code >= 0x800))
        }
        [a @ 0xF0..=0xF4, b, c, d, ..] => {
            let code = u32::from(a & 0x07) << 18 | low(b) << 12 | low(c) << 6 | low(d);
            let well_formed = follows(b) & follows(c) & follows(d) & (code >= 0x1_0000);
            (code, 4, well_formed)
        }
        _ => return 0,
    };
    // Surrogates and what is beyond Unicode are no letters.
    let word = letters.get(code as usize / BLOCK).copied().unwrap_or(0);
    let is_letter = word >> (code % u64::BITS) & u64::from(well_formed);
    if is_letter == 1 { width } else { 0 }
}

/// A bit for each code point up to the last letter; 25 KB, made in some 50 us once a letter beyond ASCII is met.
static LETTERS: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let class = regex_syntax::parse(r"\p{L}").map(|parsed| parsed.into_kind());
    let Ok(HirKind::Class(Class::Unicode(class))) = class else {
        unreachable!("the expression is a class of characters");
    };
    let mut bits = Vec::new();
    for range in class.ranges() {
        for code in u32::from(range.start())..=u32::from(range.end()) {
            let word = code as usize / BLOCK;
            if word >= bits.len() {
                bits.resize(word + 1, 0);
            }
            bits[word] |= 1_u64 << (code % u64::BITS);
        }
    }
    bits
});

#[cfg(test)]
mod tests {
    use std::iter;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use regex::bytes::Regex;

    use super::*;

    /// The definition, one byte and one character after the other.
    fn define(bytes: &[u8]) -> Vec<&[u8]> {
        static LETTER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\A\p{L}").unwrap());
        let letter_len = |at: usize| LETTER.find(&bytes[at..]).map(|letter| letter.len());
        let mut words = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let start = at;
            while let Some(len) = letter_len(at) {
                at += len;
            }
            if at > start {
                words.push(&bytes[start..at]);
            } else {
                at += 1;
            }
        }
        words
    }

    #[track_caller]
    fn check(bytes: &[u8], want: &[&str]) {
        let got: Vec<_> = words(bytes).map(String::from_utf8_lossy).collect();
        assert_eq!(got, want);
    }

    #[track_caller]
    fn check_definition(bytes: &[u8]) {
        let got: Vec<_> = words(bytes).collect();
        assert_eq!(got, define(bytes), "{}", bytes.escape_ascii());
    }

    #[test]
    fn words_are_runs_of_letters() {
        check(b"", &[]);
        check(b"Call me Ishmael.", &["Call", "me", "Ishmael"]);
        check(b"don't x1y_z", &["don", "t", "x", "y", "z"]);
        check(b"@AZ[`az{", &["AZ", "az"]);
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
        // Too long for what they mean, and beyond Unicode.
        check(b"\xc1\xa1\xe0\x81\xa1\xe0\x83\xa9\xf0\x80\x83\xa9", &[]);
        check(b"\xf4\x90\x80\x80\xf5\x80\x80\x80a", &["a"]);
    }

    #[test]
    fn every_character_is_a_letter_or_not_as_defined() {
        let all: String = ('\0'..=char::MAX).flat_map(|c| [c, '.']).collect();
        let want = Regex::new(r"\p{L}").unwrap();
        let want = want.find_iter(all.as_bytes()).map(|found| found.as_bytes());
        assert!(words(all.as_bytes()).eq(want));
    }

    #[test]
    fn blocks_do_not_show() {
        let letters = [
            "x",
            "\u{e9}",
            "\u{6771}",
            "\u{20000}",
            "\u{20ac}",
            "\u{1f40b}",
        ];
        for letter in letters {
            for before in 0..=2 * BLOCK {
                for cut in 0..letter.len() {
                    let mut text = b"a".repeat(before);
                    text.extend_from_slice(letter.as_bytes());
                    check_definition(&text[..text.len() - cut]);
                    text.truncate(text.len() - cut);
                    text.extend_from_slice(b" b");
                    check_definition(&text);
                }
            }
        }
    }

    #[test]
    fn words_may_be_longer_than_blocks() {
        for len in BLOCK - 2..=4 * BLOCK + 2 {
            let long = "x".repeat(len);
            check(long.as_bytes(), &[&long]);
            check(format!(" {long}, y").as_bytes(), &[&long, "y"]);
        }
    }

    proptest! {
        #[test]
        fn words_of_text_equal_the_definition(
            text in "(\\PC|[a-zA-Z]{1,12}|[a-zA-Z ]|[àéß東京\u{300}٣]|[а-я]{1,9}){0,90}",
            start in 0..8_usize,
        ) {
            check_definition(&text.as_bytes()[start.min(text.len())..]);
        }

        #[test]
        fn words_of_any_bytes_equal_the_definition(
            bytes in vec(
                prop_oneof![
                    any::<u8>(),
                    Just(b'a'),
                    prop_oneof![Just(0xC3), Just(0xE6), Just(0xF0), Just(0xA0), Just(0x9D)],
                ],
                0..200,
            ),
        ) {
            check_definition(&bytes);
        }

        #[test]
        fn runs_of_any_length_equal_the_definition(
            runs in vec((prop_oneof![Just("q"), Just("\u{f6}"), Just("-"), Just("\u{2014}")], 1..150_usize), 0..8),
        ) {
            let text: String = runs.into_iter().flat_map(|(of, len)| iter::repeat_n(of, len)).collect();
            check_definition(text.as_bytes());
        }
    }
}
