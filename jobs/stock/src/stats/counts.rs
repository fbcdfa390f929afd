//! Numbers in order, and how often each came.

use serde::{Deserialize, Serialize};

/// New ones wait until there are so many, or as many as are in order already: so each is sorted once, and merged a few times.
const WAITING_MIN: usize = 256;

/// A number, and how often it came.
pub(super) type Counted<N> = (N, u64);

/// Numbers of a kind that is small to keep and quick to compare.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Counts<N> {
    /// Each once.
    ordered: Vec<Counted<N>>,
    /// What came since, in no order.
    waiting: Vec<Counted<N>>,
}

impl<N> Default for Counts<N> {
    fn default() -> Self {
        Self {
            ordered: Vec::new(),
            waiting: Vec::new(),
        }
    }
}

impl<N: Copy + Ord> Counts<N> {
    pub(super) const fn of_lists(ordered: Vec<Counted<N>>, waiting: Vec<Counted<N>>) -> Self {
        Self { ordered, waiting }
    }

    /// Those in order, and those that wait.
    pub(super) fn lists(&self) -> [&[Counted<N>]; 2] {
        [&self.ordered, &self.waiting]
    }

    #[inline]
    pub(super) fn push(&mut self, number: N, count: u64) {
        self.waiting.push((number, count));
    }

    pub(super) fn push_all(&mut self, more: &Self) {
        self.waiting.extend_from_slice(&more.ordered);
        self.waiting.extend_from_slice(&more.waiting);
    }

    /// Whether so many wait that they should be put into order.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.waiting.len() >= self.ordered.len().max(WAITING_MIN)
    }

    /// Puts what waits into order.
    pub(super) fn settle(&mut self) {
        // This sort merges what is in order already: lists of others.
        self.waiting.sort_by_key(|(number, _)| *number);
        unite(&mut self.waiting);
        if self.ordered.is_empty() {
            std::mem::swap(&mut self.ordered, &mut self.waiting);
        } else if !self.waiting.is_empty() {
            self.ordered = merged(&self.ordered, &self.waiting);
            self.waiting.clear();
        }
    }

    /// How many different ones are in order.
    pub(super) fn len(&self) -> usize {
        self.ordered.len()
    }

    /// Those in order.
    pub(super) fn ordered(&self) -> impl Iterator<Item = Counted<N>> {
        self.ordered.iter().copied()
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = Counted<N>> {
        self.ordered().chain(self.waiting.iter().copied())
    }

    /// Puts others in the place of all; of two of them, that of the greater is not the smaller.
    pub(super) fn replace(&mut self, other: impl Fn(N) -> N) {
        for (number, _) in &mut self.ordered {
            *number = other(*number);
        }
        unite(&mut self.ordered);
        self.replace_waiting(other);
    }

    /// The same of those that wait.
    pub(super) fn replace_waiting(&mut self, other: impl Fn(N) -> N) {
        for (number, _) in &mut self.waiting {
            *number = other(*number);
        }
    }

    /// The same numbers of another kind, in the same order; `None` if one of them is none of that kind.
    pub(super) fn converted<M>(&self, into: impl Fn(N) -> Option<M>) -> Option<Counts<M>> {
        let convert = |counts: &[Counted<N>]| {
            let counts = counts.iter();
            counts
                .map(|(number, count)| Some((into(*number)?, *count)))
                .collect::<Option<Vec<_>>>()
        };
        Some(Counts {
            ordered: convert(&self.ordered)?,
            waiting: convert(&self.waiting)?,
        })
    }

    #[inline]
    pub(super) fn heap_bytes(&self) -> usize {
        (self.ordered.capacity() + self.waiting.capacity()) * size_of::<Counted<N>>()
    }
}

/// Adds up the counts of equal numbers that follow each other.
fn unite<N: Copy + Ord>(counts: &mut Vec<Counted<N>>) {
    counts.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        kept.1 += if same { next.1 } else { 0 };
        same
    });
}

/// Two lists in order as one.
fn merged<N: Copy + Ord>(mut one: &[Counted<N>], mut other: &[Counted<N>]) -> Vec<Counted<N>> {
    let mut all = Vec::with_capacity(one.len() + other.len());
    while let ([first, rest @ ..], [other_first, other_rest @ ..]) = (one, other) {
        let order = first.0.cmp(&other_first.0);
        let count = |wanted: bool, count: u64| if wanted { count } else { 0 };
        let (here, there) = (order.is_le(), order.is_ge());
        let number = if here { first.0 } else { other_first.0 };
        all.push((number, count(here, first.1) + count(there, other_first.1)));
        one = if here { rest } else { one };
        other = if there { other_rest } else { other };
    }
    all.extend_from_slice(one);
    all.extend_from_slice(other);
    all
}
