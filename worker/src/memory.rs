//! How the memory of a worker's process is shared out, so that all of it together stays within what was promised.
//!
//! ```text
//! memory = the process itself               code, runtime, connections
//!        + slots x fixed buffers            what an attempt holds whatever its budget
//!        + runs kept in memory              a quarter of the rest, see store.rs
//!        + slots x budget of an attempt     tables, sort buffers, merges, fetched segments
//! ```
//! Room for a run is set aside before its attempt begins, which may fill it with records meanwhile: then the run goes to a file.
//! The promise is about resident memory, mapped run files included: who reads one gives back the pages that are behind
//! it. What is beyond it is what no budget can make smaller: a plan of very many files, a single record that is larger than
//! an attempt's budget, the window of an input that was packed with `zstd --long`.

use std::num::NonZeroUsize;

use mapfold_terms::ByteSize;

/// What the process occupies beside its attempts. Most of it is code, which comes in from the file as it runs: with attempts of small
/// budgets 13 MiB of a release build, 15 to 17 of a debug build, and 6 besides, a part of which is within the budgets.
const PROCESS: u64 = 20 << 20;

/// What an attempt holds beside its budget: the block that is read (256 KiB) and what unpacks it; the block of a run that is
/// written (1 MiB and a block), or rows and what packs them (4 MiB with zstd, less without); a few KiB of stack.
const SLOT_FIXED: u64 = 4 << 20;

/// With less, a slot writes a run for every few thousand records, and merges of them in many passes.
const SLOT_LEAST: u64 = 3 << 20;

/// The share of the rest that runs may occupy: one part in so many.
const RUNS_SHARE: u64 = 4;

/// What each attempt may have, of the memory of a process that runs so many at once and keeps no runs in memory for longer.
pub fn attempt_memory(memory: ByteSize, slots: NonZeroUsize) -> ByteSize {
    Shares::new(memory, slots).attempt
}

/// The bytes of runs that a worker keeps in memory at most.
pub fn runs_memory(memory: ByteSize, slots: NonZeroUsize) -> ByteSize {
    Shares::new(memory, slots).runs
}

/// What is left for the work itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Of the runs that are kept in memory.
    pub(crate) runs: ByteSize,
    /// Of each attempt.
    pub(crate) attempt: ByteSize,
}

/// The least memory with which so many slots can keep the promise.
pub fn memory_least(slots: NonZeroUsize) -> ByteSize {
    ByteSize(PROCESS + slots.get() as u64 * (SLOT_FIXED + SLOT_LEAST))
}

impl Shares {
    /// Shares `memory` out among `slots`. With less than [`memory_least`] no run stays in memory, and attempts have what they
    /// have with the least.
    pub(crate) fn new(memory: ByteSize, slots: NonZeroUsize) -> Self {
        let count = slots.get() as u64;
        let least = memory_least(slots);
        if memory < least {
            return Self {
                runs: ByteSize(0),
                ..Self::new(least, slots)
            };
        }
        let rest = memory.bytes() - PROCESS - count * SLOT_FIXED;
        let runs = rest / RUNS_SHARE;
        Self {
            runs: ByteSize(runs),
            attempt: ByteSize((rest - runs) / count),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_make_up_the_memory() {
        for (mib, slots) in [(27, 1), (64, 2), (256, 4), (1 << 20, 64)] {
            let slots = NonZeroUsize::new(slots).unwrap();
            let Shares { runs, attempt } = Shares::new(ByteSize::mib(mib), slots);
            let count = slots.get() as u64;
            let used = PROCESS + count * (SLOT_FIXED + attempt.bytes()) + runs.bytes();
            assert!(used <= mib << 20 && used + count > mib << 20);
        }
    }

    #[test]
    fn with_too_little_attempts_have_the_least_and_runs_have_none() {
        let slots = NonZeroUsize::MIN;
        let little = Shares::new(ByteSize(0), slots);
        let least = Shares::new(memory_least(slots), slots);
        assert_eq!(little.runs, ByteSize(0));
        assert_eq!(little.attempt, least.attempt);
    }
}
