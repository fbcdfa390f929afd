//! How numbers are spread: which there are, and how often each. What quantiles are read from.
//!
//! As long as there are few different numbers, all of them are kept, and quantiles are exact. Beyond that they are kept to four significant digits, of which
//! there are 9,000 a power of ten: then a quantile is within 0.05 % of itself, and memory is bounded. Whether numbers are rounded depends on how
//! many different ones a group has and on nothing else, and a number is rounded to the same whenever that is done: so the
//! order of adding, splits and spills do not show.

use serde::{Deserialize, Serialize};

use crate::number::Number;

/// Digits of a number once there are too many.
pub(super) const ROUNDED_DIGITS: u32 = 4;

/// Numbers wait until there are so many, or as many as there are already.
const WAITING_MIN: usize = 256;

/// Numbers and how often each came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Spread {
    /// In order.
    counts: Vec<(Number, u64)>,
    /// What came since, in no order.
    waiting: Vec<(Number, u64)>,
    rounded: bool,
}

impl Spread {
    /// Adds a number; of more than `exact_max` different ones, digits are dropped.
    #[inline]
    pub(super) fn add(&mut self, number: Number, exact_max: usize) {
        self.waiting.push((number, 1));
        if self.waiting.len() >= self.counts.len().max(WAITING_MIN) {
            self.settle(exact_max);
        }
    }

    pub(super) fn add_all(&mut self, more: &Self, exact_max: usize) {
        if more.rounded && !self.rounded {
            self.round();
        }
        self.waiting.extend_from_slice(&more.counts);
        self.waiting.extend_from_slice(&more.waiting);
        if self.waiting.len() >= self.counts.len().max(WAITING_MIN) {
            self.settle(exact_max);
        }
    }

    /// Puts what waits into order.
    pub(super) fn settle(&mut self, exact_max: usize) {
        if self.rounded {
            round(&mut self.waiting);
        }
        let merge = |numbers: &mut Vec<(Number, u64)>| {
            numbers.sort_by_key(|(number, _)| *number);
            numbers.dedup_by(|next, kept| {
                let same = next.0 == kept.0;
                kept.1 += if same { next.1 } else { 0 };
                same
            });
        };
        merge(&mut self.waiting);
        // The sort finds two runs in order and merges them.
        self.counts.append(&mut self.waiting);
        merge(&mut self.counts);
        if self.counts.len() > exact_max && !self.rounded {
            self.round();
            merge(&mut self.counts);
        }
    }

    fn round(&mut self) {
        self.rounded = true;
        round(&mut self.counts);
        round(&mut self.waiting);
    }

    /// Number `rank`, counted from 1, of all in order, after [`settle`](Self::settle). Calls must come with `rank`s that grow: each goes on from where the
    /// last one was.
    pub(super) fn ranks(&self) -> impl FnMut(u64) -> Option<Number> {
        let mut counts = self.counts.iter();
        let (mut at, mut upto) = (None, 0);
        move |rank| {
            while upto < rank {
                let (number, count) = counts.next()?;
                (at, upto) = (Some(*number), upto + count);
            }
            at
        }
    }

    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        (self.counts.capacity() + self.waiting.capacity()) * size_of::<(Number, u64)>()
    }
}

fn round(numbers: &mut [(Number, u64)]) {
    for (number, _) in numbers {
        *number = number.rounded(ROUNDED_DIGITS);
    }
}
