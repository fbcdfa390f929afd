//! `ngrams`: how often words follow each other.

use mapfold_job::{Emitter, Fold, Job, JobError, Record, Rows, Values, params};

use crate::word::words;
use crate::wordcount::lowercase;

params! {
    /// Parameters of `ngrams`.
    pub struct NgramsParams {
        /// So many words in a row, 1 to 16.
        pub n: u32 = 2,
        /// Fold words to lower case first.
        pub lowercase: bool = false,
    }
}

/// More words in a row hardly ever come twice.
const N_MAX: u32 = 16;

/// Counts runs of words.
pub struct Ngrams {
    n: usize,
    lowercase: bool,
}

impl Job for Ngrams {
    type Params = NgramsParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "ngrams";
    const SUMMARY: &'static str = "count how often so many words follow each other";
    const HELP: &'static str = "A row is `-p n=2` words with a blank between them, a TAB, and the number of times they follow each other within \
        a record, whatever stands between them. A word is a maximal run of Unicode letters, as in wordcount. With --format files the \
        words go on from line to line.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(params: NgramsParams) -> Result<Self, JobError> {
        if !(1..=N_MAX).contains(&params.n) {
            return Err(format!("`n` is 1 to {N_MAX}").into());
        }
        Ok(Self {
            n: params.n as usize,
            lowercase: params.lowercase,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let (mut gram, mut lower) = (Gram::new(self.n), Vec::new());
        for word in words(record.bytes) {
            if self.lowercase {
                lowercase(word, &mut lower);
                gram.push(&lower);
            } else {
                gram.push(word);
            }
            if let Some(text) = gram.text() {
                out.emit(text, 1);
            }
        }
        Ok(())
    }

    fn reduce(
        &self,
        gram: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.row(gram, counts.owned().sum::<u64>());
        Ok(())
    }
}

/// The last words of a record, each with a blank behind it, in one text: a word is copied once, and the text is moved to the front now and then.
struct Gram {
    n: usize,
    text: Vec<u8>,
    /// Where the last words begin; at most `n` of them.
    starts: Vec<usize>,
}

/// Text that no gram needs any more is dropped when there is so much of it.
const DROPPED_AT: usize = 4 << 10;

impl Gram {
    fn new(n: usize) -> Self {
        Self {
            n,
            text: Vec::new(),
            starts: Vec::with_capacity(n),
        }
    }

    fn push(&mut self, word: &[u8]) {
        if self.starts.len() == self.n {
            self.starts.remove(0);
        }
        let first = self.starts.first().copied().unwrap_or(self.text.len());
        if first > DROPPED_AT {
            self.text.drain(..first);
            self.starts.iter_mut().for_each(|start| *start -= first);
        }
        self.starts.push(self.text.len());
        self.text.extend_from_slice(word);
        self.text.push(b' ');
    }

    /// The last `n` words, if there were as many.
    fn text(&self) -> Option<&[u8]> {
        let first = *self.starts.first()?;
        (self.starts.len() == self.n).then(|| &self.text[first..self.text.len() - 1])
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;
    use proptest::prelude::*;

    use super::*;

    fn rows(n: u32, text: &str) -> Vec<String> {
        let trial = Trial::<Ngrams>::of(text).param("n", n);
        trial.check().unwrap().rows()
    }

    #[test]
    fn words_follow_each_other_within_a_record() {
        let text = "To be, or not to be\nthat is\n\nto be\n";
        assert_eq!(
            rows(2, text),
            [
                "To be\t1",
                "be or\t1",
                "not to\t1",
                "or not\t1",
                "that is\t1",
                "to be\t2"
            ]
        );
        assert_eq!(rows(5, text), ["To be or not to\t1", "be or not to be\t1"]);
        assert!(rows(7, text).is_empty());
        let lower = Trial::<Ngrams>::of(text).param("lowercase", true);
        assert!(
            lower
                .check()
                .unwrap()
                .rows()
                .contains(&"to be\t3".to_owned())
        );
    }

    #[test]
    fn other_numbers_are_refused() {
        for n in [0, 17] {
            let error = Trial::<Ngrams>::of("").param("n", n).run().map(drop);
            assert!(format!("{:?}", error.unwrap_err()).contains("`n` is 1 to 16"));
        }
    }

    proptest! {
        #[test]
        fn a_gram_is_the_last_words_with_blanks_between(
            words in proptest::collection::vec("[a-z]{1,2000}", 0..40), n in 1..5_usize
        ) {
            let mut gram = Gram::new(n);
            for (at, word) in words.iter().enumerate() {
                gram.push(word.as_bytes());
                let want = (at + 1).checked_sub(n).map(|first| words[first..=at].join(" "));
                prop_assert_eq!(gram.text().map(<[u8]>::to_vec), want.map(String::into_bytes));
                prop_assert!(gram.text.len() < DROPPED_AT + 2001 * (n + 2));
            }
        }
    }
}
