//! What a reduce attempt has at hand, noted where it can be read when the attempt's process has died or was killed.
//!
//! A reduce task may take hours, so it is not made again to find the key at which it ends; what is at hand is noted for each key, in memory that is shared
//! with the process which waits for the attempt. Only attempts that have a process of their own are given such a page
//! ([`ReduceTask::notes`](crate::ReduceTask::notes)); a note costs them some nanoseconds a key.
//!
//! ```text
//! 0   at hand u8: 0 nothing of the job's, 1 its combiner, 2 a key, 3 `finish_reduce`
//! 8   which key it is, or how many there were: u64
//! 16  bytes of the key that follow: u64
//! 24  the encoded key, up to 512 bytes of it
//! ```
//! Numbers are little-endian. Plugins write it and engines read it: a change needs another field for the path.

use std::path::Path;

use mapfold_data::shared_page::SharedPage;

const COUNT: usize = 8;
const LEN: usize = 16;
const KEY: usize = 24;

/// Bytes of a key that are noted: more than a person wants to see, with room for what they are encoded in.
const KEY_MAX: usize = 512;

const NOTHING: u8 = 0;
const COMBINER: u8 = 1;
const REDUCE: u8 = 2;
const FINISH: u8 = 3;

/// Where an attempt notes what it has at hand; nowhere, if nobody would read it.
pub(crate) struct Notes(Option<SharedPage>);

impl Notes {
    /// Nowhere.
    pub(crate) const NOWHERE: Self = Self(None);

    /// In the page that begins this file, if there is one and it can be had.
    pub(crate) fn at(path: Option<&Path>) -> Self {
        Self(path.and_then(|path| SharedPage::open(path).ok()))
    }

    /// It is at its key number `number`, from 1.
    #[inline]
    pub(crate) fn reduces(&mut self, number: u64, key: &[u8]) {
        if let Some(page) = &mut self.0 {
            page.change(|page| {
                page[0] = REDUCE;
                page[COUNT..COUNT + 8].copy_from_slice(&number.to_le_bytes());
                let noted = key.len().min(KEY_MAX);
                page[LEN..LEN + 8].copy_from_slice(&(noted as u64).to_le_bytes());
                page[KEY..KEY + noted].copy_from_slice(&key[..noted]);
            });
        }
    }

    /// It brings values together by the job's combiner.
    pub(crate) fn combines(&mut self) {
        self.set(COMBINER, 0);
    }

    /// It does nothing of the job's.
    pub(crate) fn rests(&mut self) {
        self.set(NOTHING, 0);
    }

    /// It has reduced so many keys, and ends.
    pub(crate) fn finishes(&mut self, keys: u64) {
        self.set(FINISH, keys);
    }

    fn set(&mut self, at_hand: u8, count: u64) {
        if let Some(page) = &mut self.0 {
            page.change(|page| {
                page[0] = at_hand;
                page[COUNT..COUNT + 8].copy_from_slice(&count.to_le_bytes());
            });
        }
    }
}

/// What an attempt had at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtHand {
    /// Nothing of the job's, or it did not say.
    Nothing,
    /// Values that the combiner folds, before the first key is reduced.
    Combiner,
    /// A key, in `reduce`.
    Reduce {
        /// Which one of the partition it is, from 1.
        number: u64,
        /// Encoded; of a long one the first bytes, which are more than [`shown_key`](super::border::shown_key) shows.
        key: Vec<u8>,
    },
    /// No key any more, in `finish_reduce`.
    Finish {
        /// Keys that were reduced.
        keys: u64,
    },
}

impl AtHand {
    /// Bytes of the page.
    pub const PAGE_BYTES: usize = SharedPage::BYTES;

    /// What was noted in a page that began as zeros.
    pub fn read(page: &[u8; Self::PAGE_BYTES]) -> Self {
        let number = |at: usize| {
            let bytes = page[at..].first_chunk().expect("a page is longer");
            u64::from_le_bytes(*bytes)
        };
        match page[0] {
            COMBINER => Self::Combiner,
            REDUCE => {
                let noted = usize::try_from(number(LEN)).unwrap_or(KEY_MAX).min(KEY_MAX);
                Self::Reduce {
                    number: number(COUNT),
                    key: page[KEY..KEY + noted].to_vec(),
                }
            }
            FINISH => Self::Finish {
                keys: number(COUNT),
            },
            _ => Self::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn notes_read_back_as_they_were_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page");
        fs::write(&path, [0; AtHand::PAGE_BYTES]).unwrap();
        let read = || AtHand::read(fs::read(&path).unwrap().first_chunk().unwrap());
        let mut notes = Notes::at(Some(&path));
        assert_eq!(read(), AtHand::Nothing);
        notes.combines();
        assert_eq!(read(), AtHand::Combiner);
        let long = [b'x'; KEY_MAX + 1];
        for (number, key) in [(1, &b"a"[..]), (2, &long), (3, b"")] {
            notes.reduces(number, key);
            let key = key[..key.len().min(KEY_MAX)].to_vec();
            assert_eq!(read(), AtHand::Reduce { number, key });
        }
        notes.finishes(3);
        assert_eq!(read(), AtHand::Finish { keys: 3 });
        notes.rests();
        assert_eq!(read(), AtHand::Nothing);
    }

    #[test]
    fn an_attempt_without_a_page_notes_nothing() {
        let mut notes = Notes::at(Some(Path::new("/nowhere/page")));
        notes.reduces(1, b"a");
        assert!(notes.0.is_none());
    }
}
