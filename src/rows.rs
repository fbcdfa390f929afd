//! Rows of an output folder on standard output: part after part, or merged by key.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use mapfold_data::codec::Decoder;
use mapfold_data::manifest::Manifest;
use mapfold_data::part::open_part;

use crate::error::Problem;
use crate::exit::Exit;

/// Prints the parts in the order of the manifest, each sorted by key in itself.
pub(crate) fn print_parts(folder: &Path, manifest: &Manifest) -> Result<(), Problem> {
    let mut out = io::stdout().lock();
    let mut buffer = vec![0; COPY_BYTES];
    for part in &manifest.parts {
        let path = folder.join(&part.name);
        let mut rows = open(&path)?;
        loop {
            let got = rows
                .read(&mut buffer)
                .map_err(|error| unread(&path, &error))?;
            if got == 0 {
                break;
            }
            out.write_all(&buffer[..got])
                .map_err(|error| Problem::stdout(&error))?;
        }
    }
    out.flush().map_err(|error| Problem::stdout(&error))
}

/// Prints the rows of all parts in order of key. Holds one row a part in memory.
pub(crate) fn print_sorted(folder: &Path, manifest: &Manifest) -> Result<(), Problem> {
    let order = KeyOrder::of(&manifest.key);
    let mut parts = Vec::with_capacity(manifest.parts.len());
    let mut heads = BinaryHeap::with_capacity(manifest.parts.len());
    for (index, part) in manifest.parts.iter().enumerate() {
        let mut rows = Rows::open(&folder.join(&part.name))?;
        if let Some(row) = rows.next()? {
            heads.push(Reverse(Head {
                row,
                index,
                order: &order,
            }));
        }
        parts.push(rows);
    }
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    while let Some(Reverse(Head { row, index, .. })) = heads.pop() {
        out.write_all(&row)
            .map_err(|error| Problem::stdout(&error))?;
        if let Some(row) = parts[index].next()? {
            heads.push(Reverse(Head {
                row,
                index,
                order: &order,
            }));
        }
    }
    out.flush().map_err(|error| Problem::stdout(&error))
}

/// Rows that are read at a time.
const COPY_BYTES: usize = 256 << 10;

fn open(path: &Path) -> Result<Decoder<BufReader<File>>, Problem> {
    open_part(path).map_err(|error| {
        Problem::new(Exit::Input, format!("cannot open {}", path.display())).because(&error)
    })
}

/// A part that cannot be read on, or unpacked.
fn unread(path: &Path, error: &io::Error) -> Problem {
    let problem = Problem::new(Exit::Input, format!("cannot read {}", path.display()));
    let folder = path.parent().unwrap_or(path);
    problem.because(error).hint(format!(
        "`mapfold verify {}` tells whether it is as it was written",
        folder.display()
    ))
}

/// The rows of one part, each with its line end.
pub(crate) struct Rows {
    path: PathBuf,
    lines: BufReader<Decoder<BufReader<File>>>,
}

impl Rows {
    pub(crate) fn open(path: &Path) -> Result<Self, Problem> {
        Ok(Self {
            path: path.to_owned(),
            lines: BufReader::with_capacity(1 << 16, open(path)?),
        })
    }

    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, Problem> {
        let mut row = Vec::new();
        let read = self.lines.read_until(b'\n', &mut row);
        let read = read.map_err(|error| unread(&self.path, &error))?;
        Ok((read > 0).then_some(row))
    }
}

/// The first row of a part that is not printed yet.
struct Head<'a> {
    row: Vec<u8>,
    index: usize,
    order: &'a KeyOrder,
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.order
            .compare(&self.row, &other.row)
            .then(self.index.cmp(&other.index))
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head<'_> {}

/// How rows compare: by their first columns, each by its kind. The engine compares encoded keys; this
/// is the same order on what they look like in a row.
#[derive(Debug, PartialEq, Eq)]
struct KeyOrder {
    columns: Vec<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bytes,
    Integer,
    Float,
}

impl KeyOrder {
    /// From the manifest's text, such as `text` or `(text, u64)`. An unknown kind compares as bytes.
    fn of(key: &str) -> Self {
        let inner = key.trim().trim_start_matches('(').trim_end_matches(')');
        let columns = inner
            .split(',')
            .map(|kind| match kind.trim() {
                "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" => Kind::Integer,
                "f32" | "f64" => Kind::Float,
                _ => Kind::Bytes,
            })
            .collect();
        Self { columns }
    }

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let mut a = a
            .strip_suffix(b"\n")
            .unwrap_or(a)
            .split(|&byte| byte == b'\t');
        let mut b = b
            .strip_suffix(b"\n")
            .unwrap_or(b)
            .split(|&byte| byte == b'\t');
        for kind in &self.columns {
            let order = kind.compare(a.next().unwrap_or_default(), b.next().unwrap_or_default());
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }
}

impl Kind {
    fn compare(self, a: &[u8], b: &[u8]) -> Ordering {
        match self {
            Self::Bytes => a.cmp(b),
            Self::Integer => number::<i128>(a).cmp(&number(b)).then_with(|| a.cmp(b)),
            Self::Float => {
                let (a, b) = (number::<f64>(a), number::<f64>(b));
                a.unwrap_or_default().total_cmp(&b.unwrap_or_default())
            }
        }
    }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, sorted: &[&str]) {
        let order = KeyOrder::of(key);
        for pair in sorted.windows(2) {
            assert_eq!(
                order.compare(pair[0].as_bytes(), pair[1].as_bytes()),
                Ordering::Less,
                "{pair:?}"
            );
            assert_eq!(
                order.compare(pair[1].as_bytes(), pair[0].as_bytes()),
                Ordering::Greater
            );
            assert_eq!(
                order.compare(pair[0].as_bytes(), pair[0].as_bytes()),
                Ordering::Equal
            );
        }
    }

    #[test]
    fn rows_compare_by_key_and_kind() {
        check("text", &["a\t9\n", "a\u{1}\t1\n", "a b\t1\n", "b\t0\n"]);
        check("u64", &["9\tx\n", "10\ta\n", "18446744073709551615\ta\n"]);
        check("i64", &["-10\tx\n", "-9\tx\n", "0\tx\n"]);
        check(
            "f64",
            &["-inf\t\n", "-0\t\n", "0\t\n", "1e3\t\n", "NaN\t\n"],
        );
        check("(text, u64)", &["a\t9\tx\n", "a\t10\tx\n", "b\t1\tx\n"]);
    }

    #[test]
    fn the_value_does_not_matter() {
        let order = KeyOrder::of("text");
        assert_eq!(order.compare(b"a\t1\n", b"a\t2\n"), Ordering::Equal);
    }
}
