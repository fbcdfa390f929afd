//! Which files hold each word: the inverted index of the MapReduce paper, as a plugin.

use std::collections::BTreeSet;

use mapfold_job::{Emitter, Job, JobError, NoParams, Record, Rows, Values};

mapfold_job::plugin!(InvertedIndex);

/// Lists the files of each word. Without a combiner: the values of a word stream past, and `reduce` keeps the distinct ones.
pub struct InvertedIndex;

impl Job for InvertedIndex {
    type Params = NoParams;
    type Key = String;
    type Value = Vec<u8>;

    const NAME: &'static str = "inverted-index";
    const SUMMARY: &'static str = "which files hold each word";
    const HELP: &'static str = "A row for each word, with the sorted names of the files that hold it, with commas between.";

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let text = str::from_utf8(record.bytes)?;
        let words = text.split(|letter: char| !letter.is_alphabetic());
        for word in words.filter(|word| !word.is_empty()) {
            out.emit(word, record.file.name.as_bytes());
        }
        Ok(())
    }

    fn reduce(
        &self,
        word: &str,
        files: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let files: BTreeSet<Vec<u8>> = files.owned().collect();
        let files: Vec<Vec<u8>> = files.into_iter().collect();
        rows.row(word, files.join(&b','));
        Ok(())
    }
}
