//! `linecount`: how many lines each file has.

use mapfold_job::{Block, Emitter, Fold, Job, JobError, NoParams, Record, Rows, Values};

/// Counts the records of each file.
pub struct LineCount;

impl Job for LineCount {
    type Params = NoParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "linecount";
    const SUMMARY: &'static str = "count the lines of each file";
    const HELP: &'static str = "A row is the file's name, a TAB, and its number of lines; a last line without \
        an end counts, and an empty file has none. With another --format the records are counted.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        out.emit(record.file.name.as_bytes(), 1);
        Ok(())
    }

    /// One count for the block. An empty file comes as one empty block, so it gets its row too.
    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        out.emit(block.file().name.as_bytes(), block.record_count());
        Ok(())
    }

    fn reduce(
        &self,
        file: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.row(file, counts.owned().sum::<u64>());
        Ok(())
    }
}
