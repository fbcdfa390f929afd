//! A partitioner: words in part files by their first letters.

use mapfold_job::{Emitter, Fold, Job, JobError, NoParams, Partition, Record, Rows, Values};

/// Counts words. With `-r 26` there is a part file for each letter; with fewer, each has a range of them.
pub struct ByLetter;

impl Job for ByLetter {
    type Params = NoParams;
    type Key = String;
    type Value = u64;

    const NAME: &'static str = "by-letter";
    const SUMMARY: &'static str = "how often each word occurs, in part files by first letters";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);
    const PARTITION: Option<Partition<Self>> = Some(|_, word, partitions| {
        let letter = word.bytes().next().unwrap_or(0).to_ascii_lowercase();
        u32::from(letter.saturating_sub(b'a').min(25)) * partitions / 26
    });

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
        rows.row(word, counts.owned().sum::<u64>());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::ByLetter;

    #[test]
    fn parts_follow_the_alphabet() {
        let tried = Trial::<ByLetter>::of("a zoo and\nan Ape\nmice\n")
            .reducers(26)
            .check()
            .unwrap();
        assert_eq!(tried.parts()[0], b"Ape\t1\na\t1\nan\t1\nand\t1\n");
        assert_eq!(tried.parts()[12], b"mice\t1\n");
        assert_eq!(tried.parts()[25], b"zoo\t1\n");
    }
}
