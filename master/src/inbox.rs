//! What the owner task is told: by RPC handlers, by its own blocking work, by the process it lives in.

use std::sync::Arc;

use mapfold_protocol::service::{
    Heartbeat, HeldRuns, JoinReply, JoinRequest, Location, Orders, Refusal, Reports,
};
use mapfold_scheduler::{CommitOutcome, Moment};
use mapfold_terms::{JobEntry, JobId, JobSpec, JobStatus, WorkerId, WorkerStatus};
use tokio::sync::{mpsc, oneshot};

use crate::planning::{PlanRefused, Planned};

/// Messages that wait for the owner; further senders wait with theirs.
pub(crate) const INBOX_MAX: usize = 1024;

/// The way to the owner.
pub(crate) type Inbox = mpsc::Sender<Message>;

/// The way back. An asker that is gone is no error.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// One message.
#[derive(Debug)]
pub(crate) enum Message {
    /// [`mapfold_protocol::service::WorkerDesk::join`].
    Join(JoinRequest, Reply<JoinReply>),
    /// [`mapfold_protocol::service::WorkerDesk::attach`].
    Attach {
        worker: WorkerId,
        runs: HeldRuns,
        reply: Reply<()>,
    },
    /// [`mapfold_protocol::service::WorkerDesk::poll`]: answered when there is an order.
    Poll {
        worker: WorkerId,
        acked: u64,
        reply: Reply<Orders>,
    },
    /// The asker of a poll is gone, answered or not.
    PollCut { worker: WorkerId },
    /// [`mapfold_protocol::service::WorkerDesk::ended`].
    Ended {
        worker: WorkerId,
        reports: Reports,
        reply: Reply<()>,
    },
    /// [`mapfold_protocol::service::WorkerDesk::locate`].
    Locate {
        worker: WorkerId,
        job: JobId,
        from: u32,
        reply: Reply<Vec<Location>>,
    },
    /// [`mapfold_protocol::service::WorkerDesk::leave`].
    Leave { worker: WorkerId, reply: Reply<()> },
    /// [`mapfold_protocol::service::Pulse::beat`], read at `at`.
    Beat {
        beat: Heartbeat,
        at: Moment,
        reply: Reply<()>,
    },
    /// [`mapfold_protocol::service::ClientDesk::submit`].
    Submit(Arc<JobSpec>, Reply<JobId>),
    /// [`mapfold_protocol::service::ClientDesk::watch`]: answered at the next change, or at once
    /// (`wait` is false).
    Watch {
        job: JobId,
        seen: u64,
        notices: u64,
        wait: bool,
        reply: Reply<JobStatus>,
    },
    /// [`mapfold_protocol::service::ClientDesk::cancel`].
    Cancel(JobId, Reply<()>),
    /// [`mapfold_protocol::service::ClientDesk::drain_worker`], and a worker's own
    /// [`mapfold_protocol::service::WorkerDesk::drain`].
    Drain { worker: WorkerId, reply: Reply<()> },
    /// [`mapfold_protocol::service::ClientDesk::jobs`].
    Jobs(Reply<Vec<JobEntry>>),
    /// [`mapfold_protocol::service::ClientDesk::workers`].
    Workers(Reply<Vec<WorkerStatus>>),
    /// A local worker process ended; its parent saw it.
    WorkerExited { name: String },
    /// Planning has ended.
    Planned(JobId, Result<Box<Planned>, PlanRefused>),
    /// A commit has ended.
    Committed(JobId, CommitOutcome),
    /// The staging folder of an ended job is gone, or was given up.
    Cleaned(JobId),
    /// End all jobs, then the workers, then the owner.
    Shutdown(oneshot::Sender<()>),
}
