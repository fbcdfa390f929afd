//! K-way merge of sorted runs with a loser tree (Knuth, TAOCP vol. 3, 5.4.1).
//!
//! One comparison a level, where a binary heap pays two. Equal keys leave in the order of the cursors, so output
//! does not depend on which fetch ended first. Keys compare as bytes; decoding is the job's affair, and
//! so are grouping and folding: a sink is handed the merged records and does with them what it wants.

use std::cmp::Ordering;

mod runs;
#[cfg(test)]
mod tests;

pub use runs::{Narrowed, Push, copy, merge_runs, reduce_width, width_for};

/// A record on loan: its key and its value.
pub type Record<'a> = (&'a [u8], &'a [u8]);

/// Sorted records, lent one at a time.
pub trait Cursor {
    /// Why a record cannot be had.
    type Error;

    /// Goes to the next record, the first if called for the first time; false at the end.
    fn advance(&mut self) -> Result<bool, Self::Error>;

    /// Key of the current record. Only after `advance` returned true.
    fn key(&self) -> &[u8];

    /// Value of the current record. Only after `advance` returned true.
    fn value(&self) -> &[u8];
}

/// The records of many cursors in order of key; those of equal keys in order of cursor. Holds a few dozen bytes
/// a cursor, beside what the cursors hold.
///
/// ```text
///            winner[0]            tree[0] is the winner, tree[1..k] hold the losers of the matches
///            tree[1]              between their two subtrees; leaf i hangs below node (i + k) / 2.
///        tree[2]  tree[3]         When the winner goes on to its next record, only the matches on
///       0   1     2   3           the way from its leaf to the top are played again.
/// ```
#[derive(Debug)]
pub struct Merge<C> {
    cursors: Vec<C>,
    heads: Vec<Head>,
    /// Indices of cursors; empty if there are none.
    tree: Vec<usize>,
    started: bool,
}

/// What decides most matches without a look at the key. Orders as the records do, exhausted cursors last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    exhausted: bool,
    prefix: u64,
}

impl<C: Cursor> Merge<C> {
    /// Starts a merge; reads the first record of each cursor. The cursors stand before their first record.
    pub fn new(mut cursors: Vec<C>) -> Result<Self, C::Error> {
        let heads = cursors
            .iter_mut()
            .map(Head::next)
            .collect::<Result<_, _>>()?;
        let mut merge = Self {
            tree: vec![0; cursors.len()],
            cursors,
            heads,
            started: false,
        };
        merge.play_all();
        Ok(merge)
    }

    /// The next record, key then value; `None` at the end.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends, so it is no Iterator"
    )]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, C::Error> {
        Ok(if self.advance()? {
            Some((self.key(), self.value()))
        } else {
            None
        })
    }

    /// Index of the cursor that the current record came from.
    #[inline]
    pub fn source(&self) -> usize {
        self.tree[0]
    }

    fn play_all(&mut self) {
        let leaves = self.cursors.len();
        let mut winners: Vec<usize> = (0..2 * leaves)
            .map(|at| at.saturating_sub(leaves))
            .collect();
        for node in (1..leaves).rev() {
            let (one, two) = (winners[2 * node], winners[2 * node + 1]);
            let (winner, loser) = if self.beats(one, two) {
                (one, two)
            } else {
                (two, one)
            };
            (winners[node], self.tree[node]) = (winner, loser);
        }
        if let Some(top) = self.tree.first_mut() {
            *top = winners[1];
        }
    }

    /// The matches of cursor `from`, whose record has changed, up to the top.
    #[inline]
    fn replay(&mut self, from: usize) {
        let mut winner = from;
        let mut node = (from + self.cursors.len()) / 2;
        while node > 0 {
            if self.beats(self.tree[node], winner) {
                std::mem::swap(&mut self.tree[node], &mut winner);
            }
            node /= 2;
        }
        self.tree[0] = winner;
    }

    #[inline]
    fn beats(&self, one: usize, two: usize) -> bool {
        let heads = self.heads[one].cmp(&self.heads[two]);
        heads.then_with(|| self.compare_closely(one, two)).is_lt()
    }

    fn compare_closely(&self, one: usize, two: usize) -> Ordering {
        let keys = if self.heads[one].exhausted {
            Ordering::Equal
        } else {
            self.cursors[one].key().cmp(self.cursors[two].key())
        };
        keys.then(one.cmp(&two))
    }
}

impl Head {
    #[inline]
    fn next<C: Cursor>(cursor: &mut C) -> Result<Self, C::Error> {
        Ok(if cursor.advance()? {
            Self {
                exhausted: false,
                prefix: key_prefix(cursor.key()),
            }
        } else {
            Self {
                exhausted: true,
                prefix: 0,
            }
        })
    }
}

impl<C: Cursor> Cursor for Merge<C> {
    type Error = C::Error;

    #[inline]
    fn advance(&mut self) -> Result<bool, C::Error> {
        let Some(&winner) = self.tree.first() else {
            return Ok(false);
        };
        if self.started && !self.heads[winner].exhausted {
            self.heads[winner] = Head::next(&mut self.cursors[winner])?;
            self.replay(winner);
        }
        self.started = true;
        Ok(!self.heads[self.tree[0]].exhausted)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.cursors[self.tree[0]].key()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.cursors[self.tree[0]].value()
    }
}

/// The first eight bytes of a key as a number that orders as they do; shorter keys are filled up with zeros, so equal
/// prefixes say nothing.
#[inline]
pub(crate) fn key_prefix(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut first = [0; 8];
            first[..key.len()].copy_from_slice(key);
            u64::from_be_bytes(first)
        }
    }
}
