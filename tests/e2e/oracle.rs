//! The judge: what a plain sequential program makes of the same input. No engine code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::bytes::Regex;

/// All files below `folder`, sorted; names that begin with `_` or `.` are no input.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with(['_', '.']) {
        } else if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn words(text: &[u8]) -> Vec<Vec<u8>> {
    let word = Regex::new(r"\p{L}+").unwrap();
    word.find_iter(text)
        .map(|found| found.as_bytes().to_vec())
        .collect()
}

fn rows(counts: BTreeMap<Vec<u8>, String>) -> Vec<Vec<u8>> {
    counts
        .into_iter()
        .map(|(key, value)| [&key, &b"\t"[..], value.as_bytes()].concat())
        .collect()
}

/// Rows of `wordcount`, sorted by word.
pub(crate) fn wordcount(folder: &Path) -> Vec<Vec<u8>> {
    let mut counts = BTreeMap::new();
    for file in files(folder) {
        for word in words(&fs::read(file).unwrap()) {
            *counts.entry(word).or_insert(0_u64) += 1;
        }
    }
    rows(
        counts
            .into_iter()
            .map(|(word, n)| (word, n.to_string()))
            .collect(),
    )
}

/// Rows of `ngrams`, sorted by the words.
pub(crate) fn ngrams(folder: &Path, n: usize) -> Vec<Vec<u8>> {
    tally_each(folder, |line| {
        let words = words(line);
        words.windows(n).map(|gram| gram.join(&b' ')).collect()
    })
}

/// Rows of `index`, sorted by word; `name` is the folder as typed.
pub(crate) fn index(folder: &Path, name: &str) -> Vec<Vec<u8>> {
    let mut found: BTreeMap<Vec<u8>, BTreeSet<String>> = BTreeMap::new();
    for file in files(folder) {
        let shown = format!("{name}/{}", file.strip_prefix(folder).unwrap().display());
        for word in words(&fs::read(&file).unwrap()) {
            found.entry(word).or_default().insert(shown.clone());
        }
    }
    let joined = |names: BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(",");
    rows(
        found
            .into_iter()
            .map(|(word, names)| (word, joined(names)))
            .collect(),
    )
}

/// The lines of a file without their ends.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
        .map(|line| match line.strip_suffix(b"\n") {
            Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
            None => line,
        })
        .collect()
}

/// Rows of `distinct -p count=true`, sorted by line.
pub(crate) fn distinct(folder: &Path) -> Vec<Vec<u8>> {
    tally(folder, |line| Some(line.to_vec()))
}

/// Rows of `histogram` of what `value` makes of a line, sorted by value as text.
pub(crate) fn tally(folder: &Path, value: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<Vec<u8>> {
    tally_each(folder, |line| value(line).into_iter().collect())
}

fn tally_each(folder: &Path, values: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut counts = BTreeMap::new();
    for file in files(folder) {
        for value in lines(&fs::read(file).unwrap())
            .into_iter()
            .flat_map(&values)
        {
            *counts.entry(value).or_insert(0_u64) += 1;
        }
    }
    let counts = counts.into_iter();
    rows(counts.map(|(value, n)| (value, n.to_string())).collect())
}

/// Rows of `grep`, sorted by file and offset.
pub(crate) fn grep(folder: &Path, name: &str, pattern: &str) -> Vec<Vec<u8>> {
    let pattern = Regex::new(pattern).unwrap();
    let mut found = Vec::new();
    for file in files(folder) {
        let shown = format!("{name}/{}", file.strip_prefix(folder).unwrap().display());
        let mut offset = 0;
        for line in fs::read(&file)
            .unwrap()
            .split_inclusive(|byte| *byte == b'\n')
        {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if pattern.is_match(text) {
                found.push([format!("{shown}\t{offset}\t").as_bytes(), text].concat());
            }
            offset += line.len();
        }
    }
    found
}

/// Rows of `linecount`, sorted by file.
pub(crate) fn linecount(folder: &Path, name: &str) -> Vec<Vec<u8>> {
    let mut counts = BTreeMap::new();
    for file in files(folder) {
        let shown = format!("{name}/{}", file.strip_prefix(folder).unwrap().display());
        let lines = fs::read(&file)
            .unwrap()
            .split_inclusive(|byte| *byte == b'\n')
            .count();
        counts.insert(shown.into_bytes(), lines.to_string());
    }
    rows(counts)
}
