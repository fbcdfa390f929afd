//! `index`: which files hold each word.

mod files;

use std::hash::RandomState;

use mapfold_job::{Block, Emitter, Fold, Job, JobError, NoParams, Record, Rows, Values};

use crate::word::words;
use files::{FileList, Files};

/// Builds an inverted index. The combiner joins lists of files; `reduce` sorts and removes what is left of repetition.
#[derive(Default)]
pub struct Index {
    marks: RandomState,
}

impl Job for Index {
    type Params = NoParams;
    type Key = Vec<u8>;
    type Value = Files;

    const NAME: &'static str = "index";
    const SUMMARY: &'static str = "list the files that hold each word";
    const HELP: &'static str = "A word is a maximal run of Unicode letters, case kept. \
        A row is the word, a TAB, and the sorted names of the files that hold it, with commas between. \
        A comma, backslash, TAB or line feed in a name is written `\\,` `\\\\` `\\t` `\\n`.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, files, more| files.join(more));

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self::default())
    }

    #[inline]
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let file = FileList::one(record.file.name.as_bytes(), &self.marks);
        out.emit_each(words(record.bytes), &file);
        Ok(())
    }

    #[inline]
    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let file = FileList::one(block.file().name.as_bytes(), &self.marks);
        if block.line_based() {
            out.emit_each(words(block.bytes()), &file);
        } else {
            let records = block.records();
            records.for_each(|record| out.emit_each(words(record.bytes), &file));
        }
        Ok(())
    }

    fn reduce(
        &self,
        word: &[u8],
        lists: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        if let Some(list) = lists.next() {
            rows.row(word, row_names(list.names()));
        }
        Ok(())
    }
}

/// The distinct names of a list, sorted, as they stand in a row.
fn row_names(list: &[u8]) -> Vec<u8> {
    let mut names: Vec<&[u8]> = list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut row = Vec::with_capacity(list.len());
    for name in names {
        if !row.is_empty() {
            row.push(b',');
        }
        append_escaped(name, &mut row);
    }
    row
}

fn append_escaped(name: &[u8], row: &mut Vec<u8>) {
    let special = |byte: &u8| matches!(byte, b',' | b'\\' | b'\t' | b'\n');
    if !name.iter().any(special) {
        return row.extend_from_slice(name);
    }
    for byte in name {
        match byte {
            b',' | b'\\' => row.extend_from_slice(&[b'\\', *byte]),
            b'\t' => row.extend_from_slice(b"\\t"),
            b'\n' => row.extend_from_slice(b"\\n"),
            _ => row.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_sorted_distinct_names() {
        assert_eq!(row_names(b"b\0a\0b\0c,d\0"), b"a,b,c\\,d");
        assert_eq!(row_names(b"a\tb\0"), b"a\\tb");
    }
}
