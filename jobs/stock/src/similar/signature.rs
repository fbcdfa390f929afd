//! MinHash: numbers of a text that agree with those of another in about the share of shingles (runs of words) that they have in common.
//!
//! Each shingle is hashed once. Its hash chooses one of the numbers, which is the least of all hashes that choose it (one-permutation hashing; Li, Owen and
//! Zhang, 2012), so a shingle costs the same however many numbers there are. A number that no shingle chooses is borrowed from another, which is chosen by chance but in
//! the same way for every text (optimal densification; Shrivastava, 2017). One byte of each number is kept, as that makes two that differ agree once in 256, which is
//! reckoned with (b-bit minwise hashing; Li and König, 2010).
//!
//! With k numbers the estimate of a similarity s is off by about sqrt(s (1 - s) / k).

use crate::word::words;
use crate::wordcount::lowercase;

/// Makes the numbers of texts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sketcher {
    /// In a shingle.
    pub(super) words: usize,
    pub(super) numbers: usize,
}

/// Numbers that no shingle has chosen: a hash has its high bits in the choice, so the least never is so large.
const NOT_CHOSEN: u32 = u32::MAX;

impl Sketcher {
    /// The numbers of a text, unless it has no words. One that has fewer than a shingle needs is one shingle.
    pub(super) fn sketch(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut least = vec![NOT_CHOSEN; self.numbers];
        let mut put = |shingle: u64| {
            let hash = mix(shingle);
            let (choice, number) = (hash >> 32, hash & u64::from(u32::MAX));
            // Below the count of numbers, and of 32 bits: neither is cut off.
            let place = ((choice * self.numbers as u64) >> 32) as usize;
            let number = u32::try_from(number)
                .unwrap_or(NOT_CHOSEN)
                .min(NOT_CHOSEN - 1);
            least[place] = least[place].min(number);
        };
        // The hashes of the last words, in a ring; and that of all of them in order, which rolls.
        let mut last = vec![0_u64; self.words];
        let oldest_weight = (1..self.words).fold(1_u64, |weight, _| weight.wrapping_mul(BASE));
        let (mut shingle, mut seen) = (0_u64, 0_usize);
        let mut lower = Vec::new();
        for word in words(text) {
            lowercase(word, &mut lower);
            let oldest = &mut last[seen % self.words];
            let hash = hash(&lower);
            shingle = shingle.wrapping_sub(oldest.wrapping_mul(oldest_weight));
            shingle = shingle.wrapping_mul(BASE).wrapping_add(hash);
            *oldest = hash;
            seen += 1;
            if seen >= self.words {
                put(shingle);
            }
        }
        match seen {
            0 => return None,
            seen if seen < self.words => put(shingle),
            _ => {}
        }
        Some(densify(&least))
    }
}

/// The last byte of each number; one that was not chosen is borrowed.
fn densify(least: &[u32]) -> Vec<u8> {
    let numbers = (0_u64..).zip(least).map(|(place, number)| {
        let mut number = *number;
        let mut lenders = (0_u64..).map(|attempt| {
            let choice = mix(place << 32 | attempt) >> 32;
            least[((choice * least.len() as u64) >> 32) as usize]
        });
        while number == NOT_CHOSEN {
            number = lenders.next().unwrap_or_default();
        }
        number.to_le_bytes()[0]
    });
    numbers.collect()
}

/// The share of shingles that two texts have in common, as their numbers tell.
pub(super) fn similarity(one: &[u8], other: &[u8]) -> f64 {
    const BY_CHANCE: f64 = 1.0 / 256.0;
    let agree = one
        .iter()
        .zip(other)
        .filter(|(one, other)| one == other)
        .count();
    let share = agree as f64 / one.len() as f64;
    ((share - BY_CHANCE) / (1.0 - BY_CHANCE)).max(0.0)
}

/// Odd, and of no pattern.
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;

/// Of a word: FNV-1a, and its bits mixed.
fn hash(word: &[u8]) -> u64 {
    let hash = word.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3)
    });
    mix(hash)
}

/// Every bit depends on every bit (the finisher of splitmix64).
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A text of words known by number.
    fn text(numbers: impl Iterator<Item = u64>) -> String {
        let word = |number: u64| {
            let letters = number.to_string();
            let letter = |digit: u8| char::from(digit - b'0' + b'a');
            letters.bytes().map(letter).collect::<String>()
        };
        numbers.map(word).collect::<Vec<_>>().join(" ")
    }

    /// The share of shingles in common, by the definition.
    fn jaccard(one: &str, other: &str, words: usize) -> f64 {
        let [one, other] = [one, other].map(|text| {
            let words_of: Vec<&str> = text.split(' ').collect();
            words_of
                .windows(words)
                .map(|shingle| shingle.join(" "))
                .collect::<BTreeSet<_>>()
        });
        one.intersection(&other).count() as f64 / one.union(&other).count() as f64
    }

    #[test]
    fn estimates_are_as_near_as_is_said() {
        const NUMBERS: usize = 128;
        let sketcher = Sketcher {
            words: 3,
            numbers: NUMBERS,
        };
        for shared in [0, 100, 300, 600, 900, 1000] {
            let (mut bias, mut square) = (0.0, 0.0);
            const PAIRS: u64 = 200;
            for pair in 0..PAIRS {
                let from = pair * 10_000;
                let one = text(from..from + 1000);
                let other = text((from..from + shared).chain(from + 5000..from + 6000 - shared));
                let want = jaccard(&one, &other, 3);
                let [first, second] =
                    [&one, &other].map(|text| sketcher.sketch(text.as_bytes()).unwrap());
                let error = similarity(&first, &second) - want;
                bias += error / PAIRS as f64;
                square += error * error / PAIRS as f64;
            }
            let s = shared as f64 / (2000 - shared) as f64;
            let said = (s * (1.0 - s) / NUMBERS as f64).sqrt();
            assert!(bias.abs() < 0.015, "{shared}: {bias}");
            assert!(
                square.sqrt() < said * 1.3 + 0.01,
                "{shared}: {} {said}",
                square.sqrt()
            );
        }
    }

    #[test]
    fn texts_of_few_words_have_numbers() {
        let sketcher = Sketcher {
            words: 5,
            numbers: 16,
        };
        let sketch = |text: &str| sketcher.sketch(text.as_bytes());
        assert_eq!(sketch(""), None);
        assert_eq!(sketch("1 2 3"), None);
        assert_eq!(sketch("a b"), sketch("A, B!"));
        assert_ne!(sketch("a b"), sketch("b a"));
        assert_ne!(sketch("a b c d e"), sketch("a b c d f"));
    }

    proptest! {
        #[test]
        fn only_the_set_of_shingles_counts(words in proptest::collection::vec("[a-c]{1,2}", 3..20), n in 1..4_usize) {
            let sketcher = Sketcher { words: n, numbers: 24 };
            let text = words.join(" ");
            // Each shingle by itself.
            let mut want = vec![NOT_CHOSEN; 24];
            for shingle in words.windows(n) {
                let hash = shingle.iter().fold(0_u64, |sum, word| sum.wrapping_mul(BASE).wrapping_add(hash(word.as_bytes())));
                let hash = mix(hash);
                let place = (((hash >> 32) * 24) >> 32) as usize;
                want[place] = want[place].min(u32::try_from(hash & 0xFFFF_FFFF).unwrap());
            }
            prop_assert_eq!(sketcher.sketch(text.as_bytes()).unwrap(), densify(&want));
        }
    }
}
