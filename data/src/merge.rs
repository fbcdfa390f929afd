//! K-way merge of sorted runs with a loser tree (Knuth, TAOCP vol. 3, 5.4.1).
//!
//! One comparison a level, where a binary heap pays two. Equal keys leave in the order of the cursors, so output
//! does not depend on which fetch ended first. Keys compare as bytes; decoding is the job's affair, and
//! so are grouping and folding: a sink is handed the merged records and does with them what it wants.

use mapfold_terms::{ByteSize, PartitionId};

use crate::run::{ReadRunError, Run, Segment, SegmentCursor, WriteRunError};
use crate::scratch::Scratch;

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
#[derive(Debug)]
pub struct Merge<C> {
    cursors: Vec<C>,
}

impl<C: Cursor> Merge<C> {
    /// Starts a merge; reads the first record of each cursor. The cursors stand before their first record.
    pub fn new(cursors: Vec<C>) -> Result<Self, C::Error> {
        todo!()
    }

    /// The next record, key then value; `None` at the end.
    #[inline]
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends, so it is no Iterator"
    )]
    pub fn next(&mut self) -> Result<Option<(&[u8], &[u8])>, C::Error> {
        Ok(if self.advance()? {
            Some((self.key(), self.value()))
        } else {
            None
        })
    }

    /// Index of the cursor that the current record came from.
    pub fn source(&self) -> usize {
        todo!()
    }
}

impl<C: Cursor> Cursor for Merge<C> {
    type Error = C::Error;

    #[inline]
    fn advance(&mut self) -> Result<bool, C::Error> {
        todo!()
    }

    #[inline]
    fn key(&self) -> &[u8] {
        todo!()
    }

    #[inline]
    fn value(&self) -> &[u8] {
        todo!()
    }
}

/// Hands `sink` one merge for every partition that any of `runs` holds, in order of partition, each over the segments of
/// that partition in order of run. Used to make one run of an attempt's spills: the sink folds if the
/// job folds, and pushes what leaves into a [`RunWriter`](crate::run::RunWriter).
pub fn merge_runs<E: From<ReadRunError>>(
    runs: &[Run],
    mut sink: impl FnMut(PartitionId, &mut Merge<SegmentCursor<'_>>) -> Result<(), E>,
) -> Result<(), E> {
    todo!()
}

/// Where [`reduce_width`] sends the records of an intermediate merge: key, value, in order of key.
pub type Push<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), WriteRunError> + 'a;

/// What [`reduce_width`] left and cost.
#[derive(Debug)]
pub struct Narrowed {
    /// At most as many segments as asked for, in the same order, equal records in the same order.
    pub segments: Vec<Segment>,
    /// Bytes written to intermediate files.
    pub spilled: ByteSize,
    /// Intermediate merges made.
    pub merges: u32,
}

/// Merges neighbouring segments into intermediate files in `scratch` until at most `width` (at least 2) are
/// left, cheapest neighbours first. All are segments of one partition.
///
/// `combine` is handed each intermediate merge and pushes what is to be kept of it: [`copy`] keeps all; a job that folds pushes one
/// record for each key, which saves the next merge the work.
///
/// # Panics
/// `width` is below 2.
pub fn reduce_width<E: From<ReadRunError> + From<WriteRunError>>(
    segments: Vec<Segment>,
    width: usize,
    scratch: &Scratch,
    mut combine: impl FnMut(&mut Merge<SegmentCursor<'_>>, &mut Push<'_>) -> Result<(), E>,
) -> Result<Narrowed, E> {
    todo!()
}

/// Pushes every record of a merge: what [`reduce_width`] does for a job without a fold.
pub fn copy<E: From<ReadRunError> + From<WriteRunError>>(
    merge: &mut Merge<SegmentCursor<'_>>,
    push: &mut Push<'_>,
) -> Result<(), E> {
    while let Some((key, value)) = merge.next()? {
        push(key, value)?;
    }
    Ok(())
}

/// How many segments may be merged at once within `memory`.
pub fn width_for(memory: ByteSize) -> usize {
    todo!()
}
