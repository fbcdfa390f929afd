//! The words that each file holds most often.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use mapfold_job::{Emitter, Job, JobError, Record, Rows, Values, params};

use crate::words;

params! {
    /// Parameters of `term-vector`.
    pub struct TermVectorParams {
        /// Words that a file holds less often are left out.
        pub least: u64 = 2,
    }
}

/// Describes files by their words.
pub struct TermVector {
    least: u64,
}

impl Job for TermVector {
    type Params = TermVectorParams;
    type Key = String;
    type Value = String;

    const NAME: &'static str = "term-vector";
    const SUMMARY: &'static str = "the words that each file holds most often";
    const HELP: &'static str = "A row is a file, and `word:count` of its words, the most frequent first, with commas between.";

    fn new(params: TermVectorParams) -> Result<Self, JobError> {
        Ok(Self {
            least: params.least,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let file = record.file.name.display().to_string();
        let words = words(record.bytes);
        words.iter().for_each(|word| out.emit(&file, word));
        Ok(())
    }

    fn reduce(
        &self,
        file: &str,
        words: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for word in words.owned() {
            *counts.entry(word).or_default() += 1;
        }
        let mut counts: Vec<_> = counts
            .into_iter()
            .filter(|(_, count)| *count >= self.least)
            .collect();
        counts.sort_by_key(|(_, count)| Reverse(*count));
        let terms = counts.iter().map(|(word, count)| format!("{word}:{count}"));
        rows.row(file, terms.collect::<Vec<_>>().join(","));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::*;

    #[test]
    fn a_file_has_its_words_by_how_often_it_holds_them() {
        let trial = Trial::<TermVector>::new()
            .file("a", "b a b\na c b\n")
            .file("b", "c\n");
        assert_eq!(trial.check().unwrap().rows(), ["a\tb:3,a:2", "b\t"]);
        let all = trial.param("least", 1).run().unwrap();
        assert_eq!(all.rows(), ["a\tb:3,a:2,c:1", "b\tc:1"]);
    }
}
