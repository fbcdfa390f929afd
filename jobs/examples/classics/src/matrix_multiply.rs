//! The product of two matrices.

use mapfold_job::{Coded, Emitter, Job, JobError, Record, Rows, Values, params};

params! {
    /// Parameters of `matrix-multiply`.
    pub struct MatrixMultiplyParams {
        /// Rows of the first matrix.
        pub rows: u32,
        /// Columns of the second.
        pub columns: u32,
    }
}

/// Multiplies matrices in one pass: every entry goes to all entries of the product that need it.
pub struct MatrixMultiply {
    rows: u32,
    columns: u32,
}

impl Job for MatrixMultiply {
    type Params = MatrixMultiplyParams;
    /// Row and column of the product.
    type Key = (u32, u32);
    /// Where it stands among those that are multiplied, and the entry.
    type Value = Coded<(u32, i64)>;

    const NAME: &'static str = "matrix-multiply";
    const SUMMARY: &'static str = "the product of two matrices";
    const HELP: &'static str = "A record is an entry: `A` or `B`, row and column, counted from 0, and an integer, with blanks between; what is left out is 0. A row is an entry of A times B: \
        row, column, number; those that are 0 are left out.";

    fn new(params: MatrixMultiplyParams) -> Result<Self, JobError> {
        Ok(Self {
            rows: params.rows,
            columns: params.columns,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let text = str::from_utf8(record.bytes)?;
        let columns: Vec<&str> = text.split_ascii_whitespace().collect();
        let [matrix, row, column, number] = columns[..] else {
            return Err("an entry is a matrix, a row, a column and a number".into());
        };
        let (row, column, number) = (row.parse()?, column.parse()?, number.parse()?);
        match matrix {
            "A" if row < self.rows => {
                (0..self.columns).for_each(|to| out.emit((row, to), (column, number)))
            }
            "B" if column < self.columns => {
                (0..self.rows).for_each(|to| out.emit((to, column), (row, number)))
            }
            "A" | "B" => {
                return Err(format!("`rows` and `columns` leave no room for {text}").into());
            }
            _ => return Err("a matrix is A or B".into()),
        }
        Ok(())
    }

    fn reduce(
        &self,
        (row, column): (u32, u32),
        factors: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let mut factors: Vec<(u32, i64)> = factors.owned().collect();
        factors.sort_unstable();
        let pairs = factors.windows(2).filter(|pair| pair[0].0 == pair[1].0);
        let products = pairs.map(|pair| pair[0].1.checked_mul(pair[1].1));
        let sum = products
            .into_iter()
            .try_fold(0_i64, |sum, product| sum.checked_add(product?));
        match sum.ok_or("the product does not fit 64 bits")? {
            0 => {}
            sum => rows.row((row, column), sum),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::*;

    #[test]
    fn rows_are_multiplied_with_columns() {
        let entries = "A 0 0 1\nA 0 1 2\nA 1 1 -3\nB 0 0 4\nB 1 0 5\nB 1 1 6\n";
        let trial = Trial::<MatrixMultiply>::of(entries)
            .param("rows", 2)
            .param("columns", 2);
        let want = ["0\t0\t14", "0\t1\t12", "1\t0\t-15", "1\t1\t-18"];
        assert_eq!(trial.check().unwrap().rows(), want);
        assert!(trial.param("rows", 1).run().is_err());
    }
}
