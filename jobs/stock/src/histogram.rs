//! `histogram`: how often each value of a column occurs, or values in each range.

mod buckets;
mod decimal;

use mapfold_job::{Emitter, Fold, Job, JobError, Key, Record, Rows, Values, params};

use crate::column::{self, Delimiter};
use buckets::Buckets;
use decimal::Decimal;

params! {
    /// Parameters of `histogram`.
    pub struct HistogramParams {
        /// Look at this column of a record, counted from 1; 0 is the length of the record in bytes.
        pub column: u32 = 0,
        /// What stands between columns: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
        /// Count numbers together in buckets of this width; 0 is each value by itself.
        pub width: Decimal = Decimal::ZERO,
        /// Count numbers together from each power of two to the next.
        pub log: bool = false,
    }
}

/// Counts values.
pub struct Histogram {
    /// The column, counted from 0; none is the length.
    column: Option<usize>,
    delimiter: Delimiter,
    /// None counts each value by itself.
    buckets: Option<Buckets>,
}

/// The counter of records whose column begins with no number.
const NO_NUMBER: &str = "no-number";

impl Job for Histogram {
    type Params = HistogramParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "histogram";
    const SUMMARY: &'static str = "count how often each value of a column occurs";
    const HELP: &'static str = "A row is a value, a TAB, and the number of records that have it. The value is a column (`-p column=9 \
        -p delimiter=' '`; empty where a record has no such column), or without that the length of the record.\n\n\
        With `-p width=0.5` or `-p log=true` the value is the decimal number with which the column begins, after blanks, perhaps with a \
        power of ten (1e-7), and a row tells the bucket in which it falls by its least number (with log by the one nearest to 0: 1 is 1, 2 is 2 and 3, 4 is 4 to 7; 0 is \
        all between -1 and 1). Buckets without records have no row. Records without a number are counted by the counter `no-number`.\n\n\
        Rows are sorted within a part file, numbers as numbers: `-r 1` gives one sorted whole.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(params: HistogramParams) -> Result<Self, JobError> {
        let column = (params.column as usize).checked_sub(1);
        let buckets = match (params.width, params.log) {
            (Decimal::ZERO, false) if column.is_some() => None,
            (Decimal::ZERO, false) => Some(Buckets::Even(Decimal::ONE)),
            (Decimal::ZERO, true) => Some(Buckets::PowersOfTwo),
            (width, false) => Some(Buckets::Even(width)),
            (_, true) => return Err("buckets have a `width` or are `log`, not both".into()),
        };
        Ok(Self {
            column,
            delimiter: params.delimiter,
            buckets,
        })
    }

    #[inline]
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let value = self.column.map(|before| {
            let (begin, end) = column::range(record.bytes, before, self.delimiter.0);
            &record.bytes[begin..end]
        });
        let bucket = match (self.buckets, value) {
            (Some(buckets), Some(value)) => buckets.of_text(value),
            (Some(buckets), None) => buckets.of_length(record.bytes.len()),
            (None, value) => {
                out.emit(value.unwrap_or_default(), 1);
                return Ok(());
            }
        };
        match bucket {
            Some(bucket) => out.emit(i64::encode(bucket, &mut Vec::new()), 1),
            None => out.count(NO_NUMBER, 1),
        }
        Ok(())
    }

    fn reduce(
        &self,
        value: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let count = counts.owned().sum::<u64>();
        match self.buckets {
            Some(buckets) => {
                let bucket = i64::decode(value, &mut Vec::new())?;
                rows.row(buckets.name(bucket), count);
            }
            None => rows.row(value, count),
        }
        Ok(())
    }
}
