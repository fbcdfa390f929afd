//! Which files hold each word, those that hold it most often first.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use mapfold_job::{Coded, Emitter, Fold, Job, JobError, NoParams, Record, Rows, Values};

use crate::words;

/// Builds an inverted index with ranks.
pub struct RankedIndex;

impl Job for RankedIndex {
    type Params = NoParams;
    type Key = String;
    /// How often each file holds the word.
    type Value = Coded<BTreeMap<String, u64>>;

    const NAME: &'static str = "ranked-index";
    const SUMMARY: &'static str = "which files hold each word, those that hold it most often first";
    const HELP: &'static str = "A row is a word in lower case, and `file:count` of each file that holds it, with commas between.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, files, more| {
        for (file, count) in more {
            *files.entry(file).or_default() += count;
        }
    });

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let file = record.file.name.display().to_string();
        for word in words(record.bytes) {
            out.emit(&word, BTreeMap::from([(file.clone(), 1)]));
        }
        Ok(())
    }

    fn reduce(
        &self,
        word: &str,
        files: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        for files in files.owned() {
            let mut files: Vec<_> = files.into_iter().collect();
            files.sort_by_key(|(_, count)| Reverse(*count));
            let files = files.iter().map(|(file, count)| format!("{file}:{count}"));
            rows.row(word, files.collect::<Vec<_>>().join(","));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::*;

    #[test]
    fn files_are_ranked_by_how_often_they_hold_a_word() {
        let trial = Trial::<RankedIndex>::new()
            .file("a", "The cat.\n")
            .file("b", "the hat, the mat\n");
        let want = ["cat\ta:1", "hat\tb:1", "mat\tb:1", "the\tb:2,a:1"];
        assert_eq!(trial.check().unwrap().rows(), want);
    }
}
