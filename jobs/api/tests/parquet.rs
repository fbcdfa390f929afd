//! Parquet files through whole jobs (`cargo test -p mapfold-job --features parquet --test parquet`). The sample was written by DuckDB 2.0.

use mapfold_job::{
    Emitter, Format, Job, JobError, NoParams, Record, Rows, Trial, Values, trial::TrialError,
};
use serde::Deserialize;

const SAMPLE: &[u8] = include_bytes!("../../../data/samples/tables/types.parquet");

/// Each row by its place.
struct RowsOf;

impl Job for RowsOf {
    type Params = NoParams;
    type Key = u64;
    type Value = String;
    const NAME: &'static str = "rows-of";
    const SUMMARY: &'static str = "rows as they are read";
    const FORMAT: Format = Format::Parquet;

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        out.emit(record.offset, record.text().as_ref());
        Ok(())
    }

    fn reduce(
        &self,
        row: u64,
        texts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        for text in texts.owned() {
            rows.row(row, text);
        }
        Ok(())
    }
}

/// What people have spent, of rows with a type.
struct Spent;

#[derive(Deserialize)]
struct Order {
    name: Option<String>,
    price: f64,
    l: Option<Vec<Option<i32>>>,
}

impl Job for Spent {
    type Params = NoParams;
    type Key = String;
    type Value = String;
    const NAME: &'static str = "spent";
    const SUMMARY: &'static str = "typed rows";
    const FORMAT: Format = Format::Parquet;

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let order: Order = record.json()?;
        let name = order.name.ok_or("nobody has ordered")?;
        out.emit(&*name, format!("{} {:?}", order.price, order.l).as_str());
        Ok(())
    }

    fn reduce(
        &self,
        name: &str,
        texts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        for text in texts.owned() {
            rows.row(name, text);
        }
        Ok(())
    }
}

#[test]
fn rows_of_a_foreign_file_are_lines_of_json() {
    let tried = Trial::<RowsOf>::of(SAMPLE).check().unwrap();
    let want = include_str!("parquet.rows");
    assert_eq!(tried.rows().join("\n"), want.trim_end());
}

#[test]
fn rows_have_types_and_failures_name_the_row() {
    let error = Trial::<Spent>::of(SAMPLE).run().map(drop).unwrap_err();
    let TrialError::Failed(failure) = &error else {
        panic!("{error:?}");
    };
    let at = failure.at.as_ref().unwrap();
    assert_eq!((at.offset, at.row_group, at.record), (0, Some(0), 1));
    assert!(at.excerpt.starts_with(b"{\"id\":0,"), "{error:?}");
    assert_eq!(failure.chain, ["nobody has ordered"]);
}
