//! `index`: which files hold each word.

use mapfold_job::{Block, Emitter, Fold, Job, JobError, NoParams, Record, Rows, Values};

use crate::word::words;

/// Builds an inverted index.
///
/// A value is a list of file names, each ended by a NUL (which no file name can hold). The combiner
/// joins lists; `reduce` sorts and removes what is left of repetition.
pub struct Index;

impl Job for Index {
    type Params = NoParams;
    type Key = Vec<u8>;
    type Value = Vec<u8>;

    const NAME: &'static str = "index";
    const SUMMARY: &'static str = "list the files that hold each word";
    const HELP: &'static str = "A word is a maximal run of Unicode letters, case kept. \
        A row is the word, a TAB, and the sorted names of the files that hold it, with commas between. \
        A comma, backslash, TAB or line feed in a name is written `\\,` `\\\\` `\\t` `\\n`.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, names, more| join(names, more));

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    #[inline]
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let mut name = record.file.name.as_bytes().to_vec();
        name.push(0);
        words(record.bytes).for_each(|word| out.emit(word, &name));
        Ok(())
    }

    #[inline]
    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let mut name = block.file().name.as_bytes().to_vec();
        name.push(0);
        if block.line_based() {
            words(block.bytes()).for_each(|word| out.emit(word, &name));
        } else {
            let records = block.records();
            records.for_each(|record| words(record.bytes).for_each(|word| out.emit(word, &name)));
        }
        Ok(())
    }

    fn reduce(
        &self,
        word: &[u8],
        lists: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let mut all = Vec::new();
        while let Some(list) = lists.next() {
            all.extend_from_slice(list);
        }
        rows.row(word, row_names(&all));
        Ok(())
    }
}

/// Appends a list, unless it is the one name that `names` ends with. Words of one file come together, so
/// this keeps a list about as short as it can be.
#[inline]
fn join(names: &mut Vec<u8>, more: &[u8]) {
    let before = names.len().wrapping_sub(more.len());
    let repeats = names.ends_with(more) && (before == 0 || names[before - 1] == 0);
    if !repeats {
        names.extend_from_slice(more);
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
        for byte in name {
            match byte {
                b',' | b'\\' => row.extend_from_slice(&[b'\\', *byte]),
                b'\t' => row.extend_from_slice(b"\\t"),
                b'\n' => row.extend_from_slice(b"\\n"),
                _ => row.push(*byte),
            }
        }
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_join_without_repeating_the_last_name() {
        let mut names = b"ab\0".to_vec();
        for more in [&b"ab\0"[..], b"b\0", b"b\0", b"ab\0"] {
            join(&mut names, more);
        }
        assert_eq!(names, b"ab\0b\0ab\0");
    }

    #[test]
    fn a_row_has_sorted_distinct_names() {
        assert_eq!(row_names(b"b\0a\0b\0c,d\0"), b"a,b,c\\,d");
        assert_eq!(row_names(b"a\tb\0"), b"a\\tb");
    }
}
