//! Names of things that exist once: jobs, tasks, attempts, workers, partitions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A job as one master knows it; prints as `j3`. Never reused by that master's state folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u64);

/// Which of the two kinds of work a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskKind {
    /// Reads one split, leaves one run.
    Map,
    /// Merges one partition of all runs, stages one part file.
    Reduce,
}

impl TaskKind {
    /// As users call it: `map` or `reduce`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Reduce => "reduce",
        }
    }
}

/// A piece of work of a job that must be done once; prints as `m7` or `r0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId {
    /// Map or reduce.
    pub kind: TaskKind,
    /// Index of the split (map) or of the partition (reduce), from 0.
    pub index: u32,
}

impl TaskId {
    /// The map task of split `index`.
    pub const fn map(index: u32) -> Self {
        Self {
            kind: TaskKind::Map,
            index,
        }
    }

    /// The reduce task of partition `index`.
    pub const fn reduce(index: u32) -> Self {
        Self {
            kind: TaskKind::Reduce,
            index,
        }
    }
}

/// One start of a master. Grows with every start on the same state folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MasterEpoch(pub u32);

/// The fencing token of an attempt: never issued twice, not even after a restart of the master.
/// Files, reports and runs of an attempt carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token {
    /// The master's life that issued the token.
    pub epoch: MasterEpoch,
    /// Counts up within the epoch, over all jobs.
    pub counter: u64,
}

impl Token {
    /// No attempt's: what a run carries that nobody but its maker sees.
    pub const NONE: Self = Self {
        epoch: MasterEpoch(0),
        counter: 0,
    };
}

/// One try at a task by one worker; prints as `m7.2`, the second at map task 7.
///
/// `token` alone decides identity and order; the rest says what the attempt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    /// Unique over everything; comes first so that ordering follows it.
    pub token: Token,
    /// The job the task belongs to.
    pub job: JobId,
    /// The task that is tried.
    pub task: TaskId,
    /// Counts the tries at this task, from 1. For people; never compared.
    pub number: u32,
}

/// One life of a worker process as the master knows it (a "worker epoch"); prints as `w2`.
/// A process that was declared dead and joins again gets a new id, so a dead id never acts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerId(pub u32);

/// The share of keys that one reduce task owns; prints as `p5`. Always less than the reducer count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId(pub u32);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "j{}", self.0)
    }
}

impl std::str::FromStr for JobId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix('j').unwrap_or(text).parse().map(Self)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TaskKind::Map => write!(f, "m{}", self.index),
            TaskKind::Reduce => write!(f, "r{}", self.index),
        }
    }
}

impl fmt::Display for MasterEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// `1-42`: epoch, counter. Safe as a file name.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.counter)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.task, self.number)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "w{}", self.0)
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.0)
    }
}
