//! Fetches the segments of all map tasks for one reduce attempt, a few at a time.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use mapfold_data::run::Segment;
use mapfold_data::scratch::Scratch;
use mapfold_job::Monitor;
use mapfold_terms::{ByteSize, PartitionId};

use crate::fetch::{FetchError, Fetched, Fetcher, Fetching};
use crate::reduce::Input;

/// Threads that fetch at once for one attempt: enough to hide the round trips to several holders. With
/// [`CHUNK_MAX`](crate::wire::CHUNK_MAX) each, this bounds what is on its way to one attempt.
const WIDTH_MAX: usize = 4;
/// Segments from elsewhere for which a further thread pays.
const SEGMENTS_PER_THREAD: usize = 8;

/// All segments of a partition.
pub(crate) struct Gathered {
    /// By index of the map task.
    pub(crate) segments: Vec<Segment>,
    /// Their length.
    pub(crate) bytes: ByteSize,
    /// Those that came over a socket.
    pub(crate) remote: ByteSize,
    /// Those that occupy the attempt's own memory.
    pub(crate) in_memory: ByteSize,
}

/// Fetches them. Segments that come over a socket occupy at most `memory`; the rest goes to `scratch`.
///
/// # Errors
/// The first of a segment that cannot be had; the others are given up.
pub(crate) fn gather(
    fetcher: &Fetcher,
    inputs: &[Input],
    partition: PartitionId,
    scratch: &Scratch,
    memory: ByteSize,
    monitor: &dyn Monitor,
) -> Result<Gathered, FetchError> {
    let memory_left = AtomicU64::new(memory.bytes());
    let failed = AtomicBool::new(false);
    let stop = StopOnFailure {
        failed: &failed,
        monitor,
    };
    let fetching = Fetching {
        partition,
        scratch,
        memory: &memory_left,
        monitor: &stop,
    };
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Fetched)>> = Mutex::new(Vec::with_capacity(inputs.len()));
    let error = Mutex::new(None);
    let work = || {
        while !stop.cancelled() {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(input) = inputs.get(index) else {
                return;
            };
            match fetcher.fetch(input.attempt, &input.location, &fetching) {
                Ok(fetched) => {
                    // No record is through yet, but something was done.
                    stop.progress(0, 0);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push((index, fetched));
                }
                Err(one) => {
                    let mut error = error.lock().unwrap_or_else(PoisonError::into_inner);
                    // Others end as cancelled because of the first.
                    if !failed.swap(true, Ordering::Relaxed) {
                        *error = Some(one);
                    }
                    return;
                }
            }
        }
    };
    let elsewhere = inputs
        .iter()
        .filter(|input| !fetcher.is_own(&input.location))
        .count();
    thread::scope(|scope| {
        for number in 1..(elsewhere / SEGMENTS_PER_THREAD).min(WIDTH_MAX) {
            // With fewer threads it takes longer, that is all.
            let _ = thread::Builder::new()
                .name(format!("fetch-{number}"))
                .spawn_scoped(scope, work);
        }
        work();
    });
    if let Some(error) = error.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    if results.len() < inputs.len() {
        return Err(FetchError::Cancelled);
    }
    results.sort_unstable_by_key(|(index, _)| *index);
    let sum = |part: fn(&Fetched) -> u64| ByteSize(results.iter().map(|(_, one)| part(one)).sum());
    Ok(Gathered {
        bytes: sum(|fetched| fetched.segment.head().bytes),
        remote: sum(|fetched| fetched.remote.bytes()),
        in_memory: ByteSize(memory.bytes() - memory_left.into_inner()),
        segments: results
            .into_iter()
            .map(|(_, fetched)| fetched.segment)
            .collect(),
    })
}

/// Cancelled as well when a sibling has failed.
struct StopOnFailure<'a> {
    failed: &'a AtomicBool,
    monitor: &'a dyn Monitor,
}

impl Monitor for StopOnFailure<'_> {
    fn progress(&self, records: u64, bytes: u64) {
        self.monitor.progress(records, bytes);
    }

    fn cancelled(&self) -> bool {
        self.failed.load(Ordering::Relaxed) || self.monitor.cancelled()
    }
}
