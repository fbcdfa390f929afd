//! The border between engine and job: batches in, batches out.
//!
//! Everything that crosses it is plain data (ids, paths, bytes) and two callbacks, so that a C interface
//! can carry it unchanged; nothing is called per record.

use std::path::Path;
use std::time::Duration;

use mapfold_data::run::{RunBytes, Segment};
use mapfold_data::scratch::Scratch;
use mapfold_terms::{
    AttemptId, Boundaries, ByteSize, Codec, Counters, Failure, Format, JobInfo, MapReport,
    PartitionId, Partitioning, Plan, Skipped, Split, Staged,
};
use serde::{Deserialize, Serialize};

/// A job with its parameters, ready to run attempts; shared by all slots of a worker.
pub trait Runner: Send + Sync {
    /// What the job tells about itself.
    fn info(&self) -> &JobInfo;

    /// Maps one split into one run; into one part file, fsynced, if the job has no reduce tasks. Runs to the end on the calling thread; memory stays about within
    /// `task.memory`.
    ///
    /// # Errors
    /// Whose fault it was is in the failure's class. Panics of the job are caught and told as failures.
    fn map(&self, task: &MapTask<'_>, monitor: &dyn Monitor) -> Result<MapDone, TaskError>;

    /// Reduces one partition of all runs into one part file, fsynced.
    ///
    /// # Errors
    /// As `map`; besides, a segment that does not match its checksums.
    fn reduce(&self, task: ReduceTask<'_>, monitor: &dyn Monitor) -> Result<ReduceDone, TaskError>;

    /// Maps and reduces everything on the calling thread, in memory, without a budget: the yardstick for the engine. The rows
    /// are those of a run with one reduce task, in a file that is neither hashed nor made durable.
    ///
    /// # Errors
    /// As `map`.
    fn sequential(&self, task: &SequentialTask<'_>) -> Result<SequentialDone, TaskError>;

    /// Where partitions begin, of a job whose part files follow each other in order: see [`SampleTask`]. By
    /// default nowhere, and all keys go to the first.
    ///
    /// # Errors
    /// As `map`.
    fn sample(&self, task: &SampleTask<'_>) -> Result<Boundaries, TaskError> {
        let _ = task;
        Ok(Boundaries::default())
    }

    /// Whether the rows are the records, each of them once ([`Job::keeps_records`](crate::Job::keeps_records)). By default they are not.
    fn keeps_records(&self) -> bool {
        false
    }

    /// Gives up what is kept from ended attempts for those to come. Called when another job begins an attempt on the slots that it
    /// was kept for, since two jobs do not share memory and a slot has one budget.
    fn free_memory(&self) {}
}

/// The callbacks from an attempt to the engine, made about once a block.
pub trait Monitor: Sync {
    /// How far the attempt is, in all: records, and bytes of input or runs.
    fn progress(&self, records: u64, bytes: u64);
    /// Whether the attempt should stop.
    fn cancelled(&self) -> bool;
    /// How long it may go without progress, for whoever can end it from outside. By default for ever.
    fn still_max(&self) -> Option<Duration> {
        None
    }
    /// What the job says of the attempt, in a few words. Progress, too.
    fn status(&self, text: &str) {
        let _ = text;
        self.progress(0, 0);
    }
}

/// Of an attempt that nobody watches and nobody stops.
pub struct Unwatched;

impl Monitor for Unwatched {
    fn progress(&self, _: u64, _: u64) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// What a map attempt needs to know.
pub struct MapTask<'a> {
    /// The attempt.
    pub attempt: AttemptId,
    /// What to read.
    pub split: &'a Split,
    /// Number of map tasks, M.
    pub maps: u32,
    /// How to cut it into records.
    pub format: Format,
    /// Number of partitions, R; 0 for a job without reduce tasks.
    pub partitions: u32,
    /// How keys are shared out to them.
    pub partitioning: &'a Partitioning,
    /// Budget for tables, buffers and merges of this attempt.
    pub memory: ByteSize,
    /// Room for the run beside that: one up to this size stays in memory, unless records needed the room.
    pub in_memory_max: ByteSize,
    /// Records that may be left out because `map` fails on them. One more fails the attempt.
    pub skip_bad: u32,
    /// Those of them that are known before the first record is mapped, in the order of the split: earlier processes of this attempt have ended at them.
    pub left_out: &'a [Skipped],
    /// For spills and the run.
    pub scratch: &'a Scratch,
    /// How the part file is packed, of a job without reduce tasks.
    pub part_codec: Codec,
    /// Its part file is made in this folder, which other attempts share, as
    /// [`attempt_part_name`](mapfold_data::part::attempt_part_name); the split's index counts as the partition.
    pub part_folder: &'a Path,
}

/// What a look at a job's keys needs to know. A function of the plan and the input: it is bounded in what it reads
/// and takes some tens of milliseconds.
pub struct SampleTask<'a> {
    /// The input. As many ranges are wanted as it has reduce tasks.
    pub plan: &'a Plan,
    /// Whether to look away when `map` fails.
    pub skip_bad: bool,
    /// For spills; there are none unless a few records become very large.
    pub scratch: &'a Scratch,
}

/// What a map attempt leaves.
pub struct MapDone {
    /// For the master.
    pub report: MapReport,
    /// Stays with the worker; empty if there are no reduce tasks.
    pub run: RunBytes,
}

/// What a reduce attempt needs to know.
pub struct ReduceTask<'a> {
    /// The attempt.
    pub attempt: AttemptId,
    /// The partition.
    pub partition: PartitionId,
    /// How the input was cut into records, for a job that writes records back.
    pub format: Format,
    /// Number of map tasks, M.
    pub maps: u32,
    /// Number of partitions, R.
    pub partitions: u32,
    /// That partition of each run, in the order of the map tasks. May be on disk, mapped.
    pub inputs: Vec<Segment>,
    /// Budget for buffers and merges of this attempt.
    pub memory: ByteSize,
    /// For merges that do not fit one pass.
    pub scratch: &'a Scratch,
    /// How the part file is packed.
    pub part_codec: Codec,
    /// The part file is made in this folder, which other attempts share, as
    /// [`attempt_part_name`](mapfold_data::part::attempt_part_name).
    pub part_folder: &'a Path,
    /// Where to note which key is at hand ([`AtHand`](crate::border::AtHand)), for whoever may find the attempt's process dead.
    pub notes: Option<&'a Path>,
}

/// What a reduce attempt did.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReduceDone {
    /// Records read from runs.
    pub records_in: u64,
    /// Distinct keys.
    pub groups: u64,
    /// What it left in `part_folder`.
    pub staged: Staged,
    /// Bytes of intermediate merges.
    pub spilled: ByteSize,
    /// The job's own counters.
    pub counters: Counters,
}

/// What a job without an engine needs to know.
pub struct SequentialTask<'a> {
    /// All of the input.
    pub splits: &'a [Split],
    /// How to cut it into records.
    pub format: Format,
    /// Never used: everything stays in memory.
    pub scratch: &'a Scratch,
    /// How the part file is packed.
    pub part_codec: Codec,
    /// The part file is made in this folder, which does not exist yet.
    pub part_folder: &'a Path,
}

/// What a job without an engine did.
#[derive(Debug, Serialize, Deserialize)]
pub struct SequentialDone {
    /// Records read.
    pub records_in: u64,
    /// What `map` emitted.
    pub records_mapped: u64,
    /// Distinct keys.
    pub groups: u64,
    /// What `reduce` wrote.
    pub rows: u64,
}

/// How an attempt ended early.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The monitor said so.
    #[error("cancelled")]
    Cancelled,
    /// It failed.
    #[error("{0}")]
    Failed(Box<Failure>),
    /// The run of a map task does not match its checksums.
    #[error("the run of m{map} is damaged: {message}")]
    BadRun {
        /// Index of the map task.
        map: u32,
        /// What does not match.
        message: String,
    },
}

impl From<Failure> for TaskError {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}
