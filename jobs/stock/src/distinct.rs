//! `distinct`: each record once.

use mapfold_job::{Emitter, Fold, Job, JobError, Record, Rows, Values, params};

params! {
    /// Parameters of `distinct`.
    pub struct DistinctParams {
        /// Tell how often each record occurs, after a TAB.
        pub count: bool = false,
    }
}

/// Finds distinct records.
pub struct Distinct {
    count: bool,
}

impl Job for Distinct {
    type Params = DistinctParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "distinct";
    const SUMMARY: &'static str = "list each record once, however often it occurs";
    const HELP: &'static str = "A row is a record as it was: a line with its line feed (a CR before that is dropped), or with --format \
        fixed:N its bytes and nothing else. With `-p count=true` it is the record, a TAB, and the number of times \
        it occurs in all inputs, as `sort | uniq -c` tells it.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(params: DistinctParams) -> Result<Self, JobError> {
        Ok(Self {
            count: params.count,
        })
    }

    #[inline]
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        out.emit(record.bytes, 1);
        Ok(())
    }

    fn reduce(
        &self,
        record: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        if self.count {
            rows.row(record, counts.owned().sum::<u64>());
        } else {
            rows.record(record);
        }
        Ok(())
    }
}
