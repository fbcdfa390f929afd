//! Records gathered by key: each key once, with the list of its values.
//!
//! Where keys repeat this is what sorting them would come to in the end, without a comparison for each record: only keys are sorted, and
//! a value of one byte takes two. Where they do not it costs a look-up and memory for nothing, so it is watched.

use std::ops::Range;

use super::lists::{Extent, List, Lists};
use super::{INDEX_BYTES, KEY_LEN_BYTES, RecordTooLong, record_u32};
use crate::fold_table::{FoldTable, HashedKey};
use crate::packed_key::PackedKey;

/// After so many records it is seen whether their keys repeat.
const LOOK_EVERY: usize = if cfg!(test) { 1 << 5 } else { 1 << 14 };

/// Keys repeat if there is a new one for so many records or more.
const RECORDS_A_KEY: usize = 2;

/// Bytes for a key in the index and arena of the buffer, where it goes before it is sorted, beside its own.
const ENTRY_BYTES: usize = INDEX_BYTES + KEY_LEN_BYTES + Extent::BYTES;

/// Bytes of records that wait; a longer one waits for nothing.
const WAITING_BYTES: usize = 16 << 10;

/// Keys with their values.
#[derive(Debug, Default)]
pub(super) struct Groups {
    table: FoldTable<List>,
    lists: Lists,
    /// Records whose keys are being loaded.
    waiting: Vec<Waiting>,
    /// Their values, and their keys if those are long.
    waiting_bytes: Vec<u8>,
    /// Where the lists are to which values of those are to be appended, and where these are. Empty between flushes.
    to_append: Vec<(usize, Range<u32>)>,
    /// Bytes of the keys in the table, and of all values but those that are only counted.
    key_bytes: usize,
    value_bytes: usize,
    /// Since the last look.
    looked: Looked,
    /// What all of it occupies, and what its keys will before they are sorted.
    bytes: usize,
    /// Keys were found not to repeat, or no more will fit.
    closed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    packed: Option<PackedKey>,
    hash: u64,
    /// Where its key ends, if that is long, and its value begins.
    value: u32,
    /// Where it ends, and the next begins.
    end: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Looked {
    records: usize,
    keys: usize,
}

impl Groups {
    /// Whether further records are to be gathered.
    #[inline]
    pub(super) fn are_open(&self) -> bool {
        !self.closed
    }

    /// Adds a record, unless it is longer than `bytes_max`. Tells whether anything but that has changed.
    #[inline]
    pub(super) fn add(
        &mut self,
        key: HashedKey<'_>,
        encode: impl FnOnce(&mut Vec<u8>),
        bytes_max: usize,
    ) -> Result<bool, RecordTooLong> {
        self.table.ask(&key);
        let begin = self.waiting_bytes.len();
        if key.packed().is_none() {
            self.waiting_bytes.extend_from_slice(key.key());
        }
        let value = self.waiting_bytes.len();
        encode(&mut self.waiting_bytes);
        let end = self.waiting_bytes.len();
        let bytes = key.key().len() + end - value;
        if bytes > bytes_max {
            self.waiting_bytes.truncate(begin);
            return Err(RecordTooLong { bytes });
        }
        self.waiting.push(Waiting {
            packed: key.packed(),
            hash: key.hash(),
            value: record_u32(value),
            end: record_u32(end),
        });
        let is_full = self.waiting.len() == FoldTable::<List>::TOGETHER || end > WAITING_BYTES;
        if is_full {
            self.flush();
        }
        Ok(is_full)
    }

    /// Adds what waits: first finds all keys, then goes to where their values are.
    #[inline(never)]
    fn flush(&mut self) {
        let Self {
            table,
            lists,
            waiting,
            waiting_bytes,
            to_append,
            ..
        } = self;
        let keys = table.len();
        let mut grew = !waiting.is_empty() && table.make_room();
        let mut begin = 0;
        for wait in &*waiting {
            let (value, end) = (wait.value as usize, wait.end as usize);
            let key = HashedKey::again(wait.packed, wait.hash, &waiting_bytes[begin..value]);
            let (at, is_new) = table.find(key, || lists.begin(&waiting_bytes[value..end]));
            if is_new {
                self.key_bytes += wait.packed.map_or(value - begin, PackedKey::len);
                self.value_bytes += end - value;
                grew = true;
            } else if !table.found(at).count(&waiting_bytes[value..end]) {
                lists.ask(table.found(at));
                to_append.push((at, wait.value..wait.end));
                self.value_bytes += end - value;
            }
            begin = end;
        }
        for (at, value) in to_append.drain(..) {
            let value = &waiting_bytes[value.start as usize..value.end as usize];
            grew |= lists.append(table.found(at), value);
        }
        self.looked.records += waiting.len();
        self.looked.keys += table.len() - keys;
        waiting.clear();
        waiting_bytes.clear();
        waiting_bytes.shrink_to(4 * WAITING_BYTES);
        if grew {
            self.weigh();
        }
        self.closed |= self.lists.are_full();
        if self.looked.records >= LOOK_EVERY {
            let Looked { records, keys } = std::mem::take(&mut self.looked);
            self.closed |= keys * RECORDS_A_KEY > records;
        }
    }

    fn weigh(&mut self) {
        let Self { table, lists, .. } = self;
        self.bytes =
            table.bytes_next() + lists.bytes() + table.len() * ENTRY_BYTES + self.key_bytes;
    }

    /// Hands over all keys, in any order, each with where its values are. They leave the table, also after an error; the values stay.
    pub(super) fn drain_keys<E>(
        &mut self,
        mut each: impl FnMut(&[u8], Extent) -> Result<(), E>,
    ) -> Result<(), E> {
        self.flush();
        let drained = self.table.drain(|key, list| each(key, list.extent()));
        self.key_bytes = 0;
        self.weigh();
        drained
    }

    /// The values.
    pub(super) fn lists(&self) -> &Lists {
        &self.lists
    }

    /// The values alone.
    pub(super) fn into_lists(self) -> Lists {
        self.lists
    }

    /// Whether no keys are here.
    pub(super) fn are_empty(&self) -> bool {
        self.table.is_empty() && self.waiting.is_empty()
    }

    /// Bytes of keys and values, each key once, and a value that comes again and again as well.
    pub(super) fn record_bytes(&self) -> usize {
        self.key_bytes + self.value_bytes + self.waiting_bytes.len()
    }

    /// Bytes of memory that they occupy, now or before they are sorted.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets all records; keeps the memory. What these were like, the next are expected to be.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.waiting_bytes.clear();
        self.table.clear();
        self.lists.clear();
        self.key_bytes = 0;
        self.value_bytes = 0;
        self.bytes = self.table.bytes() + self.lists.bytes();
    }

    /// Gives back the memory of an empty one.
    pub(super) fn shrink(&mut self) {
        *self = Self {
            closed: self.closed,
            looked: self.looked,
            ..Self::default()
        };
    }
}
