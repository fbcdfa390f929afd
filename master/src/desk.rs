//! The RPC handlers. Each hands one message to the owner and awaits the answer, nothing else: a handler
//! may be dropped at any await, so it has no state to leave half changed. Pieces of files go to the depot instead, on a thread that ends
//! what it has begun.

use std::sync::Arc;

use mapfold_protocol::service::{
    ClientDesk, ClientDeskRequest, ClientDeskResponse, FileIds, FilePiece, Heartbeat, HeldRuns,
    JoinReply, JoinRequest, Location, Orders, POLL_MAX, Pulse, PulseRequest, PulseResponse,
    Refusal, Reports, WorkerDesk, WorkerDeskRequest, WorkerDeskResponse,
};
use mapfold_protocol::{Answer, Desk};
use mapfold_terms::{
    ByteSize, FileId, JobEntry, JobId, JobSpec, JobStatus, WorkerId, WorkerStatus,
};
use tarpc::context::Context;
use tarpc::server::Serve;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::depot::Depot;
use crate::inbox::{Inbox, Message, Reply};

/// Answers all services of one master. Clones are cheap and alike.
#[derive(Clone, Debug)]
pub struct MasterDesk {
    inbox: Inbox,
    clock: Clock,
    depot: Depot,
}

impl MasterDesk {
    pub(crate) fn new(inbox: Inbox, clock: Clock, depot: Depot) -> Self {
        Self {
            inbox,
            clock,
            depot,
        }
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.inbox
            .send(message(reply))
            .await
            .map_err(|_| Refusal::ShuttingDown)?;
        answer.await.unwrap_or(Err(Refusal::ShuttingDown))
    }

    /// Has the depot do something, on a thread that may wait for a disk.
    async fn files<T: Send + 'static>(
        self,
        does: impl FnOnce(&Depot) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let done = tokio::task::spawn_blocking(move || does(&self.depot)).await;
        // The runtime ends.
        done.unwrap_or(Err(Refusal::ShuttingDown))
    }
}

impl WorkerDesk for MasterDesk {
    async fn join(self, _: Context, hello: JoinRequest) -> Result<JoinReply, Refusal> {
        self.ask(|reply| Message::Join(hello, reply)).await
    }

    async fn attach(self, _: Context, worker: WorkerId, runs: HeldRuns) -> Result<(), Refusal> {
        self.ask(|reply| Message::Attach {
            worker,
            runs,
            reply,
        })
        .await
    }

    async fn poll(self, _: Context, worker: WorkerId, acked: u64) -> Result<Orders, Refusal> {
        let cut = CutPoll {
            inbox: &self.inbox,
            worker,
        };
        let poll = self.ask(|reply| Message::Poll {
            worker,
            acked,
            reply,
        });
        let orders = timeout(POLL_MAX, poll).await;
        std::mem::forget(cut);
        orders.unwrap_or_else(|_| {
            Ok(Orders {
                upto: acked,
                orders: Vec::new(),
            })
        })
    }

    async fn ended(self, _: Context, worker: WorkerId, reports: Reports) -> Result<(), Refusal> {
        self.ask(|reply| Message::Ended {
            worker,
            reports,
            reply,
        })
        .await
    }

    async fn locate(
        self,
        _: Context,
        worker: WorkerId,
        job: JobId,
        from: u32,
    ) -> Result<Vec<Location>, Refusal> {
        self.ask(|reply| Message::Locate {
            worker,
            job,
            from,
            reply,
        })
        .await
    }

    async fn file(self, _: Context, id: FileId, from: u64) -> Result<FilePiece, Refusal> {
        self.files(move |depot| depot.piece(id, from)).await
    }

    async fn drain(self, _: Context, worker: WorkerId) -> Result<(), Refusal> {
        self.ask(|reply| Message::Drain { worker, reply }).await
    }

    async fn leave(self, _: Context, worker: WorkerId) -> Result<(), Refusal> {
        self.ask(|reply| Message::Leave { worker, reply }).await
    }
}

impl Pulse for MasterDesk {
    async fn beat(self, _: Context, beat: Heartbeat) -> Result<(), Refusal> {
        // Taken before the owner is asked: its backlog must not age a sign of life.
        let at = self.clock.now();
        self.ask(|reply| Message::Beat { beat, at, reply }).await
    }
}

impl ClientDesk for MasterDesk {
    async fn lacks(self, _: Context, files: FileIds) -> Result<FileIds, Refusal> {
        self.files(move |depot| Ok(FileIds(depot.lacks(&files.0))))
            .await
    }

    async fn send_file(
        self,
        _: Context,
        id: FileId,
        len: ByteSize,
        from: u64,
        piece: FilePiece,
    ) -> Result<u64, Refusal> {
        self.depot.keep_tidy();
        self.files(move |depot| depot.take(id, len.bytes(), from, &piece.0))
            .await
    }

    async fn submit(self, _: Context, spec: JobSpec) -> Result<JobId, Refusal> {
        self.ask(|reply| Message::Submit(Arc::new(spec), reply))
            .await
    }

    async fn watch(
        self,
        _: Context,
        job: JobId,
        seen: u64,
        notices: u64,
    ) -> Result<JobStatus, Refusal> {
        let watch = |wait| {
            self.ask(move |reply| Message::Watch {
                job,
                seen,
                notices,
                wait,
                reply,
            })
        };
        match timeout(POLL_MAX, watch(true)).await {
            Ok(status) => status,
            Err(_) => watch(false).await,
        }
    }

    async fn cancel(self, _: Context, job: JobId) -> Result<(), Refusal> {
        self.ask(|reply| Message::Cancel(job, reply)).await
    }

    async fn drain_worker(self, _: Context, worker: WorkerId) -> Result<(), Refusal> {
        self.ask(|reply| Message::Drain { worker, reply }).await
    }

    async fn jobs(self, _: Context) -> Result<Vec<JobEntry>, Refusal> {
        self.ask(Message::Jobs).await
    }

    async fn workers(self, _: Context) -> Result<Vec<WorkerStatus>, Refusal> {
        self.ask(Message::Workers).await
    }
}

impl Desk for MasterDesk {
    fn worker(self, context: Context, request: WorkerDeskRequest) -> Answer<WorkerDeskResponse> {
        Box::pin(WorkerDesk::serve(self).serve(context, request))
    }

    fn pulse(self, context: Context, request: PulseRequest) -> Answer<PulseResponse> {
        Box::pin(Pulse::serve(self).serve(context, request))
    }

    fn client(self, context: Context, request: ClientDeskRequest) -> Answer<ClientDeskResponse> {
        Box::pin(ClientDesk::serve(self).serve(context, request))
    }
}

/// Dropped only with a handler whose connection broke or whose caller gave up. The owner then knows
/// that an order would find nobody, and an operator reads of it at once; the lease alone decides
/// whether the worker is lost.
struct CutPoll<'a> {
    inbox: &'a Inbox,
    worker: WorkerId,
}

impl Drop for CutPoll<'_> {
    fn drop(&mut self) {
        // Only a hint: a full inbox loses nothing but a line in the log.
        let _ = self.inbox.try_send(Message::PollCut {
            worker: self.worker,
        });
    }
}
