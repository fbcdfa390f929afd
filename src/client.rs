//! What the command line asks of a master, in this process or elsewhere.

use std::time::{Duration, Instant};

use mapfold_protocol::service::{ClientDeskClient, FileIds, FilePiece, Refusal};
use mapfold_protocol::{
    Address, CallError, ConnectError, Connector, Link, ListenRefused, check_listen,
};
use mapfold_terms::{FileId, JobEntry, JobFile, JobId, JobSpec, JobStatus, WorkerId, WorkerStatus};

use tarpc::client::RpcError;
use tarpc::context::Context;

use crate::error::Problem;
use crate::exit::Exit;
use crate::worker::AWAY_MAX;

/// A connection to a master. All its calls may be repeated.
pub(crate) struct Client {
    link: Link<ClientDeskClient>,
}

impl Client {
    /// The time that a master has for an answer.
    pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(10);
    /// Between tries of a call that is repeated.
    const AGAIN: Duration = Duration::from_millis(100);
    /// Tries to submit: the key makes them the same job.
    const SUBMITS_MAX: u32 = 3;

    /// Connects: one try, so that a mistyped address is told at once.
    pub(crate) async fn connect(connector: Connector) -> Result<Self, Problem> {
        let address = connector.to_string();
        let link = Link::connect(connector)
            .await
            .map_err(|error| cannot_connect(&address, &error))?;
        Ok(Self { link })
    }

    pub(crate) async fn submit(&self, spec: &JobSpec) -> Result<JobId, Problem> {
        let mut tries = 1;
        loop {
            let answer = self
                .link
                .call(Self::ANSWER_MAX, |desk, context| async move {
                    desk.submit(context, spec.clone()).await
                })
                .await;
            match answer {
                Ok(job) => return Ok(job),
                Err(error) if tries < Self::SUBMITS_MAX && is_away(&error) => tries += 1,
                Err(error) => return Err(no_answer("the job was not accepted", &error)),
            }
        }
    }

    /// Which of these files the master does not have.
    pub(crate) async fn lacks(&self, files: &[FileId]) -> Result<Vec<FileId>, CallError> {
        let files = FileIds(files.to_vec());
        let lacks = self.repeat(|desk, context| {
            let files = files.clone();
            async move { desk.lacks(context, files).await }
        });
        Ok(lacks.await?.0)
    }

    /// Sends a piece of a file; tells from where the next one is wanted.
    pub(crate) async fn send_piece(
        &self,
        file: &JobFile,
        from: u64,
        piece: Vec<u8>,
    ) -> Result<u64, CallError> {
        let (id, len) = (file.id, file.bytes);
        self.repeat(|desk, context| {
            let piece = FilePiece(piece.clone());
            async move { desk.send_file(context, id, len, from, piece).await }
        })
        .await
    }

    /// A call that is made again for as long as a master may take to be started again.
    async fn repeat<T, Answer>(
        &self,
        ask: impl Fn(ClientDeskClient, Context) -> Answer,
    ) -> Result<T, CallError>
    where
        Answer: Future<Output = Result<Result<T, Refusal>, RpcError>>,
    {
        let deadline = Instant::now() + AWAY_MAX;
        loop {
            match self.link.call(Self::ANSWER_MAX, &ask).await {
                Err(error) if is_away(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(Self::AGAIN).await;
                }
                answer => return answer,
            }
        }
    }

    /// How a job is now.
    pub(crate) async fn status(&self, job: JobId) -> Result<JobStatus, Problem> {
        let status = self.watch(Self::ANSWER_MAX, job, 0, 0).await;
        status.map_err(|error| out_of_sight(&error))
    }

    /// Waits for news of a job, for a few seconds if there are none; gives up after `within`.
    pub(crate) async fn watch(
        &self,
        within: Duration,
        job: JobId,
        seen: u64,
        notices: u64,
    ) -> Result<JobStatus, CallError> {
        self.link
            .call(within, |desk, context| async move {
                desk.watch(context, job, seen, notices).await
            })
            .await
    }

    /// Counts the connections to the master: another one may lead to another start of it.
    pub(crate) fn generation(&self) -> u64 {
        self.link.generation()
    }

    pub(crate) async fn cancel(&self, job: JobId) -> Result<(), Problem> {
        self.link
            .call(Self::ANSWER_MAX, |desk, context| async move {
                desk.cancel(context, job).await
            })
            .await
            .map_err(|error| no_answer(&format!("cannot cancel {job}"), &error))
    }

    pub(crate) async fn drain(&self, worker: WorkerId) -> Result<(), Problem> {
        self.link
            .call(Self::ANSWER_MAX, |desk, context| async move {
                desk.drain_worker(context, worker).await
            })
            .await
            .map_err(|error| no_answer(&format!("cannot drain {worker}"), &error))
    }

    pub(crate) async fn jobs(&self) -> Result<Vec<JobEntry>, Problem> {
        self.link
            .call(Self::ANSWER_MAX, |desk, context| async move {
                desk.jobs(context).await
            })
            .await
            .map_err(|error| no_answer("the jobs are not known", &error))
    }

    pub(crate) async fn workers(&self) -> Result<Vec<WorkerStatus>, Problem> {
        self.link
            .call(Self::ANSWER_MAX, |desk, context| async move {
                desk.workers(context).await
            })
            .await
            .map_err(|error| no_answer("the workers are not known", &error))
    }
}

/// Whether the master does not answer, and may again: it is being started anew, or the network mended.
pub(crate) const fn is_away(error: &CallError) -> bool {
    matches!(
        error,
        CallError::Disconnected { .. }
            | CallError::Unreachable { .. }
            | CallError::Timeout { .. }
            | CallError::Refused(Refusal::ShuttingDown)
    )
}

/// There is no more news of a job.
pub(crate) fn out_of_sight(error: &CallError) -> Problem {
    no_answer("the job is out of sight", error)
}

pub(crate) fn cannot_connect(address: &str, error: &ConnectError) -> Problem {
    let problem = Problem::new(
        Exit::Unreachable,
        format!("cannot reach the master at {address}"),
    );
    match error {
        ConnectError::Unreachable { source, .. } => problem
            .because(source)
            .hint("is it running? `mapfold master` starts one, and prints where it listens"),
        ConnectError::Handshake { source, .. } => problem.because(source),
        ConnectError::Timeout { .. } => problem.because(error),
    }
}

pub(crate) fn no_answer(what: &str, error: &CallError) -> Problem {
    if let CallError::Refused(refusal @ Refusal::UnknownJob(_)) = error {
        return Problem::new(Exit::Usage, refusal.to_string()).hint(
            "a master forgets old jobs in time, and all when it is started again without --state",
        );
    }
    let exit = match error {
        CallError::Refused(Refusal::ShuttingDown)
        | CallError::Timeout { .. }
        | CallError::Disconnected { .. }
        | CallError::Unreachable { .. }
        | CallError::Version { .. } => Exit::Unreachable,
        CallError::Refused(Refusal::FileTrouble(_)) => Exit::Output,
        CallError::Refused(Refusal::NoRoomForFile { .. }) => Exit::NoSpace,
        CallError::Refused(_) | CallError::TooLong { .. } => Exit::Usage,
        CallError::Failed { .. } => Exit::Internal,
    };
    Problem::new(exit, what).because(error)
}

/// Checks that a master may be talked to at an address, as long as there is no TLS.
pub(crate) fn check_reach(address: &Address, insecure: bool) -> Result<(), Problem> {
    // The same rule as for listening, for the same reason.
    let refused = match check_listen(address, insecure) {
        Ok(_) => return Ok(()),
        Err(refused) => refused,
    };
    Err(match refused {
        ListenRefused::Unresolved { source, .. } => {
            Problem::new(Exit::Unreachable, format!("cannot find the host of `{address}`")).because(&source)
        }
        ListenRefused::NotLoopback { .. } => Problem::new(
            Exit::Usage,
            format!("`{address}` is another machine, and connections are neither encrypted nor authenticated yet"),
        )
        .hint("add --insecure on a private network that you trust"),
        ListenRefused::Public { .. } => Problem::new(
            Exit::Usage,
            format!("`{address}` is not an address of a private network; without encryption that is refused"),
        )
        .hint("name the master's address on the private network"),
    })
}
