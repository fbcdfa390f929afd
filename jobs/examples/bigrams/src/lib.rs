//! How often two words follow each other, stop words apart: a job with a key of two parts, a side file, typed parameters and a counter.
//!
//! ```text
//! mapfold run jobs/examples/bigrams -p stop-words=stop.txt books/
//! ```

use std::collections::HashSet;

use mapfold_job::{Emitter, Fold, Job, JobError, Record, Rows, SideFile, Values, params};

mapfold_job::plugin!(Bigrams);

/// Counts the pairs that were left out for a stop word.
const STOPPED: &str = "pairs with a stop word";

params! {
    /// Parameters of `bigrams`.
    pub struct BigramsParams {
        /// Stop words, one a line. A pair with one is not counted.
        pub stop_words: Option<SideFile> = None,
        /// Let pairs reach over stop words, which are left out first.
        pub across: bool = false,
        /// Leave out pairs that occur less often.
        pub count_min: u64 = 1,
    }
}

/// Counts pairs of words of one line, in lower case.
pub struct Bigrams {
    stop_words: HashSet<String>,
    across: bool,
    count_min: u64,
}

impl Job for Bigrams {
    type Params = BigramsParams;
    type Key = (String, String);
    type Value = u64;

    const NAME: &'static str = "bigrams";
    const SUMMARY: &'static str = "how often two words follow each other";
    const HELP: &'static str = "\
A row for each pair of words that follow each other in a line, with the number of times they do. Words are runs of letters and digits, in lower case; bytes \
that are no text part words.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(params: BigramsParams) -> Result<Self, JobError> {
        if params.count_min == 0 {
            return Err("count_min is at least 1".into());
        }
        let stop_words = match &params.stop_words {
            Some(file) => file.text()?.lines().map(str::to_lowercase).collect(),
            None if params.across => return Err("across=true needs stop_words".into()),
            None => HashSet::new(),
        };
        Ok(Self {
            stop_words,
            across: params.across,
            count_min: params.count_min,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let line = record.text().to_lowercase();
        let words = line.split(|letter: char| !letter.is_alphanumeric());
        let mut before = None;
        for word in words.filter(|word| !word.is_empty()) {
            let stopped = self.stop_words.contains(word);
            if stopped && self.across {
                continue;
            }
            if let Some((first, first_stopped)) = before.replace((word, stopped)) {
                if stopped || first_stopped {
                    out.count(STOPPED, 1);
                } else {
                    out.emit((first, word), 1);
                }
            }
        }
        Ok(())
    }

    fn reduce(
        &self,
        (first, second): (&str, &str),
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let count = counts.owned().sum::<u64>();
        if count >= self.count_min {
            rows.row((first, second), count);
        }
        Ok(())
    }
}
