//! JSON lines, read into types.

use mapfold_job::{Emitter, Fold, Job, JobError, NoParams, Record, Rows, Values};
use serde::Deserialize;

#[derive(Deserialize)]
struct Visit<'a> {
    page: &'a str,
    #[serde(rename = "in")]
    took: Took,
}

#[derive(Deserialize)]
struct Took {
    millis: u64,
}

/// Sums up what visits took, by page.
pub struct Visits;

impl Job for Visits {
    type Params = NoParams;
    type Key = String;
    type Value = u64;

    const NAME: &'static str = "lab-visits";
    const SUMMARY: &'static str = "what visits took, by page";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let visit: Visit<'_> = record.json()?;
        out.emit(visit.page, visit.took.millis);
        Ok(())
    }

    fn reduce(
        &self,
        page: &str,
        millis: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.row(page, millis.owned().sum::<u64>());
        Ok(())
    }
}
