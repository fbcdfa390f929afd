//! How often two words follow each other, without those of a list: a job with a side file, typed parameters and a counter.
//!
//! ```text
//! cargo build --release && mapfold run target/release/libbigrams.so -p stop_words=stop.txt books/
//! ```

use std::collections::HashSet;

use mapfold_job::{Emitter, Fold, Job, JobError, Record, Rows, SideFile, Values, params};

mapfold_job::plugin!(Bigrams);

params! {
    /// Parameters of `bigrams`.
    pub struct BigramsParams {
        /// Words to leave out, one a line, in lower case.
        pub stop_words: Option<SideFile> = None,
        /// Leave out pairs that occur less often.
        pub count_min: u64 = 1,
    }
}

/// Counts pairs of words of one line, in lower case.
pub struct Bigrams {
    stop_words: HashSet<String>,
    count_min: u64,
}

impl Job for Bigrams {
    type Params = BigramsParams;
    type Key = (String, String);
    type Value = u64;

    const NAME: &'static str = "bigrams";
    const SUMMARY: &'static str = "how often two words follow each other";
    const HELP: &'static str = "\
A row for each pair of words that follow each other in a line, with the number of times they do. Words of the list in `stop_words` are left out before \
pairs are made. Records that are not UTF-8 are refused.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(params: BigramsParams) -> Result<Self, JobError> {
        let stop_words = match &params.stop_words {
            Some(file) => file.text()?.lines().map(str::to_owned).collect(),
            None => HashSet::new(),
        };
        Ok(Self {
            stop_words,
            count_min: params.count_min,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let text = str::from_utf8(record.bytes)?.to_lowercase();
        let mut before = None;
        let mut left_out = 0;
        for word in text.split(|letter: char| !letter.is_alphabetic()) {
            if word.is_empty() {
                continue;
            }
            if self.stop_words.contains(word) {
                left_out += 1;
                continue;
            }
            if let Some(before) = before.replace(word) {
                out.emit((before, word), 1);
            }
        }
        out.count("words left out", left_out);
        Ok(())
    }

    fn reduce(
        &self,
        (first, second): (&str, &str),
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let count: u64 = counts.owned().sum();
        if count >= self.count_min {
            rows.row((first, second), count);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::*;

    #[test]
    fn words_of_the_list_are_as_if_they_were_not_there() {
        let text = "the cat and the hat\nThe cat in the hat\n";
        let trial = Trial::<Bigrams>::of(text)
            .side_file("stop_words", "the\r\nand\n")
            .param("count_min", 1);
        let tried = trial.check().expect("it is a plain job");
        assert_eq!(tried.rows(), ["cat\that\t1", "cat\tin\t1", "in\that\t1"]);
        assert_eq!(tried.counter("words left out"), 5);
        let often = Trial::<Bigrams>::of(text).param("count_min", 2).run();
        assert_eq!(
            often.expect("it runs").rows(),
            ["the\tcat\t2", "the\that\t2"]
        );
    }

    #[test]
    fn a_list_that_is_no_text_is_refused() {
        let trial = Trial::<Bigrams>::of("a b").side_file("stop_words", b"\xff");
        let error = trial
            .run()
            .map(|tried| tried.rows())
            .expect_err("it is no text");
        assert!(
            error.to_string().contains("is not UTF-8 at byte 0"),
            "{error}"
        );
    }
}
