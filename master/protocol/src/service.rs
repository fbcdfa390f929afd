//! The services that a master offers, one a connection, chosen by the handshake.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use mapfold_terms::{
    AttemptId, AttemptStatus, ByteSize, Digest, FileId, JobEntry, JobFile, JobId, JobSpec,
    JobStatus, MasterEpoch, Order, Outcome, Progress, RawPath, WorkerId, WorkerStatus,
};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What workers ask of the master. All methods are idempotent; none runs a task or waits longer
/// than [`POLL_MAX`].
#[tarpc::service]
pub trait WorkerDesk {
    /// Registers a worker (a new life of it) and returns its id and the terms of its lease.
    async fn join(hello: JoinRequest) -> Result<JoinReply, Refusal>;
    /// A worker that returned tells what runs it holds, before it says anything else; in parts, if need
    /// be.
    async fn attach(worker: WorkerId, runs: HeldRuns) -> Result<(), Refusal>;
    /// Bounded long poll for orders: returns those numbered above `acked`, at once if there are any,
    /// else as soon as there are, else empty after [`POLL_MAX`]. Orders up to `acked` are dropped.
    /// Changes nothing else, so a cut poll loses nothing.
    async fn poll(worker: WorkerId, acked: u64) -> Result<Orders, Refusal>;
    /// Reports the ends of attempts; re-sent until it is answered.
    async fn ended(worker: WorkerId, reports: Reports) -> Result<(), Refusal>;
    /// Where the runs of a job are: map tasks from index `from` on, at most [`LOCATIONS_MAX`].
    async fn locate(worker: WorkerId, job: JobId, from: u32) -> Result<Vec<Location>, Refusal>;
    /// A piece of a file of some job, from byte `from` on: [`PIECE_MAX`] bytes, or what is left.
    async fn file(id: FileId, from: u64) -> Result<FilePiece, Refusal>;
    /// The worker leaves in good order; its attempts are given to others.
    async fn leave(worker: WorkerId) -> Result<(), Refusal>;
    /// The worker wants no more attempts, and an order to stop as soon as nobody needs its runs.
    async fn drain(worker: WorkerId) -> Result<(), Refusal>;
}

/// The heartbeat, on a connection of its own that no order, report or run can block.
#[tarpc::service]
pub trait Pulse {
    /// Renews the lease. Lists what the worker holds, so that lost orders are noticed.
    async fn beat(beat: Heartbeat) -> Result<(), Refusal>;
}

/// What clients ask of the master.
#[tarpc::service]
pub trait ClientDesk {
    /// Which of these files the master does not have: they are to be sent before the job is submitted. It keeps the others for a while.
    async fn lacks(files: FileIds) -> Result<FileIds, Refusal>;
    /// A piece of a file of `len` bytes, from byte `from` on. Returns from where the next one is wanted: `len` once the file is whole,
    /// is what `id` says, and is on disk. A piece that came before is passed over; one that comes too early is not taken.
    async fn send_file(
        id: FileId,
        len: ByteSize,
        from: u64,
        piece: FilePiece,
    ) -> Result<u64, Refusal>;
    /// Accepts a job, all files of which the master has. Planning goes on after the answer; its failure shows in the status.
    async fn submit(spec: JobSpec) -> Result<JobId, Refusal>;
    /// Bounded long poll: returns when the job's version is above `seen`, else after [`POLL_MAX`].
    /// Notices from number `notices` on are included.
    async fn watch(job: JobId, seen: u64, notices: u64) -> Result<JobStatus, Refusal>;
    /// Asks for the end of a job. Ended jobs stay as they are.
    async fn cancel(job: JobId) -> Result<(), Refusal>;
    /// The workers that are alive.
    async fn workers() -> Result<Vec<WorkerStatus>, Refusal>;
    /// Has a worker leave without loss: it gets no attempts, and stops as soon as nobody needs its runs.
    async fn drain_worker(worker: WorkerId) -> Result<(), Refusal>;
    /// The jobs in progress, and the last that ended, newest first; as many as fit a message.
    async fn jobs() -> Result<Vec<JobEntry>, Refusal>;
}

/// Bytes of one piece of a file. Well below the frame limit: other calls on the connection wait for it.
pub const PIECE_MAX: usize = 512 << 10;

/// Some bytes of a file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePiece(#[serde(with = "serde_bytes")] pub Vec<u8>);

impl fmt::Debug for FilePiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// Some files. At most [`JobFile::MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIds(
    #[serde(deserialize_with = "at_most::<_, FileId, { JobFile::MAX }>")] pub Vec<FileId>,
);

/// The longest that a poll waits before it answers empty.
pub const POLL_MAX: Duration = Duration::from_secs(5);

/// Entries in one answer to `locate`. About 150 bytes each, so well below the frame limit.
pub const LOCATIONS_MAX: usize = 2048;

/// Orders in one answer to `poll`.
pub const ORDERS_MAX: usize = 1024;

/// A worker introduces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// For people: host and process id.
    pub name: String,
    /// Attempts it can run at once; at least 1.
    pub slots: u32,
    /// Identifies the machine (its boot id): reducers on the same one open run files directly.
    pub machine: String,
    /// Where it serves runs.
    pub data: DataAddress,
    /// Must accompany each request for a run; drawn at random by the worker.
    pub data_secret: u128,
    /// Set by a worker whose master does not know it any more.
    pub returning: Option<Returning>,
}

/// Attempts in one [`Returning`]; more are left to heartbeats, which cancel them.
pub const HOLDS_MAX: usize = 4096;

/// What a worker has that worked for some start of a master. A later start that goes on from there takes it over; the very
/// start that it worked for has declared it dead, and takes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returning {
    /// Which start that was.
    pub epoch: MasterEpoch,
    /// Attempts that run, or ended and were not acknowledged. At most [`HOLDS_MAX`].
    #[serde(deserialize_with = "at_most::<_, AttemptId, HOLDS_MAX>")]
    pub holds: Vec<AttemptId>,
}

/// Runs in one call of `attach`. About 50 bytes each.
pub const RUNS_MAX: usize = 8192;

/// Some of the runs that a worker holds. At most [`RUNS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRuns(
    #[serde(deserialize_with = "at_most::<_, (AttemptId, Digest), RUNS_MAX>")]
    pub  Vec<(AttemptId, Digest)>,
);

/// Where a worker serves its runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataAddress {
    /// Nowhere: it is the only worker there will be, in the master's own process.
    InProcess,
    /// A Unix socket on the same machine.
    Unix(RawPath),
    /// `host:port`.
    Tcp(String),
}

/// The master's answer to a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinReply {
    /// The worker's id for this life.
    pub worker: WorkerId,
    /// A worker that is silent for so long is dead to the master.
    pub lease: Duration,
    /// How often it must beat.
    pub beat_every: Duration,
    /// This start of the master.
    pub epoch: MasterEpoch,
    /// The first start of this master with its state folder, which tells it from other masters.
    pub since: MasterEpoch,
    /// Whether it knows the start that the worker returns from: then what the worker has of it still counts.
    pub goes_on: bool,
}

/// Attempts in one call of `ended`.
pub const REPORTS_MAX: usize = 1024;

/// The ends of some attempts. At most [`REPORTS_MAX`], and cut so that the frame limit holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports(
    #[serde(deserialize_with = "at_most::<_, Report, REPORTS_MAX>")] pub Vec<Report>,
);

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The attempt.
    pub attempt: AttemptId,
    /// How it ended.
    pub outcome: Outcome,
}

/// A batch of orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// Number of the last order here (or the acknowledged number, if none): acknowledge it next time.
    pub upto: u64,
    /// In order of number. At most [`ORDERS_MAX`], and cut so that the frame limit holds.
    #[serde(deserialize_with = "at_most::<_, Order, ORDERS_MAX>")]
    pub orders: Vec<Order>,
}

/// Refuses a longer list while it is read: an order takes 400 times as much memory as the shortest does on the
/// wire, so that a frame of them could fill gigabytes. No list but those of orders and reports comes near that.
fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>, const MAX: usize>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    struct List<T, const MAX: usize>(PhantomData<fn() -> T>);

    impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for List<T, MAX> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX} entries")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = list.next_element()? {
                if entries.len() == MAX {
                    return Err(de::Error::invalid_length(MAX + 1, &self));
                }
                entries.push(entry);
            }
            Ok(entries)
        }
    }

    from.deserialize_seq(List::<T, MAX>(PhantomData))
}

/// Where the run of one map task is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The winning attempt; its task is the map task. `None` while the task has no winner.
    pub attempt: Option<AttemptId>,
    /// Who holds it.
    pub holder: WorkerId,
    /// The holder's machine.
    pub machine: String,
    /// Where to ask.
    pub data: DataAddress,
    /// What to show when asking.
    pub data_secret: u128,
    /// What the run must hold.
    pub digest: Digest,
    /// Length of the whole run.
    pub bytes: ByteSize,
}

/// A sign of life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Who.
    pub worker: WorkerId,
    /// Attempts that run, and how far they are.
    pub running: Vec<Progress>,
    /// Attempts that ended and whose report is not acknowledged yet.
    pub ended: Vec<AttemptId>,
    /// What those that run have last said of themselves; of the silent, nothing.
    pub said: Vec<AttemptStatus>,
}

/// Why the master does not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// The worker's lease ran out, or it was never known: join again, under a new id.
    #[error("{0} is not a live worker of this master")]
    UnknownWorker(WorkerId),
    /// No such job, or it ended too long ago.
    #[error("there is no job {0} at this master")]
    UnknownJob(JobId),
    /// A list is longer than the protocol allows.
    #[error("{what} has {got} entries; at most {max} are allowed")]
    TooLong {
        /// Which list.
        what: String,
        /// Its length.
        got: u64,
        /// The limit.
        max: u64,
    },
    /// The master does not have a file; a client may send it.
    #[error("the master does not have the file {0}")]
    UnknownFile(FileId),
    /// What was sent as a file is not what its hash says. Nothing of it is kept.
    #[error(
        "what came as the file {0} has another hash: it was damaged on its way, or changed while it was sent"
    )]
    DamagedFile(FileId),
    /// A file, or all files of a job together, are longer than the master allows.
    #[error("{bytes} of files are more than the {max} that the master takes for one job")]
    FilesTooLarge {
        /// Their length.
        bytes: ByteSize,
        /// The limit.
        max: ByteSize,
    },
    /// All files together would be more than the master keeps.
    #[error(
        "the master has no room for a file of {bytes}: it keeps {max} at most, and those that it has are needed"
    )]
    NoRoomForFile {
        /// Its length.
        bytes: ByteSize,
        /// The limit.
        max: ByteSize,
    },
    /// Its disk is full, or does not work.
    #[error("the master has trouble with a file: {0}")]
    FileTrouble(String),
    /// The key of a job was submitted before, with other files.
    #[error("{0} has been submitted with this key and other files")]
    OtherFiles(JobId),
    /// The master ends.
    #[error("the master is shutting down")]
    ShuttingDown,
}
