//! How often words follow each other, in each file.

use mapfold_job::{Emitter, Fold, Job, JobError, NoParams, Record, Rows, Values};

use crate::words;

/// Counts three words in a row by file.
pub struct SequenceCount;

impl Job for SequenceCount {
    type Params = NoParams;
    /// Three words with blanks between, and the file.
    type Key = (String, String);
    type Value = u64;

    const NAME: &'static str = "sequence-count";
    const SUMMARY: &'static str = "how often three words follow each other in each file";
    const HELP: &'static str = "A row is three words of one record with blanks between, the file, and the number of times.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let file = record.file.name.display().to_string();
        for sequence in words(record.bytes).windows(3) {
            out.emit((&sequence.join(" "), &file), 1);
        }
        Ok(())
    }

    fn reduce(
        &self,
        (sequence, file): (&str, &str),
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.row((sequence, file), counts.owned().sum::<u64>());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::*;

    #[test]
    fn sequences_are_counted_by_file() {
        let trial = Trial::<SequenceCount>::new()
            .file("a", "To be or\nto be or\n")
            .file("b", "to be or not\n");
        let want = ["be or not\tb\t1", "to be or\ta\t2", "to be or\tb\t1"];
        assert_eq!(trial.check().unwrap().rows(), want);
    }
}
