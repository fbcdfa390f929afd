//! How often each word occurs. Change it into the job that you want.

use mapfold_job::{Emitter, Fold, Job, JobError, Record, Rows, Values, params};

// Makes this library a plugin.
mapfold_job::plugin!(CRATE_TYPE);

params! {
    /// What `-p NAME=VALUE` can set.
    pub struct CRATE_TYPEParams {
        /// Leave out words of fewer letters.
        pub letters_min: u64 = 1,
    }
}

/// One value of it serves many attempts at once, on many threads.
pub struct CRATE_TYPE {
    params: CRATE_TYPEParams,
}

impl Job for CRATE_TYPE {
    type Params = CRATE_TYPEParams;
    type Key = String;
    type Value = u64;

    const NAME: &'static str = "CRATE_NAME";
    const SUMMARY: &'static str = "how often each word occurs";
    /// Adds two values of one key together, early. Leave it out if values cannot be added together: then `reduce` sees them all.
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(params: CRATE_TYPEParams) -> Result<Self, JobError> {
        Ok(Self { params })
    }

    /// Called for each line: emits any number of keys and values.
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let line = String::from_utf8_lossy(record.bytes);
        for word in line.split(|letter: char| !letter.is_alphabetic()) {
            if !word.is_empty() && word.chars().count() as u64 >= self.params.letters_min {
                out.emit(word, 1);
            }
        }
        Ok(())
    }

    /// Called once for each key: makes any number of rows.
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
