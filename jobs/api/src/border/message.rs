//! The messages: what is asked, and what came of it.

use std::collections::BTreeMap;

use mapfold_data::scratch::Scratch;
use mapfold_terms::{
    AttemptId, Boundaries, ByteSize, Codec, FailClass, Failure, Format, MapReport, PartitionId,
    Partitioning, Plan, RawPath, Skipped, Split,
};
use serde::{Deserialize, Serialize};

use crate::{
    BuildError, MapTask, ReduceDone, ReduceTask, SampleTask, SequentialDone, SequentialTask,
    TaskError,
};

/// A job to make ready.
#[derive(Debug, Serialize, Deserialize)]
pub struct MakeJob {
    /// The job's own name.
    pub name: String,
    /// As typed.
    pub params: BTreeMap<String, String>,
}

/// What is to be done. Folders and files are absolute; a scratch folder is there, and whoever asks removes it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Ask {
    /// [`MapTask`].
    Map {
        /// The attempt.
        attempt: AttemptId,
        /// What to read.
        split: Split,
        /// Number of map tasks, M.
        #[serde(default)]
        maps: u32,
        /// How to cut it into records.
        format: Format,
        /// Number of partitions, R.
        partitions: u32,
        /// How keys are shared out to them.
        partitioning: Partitioning,
        /// The attempt's budget.
        memory: ByteSize,
        /// A run up to this size may stay in memory.
        in_memory_max: ByteSize,
        /// Records that may be left out.
        skip_bad: u32,
        /// Those of them that are known, in the order of the split.
        #[serde(default)]
        left_out: Vec<Skipped>,
        /// The attempt's scratch folder.
        scratch: RawPath,
        /// How the part file is packed, of a job without reduce tasks.
        part_codec: Codec,
        /// Where it is made.
        part_folder: RawPath,
    },
    /// [`ReduceTask`].
    Reduce(AskReduce),
    /// [`SampleTask`].
    Sample {
        /// The input.
        plan: Plan,
        /// Whether to look away when `map` fails.
        skip_bad: bool,
        /// For spills.
        scratch: RawPath,
    },
    /// [`SequentialTask`].
    Sequential {
        /// All of the input.
        splits: Vec<Split>,
        /// How to cut it into records.
        format: Format,
        /// Never used.
        scratch: RawPath,
        /// How the part file is packed.
        part_codec: Codec,
        /// Does not exist yet.
        part_folder: RawPath,
    },
}

/// [`ReduceTask`].
#[derive(Debug, Serialize, Deserialize)]
pub struct AskReduce {
    /// The attempt.
    pub attempt: AttemptId,
    /// The partition.
    pub partition: PartitionId,
    /// How the input was cut into records.
    pub format: Format,
    /// Number of map tasks, M.
    #[serde(default)]
    pub maps: u32,
    /// Number of partitions, R.
    pub partitions: u32,
    /// That partition of each run, in the order of the map tasks.
    pub inputs: Vec<Input>,
    /// The attempt's budget.
    pub memory: ByteSize,
    /// The attempt's scratch folder.
    pub scratch: RawPath,
    /// How the part file is packed.
    pub part_codec: Codec,
    /// Other attempts share it; the part is [`attempt_part_name`](mapfold_data::part::attempt_part_name) there.
    pub part_folder: RawPath,
    /// A file that begins with the page where what is at hand is noted ([`AtHand`](super::AtHand)), if somebody wants to know.
    #[serde(default)]
    pub notes: Option<RawPath>,
}

/// The segment of one map task.
#[derive(Debug, Serialize, Deserialize)]
pub struct Input {
    /// Index of the map task.
    pub map: u32,
    /// Number of records.
    pub records: u64,
    /// Over the checksums of its blocks.
    pub checksum: u64,
    /// Length of its blocks.
    pub bytes: u64,
    /// Where they are.
    pub at: InputAt,
}

/// Where the blocks of a segment are.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputAt {
    /// Nowhere: it has none.
    Nowhere,
    /// In a run file, from this offset on.
    File(RawPath, u64),
    /// In memory; they came beside the message, the first segment of this kind first.
    Beside,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Told {
    /// A map attempt has left its run.
    Mapped {
        /// For the master.
        report: Box<MapReport>,
        /// Where the run is.
        run: RunAt,
    },
    /// A reduce attempt has left its part.
    Reduced(ReduceDone),
    /// Where partitions begin.
    Sampled(Boundaries),
    /// The whole job is done.
    Sequential(SequentialDone),
    /// It has stopped because it was told to.
    Cancelled,
    /// It failed.
    Failed(Failure),
    /// A segment does not match its checksums.
    BadRun {
        /// Index of the map task.
        map: u32,
        /// What does not match.
        message: String,
    },
    /// The job is ready.
    Made {
        /// [`Runner::keeps_records`](crate::Runner::keeps_records).
        keeps_records: bool,
    },
    /// The job cannot be made.
    Refused(BuildError),
}

/// Where a run is.
#[derive(Debug, Serialize, Deserialize)]
pub enum RunAt {
    /// In a file of the scratch folder; whoever is told owns it.
    File(RawPath),
    /// In memory; it came beside the message.
    Beside,
}

impl Ask {
    /// A map task, whose run may stay in memory up to `in_memory_max`.
    ///
    /// # Errors
    /// There is no scratch folder.
    pub fn map(task: &MapTask<'_>, in_memory_max: ByteSize) -> Result<Self, TaskError> {
        Ok(Self::Map {
            attempt: task.attempt,
            split: task.split.clone(),
            maps: task.maps,
            format: task.format,
            partitions: task.partitions,
            partitioning: task.partitioning.clone(),
            memory: task.memory,
            in_memory_max,
            skip_bad: task.skip_bad,
            left_out: task.left_out.to_vec(),
            scratch: folder(task.scratch)?,
            part_codec: task.part_codec,
            part_folder: RawPath::from(task.part_folder),
        })
    }

    /// A reduce task, whose segments are at `places`.
    ///
    /// # Errors
    /// There is no scratch folder.
    pub fn reduce(task: &ReduceTask<'_>, places: Vec<InputAt>) -> Result<Self, TaskError> {
        let inputs = task.inputs.iter().zip(places).map(|(segment, at)| Input {
            map: segment.map(),
            records: segment.head().records,
            checksum: segment.head().checksum,
            bytes: segment.head().bytes,
            at,
        });
        Ok(Self::Reduce(AskReduce {
            attempt: task.attempt,
            partition: task.partition,
            format: task.format,
            maps: task.maps,
            partitions: task.partitions,
            inputs: inputs.collect(),
            memory: task.memory,
            scratch: folder(task.scratch)?,
            part_codec: task.part_codec,
            part_folder: RawPath::from(task.part_folder),
            notes: task.notes.map(RawPath::from),
        }))
    }

    /// A look at the keys.
    ///
    /// # Errors
    /// There is no scratch folder.
    pub fn sample(task: &SampleTask<'_>) -> Result<Self, TaskError> {
        Ok(Self::Sample {
            plan: task.plan.clone(),
            skip_bad: task.skip_bad,
            scratch: folder(task.scratch)?,
        })
    }

    /// A job without an engine.
    ///
    /// # Errors
    /// There is no scratch folder.
    pub fn sequential(task: &SequentialTask<'_>) -> Result<Self, TaskError> {
        Ok(Self::Sequential {
            splits: task.splits.to_vec(),
            format: task.format,
            scratch: folder(task.scratch)?,
            part_codec: task.part_codec,
            part_folder: RawPath::from(task.part_folder),
        })
    }
}

/// The scratch folder, made. The other side may have another working folder.
fn folder(scratch: &Scratch) -> Result<RawPath, TaskError> {
    let folder = scratch
        .folder()
        .map_err(|error| Failure::new(FailClass::Worker, &error))?;
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    Ok(RawPath::from(folder))
}

impl Told {
    /// What the attempt ended early with, if it did.
    ///
    /// # Errors
    /// That.
    pub fn done(self) -> Result<Self, TaskError> {
        match self {
            Self::Cancelled => Err(TaskError::Cancelled),
            Self::Failed(failure) => Err(failure.into()),
            Self::BadRun { map, message } => Err(TaskError::BadRun { map, message }),
            Self::Refused(error) => Err(error.failure().into()),
            done => Ok(done),
        }
    }

    /// The answer to a map task.
    ///
    /// # Errors
    /// It ended early, or this is an answer to something else; so with the others.
    pub fn mapped(self) -> Result<(MapReport, RunAt), TaskError> {
        match self.done()? {
            Self::Mapped { report, run } => Ok((*report, run)),
            _ => Err(other_answer()),
        }
    }

    /// The answer to a reduce task.
    ///
    /// # Errors
    /// As [`mapped`](Self::mapped).
    pub fn reduced(self) -> Result<ReduceDone, TaskError> {
        match self.done()? {
            Self::Reduced(done) => Ok(done),
            _ => Err(other_answer()),
        }
    }

    /// The answer to a look at the keys.
    ///
    /// # Errors
    /// As [`mapped`](Self::mapped).
    pub fn sampled(self) -> Result<Boundaries, TaskError> {
        match self.done()? {
            Self::Sampled(boundaries) => Ok(boundaries),
            _ => Err(other_answer()),
        }
    }

    /// The answer to a job without an engine.
    ///
    /// # Errors
    /// As [`mapped`](Self::mapped).
    pub fn sequential(self) -> Result<SequentialDone, TaskError> {
        match self.done()? {
            Self::Sequential(done) => Ok(done),
            _ => Err(other_answer()),
        }
    }
}

impl From<TaskError> for Told {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Cancelled => Self::Cancelled,
            TaskError::Failed(failure) => Self::Failed(*failure),
            TaskError::BadRun { map, message } => Self::BadRun { map, message },
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the job's code answers something else than it was asked")]
struct OtherAnswer;

fn other_answer() -> TaskError {
    Failure::new(FailClass::Worker, &OtherAnswer).into()
}
