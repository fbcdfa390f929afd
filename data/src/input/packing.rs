//! Fills splits with pieces, in order.

use mapfold_terms::{InputFile, Piece, Split};

use super::PlanError;
use super::plan::SPLITS_MAX;

/// Pieces of one split. With [`NAME_BYTES_MAX`] this keeps an order to a worker, which carries its split,
/// below the protocol's frame limit of 1 MiB: 4,096 pieces take at most 400 KiB beside their names.
pub(super) const PIECES_MAX: usize = 4096;

/// Bytes of names and paths in one split.
pub(super) const NAME_BYTES_MAX: usize = 256 << 10;

pub(super) struct Packing {
    /// Bytes that a split should hold.
    size: u64,
    splits: Vec<Split>,
    open: Vec<Piece>,
    open_bytes: u64,
    open_name_bytes: usize,
}

impl Packing {
    pub(super) fn new(size: u64) -> Self {
        Self {
            size,
            splits: Vec::new(),
            open: Vec::new(),
            open_bytes: 0,
            open_name_bytes: 0,
        }
    }

    /// Adds a piece to the open split, or to a new one where it does not fit.
    pub(super) fn push(&mut self, piece: Piece) -> Result<(), PlanError> {
        let bytes = piece.end - piece.start;
        let name_bytes = piece.file.name.as_bytes().len() + piece.file.path.as_bytes().len();
        let full = self.open.len() >= PIECES_MAX
            || self.open_name_bytes + name_bytes > NAME_BYTES_MAX
            || self.open_bytes.saturating_add(bytes) > with_tail(self.size);
        if full {
            self.seal()?;
        }
        self.open.push(piece);
        self.open_bytes = self.open_bytes.saturating_add(bytes);
        self.open_name_bytes += name_bytes;
        Ok(())
    }

    /// Adds a whole file as one piece.
    pub(super) fn push_whole(&mut self, file: InputFile) -> Result<(), PlanError> {
        let end = file.fingerprint.len;
        self.push(Piece {
            file,
            start: 0,
            end,
        })
    }

    /// Adds a file in pieces that end at multiples of `step`, the last one at its end.
    pub(super) fn push_cut(&mut self, file: InputFile, step: u64) -> Result<(), PlanError> {
        let len = file.fingerprint.len;
        let mut start = 0;
        while len - start > with_tail(step) {
            let end = start + step;
            self.push(Piece {
                file: file.clone(),
                start,
                end,
            })?;
            start = end;
        }
        self.push(Piece {
            file,
            start,
            end: len,
        })
    }

    /// Adds a file in as many pieces as with a `step` of `size`, but all of one length, so that no slot has little to do.
    pub(super) fn push_even(&mut self, file: InputFile, size: u64) -> Result<(), PlanError> {
        let len = file.fingerprint.len;
        let beyond = len.saturating_sub(with_tail(size));
        let pieces = 1 + beyond.div_ceil(size);
        self.push_cut(file, len.div_ceil(pieces).max(1))
    }

    /// Ends the open split; the next piece begins a new one.
    pub(super) fn seal(&mut self) -> Result<(), PlanError> {
        if self.open.is_empty() {
            return Ok(());
        }
        let index = u32::try_from(self.splits.len()).unwrap_or(u32::MAX);
        if index >= SPLITS_MAX {
            return Err(PlanError::TooManySplits);
        }
        self.open_bytes = 0;
        self.open_name_bytes = 0;
        self.splits.push(Split {
            index,
            pieces: std::mem::take(&mut self.open),
        });
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Vec<Split>, PlanError> {
        self.seal()?;
        Ok(self.splits)
    }
}

/// What is left of a file joins the piece before it rather than become a task of its own, as long as it
/// is below a tenth of a split.
fn with_tail(size: u64) -> u64 {
    size.saturating_add(size / 10)
}
