//! A word count that keeps its counts until the end of each attempt.

use std::collections::BTreeMap;

use mapfold_job::{Emitter, Fold, Job, JobError, Record, Rows, Values, params};

params! {
    /// Parameters of `lab-hoard`.
    pub struct HoardParams {
        /// The end of a map attempt that has met this word fails.
        pub spoil: String = String::new(),
        /// Write the number of different words at the end of each part.
        pub last: bool = false,
    }
}

/// Emits nothing before the end of a map task, and writes one row after the last key. `map` panics on the word `panic`.
pub struct Hoard(HoardParams);

type Counts = BTreeMap<Vec<u8>, u64>;

/// Different words of one part.
#[derive(Default)]
struct Different(u64);

impl Job for Hoard {
    type Params = HoardParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "lab-hoard";
    const SUMMARY: &'static str = "word count that keeps its counts until the end of each attempt";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(params: HoardParams) -> Result<Self, JobError> {
        Ok(Self(params))
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        for word in record.bytes.split(|byte| !byte.is_ascii_alphabetic()) {
            match word {
                b"" => {}
                b"panic" => panic!("a word that it does not like"),
                word => *out.state::<Counts>().entry(word.to_vec()).or_default() += 1,
            }
        }
        Ok(())
    }

    fn finish_map(&self, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        for (word, count) in out.take_state::<Counts>() {
            if word == self.0.spoil.as_bytes() {
                return Err("it met the word".into());
            }
            out.emit(&word, count);
        }
        out.count("ends", 1);
        Ok(())
    }

    fn reduce(
        &self,
        word: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.state::<Different>().0 += 1;
        rows.row(word, counts.owned().sum::<u64>());
        Ok(())
    }

    fn finish_reduce(&self, rows: &mut Rows<'_>) -> Result<(), JobError> {
        let Different(different) = rows.take_state();
        if self.0.last {
            rows.row("(different)", different);
        }
        Ok(())
    }
}
