//! The bounds of every wait and retry of the scheduler, by name.

use std::time::Duration;

/// Bounds. [`Settings::default`] is for a cluster; tests and local runs shorten the times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A worker that hears no answer to its heartbeats for so long stops by itself. Default 10 s.
    pub lease: Duration,
    /// Added by the master, which counts from receipt while the worker counts from sending: a worker
    /// silent for `lease + lease_slack` is dead. Default 2 s.
    pub lease_slack: Duration,
    /// A job that has seen no live worker for so long fails. Default 30 s.
    pub grace_without_workers: Duration,
    /// An attempt ordered longer ago than this that its worker's heartbeat does not list is lost. Must
    /// be longer than the way of an order plus the way of a heartbeat. Default 5 s.
    pub confirm_within: Duration,
    /// So many attempts lost in a row without a sign that the worker takes orders: it is dead. Default 3.
    pub unconfirmed_max: u32,
    /// Times that won reduce tasks of one job may be rolled back; one more fails it. Default 3.
    pub rollbacks_max: u32,
    /// Times that the run of one map task may be found missing, corrupt or unreachable by reduce
    /// attempts (while its worker lives); one more fails the job. Default 8.
    pub run_losses_max: u32,
    /// Runs of one job at one worker found missing or unreachable, after which all its runs of that job
    /// count as lost. Default 3.
    pub holder_losses_max: u32,
    /// Reduce reports of one job that name other inputs than the winners', which only a defect can
    /// cause; one more fails the job. Default 8.
    pub mismatches_max: u32,
    /// Times that workers may stop attempts of one task without being asked to (a pause of the machine
    /// does that, or a reduce task whose input is being made again); one more fails the job. Default 100.
    pub stops_max: u32,
    /// First wait after a failure that is the worker's, or an unreachable run; doubles up to
    /// [`Settings::retry_max`]. Default 250 ms.
    pub retry_first: Duration,
    /// Longest wait before a retry. Default 30 s.
    pub retry_max: Duration,
    /// Tries beyond one on each live worker that a task gets when all of them fail for reasons of the
    /// workers (no space, no memory); one more fails the job. Default 3.
    pub worker_faults_spare: u32,
    /// A reduce attempt gives up its slot when a lost map task of its job has waited so long for one.
    /// Default 2 s.
    pub yield_after: Duration,
    /// How long a master that was started anew waits for workers to bring the runs of map tasks that were
    /// won before; the others run again. Default 12 s, like that of any worker that is silent.
    pub runs_awaited: Duration,
    /// Times that a worker process may be declared dead within [`Settings::flap_window`] before it is excluded. Default 3.
    pub flaps_max: u32,
    /// Default 10 min.
    pub flap_window: Duration,
    /// Tasks that fail on a worker, and then succeed on another, after which the first is excluded; if it
    /// wins two in a row between, they do not count. Default 3.
    pub blames_max: u32,
    /// How long a worker gets no attempts when it is excluded; doubles each time up to
    /// [`Settings::exclusion_max`]. Default 1 min.
    pub exclusion_first: Duration,
    /// Default 30 min.
    pub exclusion_max: Duration,
    /// A run is out of reach when so many workers could not fetch it from its live holder (fewer, if there are no more). Default 2.
    pub readers_max: usize,
    /// An attempt that was told to stop, or that nobody knows, and makes no progress for so long has its slot for good; of a job with a limit
    /// of its own, that counts. Default 10 min, as that of attempts.
    pub stop_max: Duration,
    /// An attempt gets no backup before it is so old: what is short is soon over, and its rate not known yet. Default 5 s.
    pub backup_min_age: Duration,
    /// Map attempts that may wait at a worker for each of its slots, while map tasks are so short that a slot would idle for
    /// most of the time that a report and the next order take. Default 16.
    pub ahead_per_slot: u32,
    /// Map tasks that take less than this are so short. Default 1 ms: what waits, waits for milliseconds.
    pub ahead_below: Duration,
    /// So many of them in a row, that none longer is between, say that the next ones are short too. Default 8.
    pub ahead_after: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(10),
            lease_slack: Duration::from_secs(2),
            grace_without_workers: Duration::from_secs(30),
            confirm_within: Duration::from_secs(5),
            unconfirmed_max: 3,
            rollbacks_max: 3,
            run_losses_max: 8,
            holder_losses_max: 3,
            mismatches_max: 8,
            stops_max: 100,
            retry_first: Duration::from_millis(250),
            retry_max: Duration::from_secs(30),
            worker_faults_spare: 3,
            yield_after: Duration::from_secs(2),
            runs_awaited: Duration::from_secs(12),
            flaps_max: 3,
            flap_window: Duration::from_secs(600),
            blames_max: 3,
            exclusion_first: Duration::from_secs(60),
            exclusion_max: Duration::from_secs(1800),
            readers_max: 2,
            stop_max: Duration::from_secs(600),
            backup_min_age: Duration::from_secs(5),
            ahead_per_slot: 16,
            ahead_below: Duration::from_millis(1),
            ahead_after: 8,
        }
    }
}

impl Settings {
    /// The same bounds around another lease; the slack, the age at which attempts may get backups, the time to confirm and that to return follow
    /// it (the age not above 5 s: a job waits for its slowest task however patient its cluster is with silence; the time to confirm not below 2 s:
    /// on a busy machine an order may take a second, and a lost one is rare; that to return not below 5 s: workers look every 2 s whether their
    /// master is back, and then have their runs to tell).
    #[must_use]
    pub fn with_lease(lease: Duration) -> Self {
        let lease_slack = lease / 5;
        Self {
            lease,
            lease_slack,
            runs_awaited: (lease + lease_slack).max(Duration::from_secs(5)),
            backup_min_age: (lease / 2).min(Self::default().backup_min_age),
            confirm_within: (lease / 2).max(Duration::from_secs(2)),
            ..Self::default()
        }
    }

    /// Silence after which a worker is dead.
    pub(crate) fn silence_max(&self) -> Duration {
        self.lease + self.lease_slack
    }

    /// The wait before the retry after `times` failures in a row.
    pub(crate) fn back_off(&self, times: u32) -> Duration {
        let doublings = times.saturating_sub(1).min(16);
        (self.retry_first * (1 << doublings)).min(self.retry_max)
    }

    /// How long a worker is excluded the `times`th time.
    pub(crate) fn exclusion(&self, times: u32) -> Duration {
        let doublings = times.saturating_sub(1).min(16);
        (self.exclusion_first * (1 << doublings)).min(self.exclusion_max)
    }

    /// The scheduler asks for a tick at least so often while it watches anything.
    pub(crate) fn watch_every(&self) -> Duration {
        self.lease / 4
    }

    /// How often the running attempts of a job are looked through: in the time that makes one of them old enough for a backup, twice.
    pub(crate) fn look_every(&self) -> Duration {
        self.watch_every().min(self.backup_min_age / 2)
    }

    /// A longer gap between two calls than this means that the master itself did not run.
    pub(crate) fn gap_max(&self) -> Duration {
        self.lease / 2
    }
}
