//! The spills of one attempt, kept few however many there were.
//!
//! Each spill is an open, mapped file, and a process may have some 65,000 of those. So spills are merged while
//! the attempt goes on, in tiers: as soon as [`TIER_WIDTH`] spills of one tier stand at the end, they become one
//! spill of the next. Every record is rewritten once a tier, so the cost is that of a merge in several passes.

use mapfold_data::merge::Push;
use mapfold_data::run::{Run, Segment};
use mapfold_terms::ByteSize;

use crate::budget::Budget;
use crate::combine::{MergeError, combine_runs};

/// Spills of one tier that become one of the next. At most this many a tier are open at once: 128 after
/// 4,096 spills, 192 after 262,144.
const TIER_WIDTH: usize = 64;

/// The spills of one attempt, oldest first.
#[derive(Default)]
pub(crate) struct Spills {
    runs: Vec<Run>,
    /// Tier of each run; never grows from one run to the next.
    tiers: Vec<u32>,
    /// Spills of memory, in all.
    pub(crate) count: u32,
    /// Bytes written, those of merges included.
    pub(crate) bytes: ByteSize,
}

impl Spills {
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether the next spill fills a tier, so that a merge follows. Its cursors need the room that an empty sink would keep.
    pub(crate) fn merge_is_next(&self) -> bool {
        let same = self.tiers.iter().rev().take_while(|tier| **tier == 0);
        same.count() + 1 >= TIER_WIDTH
    }

    /// Adds what memory held, and merges tiers that became full; `combine` as for [`combine_runs`].
    pub(crate) fn push(
        &mut self,
        run: Run,
        budget: &Budget<'_>,
        mut combine: impl FnMut(&[Segment], &mut Push<'_>) -> Result<(), MergeError>,
    ) -> Result<(), MergeError> {
        self.count += 1;
        self.add(run, 0);
        while let Some((start, tier)) = self.full_tier() {
            let (bytes, _, spilled) =
                combine_runs(&self.runs[start..], &budget.on_disk(), &mut combine)?;
            self.bytes.0 += spilled.0;
            self.runs.truncate(start);
            self.tiers.truncate(start);
            self.add(Run::open(bytes)?, tier + 1);
        }
        Ok(())
    }

    /// All spills, oldest first.
    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    fn add(&mut self, run: Run, tier: u32) {
        self.bytes.0 += run.bytes().len() as u64;
        self.runs.push(run);
        self.tiers.push(tier);
    }

    /// Where the last tier begins, if it is full.
    fn full_tier(&self) -> Option<(usize, u32)> {
        let last = *self.tiers.last()?;
        let start = self
            .tiers
            .iter()
            .rposition(|tier| *tier != last)
            .map_or(0, |before| before + 1);
        (self.tiers.len() - start >= TIER_WIDTH).then_some((start, last))
    }
}
