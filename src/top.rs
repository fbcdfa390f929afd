//! The rows with the largest values.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::path::Path;

use mapfold_data::manifest::Manifest;

use crate::count::counted;
use crate::error::Problem;
use crate::rows::Rows;
use crate::settings::Shown;
use crate::stderr;

/// Prints the `count` rows whose last column is the largest number, that first; those of equal numbers in order of their bytes.
/// Rows that do not end in a number are left out, and told. Holds `count` rows in memory.
pub(crate) fn print(
    folder: &Path,
    manifest: &Manifest,
    count: NonZeroU32,
    shown: &Shown,
) -> Result<(), Problem> {
    let count = usize::try_from(count.get()).unwrap_or(usize::MAX);
    // The least of those that are kept is on top.
    let mut kept = BinaryHeap::new();
    let mut left_out = 0_u64;
    for part in &manifest.parts {
        let mut rows = Rows::open(&folder.join(&part.name))?;
        while let Some(row) = rows.next()? {
            let Some(value) = Number::last_of(&row) else {
                left_out += 1;
                continue;
            };
            kept.push(Reverse(Valued {
                value,
                row: Reverse(row),
            }));
            if kept.len() > count {
                kept.pop();
            }
        }
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    for Reverse(Valued { row, .. }) in kept.into_sorted_vec() {
        out.write_all(&row.0)
            .map_err(|error| Problem::stdout(&error))?;
    }
    out.flush().map_err(|error| Problem::stdout(&error))?;
    if left_out > 0 && !shown.quiet {
        let rows = counted(left_out, "row");
        let note = shown.paint.label("note:");
        stderr::say(&format!(
            "{note} --top left out {rows} that end in no number\n"
        ));
    }
    Ok(())
}

/// A row by its value; of equal ones the row that comes first in order of bytes is the greater.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Valued {
    value: Number,
    row: Reverse<Vec<u8>>,
}

/// The last column of a row.
#[derive(Clone, Copy, Debug)]
struct Number {
    about: f64,
    /// Where it is whole; large ones are not told apart by `about`.
    exact: i128,
}

impl Number {
    fn last_of(row: &[u8]) -> Option<Self> {
        let row = row.strip_suffix(b"\n").unwrap_or(row);
        let column = row.rsplit(|&byte| byte == b'\t').next()?;
        let text = str::from_utf8(column).ok()?;
        let about: f64 = text.parse().ok()?;
        Some(Self {
            // What is no number is never among the largest.
            about: if about.is_nan() {
                f64::NEG_INFINITY
            } else {
                about
            },
            exact: text.parse().unwrap_or(0),
        })
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let about = self.about.total_cmp(&other.about);
        about.then(self.exact.cmp(&other.exact))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let rows = [
            "a\t-inf",
            "a\t-10",
            "a\t-9.5",
            "a\t0",
            "b\tc\t0.5",
            "9",
            "a\t10",
            "a\t1e3",
            "a\t18446744073709551614",
            "a\t18446744073709551615\n",
        ];
        let numbers = rows.map(|row| Number::last_of(row.as_bytes()).unwrap());
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        for row in ["", "a", "1\tx", "1\t", "1\t2 "] {
            assert!(Number::last_of(row.as_bytes()).is_none(), "{row}");
        }
    }
}
