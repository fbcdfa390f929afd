//! K-way merge of sorted runs with a loser tree (Knuth, TAOCP vol. 3, 5.4.1).
//!
//! One comparison a level, where a binary heap pays two. Equal keys leave in the order of the cursors, so output
//! does not depend on which fetch ended first. Keys compare as bytes; decoding is the job's affair, and
//! so are grouping and folding: a sink is handed the merged records and does with them what it wants.

use std::cmp::Ordering;

use mapfold_terms::PartitionId;

mod runs;
#[cfg(test)]
mod tests;

pub use runs::{Narrowed, Push, copy, merge_runs, reduce_width, width_for};

/// A record on loan: its key and its value.
pub type Record<'a> = (&'a [u8], &'a [u8]);

/// Records on loan that are all the same, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted<'a> {
    /// Where they belong.
    pub partition: PartitionId,
    /// Their key.
    pub key: &'a [u8],
    /// Their value.
    pub value: &'a [u8],
    /// How many they are. More of them may follow.
    pub times: u32,
    /// Whether the record before is known to be of the same partition and key. False if nothing is known.
    pub repeats_key: bool,
}

impl<'a> Counted<'a> {
    /// One record.
    #[inline]
    pub fn once(partition: PartitionId, key: &'a [u8], value: &'a [u8]) -> Self {
        Self {
            partition,
            key,
            value,
            times: 1,
            repeats_key: false,
        }
    }
}

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

    /// Whether the current record is known to have the key of the one before. False if nothing is known, so equal keys may still follow
    /// each other.
    #[inline]
    fn repeats(&self) -> bool {
        false
    }

    /// Goes on to the last of the records that follow and are known to be the same as the current one, key and value. Tells how many were
    /// skipped so; none if nothing is known. Only after `advance` returned true.
    #[inline]
    fn skip_same(&mut self) -> u32 {
        0
    }
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
    /// Whether each cursor has no more records.
    exhausted: Vec<bool>,
    /// Empty if there are no cursors.
    tree: Vec<Head>,
    started: bool,
    /// The winner's record repeats its key.
    repeats: bool,
}

/// A cursor in the tree, with what decides most matches without a look at its key.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// Of the key; the largest there is, if the cursor is exhausted.
    prefix: u64,
    cursor: usize,
}

impl<C: Cursor> Merge<C> {
    /// Starts a merge; reads the first record of each cursor. The cursors stand before their first record.
    pub fn new(mut cursors: Vec<C>) -> Result<Self, C::Error> {
        let mut exhausted = vec![false; cursors.len()];
        let heads = cursors
            .iter_mut()
            .zip(&mut exhausted)
            .enumerate()
            .map(|(index, (cursor, exhausted))| {
                *exhausted = !cursor.advance()?;
                Ok(Head::of(index, cursor, *exhausted))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut merge = Self {
            tree: heads,
            exhausted,
            cursors,
            started: false,
            repeats: false,
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
        self.tree[0].cursor
    }

    /// Makes the tree of what are the heads of all cursors, in order.
    fn play_all(&mut self) {
        let leaves = self.tree.len();
        let mut winners = self.tree.clone();
        winners.extend_from_within(..);
        for node in (1..leaves).rev() {
            let (one, two) = (winners[2 * node], winners[2 * node + 1]);
            (winners[node], self.tree[node]) = match self.beats(one, two) {
                true => (one, two),
                false => (two, one),
            };
        }
        if let Some(top) = self.tree.first_mut() {
            *top = winners[1];
        }
    }

    /// The matches of a cursor whose record has changed, up to the top.
    #[inline]
    fn replay(&mut self, changed: Head) {
        let mut winner = changed;
        let mut node = (changed.cursor + self.cursors.len()) / 2;
        while node > 0 {
            let other = self.tree[node];
            let beaten = if other.prefix == winner.prefix {
                self.beats_closely(other, winner)
            } else {
                other.prefix < winner.prefix
            };
            // Chosen, not branched to: no one can foretell the winner.
            self.tree[node] = if beaten { winner } else { other };
            winner = if beaten { other } else { winner };
            node /= 2;
        }
        self.tree[0] = winner;
    }

    fn beats(&self, one: Head, two: Head) -> bool {
        let prefixes = one.prefix.cmp(&two.prefix);
        prefixes.is_lt() || prefixes.is_eq() && self.beats_closely(one, two)
    }

    /// Between equal prefixes. An exhausted cursor loses.
    fn beats_closely(&self, one: Head, two: Head) -> bool {
        let (one, two) = (one.cursor, two.cursor);
        let exhausted = self.exhausted[one].cmp(&self.exhausted[two]);
        let keys = || match self.exhausted[one] {
            true => Ordering::Equal,
            false => self.cursors[one].key().cmp(self.cursors[two].key()),
        };
        exhausted.then_with(keys).then(one.cmp(&two)).is_lt()
    }
}

impl Head {
    /// Of a cursor as it stands.
    #[inline]
    fn of<C: Cursor>(index: usize, cursor: &C, exhausted: bool) -> Self {
        let prefix = match exhausted {
            true => u64::MAX,
            false => key_prefix(cursor.key()),
        };
        Self {
            prefix,
            cursor: index,
        }
    }
}

impl<C: Cursor> Cursor for Merge<C> {
    type Error = C::Error;

    #[inline]
    fn advance(&mut self) -> Result<bool, C::Error> {
        let Some(&Head { cursor, .. }) = self.tree.first() else {
            return Ok(false);
        };
        if self.started && !self.exhausted[cursor] {
            let winner = &mut self.cursors[cursor];
            self.exhausted[cursor] = !winner.advance()?;
            self.repeats = !self.exhausted[cursor] && winner.repeats();
            if self.repeats {
                // It has won against all others with the same key.
                return Ok(true);
            }
            self.replay(Head::of(
                cursor,
                &self.cursors[cursor],
                self.exhausted[cursor],
            ));
        }
        self.started = true;
        Ok(!self.exhausted[self.tree[0].cursor])
    }

    #[inline]
    fn repeats(&self) -> bool {
        self.repeats
    }

    #[inline]
    fn skip_same(&mut self) -> u32 {
        // What it skips has won against all others with the same key, too.
        let winner = self.tree[0].cursor;
        self.cursors[winner].skip_same()
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.cursors[self.tree[0].cursor].key()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        self.cursors[self.tree[0].cursor].value()
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

/// Whether two keys are equal. Those of up to sixteen bytes are compared without a call.
#[inline]
pub fn same_key(one: &[u8], two: &[u8]) -> bool {
    if one.len() != two.len() {
        return false;
    }
    match one.len() {
        // Pieces that may overlap.
        1..4 => {
            let at = |key: &[u8]| (key[0], key[key.len() / 2], key[key.len() - 1]);
            at(one) == at(two)
        }
        4..8 => ends::<4>(one) == ends(two),
        8..=16 => ends::<8>(one) == ends(two),
        _ => one == two,
    }
}

fn ends<const N: usize>(key: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    key.first_chunk().zip(key.last_chunk())
}
