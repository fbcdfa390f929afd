//! Whether two programs made the same rows, in whatever order.
//!
//! Rows are hashed and the hashes are summed, in buckets by hash: equal sums mean equal multisets (but for a chance of
//! 2^-128), in one pass and constant memory. Where sums differ, the rows of one bucket that differs are read again and
//! held against each other, one row in a thousand.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_128;

/// Enough that one bucket of a large output fits memory.
const BUCKETS: usize = 1024;

/// Rows of each side that are shown.
const SHOWN_MAX: usize = 3;

/// Bytes of a row that are shown.
const ROW_MAX: usize = 120;

/// The rows of some files, as sums.
#[derive(Debug)]
pub(crate) struct RowSums {
    files: Vec<PathBuf>,
    /// Rows that have a TAB.
    tabs: u64,
    /// (rows, sum of their hashes).
    buckets: Vec<(u64, u128)>,
}

/// How rows compare.
#[derive(Debug)]
pub(crate) enum Comparison {
    Same,
    Differ(Difference),
    /// There is nothing that could be compared.
    NotRows,
}

/// Some rows that are not on both sides, for people.
#[derive(Debug, Default)]
pub(crate) struct Difference {
    pub(crate) missing: Vec<String>,
    pub(crate) extra: Vec<String>,
}

impl RowSums {
    /// Reads files to their end.
    pub(crate) fn read(files: Vec<PathBuf>) -> impl FnOnce() -> io::Result<Self> + Send + 'static {
        move || {
            let mut sums = Self {
                files: Vec::new(),
                tabs: 0,
                buckets: vec![(0, 0); BUCKETS],
            };
            each_row(&files, |row| {
                let hash = xxh3_128(row);
                let (count, sum) = &mut sums.buckets[bucket(hash)];
                *count += 1;
                *sum = sum.wrapping_add(hash);
                sums.tabs += u64::from(row.contains(&b'\t'));
            })?;
            sums.files = files;
            Ok(sums)
        }
    }

    /// Number of rows.
    pub(crate) fn rows(&self) -> u64 {
        self.buckets.iter().map(|(count, _)| count).sum()
    }

    /// The rows of a bucket with how often they are there.
    fn bucket(&self, wanted: usize) -> io::Result<BTreeMap<Vec<u8>, u64>> {
        let mut rows = BTreeMap::new();
        each_row(&self.files, |row| {
            if bucket(xxh3_128(row)) == wanted {
                *rows.entry(row.to_vec()).or_insert(0) += 1;
            }
        })?;
        Ok(rows)
    }
}

/// Compares the rows of `files` with `first`; also their number.
pub(crate) fn compare(
    first: Arc<RowSums>,
    files: Vec<PathBuf>,
) -> impl FnOnce() -> io::Result<(u64, Comparison)> + Send + 'static {
    move || {
        let other = RowSums::read(files)()?;
        let comparison = if other.rows() == 0 && first.rows() > 0
            || other.tabs == 0 && first.tabs > 0
        {
            Comparison::NotRows
        } else {
            let pairs = first.buckets.iter().zip(&other.buckets);
            match pairs.map(|(one, two)| one == two).position(|same| !same) {
                None => Comparison::Same,
                Some(bucket) => {
                    Comparison::Differ(difference(&first.bucket(bucket)?, &other.bucket(bucket)?))
                }
            }
        };
        Ok((other.rows(), comparison))
    }
}

fn difference(first: &BTreeMap<Vec<u8>, u64>, other: &BTreeMap<Vec<u8>, u64>) -> Difference {
    let only = |one: &BTreeMap<Vec<u8>, u64>, two: &BTreeMap<Vec<u8>, u64>| {
        let more = |(row, count): &(&Vec<u8>, &u64)| two.get(*row).is_none_or(|n| n < *count);
        let rows = one.iter().filter(more).map(|(row, _)| shown(row));
        rows.take(SHOWN_MAX).collect()
    };
    Difference {
        missing: only(first, other),
        extra: only(other, first),
    }
}

fn shown(row: &[u8]) -> String {
    row[..row.len().min(ROW_MAX)].escape_ascii().to_string()
}

/// The highest ten bits.
fn bucket(hash: u128) -> usize {
    usize::try_from(hash >> (u128::BITS - BUCKETS.ilog2())).unwrap_or_default()
}

/// Calls `see` for each line without its end.
fn each_row(files: &[PathBuf], mut see: impl FnMut(&[u8])) -> io::Result<()> {
    let mut row = Vec::new();
    for path in files {
        let mut lines = BufReader::with_capacity(1 << 20, File::open(path)?);
        while lines.read_until(b'\n', &mut row)? > 0 {
            see(row.strip_suffix(b"\n").unwrap_or(&row));
            row.clear();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(first: &str, other: &[&str]) -> Comparison {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: String, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let first = RowSums::read(vec![write("first".to_owned(), first)])().unwrap();
        let other = other.iter().enumerate();
        let other = other.map(|(at, text)| write(format!("other-{at}"), text));
        let (_, comparison) = compare(Arc::new(first), other.collect())().unwrap();
        comparison
    }

    #[test]
    fn order_and_files_do_not_matter() {
        let first = "a\t1\nb\t2\nb\t2\nc\t3\n";
        assert!(matches!(
            compared(first, &["c\t3\nb\t2", "b\t2\na\t1\n"]),
            Comparison::Same
        ));
        assert!(matches!(compared("", &[""]), Comparison::Same));
    }

    #[test]
    fn rows_that_differ_are_named() {
        let Comparison::Differ(one) = compared("a\t1\nb\t2\n", &["a\t1\nb\t3\n"]) else {
            panic!("a row differs");
        };
        let named = [one.missing, one.extra].concat();
        // The two rows are in two buckets, and one is enough.
        assert!(named == ["b\\t2"] || named == ["b\\t3"], "{named:?}");
        let Comparison::Differ(one) = compared("a\t1\na\t1\n", &["a\t1\n"]) else {
            panic!("a row is missing");
        };
        assert_eq!(
            (one.missing, one.extra.len()),
            (vec!["a\\t1".to_owned()], 0)
        );
    }

    #[test]
    fn what_has_no_rows_is_not_compared() {
        assert!(matches!(compared("a\t1\n", &[""]), Comparison::NotRows));
        assert!(matches!(
            compared("a\t1\n", &["      1 a\n"]),
            Comparison::NotRows
        ));
    }
}
