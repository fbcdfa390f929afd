//! Lines of words whose frequencies follow Zipf's law, over a vocabulary so large that the tables of a word
//! count outgrow every cache. 1 GiB holds nearly all of it.

use super::random::Random;
use super::ranks::Ranks;
use super::records::Records;
use super::words::{Word, Words};

/// Distinct words; about as many as 1 GiB of English web text has.
const WORDS: u32 = 1_600_000;

/// Words a line.
const LINE_MIN: u32 = 5;
const LINE_MAX: u32 = 20;

/// The words, most frequent first; the same for every seed.
#[derive(Debug)]
pub(super) struct Vocabulary {
    words: Words,
    frequencies: Ranks,
}

impl Vocabulary {
    pub(super) fn new() -> Self {
        let mut words = Words::default();
        for rank in 0..WORDS {
            words.push(&word(rank));
        }
        Self {
            words,
            frequencies: Ranks::zipf(WORDS),
        }
    }
}

/// The word of a rank: one to three syllables of two letters, for some a last consonant, and for one rank in
/// eight an ending, so that lengths spread from 2 to 14 letters and grow with rarity.
///
/// No two are equal: a rank is written out in digits, and only endings have a `y`.
fn word(rank: u32) -> Vec<u8> {
    const CONSONANTS: &[u8; 20] = b"bcdfghjklmnpqrstvwxz";
    const VOWELS: &[u8; 5] = b"aeiou";
    const LASTS: [&str; 6] = ["", "n", "s", "r", "t", "l"];
    const ENDINGS: [&str; 4] = ["ym", "ylan", "ynessa", "yration"];
    /// A prime, so that neighbours in rank look unlike; small enough for 32 bits.
    const STEP: u32 = 613;

    // Words of one syllable: 600 = 20 consonants, 5 vowels, 6 lasts.
    let (mut index, mut syllables, mut size) = (rank, 1, 600);
    while index >= size {
        index -= size;
        size *= 100;
        syllables += 1;
    }
    let mut digits = index * STEP % size;
    let mut digit = |base: u32| {
        let digit = digits % base;
        digits /= base;
        digit as usize
    };
    let last = LASTS[digit(6)];
    let mut word = Vec::with_capacity(Words::LENGTH_MAX);
    for _ in 0..syllables {
        word.push(CONSONANTS[digit(20)]);
        word.push(VOWELS[digit(5)]);
    }
    word.extend_from_slice(last.as_bytes());
    if rank % 8 == 7 {
        word.extend_from_slice(ENDINGS[(rank / 8 % 4) as usize].as_bytes());
    }
    word
}

/// Words that are drawn and fetched together, before any is written: most of the fetches miss the cache, and so they wait for memory
/// together. Line by line all took a third longer.
const BATCH: usize = 256;

/// Lines of one file.
pub(super) struct Lines<'a> {
    vocabulary: &'a Vocabulary,
    random: Random,
    batch: [Word; BATCH],
    /// Words of the batch that were written.
    written: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(vocabulary: &'a Vocabulary, random: Random) -> Self {
        Self {
            vocabulary,
            random,
            batch: [Word::default(); BATCH],
            written: BATCH,
        }
    }

    fn draw(&mut self) {
        let Vocabulary { words, frequencies } = self.vocabulary;
        let ranks = [(); BATCH].map(|()| frequencies.draw(&mut self.random));
        self.batch = ranks.map(|rank| words.get(rank));
        self.written = 0;
    }
}

impl Records for Lines<'_> {
    fn append(&mut self, out: &mut Vec<u8>) {
        let mut missing = self.random.between(LINE_MIN, LINE_MAX) as usize;
        while missing > 0 {
            if self.written == BATCH {
                self.draw();
            }
            let some = missing.min(BATCH - self.written);
            for word in &self.batch[self.written..][..some] {
                word.append(out);
            }
            self.written += some;
            missing -= some;
        }
        // In place of the last space.
        out.pop();
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn words_are_distinct() {
        let distinct: HashSet<Vec<u8>> = (0..WORDS).map(word).collect();
        assert_eq!(distinct.len(), WORDS as usize);
    }
}
