//! Lines that may match, found by searching many lines as one text.
//!
//! Where few lines match, finding the end of each costs many times the search itself. So a second expression is made that
//! is looked for in a whole block: each line that matches by itself holds a match of it. (ripgrep works so too.) It is
//! the first one with these changes:
//!
//! | of the expression | becomes | because |
//! | --- | --- | --- |
//! | a class with a line feed | the class without it | no line holds one, and no match may span two lines |
//! | text with a line feed | what matches nowhere | no line holds it |
//! | begin, end of the text | begin, end of a line, before LF or CRLF | a line is the text |
//! | a boundary of Unicode words | nothing | automata give up on those where text is not ASCII |
//!
//! A line that was found so may still not match by itself, but that is known without another look if nothing was asked about
//! what stands before or after a match.

use mapfold_job::{Block, Record};
use memchr::memchr;
use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{
    Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look,
    Repetition,
};

/// Least number of bytes that are searched at once. Some expressions are first searched in a fast way that is given up for the rest of
/// the text where it might take quadratic time, so the rest should be short.
const STRETCH: usize = 8 << 10;

/// Finds lines that may match.
pub(super) struct Candidates {
    regex: Regex,
    /// Whether the expression matches a text if it matches a part of it.
    context_free: bool,
}

/// A line that may match.
pub(super) struct Candidate<'a> {
    pub(super) line: Record<'a>,
    /// Whether it does match.
    pub(super) certain: bool,
}

impl Candidates {
    /// For an expression that compiles. `None` if the one to look for does not.
    pub(super) fn new(pattern: &str, ignore_case: bool) -> Option<Self> {
        let parsed = ParserBuilder::new()
            .utf8(false)
            .case_insensitive(ignore_case)
            .build()
            .parse(pattern)
            .ok()?;
        let context_free = parsed.properties().look_set().is_empty();
        let regex = RegexBuilder::new(&within_lines(parsed).to_string())
            .build()
            .ok()?;
        Some(Self {
            regex,
            context_free,
        })
    }

    /// The candidates of a block of lines, in its order.
    pub(super) fn of<'a>(&self, block: &Block<'a>) -> impl Iterator<Item = Candidate<'a>> {
        self.by_stretches(block, STRETCH)
    }

    fn by_stretches<'a>(
        &self,
        block: &Block<'a>,
        stretch: usize,
    ) -> impl Iterator<Item = Candidate<'a>> {
        let bytes = block.bytes();
        // From where on nothing was found yet, and up to where is looked at together; both where a line begins.
        let (mut at, mut end) = (0, 0);
        std::iter::from_fn(move || {
            while at < bytes.len() {
                if at >= end {
                    end = lines_end(bytes, at.saturating_add(stretch));
                }
                let Some(found) = self.regex.shortest_match_at(&bytes[..end], at) else {
                    at = end;
                    continue;
                };
                let (line, next) = block.line_around(found)?;
                at = next;
                // What was found may take the CR of a CRLF for a part of the line.
                let line_end = line.offset + line.bytes.len() as u64;
                let inside = block.offset() + found as u64 <= line_end;
                return Some(Candidate {
                    line,
                    certain: self.context_free && inside,
                });
            }
            None
        })
    }
}

/// The end of the line in which the byte before `at` lies.
fn lines_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at - 1..).unwrap_or_default();
    memchr(b'\n', rest).map_or(bytes.len(), |end| at + end)
}

/// The expression to look for in many lines at once; see the [module](self).
fn within_lines(expression: Hir) -> Hir {
    match expression.into_kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => Hir::fail(),
        HirKind::Literal(literal) => Hir::literal(literal.0),
        HirKind::Class(class) => Hir::class(without_line_feed(class)),
        HirKind::Look(look) => at_lines(look),
        HirKind::Repetition(repetition) => {
            let sub = Box::new(within_lines(*repetition.sub));
            Hir::repetition(Repetition { sub, ..repetition })
        }
        HirKind::Capture(capture) => within_lines(*capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.into_iter().map(within_lines).collect()),
        HirKind::Alternation(ways) => {
            Hir::alternation(ways.into_iter().map(within_lines).collect())
        }
    }
}

fn without_line_feed(class: Class) -> Class {
    match class {
        Class::Unicode(mut class) => {
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            Class::Unicode(class)
        }
        Class::Bytes(mut class) => {
            class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
            Class::Bytes(class)
        }
    }
}

fn at_lines(look: Look) -> Hir {
    match look {
        Look::Start | Look::StartLF => Hir::look(Look::StartLF),
        // Also before a CR that is a part of the line.
        Look::End | Look::EndLF | Look::EndCRLF => Hir::look(Look::EndCRLF),
        Look::StartCRLF
        | Look::WordAscii
        | Look::WordAsciiNegate
        | Look::WordStartAscii
        | Look::WordEndAscii
        | Look::WordStartHalfAscii
        | Look::WordEndHalfAscii => Hir::look(look),
        Look::WordUnicode
        | Look::WordUnicodeNegate
        | Look::WordStartUnicode
        | Look::WordEndUnicode
        | Look::WordStartHalfUnicode
        | Look::WordEndHalfUnicode => Hir::empty(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mapfold_terms::{Codec, Fingerprint, Format, InputFile, RawPath};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn file() -> InputFile {
        let name = RawPath::from(Path::new("a.txt"));
        InputFile {
            name: name.clone(),
            path: name,
            codec: Codec::Plain,
            fingerprint: Fingerprint {
                inode: 0,
                len: 0,
                modified_ns: 0,
                changed_ns: 0,
            },
            input: 0,
            format: None,
        }
    }

    /// The lines that are found are those that match one by one.
    #[track_caller]
    fn check(pattern: &str, ignore_case: bool, texts: &[Vec<u8>], stretches: &[usize]) {
        let file = file();
        let regex = RegexBuilder::new(pattern)
            .case_insensitive(ignore_case)
            .build()
            .unwrap();
        let candidates = Candidates::new(pattern, ignore_case).unwrap();
        for text in texts {
            let block = Block::new(&file, 100, text, Format::Lines);
            let want = block
                .records()
                .filter(|line| regex.is_match(line.bytes))
                .map(|line| (line.offset, line.bytes));
            for &stretch in stretches {
                let found = candidates
                    .by_stretches(&block, stretch)
                    .filter(|candidate| candidate.certain || regex.is_match(candidate.line.bytes))
                    .map(|candidate| (candidate.line.offset, candidate.line.bytes));
                assert!(
                    found.eq(want.clone()),
                    "{pattern} in {}, {stretch} bytes at once",
                    text.escape_ascii()
                );
            }
        }
    }

    const PATTERNS: [&str; 42] = [
        "",
        "a",
        "ab|ba",
        "a+b",
        "a.b",
        "(?s)a.b",
        "(?s).+",
        "a[^b]",
        "[^a]b",
        r"a\sb",
        r"\s",
        r"a\nb",
        r"\n",
        r"[\n]",
        r"a\r",
        r"\r$",
        "^",
        "$",
        "^$",
        "^a",
        "a$",
        r"\Aa",
        r"b\z",
        "(?m)^a",
        "(?m)b$",
        "(?mR)^a",
        "(?mR)b$",
        "(?R)$",
        r"\ba",
        r"a\b",
        r"\Ba",
        r"\B",
        r"(?-u:\b)a",
        r"(?-u:\B)",
        r"\b{start}a",
        r"\w+b\b",
        "\u{e9}",
        r"(?-u:\xC3)",
        r"(?-u:[^a])",
        r"(?-u:.)b",
        "(a)(?:b|$)",
        r"^(?:a|\s)*$",
    ];

    proptest! {
        #[test]
        fn lines_are_found_in_many_as_one_by_one(
            pattern in prop::sample::select(&PATTERNS[..]),
            ignore_case in any::<bool>(),
            stretch in 1..30_usize,
            text in vec(
                prop::sample::select(vec![&b"a"[..], b"b", b"B", b" ", b"\n", b"\r", b"\r\n", b"\xc3\xa9", b"\xff"]),
                0..24,
            ),
        ) {
            check(pattern, ignore_case, &[text.concat()], &[stretch]);
        }
    }

    #[test]
    fn all_short_texts_are_searched_line_by_line() {
        let mut texts = vec![Vec::new()];
        for _ in 0..4 {
            let longer = texts
                .iter()
                .flat_map(|text| b"ab\r\n".map(|byte| [&text[..], &[byte]].concat()));
            texts = [texts.clone(), longer.collect()].concat();
            texts.sort();
            texts.dedup();
        }
        for pattern in PATTERNS {
            check(pattern, false, &texts, &[1, STRETCH]);
        }
    }

    #[test]
    fn what_needs_no_second_look_is_known() {
        let file = file();
        let certain = |pattern: &str, text: &'static [u8]| {
            let block = Block::new(&file, 0, text, Format::Lines);
            let candidates = Candidates::new(pattern, false).unwrap();
            let all: Vec<_> = candidates
                .of(&block)
                .map(|candidate| candidate.certain)
                .collect();
            all
        };
        assert_eq!(certain("whale", b"a whale\r\na calf\nwhales"), [true, true]);
        assert_eq!(
            certain(r"\bwhale\b", b"a whale\r\na calf\nwhales"),
            [false, false]
        );
        assert_eq!(certain(r"whale\s", b"a whale\r\na calf\nwhales"), [false]);
    }
}
