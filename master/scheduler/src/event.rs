//! What the scheduler is told, and what it asks for.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use mapfold_terms::{
    AttemptId, Digest, FailReason, Failure, JobEnd, JobId, NoticeKind, Outcome, Progress, TaskId,
    WorkerId,
};

/// Time since the master started, on its own monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Duration);

/// What the scheduler must know of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobPlan {
    /// Number of map tasks; may be 0.
    pub maps: u32,
    /// Number of reduce tasks. With none, map tasks leave parts, and no runs.
    pub reduces: u32,
    /// Failed attempts of one task that fail the job.
    pub max_attempts: u32,
    /// Records that map tasks may put aside together; one more fails the job.
    pub skip_bad: u32,
    /// Whether stragglers get backup attempts.
    pub backup: bool,
    /// An attempt that makes no progress for so long has failed; zero for no such limit.
    pub task_timeout: Duration,
}

/// A fact the shell learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A job was accepted and planned.
    JobPlanned {
        /// Not seen before.
        job: JobId,
        /// Its size.
        plan: JobPlan,
    },
    /// Somebody asked for the end of a job.
    JobCancelled {
        /// The job; unknown and ended ones are ignored.
        job: JobId,
    },
    /// The commit that [`Action::Commit`] asked for has ended.
    CommitEnded {
        /// The job.
        job: JobId,
        /// How.
        outcome: CommitOutcome,
    },
    /// A worker joined under a new id.
    WorkerJoined {
        /// Never seen before.
        worker: WorkerId,
        /// Attempts it can run at once; at least 1.
        slots: u32,
        /// Tells its process, over all its lives; 0 if that is not known.
        process: u128,
    },
    /// Somebody wants a worker to leave without loss, or it does itself.
    WorkerDrains {
        /// Dead ids are ignored.
        worker: WorkerId,
    },
    /// A worker that joined an earlier start of this master joins this one, under a new id, and goes on.
    WorkerReturned {
        /// Never seen before.
        worker: WorkerId,
        /// Attempts it can run at once; at least 1.
        slots: u32,
        /// Attempts of earlier starts that it runs, or that ended and were not acknowledged.
        holds: BTreeSet<AttemptId>,
        /// Tells its process, over all its lives; 0 if that is not known.
        process: u128,
    },
    /// A worker that returned holds these runs, with these digests. May be told in parts, and twice; must
    /// come before its reports.
    RunsHeld {
        /// Dead ids are ignored.
        worker: WorkerId,
        /// Map attempts of earlier starts.
        runs: Vec<(AttemptId, Digest)>,
    },
    /// A worker said something on its heartbeat connection; stamped when it was read.
    Heartbeat {
        /// Dead ids are ignored.
        worker: WorkerId,
        /// Attempts that it runs, or that ended and are not acknowledged yet.
        holds: BTreeSet<AttemptId>,
        /// How far those are that run.
        progress: Vec<Progress>,
    },
    /// A worker is certainly gone.
    WorkerGone {
        /// The worker.
        worker: WorkerId,
        /// How that is known.
        why: WorkerGone,
    },
    /// A worker reports the end of an attempt. May come late, twice, or from a dead worker.
    AttemptEnded {
        /// Who reports.
        worker: WorkerId,
        /// The attempt.
        attempt: AttemptId,
        /// How it ended.
        outcome: Outcome,
    },
}

/// How the end of a worker is known, when it is not by silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerGone {
    /// It said that it leaves.
    Left,
    /// Its process ended (local workers: the parent saw it).
    Exited,
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The output is in place.
    Done {
        /// Root hash of the manifest.
        root: [u8; 32],
    },
    /// It is not, and nothing is visible.
    Failed {
        /// Decides the exit code.
        reason: FailReason,
        /// What happened.
        failure: Failure,
    },
}

/// A thing the shell must do. The scheduler only asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send the order for an attempt to a worker. It has a free slot.
    Launch {
        /// The attempt, new.
        attempt: AttemptId,
        /// Where.
        on: WorkerId,
    },
    /// Tell a worker to stop an attempt.
    Cancel {
        /// The attempt.
        attempt: AttemptId,
        /// Where it runs.
        on: WorkerId,
    },
    /// Tell a worker to delete the run of a map attempt that did not win, or no longer wins.
    Discard {
        /// The map attempt.
        attempt: AttemptId,
        /// Who holds it.
        on: WorkerId,
    },
    /// Put the parts of these attempts in place as the job's output; answer with
    /// [`Event::CommitEnded`]. Asked at most once a job by each start of the master, and always with the
    /// same parts.
    Commit {
        /// The job.
        job: JobId,
        /// The winners, by partition; without reduce tasks, by map task.
        parts: Vec<AttemptId>,
    },
    /// The job has ended: tell who waits, delete its staging folder, and tell all workers to forget it.
    Finish {
        /// The job.
        job: JobId,
        /// How it ended.
        result: JobResult,
    },
    /// Tell a draining worker to leave: nobody needs it. Repeated until it has left.
    Dismiss {
        /// The worker.
        worker: WorkerId,
    },
    /// The worker is dead to the master: refuse whatever else it says, until it joins anew.
    Fence {
        /// The worker.
        worker: WorkerId,
    },
    /// A worker process is to leave, in all its lives: record that, so that the next start of the master knows.
    Drains {
        /// As it was told with the worker.
        process: u128,
    },
    /// Something a person may want to know.
    Notice {
        /// The job it is about; `None` for all running jobs.
        job: Option<JobId>,
        /// What kind.
        kind: NoticeKind,
        /// A sentence fragment.
        text: String,
    },
    /// A task is won (or lost its winner, `by: None`): for progress and reports.
    Won {
        /// The job.
        job: JobId,
        /// The task.
        task: TaskId,
        /// The winning attempt and who ran it; `None` when the result was lost or rolled back.
        by: Option<(AttemptId, WorkerId)>,
    },
    /// The run of a map task that was won before the master started anew is at this worker.
    Found {
        /// The attempt that won.
        attempt: AttemptId,
        /// Who holds its run.
        at: WorkerId,
    },
    /// An attempt of an earlier start of the master runs on at this worker.
    Adopted {
        /// The attempt.
        attempt: AttemptId,
        /// Who runs it.
        on: WorkerId,
    },
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobResult {
    /// The output is in place.
    Succeeded {
        /// Root hash of the manifest.
        root: [u8; 32],
    },
    /// It failed.
    Failed {
        /// One line.
        what: String,
        /// Kind of reason.
        reason: FailReason,
        /// The first real error.
        failure: Option<Failure>,
    },
    /// It was cancelled.
    Cancelled,
}

/// What reports and the journal say of it.
impl From<JobResult> for JobEnd {
    fn from(result: JobResult) -> Self {
        match result {
            JobResult::Succeeded { root } => Self::Succeeded { root },
            JobResult::Failed {
                what,
                reason,
                failure,
            } => Self::Failed {
                what,
                failure,
                reason,
            },
            JobResult::Cancelled => Self::Cancelled,
        }
    }
}

impl From<JobEnd> for JobResult {
    fn from(end: JobEnd) -> Self {
        match end {
            JobEnd::Succeeded { root } => Self::Succeeded { root },
            JobEnd::Failed {
                what,
                failure,
                reason,
            } => Self::Failed {
                what,
                reason,
                failure,
            },
            JobEnd::Cancelled => Self::Cancelled,
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", self.0.as_secs_f64())
    }
}
