//! The finished runs of this worker, until the master says that nobody will ask for them.
//!
//! A run enters when its attempt has ended, and never changes. Those that fit stay in memory, within a share of
//! the worker's budget that is reserved before the attempt writes, so that the sum holds whatever
//! the attempts do; the others are files in the attempt's scratch folder and vanish when they are dropped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use mapfold_data::run::{ReadRunError, Run, RunBytes};
use mapfold_terms::{AttemptId, ByteSize, Digest, JobId, Token};

/// The runs of one life of the worker.
#[derive(Debug)]
pub(crate) struct RunStore {
    runs: RwLock<BTreeMap<Token, Arc<HeldRun>>>,
    memory: Arc<Memory>,
}

/// A finished run.
#[derive(Debug)]
pub(crate) struct HeldRun {
    attempt: AttemptId,
    run: Run,
    /// Given back when the last reader is done.
    _room: Option<Room>,
}

/// Runs that are no longer held. Their files are deleted when this is dropped and whoever reads them has
/// finished; that may take a while.
#[derive(Debug)]
pub(crate) struct Dropped(Vec<Arc<HeldRun>>);

impl Dropped {
    /// Whether there are files to delete.
    pub(crate) fn has_files(&self) -> bool {
        self.0.iter().any(|held| !held.run.bytes().in_memory())
    }
}

#[derive(Debug)]
struct Memory {
    used: AtomicU64,
    max: u64,
    run_max: u64,
}

/// Room for one run in memory; given back when dropped.
#[derive(Debug)]
pub(crate) struct Room {
    memory: Arc<Memory>,
    bytes: u64,
}

impl RunStore {
    /// An empty store that keeps at most `memory` in memory, for a worker of `slots` slots.
    pub(crate) fn new(memory: ByteSize, slots: usize) -> Self {
        // Half of the room can be reserved by attempts that run; the rest is sure to hold finished runs.
        let attempts = 2 * (slots as u64).max(1);
        let run_max = memory.bytes() / attempts;
        Self {
            runs: RwLock::default(),
            memory: Arc::new(Memory {
                used: AtomicU64::new(0),
                max: memory.bytes(),
                run_max,
            }),
        }
    }

    /// Sets room aside for the run of an attempt that is about to start; little or nothing if the store is
    /// full, and then the run goes to a file.
    pub(crate) fn reserve(&self) -> Room {
        Room {
            bytes: self.memory.take(self.memory.run_max),
            memory: Arc::clone(&self.memory),
        }
    }

    /// Keeps a finished run.
    ///
    /// # Errors
    /// Its header or index is not what was written.
    pub(crate) fn keep(
        &self,
        attempt: AttemptId,
        bytes: RunBytes,
        mut room: Room,
    ) -> Result<(), ReadRunError> {
        let room = bytes.in_memory().then(|| {
            room.shrink(bytes.len() as u64);
            room
        });
        let held = HeldRun {
            attempt,
            run: Run::open(bytes)?,
            _room: room,
        };
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        runs.insert(attempt.token, Arc::new(held));
        Ok(())
    }

    /// The run of a map attempt of `job`, if it is here.
    pub(crate) fn get(&self, job: JobId, token: Token) -> Option<Arc<HeldRun>> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        runs.get(&token)
            .filter(|held| held.attempt.job == job)
            .cloned()
    }

    /// All runs, and what each holds.
    pub(crate) fn inventory(&self) -> Vec<(AttemptId, Digest)> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        let held = runs.values().map(|held| (held.attempt, held.run.digest()));
        held.collect()
    }

    /// Lets go of one run.
    pub(crate) fn discard(&self, token: Token) -> Dropped {
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        Dropped(runs.remove(&token).into_iter().collect())
    }

    /// Lets go of all runs of a job.
    pub(crate) fn forget(&self, job: JobId) -> Dropped {
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        let forgotten = runs.extract_if(.., |_, held| held.attempt.job == job);
        Dropped(forgotten.map(|(_, held)| held).collect())
    }

    /// Lets go of all runs.
    pub(crate) fn clear(&self) -> Dropped {
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        Dropped(std::mem::take(&mut *runs).into_values().collect())
    }
}

impl HeldRun {
    /// The run.
    pub(crate) const fn run(&self) -> &Run {
        &self.run
    }
}

impl Memory {
    /// Takes up to `want` bytes of what is left.
    fn take(&self, want: u64) -> u64 {
        let mut taken = 0;
        let update = |used: u64| {
            taken = want.min(self.max.saturating_sub(used));
            Some(used + taken)
        };
        // The closure never declines, so there is always a value to set.
        let _ = self
            .used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
        taken
    }
}

impl Room {
    /// The largest run that fits.
    pub(crate) const fn size(&self) -> ByteSize {
        ByteSize(self.bytes)
    }

    /// Gives back what is above `bytes`.
    fn shrink(&mut self, bytes: u64) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.memory.used.fetch_sub(surplus, Ordering::Relaxed);
        self.bytes -= surplus;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_bounded_and_given_back() {
        let store = RunStore::new(ByteSize(100), 1);
        let mut first = store.reserve();
        assert_eq!(first.size(), ByteSize(50));
        first.shrink(10);
        let second = store.reserve();
        let third = store.reserve();
        assert_eq!((second.size(), third.size()), (ByteSize(50), ByteSize(40)));
        assert_eq!(store.reserve().size(), ByteSize(0));
        drop((first, second, third));
        assert_eq!(store.memory.used.load(Ordering::Relaxed), 0);
    }
}
