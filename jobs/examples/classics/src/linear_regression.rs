//! The line nearest to some points.

use mapfold_job::{Coded, Emitter, Fold, Job, JobError, NoParams, Record, Rows, Values};

/// Fits a line by least squares.
pub struct LinearRegression;

/// Sums over points: their number, x, y, x x, x y. Of integers, so that they do not depend on the order.
type Sums = [i128; 5];

impl Job for LinearRegression {
    type Params = NoParams;
    type Key = ();
    type Value = Coded<Sums>;

    const NAME: &'static str = "linear-regression";
    const SUMMARY: &'static str = "the line nearest to some points, by least squares";
    const HELP: &'static str = "A record is a point: two integers, at most 15 digits each, with a blank or TAB between. The row is slope and intercept.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sums, more| {
        for (sum, more) in sums.iter_mut().zip(more) {
            *sum += more;
        }
    });

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let text = str::from_utf8(record.bytes)?;
        let mut columns = text.split_ascii_whitespace().map(str::parse::<i64>);
        let (x, y) = columns
            .next()
            .zip(columns.next())
            .ok_or("a point has two numbers")?;
        let (x, y) = (i128::from(x?), i128::from(y?));
        if x.abs().max(y.abs()) >= 10_i128.pow(15) {
            return Err("a number has at most 15 digits".into());
        }
        out.emit((), [1, x, y, x * x, x * y]);
        Ok(())
    }

    fn reduce(
        &self,
        (): (),
        sums: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        for [n, x, y, xx, xy] in sums.owned() {
            let spread = n * xx - x * x;
            if spread == 0 {
                return Err("all points stand above each other: no line is nearest".into());
            }
            let slope = (n * xy - x * y) as f64 / spread as f64;
            let intercept = (xx * y - x * xy) as f64 / spread as f64;
            rows.row(slope, intercept);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::*;

    #[test]
    fn points_on_a_line_give_the_line() {
        let points: String = (-9..9).map(|x| format!("{x} {}\n", 3 * x - 7)).collect();
        assert_eq!(
            Trial::<LinearRegression>::of(points)
                .check()
                .unwrap()
                .rows(),
            ["3\t-7"]
        );
        assert!(Trial::<LinearRegression>::of("1 2\n1 3\n").run().is_err());
    }
}
