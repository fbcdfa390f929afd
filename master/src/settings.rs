//! What a master is started with.

use std::path::PathBuf;
use std::time::Duration;

use mapfold_terms::{ByteSize, MasterEpoch, WorkerId};

/// Bounds and identity of one master.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Must be larger than that of any earlier start that could still have workers: it is half of every
    /// attempt's token. Without a state folder each master's workers are its own, and 1 is right.
    pub epoch: MasterEpoch,
    /// The epoch of the first start that this one goes on from; its own, if there was none.
    pub since: MasterEpoch,
    /// Those of the starts that it goes on from. Not all between the first and this one: a state folder that was copied, or put back
    /// as it was, leads to starts that the other copy knows nothing of.
    pub earlier: Vec<MasterEpoch>,
    /// Its workers' ids follow this one. Another at each start where workers of an earlier start may call, so
    /// that none is taken for another.
    pub last_worker: WorkerId,
    /// The scheduler's bounds: lease, grace, retries.
    pub scheduler: mapfold_scheduler::Settings,
    /// How often workers must beat. Several beats fit a lease, so that one may be lost. Default a fifth
    /// of the lease, at most 1 s: a heartbeat also carries progress.
    pub beat_every: Duration,
    /// Jobs that ended and can still be asked for. Default 1,000.
    pub jobs_remembered_max: usize,
    /// Bytes of all files that go with jobs; one job may have a quarter of it. Default 0: all workers are on the client's machine and read
    /// them where they are, so none is kept here, and none missed.
    pub files_max: ByteSize,
    /// A master without a state folder keeps them in a folder of its own below this one. Default the system's.
    pub scratch: PathBuf,
    /// How long a shutdown waits for workers to take their leave. Default 2 s.
    pub farewell_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(mapfold_scheduler::Settings::default())
    }
}

impl Settings {
    /// What follows from the scheduler's bounds.
    pub fn new(scheduler: mapfold_scheduler::Settings) -> Self {
        Self {
            epoch: MasterEpoch(1),
            since: MasterEpoch(1),
            earlier: Vec::new(),
            last_worker: WorkerId(0),
            beat_every: (scheduler.lease / 5).min(Duration::from_secs(1)),
            scheduler,
            jobs_remembered_max: 1000,
            files_max: ByteSize(0),
            scratch: std::env::temp_dir(),
            farewell_max: Duration::from_secs(2),
        }
    }
}
