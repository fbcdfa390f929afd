//! In the place of the reader of Parquet files, where the cargo feature `parquet` is off.

use std::convert::Infallible;
use std::marker::PhantomData;

use mapfold_terms::Piece;

use super::{Block, ReadSplitError};

/// Whether this program reads `--format parquet`.
pub const READS_PARQUET: bool = false;

/// There is none.
pub(super) struct RowReader<'s> {
    never: Infallible,
    piece: PhantomData<&'s Piece>,
}

impl<'s> RowReader<'s> {
    pub(super) fn open(piece: &'s Piece, _: usize) -> Result<Self, ReadSplitError> {
        Err(ReadSplitError::NoParquet {
            name: piece.file.name.clone(),
        })
    }

    pub(super) fn fill(&mut self) -> Result<bool, ReadSplitError> {
        match self.never {}
    }

    pub(super) fn block(&self) -> Block<'_> {
        match self.never {}
    }

    pub(super) fn bytes_read(&self) -> u64 {
        match self.never {}
    }
}
