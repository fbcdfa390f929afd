//! The value of `index`: some files by name.
//!
//! Nearly every word was met before in the same file, so that must be found out where the word is: what is
//! accumulated holds a mark of the last file beside the list, and the list's own memory is touched once for each word and file.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;

use mapfold_job::{DecodeValueError, Value};

/// Names of files, each ended by a NUL (which no file name can hold). Order and repetition mean nothing, but a list grows
/// by what repeats, so a name does not follow itself.
pub enum Files {}

/// Files, lent.
#[derive(Clone, Copy)]
pub struct SomeFiles<'a> {
    names: &'a [u8],
    last: Option<Mark>,
}

/// Files, accumulated.
pub struct FileList {
    names: Vec<u8>,
    last: Option<Mark>,
}

/// Stands for a file; that of another is not equal.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark(NonZeroU64);

impl FileList {
    /// One file. `marks` is the same for all files of a job; its key is random, so nobody can choose names that share a mark.
    pub(super) fn one(name: &[u8], marks: &RandomState) -> Self {
        Self {
            names: [name, &[0]].concat(),
            last: Some(Mark(NonZeroU64::MIN | marks.hash_one(name))),
        }
    }

    /// Adds files, unless they are the one with which the list ends.
    #[inline]
    pub(super) fn join(&mut self, more: SomeFiles<'_>) {
        if more.last.is_none() || more.last != self.last {
            self.append(more);
        }
    }

    /// Two marks tell two files apart; without one, which is so of lists that were written and read, the end of the list does.
    /// It is seldom in the cache, so it is better not read.
    #[inline(never)]
    fn append(&mut self, more: SomeFiles<'_>) {
        let marked = more.last.is_some() && self.last.is_some();
        if marked || !self.ends_with(more.names) {
            self.names.extend_from_slice(more.names);
        }
        self.last = more.last;
    }

    fn ends_with(&self, names: &[u8]) -> bool {
        let rest = self.names.strip_suffix(names);
        rest.is_some_and(|rest| rest.last().is_none_or(|byte| *byte == 0))
    }
}

impl<'a> SomeFiles<'a> {
    /// The names, each with its NUL.
    pub(super) fn names(self) -> &'a [u8] {
        self.names
    }
}

impl Value for Files {
    type Ref<'a> = SomeFiles<'a>;
    type Owned = FileList;

    fn kind() -> String {
        "files".to_owned()
    }

    fn encode(value: SomeFiles<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(value.names);
    }

    fn encode_owned(value: &FileList, out: &mut Vec<u8>) {
        out.extend_from_slice(&value.names);
    }

    fn into_owned(value: SomeFiles<'_>) -> FileList {
        FileList {
            names: value.names.to_vec(),
            last: value.last,
        }
    }

    fn borrow(value: &FileList) -> SomeFiles<'_> {
        SomeFiles {
            names: &value.names,
            last: value.last,
        }
    }

    #[inline]
    fn heap_bytes(value: &FileList) -> usize {
        value.names.capacity()
    }

    fn decode(encoded: &[u8]) -> Result<SomeFiles<'_>, DecodeValueError> {
        Ok(SomeFiles {
            names: encoded,
            last: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds files as words do, or, without a mark, as lists that were read.
    #[track_caller]
    fn check(files: &[(&str, bool)], want: &str) {
        let marks = RandomState::new();
        let mut list = FileList {
            names: Vec::new(),
            last: None,
        };
        for (name, marked) in files {
            let mut file = FileList::one(name.as_bytes(), &marks);
            file.last = file.last.filter(|_| *marked);
            list.join(Files::borrow(&file));
        }
        assert_eq!(String::from_utf8_lossy(&list.names), want);
    }

    #[test]
    fn a_file_is_added_once_as_long_as_no_other_comes() {
        check(&[("ab", true), ("ab", true)], "ab\0");
        check(&[("ab", true), ("ab", false)], "ab\0");
        check(&[("ab", false), ("ab", true), ("ab", true)], "ab\0");
        check(&[("ab", true), ("b", true), ("b", false)], "ab\0b\0");
        check(&[("ab", true), ("b", true), ("ab", true)], "ab\0b\0ab\0");
    }
}
