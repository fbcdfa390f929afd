//! What all reduce attempts of one life of the worker fetch with: it knows which runs are its own, and keeps
//! connections for the next fetch, since most reduce attempts ask the same few holders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mapfold_data::run::Segment;
use mapfold_data::scratch::Scratch;
use mapfold_job::Monitor;
use mapfold_protocol::service::Location;
use mapfold_terms::{AttemptId, ByteSize, FetchCause, PartitionId, WorkerId};

use super::error::FetchError;
use super::source::Source;
use super::transfer::Transfer;
use crate::store::RunStore;
use crate::stream::Stream;

/// Connections kept for later, per holder: one for each thread that fetches at once.
const IDLE_PER_HOLDER_MAX: usize = 4;
/// Connections kept for later, over all holders.
const IDLE_MAX: usize = 64;

/// Fetches for all reduce attempts of one life of the worker, and keeps connections for the next one.
pub(crate) struct Fetcher {
    /// All ids that the worker has had in this life.
    own: RwLock<BTreeSet<WorkerId>>,
    pub(super) machine: String,
    runs: Arc<RunStore>,
    pub(super) idle: Mutex<BTreeMap<WorkerId, Vec<Stream>>>,
}

/// One reduce attempt's fetching.
pub(crate) struct Fetching<'a> {
    /// The partition that is reduced.
    pub(crate) partition: PartitionId,
    /// For what is too large for memory.
    pub(crate) scratch: &'a Scratch,
    /// Memory left for segments that come over a socket.
    pub(crate) memory: &'a AtomicU64,
    /// Says when to stop.
    pub(crate) monitor: &'a dyn Monitor,
}

/// A segment that was fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Marked with its map task.
    pub(crate) segment: Segment,
    /// Bytes that came over a socket.
    pub(crate) remote: ByteSize,
}

impl Fetcher {
    /// A fetcher of `worker` on `machine`, whose own runs are `runs`.
    pub(crate) fn new(worker: WorkerId, machine: String, runs: Arc<RunStore>) -> Self {
        Self {
            own: RwLock::new(BTreeSet::from([worker])),
            machine,
            runs,
            idle: Mutex::default(),
        }
    }

    /// Whether a run is in this process.
    pub(crate) fn is_own(&self, location: &Location) -> bool {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        own.contains(&location.holder)
    }

    /// The worker has another id.
    pub(crate) fn renamed(&self, worker: WorkerId) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        own.insert(worker);
    }

    /// Gets a segment of the run of `map`, which is at `location`. Blocks.
    pub(crate) fn fetch(
        &self,
        map: AttemptId,
        location: &Location,
        fetching: &Fetching<'_>,
    ) -> Result<Fetched, FetchError> {
        let source = Source { map, location };
        if self.is_own(location) {
            return self.own(&source, fetching.partition);
        }
        Transfer::new(self, source, fetching).run()
    }

    fn own(&self, source: &Source<'_>, partition: PartitionId) -> Result<Fetched, FetchError> {
        let held = self.runs.get(source.map.job, source.map.token);
        let held =
            held.ok_or_else(|| source.failure(FetchCause::NotFound, "it has no such run"))?;
        source.segment_of(held.run(), partition)
    }

    pub(super) fn take_idle(&self, holder: WorkerId) -> Option<Stream> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.get_mut(&holder)?.pop()
    }

    pub(super) fn put_idle(&self, holder: WorkerId, stream: Stream) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let count: usize = idle.values().map(Vec::len).sum();
        let streams = idle.entry(holder).or_default();
        if count < IDLE_MAX && streams.len() < IDLE_PER_HOLDER_MAX {
            streams.push(stream);
        }
    }
}
