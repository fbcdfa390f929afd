//! What an attempt's runs are called and what it may use.

use mapfold_data::partition::Partitioner;
use mapfold_data::run::RunWriter;
use mapfold_data::scratch::Scratch;
use mapfold_terms::{ByteSize, Token};

/// What an attempt may use, and what its runs are called.
pub(crate) struct Budget<'a> {
    pub(crate) token: Token,
    pub(crate) partitions: u32,
    pub(crate) partitioner: &'a Partitioner,
    pub(crate) memory: ByteSize,
    pub(crate) in_memory_max: ByteSize,
    pub(crate) scratch: &'a Scratch,
}

/// The share of the budget that an empty sink may keep; the rest makes sure that records come in between two spills, however unlike
/// those before. A fold table that spills at its largest keeps 43 to 85 percent of the budget.
const KEPT_SHARE: (u64, u64) = (7, 8);

impl Budget<'_> {
    /// The same, for runs that are to leave memory.
    pub(crate) fn on_disk(&self) -> Self {
        Self {
            in_memory_max: ByteSize(0),
            ..*self
        }
    }

    pub(crate) fn run_writer(&self, in_memory_max: ByteSize) -> RunWriter {
        RunWriter::new(
            self.token,
            self.partitions,
            self.scratch.clone(),
            in_memory_max,
        )
    }

    /// Of a merge: the part for the segments that are read at once.
    pub(crate) fn for_cursors(&self) -> ByteSize {
        ByteSize(self.memory.bytes() / 2)
    }

    /// Of a merge: the rest, for what records are folded into.
    pub(crate) fn for_folds(&self) -> ByteSize {
        ByteSize(self.memory.bytes() / 2)
    }

    /// Bytes that an empty sink may keep.
    pub(crate) fn kept_max(&self) -> usize {
        let (part, whole) = KEPT_SHARE;
        ByteSize(self.memory.bytes() / whole * part).as_usize()
    }
}
