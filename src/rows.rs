//! Rows of an output folder on standard output: part after part, or merged by key.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use mapfold_data::codec::Decoder;
use mapfold_data::manifest::Manifest;
use mapfold_data::part::open_part;
use mapfold_job::KeyPart as _;

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
            heads.push(Reverse(Head::new(row, index, &order)));
        }
        parts.push(rows);
    }
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    while let Some(Reverse(Head { index, row, .. })) = heads.pop() {
        out.write_all(&row)
            .map_err(|error| Problem::stdout(&error))?;
        if let Some(row) = parts[index].next()? {
            heads.push(Reverse(Head::new(row, index, &order)));
        }
    }
    out.flush().map_err(|error| Problem::stdout(&error))
}

/// Rows that are read at a time.
const COPY_BYTES: usize = 256 << 10;

pub(crate) fn open(path: &Path) -> Result<Decoder<BufReader<File>>, Problem> {
    open_part(path).map_err(|error| {
        Problem::new(Exit::Input, format!("cannot open {}", path.display())).because(&error)
    })
}

/// A part that cannot be read on, or unpacked.
pub(crate) fn unread(path: &Path, error: &io::Error) -> Problem {
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

/// The first row of a part that is not printed yet. Compares by key, then by part.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    key: Vec<u8>,
    index: usize,
    row: Vec<u8>,
}

impl Head {
    fn new(row: Vec<u8>, index: usize, order: &KeyOrder) -> Self {
        let mut key = Vec::new();
        order.append_key(row.strip_suffix(b"\n").unwrap_or(&row), &mut key);
        Self { key, index, row }
    }
}

/// How rows compare: by their first columns, each by its kind. The engine compares encoded keys; this
/// is the same order on what they look like in a row.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyOrder {
    columns: Vec<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Bytes,
    Integer,
    Float,
}

impl KeyOrder {
    /// From the manifest's text, such as `text` or `(text, u64)`. `None` if a kind is unknown.
    pub(crate) fn known(key: &str) -> Option<Self> {
        let kinds = kinds(key).map(Kind::of);
        let columns = kinds.collect::<Option<_>>()?;
        Some(Self { columns })
    }

    /// The same, where an unknown kind compares as bytes.
    fn of(key: &str) -> Self {
        let kinds = kinds(key).map(|kind| Kind::of(kind).unwrap_or(Kind::Bytes));
        Self {
            columns: kinds.collect(),
        }
    }

    /// Appends the key of a row without its line end; such keys compare as bytes.
    pub(crate) fn append_key(&self, row: &[u8], key: &mut Vec<u8>) {
        let mut columns = row.split(|&byte| byte == b'\t');
        for kind in &self.columns {
            kind.append(columns.next().unwrap_or_default(), key);
        }
    }
}

/// Those of a key's columns; tuples within a tuple are columns as all others.
fn kinds(key: &str) -> impl Iterator<Item = &str> {
    key.split(',')
        .map(|kind| kind.trim_matches(|letter: char| matches!(letter, '(' | ')' | ' ')))
}

impl Kind {
    fn of(kind: &str) -> Option<Self> {
        match kind {
            "bytes" | "text" | "bool" => Some(Self::Bytes),
            "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" => Some(Self::Integer),
            "f32" | "f64" => Some(Self::Float),
            _ => None,
        }
    }

    fn append(self, column: &[u8], key: &mut Vec<u8>) {
        match self {
            Self::Bytes => <Vec<u8>>::encode_part(column, key),
            Self::Integer => {
                // What is no number comes first.
                let number = number::<i128>(column);
                key.push(u8::from(number.is_some()));
                key.extend_from_slice(&(number.unwrap_or_default() ^ i128::MIN).to_be_bytes());
            }
            Self::Float => f64::encode_part(number(column).unwrap_or_default(), key),
        }
    }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kinds: &str, row: &str) -> Vec<u8> {
        let mut key = Vec::new();
        KeyOrder::of(kinds).append_key(row.as_bytes(), &mut key);
        key
    }

    #[track_caller]
    fn check(kinds: &str, sorted: &[&str]) {
        for pair in sorted.windows(2) {
            assert!(key(kinds, pair[0]) < key(kinds, pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn rows_compare_by_key_and_kind() {
        check("text", &["a\t9", "a\u{1}\t1", "a b\t1", "b\t0"]);
        check("u64", &["9\tx", "10\ta", "18446744073709551615\ta"]);
        check("i64", &["-10\tx", "-9\tx", "0\tx"]);
        check("f64", &["-inf\t", "-0\t", "0\t", "1e3\t", "NaN\t"]);
        check("(text, u64)", &["a\t9\tx", "a\t10\tx", "b\t1\tx"]);
        check("((text, u64), text)", &["a\t9\tx", "a\t10\tw", "a\t10\tx"]);
        check("(text, text)", &["a\tb", "a\u{1}\ta", "b\ta"]);
    }

    #[test]
    fn the_value_does_not_matter() {
        assert_eq!(key("text", "a\t1"), key("text", "a\t2"));
    }

    #[test]
    fn keys_of_unknown_kinds_are_not_known() {
        assert!(KeyOrder::known("(text, none)").is_none());
        assert!(KeyOrder::known("(text, (f64, bool))").is_some());
    }
}
