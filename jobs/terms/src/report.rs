//! What is told of a job while it runs and when it has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{AttemptId, ByteSize, Failure, JobId, RawPath, TaskId, WorkerId};

/// A job's own counts, by name. Sums over the winning attempts, so repeatable.
///
/// A counter may belong to a group: its name is then that of the group, a line feed, and its own. Sums wrap around beyond 64 bits, as those of
/// Hadoop do: so they do not depend on the order in which attempts are added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters(pub BTreeMap<String, i64>);

impl Counters {
    /// Between the names of a group and of a counter in it.
    const IN: char = '\n';

    /// Adds `n` to `name`.
    pub fn add(&mut self, name: &str, n: i64) {
        match self.0.get_mut(name) {
            Some(count) => *count = count.wrapping_add(n),
            None => {
                self.0.insert(name.to_owned(), n);
            }
        }
    }

    /// Adds `n` to `name` of `group`, which has no line feed.
    pub fn add_in(&mut self, group: &str, name: &str, n: i64) {
        self.add(&format!("{group}{}{name}", Self::IN), n);
    }

    /// The group of a counter, if it has one, and its own name.
    pub fn split(name: &str) -> (Option<&str>, &str) {
        match name.split_once(Self::IN) {
            Some((group, name)) => (Some(group), name),
            None => (None, name),
        }
    }

    /// The counters that have no group.
    pub fn alone(&self) -> BTreeMap<String, i64> {
        let alone = self.0.iter().filter(|(name, _)| !name.contains(Self::IN));
        alone.map(|(name, n)| (name.clone(), *n)).collect()
    }

    /// The others, by group and name.
    pub fn groups(&self) -> BTreeMap<String, BTreeMap<String, i64>> {
        let mut groups: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
        for (name, n) in &self.0 {
            if let (Some(group), name) = Self::split(name) {
                let group = groups.entry(group.to_owned()).or_default();
                group.insert(name.to_owned(), *n);
            }
        }
        groups
    }

    /// Adds all counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (name, n) in &other.0 {
            self.add(name, *n);
        }
    }
}

/// How far a running attempt is; the engine counts, not the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The attempt.
    pub attempt: AttemptId,
    /// Records handled so far; never decreases.
    pub records: u64,
    /// Bytes handled so far (map: input as stored; reduce: runs); never decreases.
    pub bytes: u64,
    /// Bytes to handle in all; 0 while that is not known.
    pub bytes_total: u64,
    /// Grows with whatever the attempt gets done, fetched segments included; 0 until it has a slot. An attempt whose steps
    /// stand still makes no progress.
    pub steps: u64,
}

/// What a running attempt has last said of how it is going.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptStatus {
    /// The attempt.
    pub attempt: AttemptId,
    /// In the words of the job or its program; at most [`AttemptStatus::TEXT_MAX`] bytes.
    pub text: String,
}

impl AttemptStatus {
    /// Some lines of a terminal.
    pub const TEXT_MAX: usize = 512;
}

/// Where a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// Its inputs are being listed and cut.
    Planning,
    /// Tasks run.
    Running,
    /// All tasks are done; the output is being put in place.
    Committing,
    /// Ended.
    Ended(Box<JobReport>),
}

/// One phase's tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseStatus {
    /// Tasks in all.
    pub tasks: u32,
    /// Tasks done.
    pub done: u32,
    /// Attempts that run now.
    pub running: u32,
    /// Records handled, running attempts included.
    pub records: u64,
    /// Bytes handled, running attempts included.
    pub bytes: u64,
    /// Bytes to handle, where known beforehand (map: the input; reduce: the runs, once all maps are done).
    pub bytes_total: u64,
}

/// What happened that a person may want to know, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Counts up from 0 within the job.
    pub number: u64,
    /// When, since the job was accepted.
    pub at: Duration,
    /// What it is about.
    pub kind: NoticeKind,
    /// A sentence fragment.
    pub text: String,
}

/// Kinds of notices; the word shown at the start of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeKind {
    /// A task runs again.
    Retry,
    /// A worker was lost or came.
    Worker,
    /// Results were invalidated because a map task ran again to another digest.
    Rollback,
    /// The job waits for something, such as workers.
    Waiting,
    /// A straggler got a second attempt beside it.
    Backup,
    /// Two attempts of one task left different results: the job is not deterministic.
    Differs,
}

/// A snapshot of a job for whoever waits for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// The job.
    pub job: JobId,
    /// Grows with each change; ask for a later one to wait.
    pub version: u64,
    /// Where it is.
    pub state: JobState,
    /// Files of the input.
    pub files: u64,
    /// Map tasks.
    pub map: PhaseStatus,
    /// Reduce tasks.
    pub reduce: PhaseStatus,
    /// Workers that are alive, and their slots.
    pub workers: u32,
    /// Slots of all live workers.
    pub slots: u32,
    /// Notices that the asker has not seen, oldest first; at most a few dozen a time.
    pub notices: Vec<Notice>,
    /// The newest status of a running attempt.
    pub said: Option<AttemptStatus>,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobEnd {
    /// The output is in place.
    Succeeded {
        /// BLAKE3 over the parts' hashes, as in the manifest.
        root: [u8; 32],
    },
    /// It failed; there is no output.
    Failed {
        /// One line: `map task m7 failed 4 of 4 attempts`.
        what: String,
        /// The first real error.
        failure: Option<Failure>,
        /// What kind of reason it was; decides the exit code.
        reason: FailReason,
    },
    /// Somebody cancelled it; there is no output.
    Cancelled,
}

/// The reasons for which a job may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailReason {
    /// A task failed too often, or no worker could run it.
    TaskFailed,
    /// An input is missing, unreadable or has changed.
    Input,
    /// The output exists or cannot be written.
    Output,
    /// No space, on any worker that could be tried.
    NoSpace,
    /// No workers for the whole grace period.
    NoWorkers,
    /// Results had to be rolled back too often: the job is not deterministic.
    Rollbacks,
    /// A bug of ours.
    Internal,
}

/// What an ended job did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobReport {
    /// How it ended.
    pub end: JobEnd,
    /// From accepted to ended.
    pub elapsed: Duration,
    /// From accepted to the first order.
    pub plan_elapsed: Duration,
    /// From the first map order to the last map task done.
    pub map_elapsed: Duration,
    /// From the last map task done to the last reduce task done.
    pub reduce_elapsed: Duration,
    /// From the last reduce task done to the output in place.
    pub commit_elapsed: Duration,
    /// Input files.
    pub files: u64,
    /// Map and reduce tasks.
    pub maps: u32,
    /// Reduce tasks.
    pub reduces: u32,
    /// Records read by map tasks (winners only, as all sums here).
    pub records_in: u64,
    /// Bytes of input, as stored.
    pub bytes_in: ByteSize,
    /// Records emitted by `map`.
    pub records_mapped: u64,
    /// Records in runs, after folding.
    pub records_shuffled: u64,
    /// Bytes of runs.
    pub bytes_shuffled: ByteSize,
    /// Bytes of runs that went over a socket.
    pub bytes_remote: ByteSize,
    /// Bytes spilled by map and reduce attempts.
    pub bytes_spilled: ByteSize,
    /// Distinct keys.
    pub groups: u64,
    /// Rows of output.
    pub rows: u64,
    /// Bytes of output.
    pub bytes_out: ByteSize,
    /// Rows and bytes of the job's named outputs, which those above do not count.
    pub named: BTreeMap<String, (u64, ByteSize)>,
    /// Attempts started in all.
    pub attempts: u64,
    /// Attempts that failed by the job's fault.
    pub attempts_failed: u64,
    /// Attempts lost with their worker, or cancelled.
    pub attempts_lost: u64,
    /// Map tasks that ran again because their run was lost.
    pub maps_rerun: u64,
    /// Time of slots that went into attempts that came to nothing: failed, lost, overtaken by others, or their run was lost. Two at once
    /// count twice. Of a master that starts anew, only what was lost since.
    pub time_lost: Duration,
    /// Reports that came too late and changed nothing.
    pub stale_reports: u64,
    /// Times that results were rolled back.
    pub rollbacks: u32,
    /// Workers that died during the job.
    pub workers_lost: u32,
    /// Backup attempts started for stragglers.
    pub backups: u64,
    /// Those that won.
    pub backups_won: u64,
    /// Tasks of which two attempts left different results, the first few: the job is not deterministic.
    pub differing: Vec<TaskId>,
    /// The slowest tasks of each kind, slowest first; at most 5 each.
    pub slowest: Vec<TaskTiming>,
    /// Median wall time of map tasks.
    pub map_median: Duration,
    /// Median wall time of reduce tasks.
    pub reduce_median: Duration,
    /// The largest partitions by bytes of runs, largest first, at most 5.
    pub largest: Vec<(crate::PartitionId, ByteSize)>,
    /// The job's own counters.
    pub counters: Counters,
    /// Records that were put aside.
    pub skipped: u64,
    /// The first attempts that failed by the job's fault, and the last; at most [`FailedAttempt::MAX`].
    pub failed: Vec<FailedAttempt>,
}

/// An attempt that failed by the job's fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// The attempt.
    pub attempt: AttemptId,
    /// Who ran it.
    pub worker: WorkerId,
    /// What it failed with; texts are cut.
    pub failure: Failure,
}

impl FailedAttempt {
    /// Enough to find a bug by; few enough for a message.
    pub const MAX: usize = 8;
}

/// How long one task took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskTiming {
    /// The task.
    pub task: TaskId,
    /// The worker that won it.
    pub worker: WorkerId,
    /// Wall time of the winning attempt.
    pub elapsed: Duration,
    /// Bytes it read.
    pub bytes: ByteSize,
    /// What it read, for a map task: name of its first file.
    pub about: String,
}

/// A worker as the master sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its id.
    pub worker: WorkerId,
    /// Host and process.
    pub name: String,
    /// Slots.
    pub slots: u32,
    /// Attempts that run there.
    pub running: u32,
    /// Time since the last heartbeat.
    pub silent: Duration,
    /// Whether it gets attempts.
    pub state: WorkerState,
}

/// Whether a live worker gets attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkerState {
    /// It does.
    Working,
    /// It does not, and leaves as soon as nobody needs its runs.
    Draining,
    /// It does not for a while, as it was lost, failed or could not be reached several times.
    Excluded,
}

/// A job in a list of jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEntry {
    /// Its id.
    pub job: JobId,
    /// Name in the catalog.
    pub name: String,
    /// Where it is.
    pub stage: JobStage,
    /// Since it was accepted, or from that to its end.
    pub elapsed: Duration,
    /// Tasks done, of how many.
    pub maps: (u32, u32),
    /// Tasks done, of how many.
    pub reduces: (u32, u32),
    /// The output folder.
    pub output: RawPath,
}

/// Where a job is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobStage {
    /// Its inputs are being listed and cut.
    Planning,
    /// Tasks run.
    Running,
    /// The output is being put in place.
    Committing,
    /// The output is in place.
    Succeeded,
    /// There is no output.
    Failed,
    /// There is no output, as somebody wished.
    Cancelled,
}

impl JobState {
    /// In one word.
    pub const fn stage(&self) -> JobStage {
        match self {
            Self::Planning => JobStage::Planning,
            Self::Running => JobStage::Running,
            Self::Committing => JobStage::Committing,
            Self::Ended(report) => match report.end {
                JobEnd::Succeeded { .. } => JobStage::Succeeded,
                JobEnd::Failed { .. } => JobStage::Failed,
                JobEnd::Cancelled => JobStage::Cancelled,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_have_signs_and_groups_and_wrap_around() {
        let mut counters = Counters::default();
        counters.add("lines", 2);
        counters.add("lines", -5);
        counters.add_in("g", "", 1);
        counters.add_in("", "lines", i64::MAX);
        counters.add_in("", "lines", 1);
        let mut all = Counters::default();
        all.merge(&counters);
        assert_eq!(all.alone(), BTreeMap::from([("lines".to_owned(), -3)]));
        let group = |name: &str, n| BTreeMap::from([(name.to_owned(), n)]);
        let want = [
            (String::new(), group("lines", i64::MIN)),
            ("g".to_owned(), group("", 1)),
        ];
        assert_eq!(all.groups(), BTreeMap::from(want));
    }
}
