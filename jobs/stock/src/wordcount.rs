//! `wordcount`: how often each word occurs.

use mapfold_job::{Block, Emitter, Fold, Job, JobError, Record, Rows, Values, params};

use crate::word::words;

params! {
    /// Parameters of `wordcount`.
    pub struct WordCountParams {
        /// Fold words to lower case first.
        pub lowercase: bool = false,
    }
}

/// Counts words.
pub struct WordCount {
    lowercase: bool,
}

impl Job for WordCount {
    type Params = WordCountParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "wordcount";
    const SUMMARY: &'static str = "count how often each word occurs";
    const HELP: &'static str = "A word is a maximal run of Unicode letters, case kept. \
        A row is the word, a TAB, and the number of times it occurs in all inputs. \
        Bytes that are not UTF-8 are no letters.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(params: WordCountParams) -> Result<Self, JobError> {
        Ok(Self {
            lowercase: params.lowercase,
        })
    }

    #[inline]
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        self.count(record.bytes, out);
        Ok(())
    }

    /// No word crosses the end of a line, so a block of lines is counted as one text.
    #[inline]
    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if block.line_based() {
            self.count(block.bytes(), out);
        } else {
            block
                .records()
                .for_each(|record| self.count(record.bytes, out));
        }
        Ok(())
    }

    fn reduce(
        &self,
        word: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.row(word, counts.owned().sum::<u64>());
        Ok(())
    }
}

impl WordCount {
    #[inline]
    fn count(&self, text: &[u8], out: &mut Emitter<'_, Self>) {
        if self.lowercase {
            let mut lower = Vec::new();
            for word in words(text) {
                lowercase(word, &mut lower);
                out.emit(&lower, 1);
            }
        } else {
            for word in words(text) {
                out.emit(word, 1);
            }
        }
    }
}

/// Puts the lower-case form of `word` into `lower`. A form may hold what is no letter by itself: a dotted
/// capital I becomes an i and a combining dot, which stay one word.
pub(crate) fn lowercase(word: &[u8], lower: &mut Vec<u8>) {
    lower.clear();
    match str::from_utf8(word) {
        Ok(text) if !text.is_ascii() => lower.extend_from_slice(text.to_lowercase().as_bytes()),
        _ => {
            lower.extend_from_slice(word);
            lower.make_ascii_lowercase();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_is_unicode_lower_case() {
        for (word, want) in [
            ("Whale", "whale"),
            ("\u{c9}T\u{c9}", "\u{e9}t\u{e9}"),
            (
                "\u{39f}\u{394}\u{39f}\u{3a3}",
                "\u{3bf}\u{3b4}\u{3bf}\u{3c2}",
            ),
        ] {
            let mut lower = b"rest".to_vec();
            lowercase(word.as_bytes(), &mut lower);
            assert_eq!(String::from_utf8(lower).unwrap(), want);
        }
    }
}
