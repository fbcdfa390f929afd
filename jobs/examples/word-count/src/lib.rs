//! How often each word occurs: the first example of the MapReduce paper, as a plugin.
//!
//! ```text
//! cargo build --release && mapfold run target/release/libword_count.so books/
//! ```

use mapfold_job::{Emitter, Fold, Job, JobError, Record, Rows, Values, params};

mapfold_job::plugin!(WordCount);

params! {
    /// Parameters of `word-count`.
    pub struct WordCountParams {
        /// Leave out words of fewer letters.
        pub letters_min: u64 = 1,
    }
}

/// Counts words, which are what letters of any language make up.
pub struct WordCount {
    params: WordCountParams,
}

impl Job for WordCount {
    type Params = WordCountParams;
    type Key = String;
    type Value = u64;

    const NAME: &'static str = "word-count";
    const SUMMARY: &'static str = "how often each word occurs";
    const HELP: &'static str = "A row for each word, with the number of times it occurs. Records that are not UTF-8 are refused.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(params: WordCountParams) -> Result<Self, JobError> {
        Ok(Self { params })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let text = str::from_utf8(record.bytes)?;
        for word in text.split(|letter: char| !letter.is_alphabetic()) {
            if !word.is_empty() && word.chars().count() as u64 >= self.params.letters_min {
                out.emit(word, 1);
            }
        }
        Ok(())
    }

    fn reduce(
        &self,
        word: &str,
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.row(word, counts.owned().sum::<u64>());
        Ok(())
    }
}
