//! What an attempt's runs are called and what it may use.

use mapfold_data::partition::Partitioner;
use mapfold_data::run::RunWriter;
use mapfold_terms::ByteSize;

use crate::Attempt;

/// What an attempt may use, and what its runs are called.
pub(crate) struct Budget<'a> {
    pub(crate) attempt: &'a Attempt<'a>,
    pub(crate) partitions: u32,
    pub(crate) partitioner: &'a Partitioner,
    /// For what the attempt works in.
    pub(crate) memory: ByteSize,
    /// Room for the run that it leaves.
    pub(crate) in_memory_max: ByteSize,
}

/// The share of the budget that an empty sink may keep; the rest makes sure that records come in between two spills, however unlike
/// those before. A fold table that spills at its largest keeps 43 to 85 percent of the budget.
const KEPT_SHARE: (usize, usize) = (7, 8);

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
            self.attempt.id().token,
            self.partitions,
            self.attempt.scratch().clone(),
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

    /// Bytes that records may occupy before they spill. The room for the run is not used yet, so it counts: a split that fits
    /// only with it has a run in a file, which is cheaper than a spill and its merge.
    #[inline]
    pub(crate) fn for_records(&self) -> usize {
        self.memory
            .as_usize()
            .saturating_add(self.in_memory_max.as_usize())
    }

    /// The largest run that may stay in memory, when records occupy so many bytes.
    pub(crate) fn for_run(&self, records: usize) -> ByteSize {
        let left = self.for_records().saturating_sub(records);
        ByteSize(left as u64).min(self.in_memory_max)
    }

    /// Bytes that an empty sink may keep while records come in.
    pub(crate) fn kept_max(&self) -> usize {
        let (part, whole) = KEPT_SHARE;
        self.for_records() / whole * part
    }

    /// Bytes that a sink may keep for the next attempt, while the run occupies its room.
    pub(crate) fn handed_on_max(&self) -> usize {
        self.memory.as_usize()
    }
}

#[cfg(test)]
mod tests {
    use mapfold_data::scratch::ScratchRoot;
    use mapfold_terms::Partitioning;

    use super::*;

    #[test]
    fn records_and_run_together_stay_within_the_budget() {
        let base = tempfile::tempdir().unwrap();
        let scratch = ScratchRoot::open(base.path()).unwrap().scratch("1-1");
        let partitioner = Partitioner::new(&Partitioning::Hash, 1);
        let attempt = Attempt::alone(1, 1, None, &scratch);
        for (memory, room) in [(80, 0), (80, 40), (40, 80), (u64::MAX, u64::MAX)] {
            let budget = Budget {
                attempt: &attempt,
                partitions: 1,
                partitioner: &partitioner,
                memory: ByteSize(memory),
                in_memory_max: ByteSize(room),
            };
            let all = budget.for_records();
            assert!(budget.kept_max() <= all && budget.handed_on_max() <= all);
            assert_eq!(budget.for_run(0), ByteSize(room));
            for records in [1, 40, 79, 80, 81, 119, 120, 121].map(|at| all.min(at)) {
                let run = budget.for_run(records);
                assert!(run.bytes() <= room && run.as_usize() <= all - records);
                // What records leave is not wasted.
                assert!(run.bytes() == room || run.as_usize() == all - records);
            }
        }
    }
}
