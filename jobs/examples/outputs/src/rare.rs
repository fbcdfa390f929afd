//! A named output of reduce tasks: words that occur once are put aside.

use mapfold_job::{Emitter, Fold, Job, JobError, NoParams, Record, Rows, Values};

/// Counts words. Those that occur once go to the output `rare`, without a number.
pub struct Rare;

impl Job for Rare {
    type Params = NoParams;
    type Key = String;
    type Value = u64;

    const NAME: &'static str = "rare";
    const SUMMARY: &'static str = "how often each word occurs, and those that do once aside";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let text = str::from_utf8(record.bytes)?;
        for word in text.split(|letter: char| !letter.is_alphabetic()) {
            if !word.is_empty() {
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
        match counts.owned().sum::<u64>() {
            1 => rows.to("rare").record(word),
            count => rows.row(word, count),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::Rare;

    #[test]
    fn words_that_occur_once_are_aside() {
        let tried = Trial::<Rare>::of("a rose is a rose\n").check().unwrap();
        assert_eq!(tried.rows(), ["a\t2", "rose\t2"]);
        assert_eq!(tried.rows_of("rare"), ["is"]);
    }
}
