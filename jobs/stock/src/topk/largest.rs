//! The value of `topk`: the best records so far.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

use mapfold_job::{Coded, DecodeValueError, Value};

use crate::number::Number;

/// At most so many records as wanted, the worst of them on top of the heap.
#[derive(Clone, Default)]
pub struct Largest {
    heap: BinaryHeap<Entry<Vec<u8>>>,
    /// Bytes of the records.
    bytes: usize,
}

/// One record, or some, lent or read.
pub enum SomeLargest<'a> {
    /// One.
    One(Entry<&'a [u8]>),
    /// Some, lent.
    Lent(&'a Largest),
    /// Some, read back.
    Read(Largest),
}

/// A record with its number. The better of two is the less.
#[derive(Clone, Copy)]
pub struct Entry<R> {
    number: Number,
    smallest: bool,
    record: R,
}

impl<R: Borrow<[u8]>> Entry<R> {
    pub(super) fn new(number: Number, smallest: bool, record: R) -> Self {
        Self {
            number,
            smallest,
            record,
        }
    }

    fn compare<S: Borrow<[u8]>>(&self, other: &Entry<S>) -> Ordering {
        let by_number = other.number.cmp(&self.number);
        let by_number = if self.smallest {
            by_number.reverse()
        } else {
            by_number
        };
        by_number.then_with(|| self.record.borrow().cmp(other.record.borrow()))
    }
}

impl<R: Borrow<[u8]>> Ord for Entry<R> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other)
    }
}

impl<R: Borrow<[u8]>> PartialOrd for Entry<R> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: Borrow<[u8]>> PartialEq for Entry<R> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<R: Borrow<[u8]>> Eq for Entry<R> {}

impl Largest {
    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Adds a record, unless there are `k` that are better.
    #[inline]
    pub(super) fn add(&mut self, entry: Entry<&[u8]>, k: usize) {
        match self.heap.peek() {
            Some(worst) if self.heap.len() >= k && entry.compare(worst).is_ge() => {}
            _ => self.put(entry, k),
        }
    }

    fn put(&mut self, entry: Entry<&[u8]>, k: usize) {
        let mut kept = Vec::new();
        if self.heap.len() >= k
            && let Some(worst) = self.heap.pop()
        {
            self.bytes -= worst.record.len();
            kept = worst.record;
            kept.clear();
        }
        kept.extend_from_slice(entry.record);
        self.bytes += kept.len();
        self.heap
            .push(Entry::new(entry.number, entry.smallest, kept));
    }

    /// Adds one or some.
    #[inline]
    pub(super) fn join(&mut self, more: SomeLargest<'_>, k: usize) {
        match more {
            SomeLargest::One(entry) => self.add(entry, k),
            SomeLargest::Lent(more) => self.add_all(more, k),
            SomeLargest::Read(more) => self.add_all(&more, k),
        }
    }

    fn add_all(&mut self, more: &Self, k: usize) {
        for entry in &more.heap {
            self.add(Entry::new(entry.number, entry.smallest, &entry.record), k);
        }
    }

    /// The records, the best first.
    pub(super) fn into_records(self) -> impl Iterator<Item = Vec<u8>> {
        self.heap
            .into_sorted_vec()
            .into_iter()
            .map(|entry| entry.record)
    }
}

/// How it is written: numbers, whether the smallest are wanted, and records.
type Written = Vec<(Number, bool, serde_bytes::ByteBuf)>;

impl Value for Largest {
    type Ref<'a> = SomeLargest<'a>;
    type Owned = Self;

    fn kind() -> String {
        "records".to_owned()
    }

    fn encode(value: SomeLargest<'_>, out: &mut Vec<u8>) {
        Self::encode_owned(&Self::into_owned(value), out);
    }

    /// The best first, so that the same records are the same bytes.
    fn encode_owned(value: &Self, out: &mut Vec<u8>) {
        let entries = value.heap.clone().into_sorted_vec();
        let written = entries.into_iter();
        let written = written.map(|entry| (entry.number, entry.smallest, entry.record.into()));
        Coded::<Written>::encode_owned(&written.collect(), out);
    }

    fn into_owned(value: SomeLargest<'_>) -> Self {
        match value {
            SomeLargest::One(entry) => {
                let mut one = Self::default();
                one.put(entry, 1);
                one
            }
            SomeLargest::Lent(some) => some.clone(),
            SomeLargest::Read(some) => some,
        }
    }

    fn borrow(value: &Self) -> SomeLargest<'_> {
        SomeLargest::Lent(value)
    }

    #[inline]
    fn heap_bytes(value: &Self) -> usize {
        value.bytes + value.heap.capacity() * size_of::<Entry<Vec<u8>>>()
    }

    fn decode(encoded: &[u8]) -> Result<SomeLargest<'_>, DecodeValueError> {
        let written = Coded::<Written>::decode(encoded)?;
        let bytes = written.iter().map(|(_, _, record)| record.len()).sum();
        let entries = written
            .into_iter()
            .map(|(number, smallest, record)| Entry::new(number, smallest, record.into_vec()));
        Ok(SomeLargest::Read(Self {
            heap: entries.collect(),
            bytes,
        }))
    }
}
