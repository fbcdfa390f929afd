//! Words that are copied fast: slots of 16 bytes, so that a copy has a fixed length and touches one cache line.

/// Words by index. Each is stored with a space after it, as it is mostly written.
#[derive(Debug, Default)]
pub(super) struct Words(Vec<[u8; SLOT]>);

/// The bytes of a word and its space, zeros, and the number of the former.
const SLOT: usize = 16;

impl Words {
    /// The longest word, in bytes.
    pub(super) const LENGTH_MAX: usize = SLOT - 2;

    /// Adds a word of at most [`Self::LENGTH_MAX`] bytes.
    pub(super) fn push(&mut self, word: &[u8]) {
        assert!(word.len() <= Self::LENGTH_MAX, "the word fits its slot");
        let mut slot = [0; SLOT];
        slot[..word.len()].copy_from_slice(word);
        slot[word.len()] = b' ';
        slot[SLOT - 1] = (1..).nth(word.len()).unwrap_or(0);
        self.0.push(slot);
    }

    /// A copy of a word.
    #[inline]
    pub(super) fn get(&self, index: u32) -> Word {
        Word(self.0[index as usize])
    }

    /// Appends a word and a space.
    #[inline]
    pub(super) fn append(&self, index: u32, out: &mut Vec<u8>) {
        self.get(index).append(out);
    }
}

/// A word and a space.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Word([u8; SLOT]);

impl Word {
    /// Appends it.
    #[inline]
    pub(super) fn append(&self, out: &mut Vec<u8>) {
        let end = out.len() + usize::from(self.0[SLOT - 1]);
        out.extend_from_slice(&self.0);
        out.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_out_as_they_went_in() {
        let mut words = Words::default();
        for word in ["a", "", "fourteen-bytes"] {
            words.push(word.as_bytes());
        }
        let mut out = b">".to_vec();
        for index in [2, 0, 1, 2] {
            words.append(index, &mut out);
        }
        assert_eq!(out, b">fourteen-bytes a  fourteen-bytes ");
    }
}
