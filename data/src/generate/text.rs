//! Prose that looks like English from afar: common words of the language, then invented ones, in sentences,
//! in paragraphs, in lines of up to 76 bytes. Some letters and the quotation marks are beyond ASCII, so that
//! both paths of a tokenizer are walked.

use std::collections::HashSet;

use super::number;
use super::random::Random;
use super::ranks::Ranks;
use super::records::Records;
use super::words::Words;

/// Distinct words, before capitals at the beginning of sentences.
const WORDS: u32 = 50_000;

/// Makes the vocabulary, which is the same for every data set.
const VOCABULARY_SEED: u64 = 0x7465_7874;

/// Longer lines are wrapped, counted in bytes without the line end.
const LINE_MAX: usize = 76;

/// The most frequent words of English, most frequent first.
const COMMON: &str = "the of and to a in that he was it his is with as for had you not be on at by her I \
    which have or from this him but all she they were my are me one their so an said them we who would \
    been will no when there if more out up into do any your what has man could other than our some very \
    time upon about may its only now like little then can made should did us such great before must two \
    these see know over much down after first good men own never most old shall day where those came \
    come himself way work life without go make well through being long say might how am too even again \
    many back here think every people went same last thought away under take found hand eyes still place \
    while just also young yet though against things get ever give God years off face nothing right once \
    another left part saw house world head three took new love always Mrs put night each king between tell \
    mind heart few because thing whom far seemed looked called whole de set both got find done heard look \
    name days told let lord country asked going seen better having home knew side";

const ONSETS: [&str; 32] = [
    "b", "br", "c", "ch", "cl", "d", "dr", "f", "fl", "g", "gr", "h", "j", "l", "m", "n", "p",
    "pl", "pr", "r", "s", "sh", "sl", "sp", "st", "t", "th", "tr", "v", "w", "wh", "y",
];
const VOWELS: [&str; 16] = [
    "a", "e", "i", "o", "u", "a", "e", "i", "o", "e", "ea", "oo", "ai", "ou", "ee", "y",
];
const VOWELS_MARKED: [&str; 8] = ["é", "è", "ö", "ü", "å", "ø", "ñe", "ï"];
const CODAS: [&str; 16] = [
    "", "", "", "", "n", "r", "l", "s", "t", "d", "ck", "nd", "st", "m", "ng", "ll",
];
const ENDINGS: [&str; 12] = [
    "", "", "", "", "s", "ed", "ing", "ly", "er", "ness", "tion", "able",
];

/// The words, most frequent first.
#[derive(Debug)]
pub(super) struct Vocabulary {
    words: Words,
    frequencies: Ranks,
}

impl Vocabulary {
    pub(super) fn new() -> Self {
        let mut random = Random::new(VOCABULARY_SEED, 0);
        let mut words = Words::default();
        let mut seen = HashSet::new();
        let invented = std::iter::from_fn(|| Some(invent(&mut random)));
        let all = COMMON.split_whitespace().map(str::to_owned).chain(invented);
        for word in all
            .filter(|word| word.len() <= Words::LENGTH_MAX && seen.insert(word.clone()))
            .take(WORDS as usize)
        {
            words.push(word.as_bytes());
        }
        Self {
            words,
            frequencies: Ranks::zipf(WORDS),
        }
    }
}

/// A word of one to three syllables; one in 16 is a name, one in 24 has a letter beyond ASCII (never its first).
fn invent(random: &mut Random) -> String {
    let mut word = String::new();
    let marked = random.one_in(24);
    for syllable in 0..random.between(1, 3) {
        word += random.pick(&ONSETS);
        word += if marked && syllable == 0 {
            random.pick(&VOWELS_MARKED)
        } else {
            random.pick(&VOWELS)
        };
        word += random.pick(&CODAS);
    }
    word += random.pick(&ENDINGS);
    if random.one_in(16) {
        word[..1].make_ascii_uppercase();
    }
    word
}

/// Paragraphs of one file.
pub(super) struct Prose<'a> {
    vocabulary: &'a Vocabulary,
    random: Random,
    /// Where the line being written begins.
    line: usize,
}

impl<'a> Prose<'a> {
    pub(super) fn new(vocabulary: &'a Vocabulary, random: Random) -> Self {
        Self {
            vocabulary,
            random,
            line: 0,
        }
    }

    /// A sentence and a space.
    fn sentence(&mut self, out: &mut Vec<u8>) {
        let quoted = self.random.one_in(10);
        let words = self.random.between(4, 26);
        for at in 1..=words {
            let start = out.len();
            if at == 1 && quoted {
                out.extend_from_slice("\u{201c}".as_bytes());
            }
            let first = out.len();
            self.word(out);
            if at == 1 {
                out[first].make_ascii_uppercase();
            }
            if at == words {
                out.pop();
                out.push(self.random.pick(b"..............?!"));
                if quoted {
                    out.extend_from_slice("\u{201d}".as_bytes());
                }
                out.push(b' ');
            } else if self.random.one_in(9) {
                out.pop();
                out.extend_from_slice(b", ");
            }
            self.wrap(start, out);
        }
    }

    /// A word, or at times a number, and a space.
    fn word(&mut self, out: &mut Vec<u8>) {
        if self.random.one_in(256) {
            number::append(u64::from(self.random.between(2, 1999)), out);
            out.push(b' ');
        } else {
            let Vocabulary { words, frequencies } = self.vocabulary;
            words.append(frequencies.draw(&mut self.random), out);
        }
    }

    /// Moves what was written from `start` on to a line of its own, if it does not fit.
    fn wrap(&mut self, start: usize, out: &mut [u8]) {
        // The last byte is a space.
        if out.len() - 1 - self.line > LINE_MAX && start > self.line {
            out[start - 1] = b'\n';
            self.line = start;
        }
    }
}

impl Records for Prose<'_> {
    /// A paragraph and an empty line.
    fn append(&mut self, out: &mut Vec<u8>) {
        self.line = out.len();
        for _ in 0..self.random.between(2, 8) {
            self.sentence(out);
        }
        out.pop();
        out.extend_from_slice(b"\n\n");
    }
}
