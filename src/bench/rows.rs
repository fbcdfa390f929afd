//! Whether two programs made the same rows, in whatever order.
//!
//! Rows are hashed and the hashes are summed, in buckets by hash: equal sums mean equal multisets (but for a chance of
//! 2^-128), in one pass and constant memory. Where sums differ, the rows of one bucket that differs are read again and
//! held against each other, one row in a thousand. A bucket is chosen by the key, so that both values of a key are seen.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read as _};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use mapfold_data::part::open_part;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

/// Enough that one bucket of a large output fits memory.
const BUCKETS: usize = 1024;

/// Rows of each side that are shown.
const SHOWN_MAX: usize = 3;

/// Bytes of a row that are shown.
const ROW_MAX: usize = 120;

/// How rows are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Each is a line, without its LF or CRLF.
    Lines,
    /// Each has so many bytes.
    Every(NonZeroU32),
}

/// The rows of some files, as sums.
#[derive(Debug)]
pub(crate) struct RowSums {
    files: Vec<PathBuf>,
    cut: Cut,
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
    /// It made no rows.
    NoRows,
    /// None of its rows has a TAB, which those of the job have.
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
    pub(crate) fn read(
        files: Vec<PathBuf>,
        cut: Cut,
    ) -> impl FnOnce() -> io::Result<Self> + Send + 'static {
        move || {
            let mut sums = Self {
                files: Vec::new(),
                cut,
                tabs: 0,
                buckets: vec![(0, 0); BUCKETS],
            };
            each_row(&files, cut, |row| {
                let (count, sum) = &mut sums.buckets[bucket(row)];
                *count += 1;
                *sum = sum.wrapping_add(xxh3_128(row));
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
        each_row(&self.files, self.cut, |row| {
            if bucket(row) == wanted {
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
        let other = RowSums::read(files, first.cut)()?;
        let comparison = if other.rows() == 0 && first.rows() > 0 {
            Comparison::NoRows
        } else if other.tabs == 0 && first.tabs > 0 {
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

/// The highest ten bits of the hash of the row's key.
fn bucket(row: &[u8]) -> usize {
    let key = row.split(|byte| *byte == b'\t').next().unwrap_or_default();
    usize::try_from(xxh3_64(key) >> (u64::BITS - BUCKETS.ilog2())).unwrap_or_default()
}

/// Calls `see` for each row of the files, which are unpacked as their names say.
fn each_row(files: &[PathBuf], cut: Cut, mut see: impl FnMut(&[u8])) -> io::Result<()> {
    let mut row = Vec::new();
    for path in files {
        let mut rows = BufReader::with_capacity(1 << 20, open_part(path)?);
        while read_row(&mut rows, cut, &mut row)? {
            see(&row);
        }
    }
    Ok(())
}

/// The next row in the place of that before; false at the end.
fn read_row(rows: &mut impl BufRead, cut: Cut, row: &mut Vec<u8>) -> io::Result<bool> {
    row.clear();
    match cut {
        Cut::Lines => {
            let found = rows.read_until(b'\n', row)? > 0;
            for end in *b"\n\r" {
                if row.last() == Some(&end) {
                    row.pop();
                }
            }
            Ok(found)
        }
        Cut::Every(len) => Ok(rows.take(len.get().into()).read_to_end(row)? > 0),
    }
}

#[cfg(test)]
mod tests {
    use mapfold_data::part::PartWriter;
    use mapfold_terms::Codec;

    use super::*;

    fn compared(first: &str, other: &[&str]) -> Comparison {
        compared_by(Cut::Lines, first, other)
    }

    fn compared_by(cut: Cut, first: &str, other: &[&str]) -> Comparison {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: String, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let first = RowSums::read(vec![write("first".to_owned(), first)], cut)().unwrap();
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
        assert_eq!([one.missing, one.extra].concat(), ["b\\t2", "b\\t3"]);
        let Comparison::Differ(one) = compared("a\t1\na\t1\n", &["a\t1\n"]) else {
            panic!("a row is missing");
        };
        assert_eq!(
            (one.missing, one.extra.len()),
            (vec!["a\\t1".to_owned()], 0)
        );
    }

    #[test]
    fn a_row_is_the_same_whatever_ends_its_line() {
        let crlf = compared("a\t1\nb\t2\n", &["b\t2\r\na\t1"]);
        assert!(matches!(crlf, Comparison::Same));
        assert!(matches!(
            compared("a\t1\n", &["a\t1\n\n"]),
            Comparison::Differ(_)
        ));
    }

    #[test]
    fn records_of_one_length_need_no_lines() {
        let two = Cut::Every(NonZeroU32::new(2).unwrap());
        let same = compared_by(two, "aabb\nc", &["\ncaa", "bb"]);
        assert!(matches!(same, Comparison::Same));
        let other = compared_by(two, "aabb", &["abab"]);
        assert!(matches!(other, Comparison::Differ(_)));
    }

    #[test]
    fn packed_rows_are_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let mut part =
            PartWriter::create_bare(folder.path(), "part-00000.zst", Codec::Zstd).unwrap();
        part.row(|out| out.extend_from_slice(b"a\t1\n")).unwrap();
        part.finish_bare().unwrap();
        let files = vec![folder.path().join("part-00000.zst")];
        let sums = RowSums::read(files, Cut::Lines)().unwrap();
        assert_eq!((sums.rows(), sums.tabs), (1, 1));
    }

    #[test]
    fn what_has_no_rows_is_not_compared() {
        assert!(matches!(compared("a\t1\n", &[""]), Comparison::NoRows));
        assert!(matches!(
            compared("a\t1\n", &["      1 a\n"]),
            Comparison::NotRows
        ));
    }
}
