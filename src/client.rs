//! What the command line asks of a master, in this process or elsewhere.

use std::time::{Duration, Instant};

use mapfold_protocol::service::{ClientDeskClient, POLL_MAX, Refusal};
use mapfold_protocol::{
    Address, CallError, ConnectError, Connector, Link, ListenRefused, check_listen,
};
use mapfold_terms::{JobEntry, JobId, JobSpec, JobStatus, WorkerId, WorkerStatus};

use crate::error::Problem;
use crate::exit::Exit;

/// A connection to a master. All its calls may be repeated.
pub(crate) struct Client {
    link: Link<ClientDeskClient>,
}

impl Client {
    /// The time that a master has for an answer.
    const ANSWER_MAX: Duration = Duration::from_secs(10);
    /// A master that was reached once may be away for so long, be it for a network that is mended.
    const AWAY_MAX: Duration = Duration::from_secs(30);

    /// Connects: one try, so that a mistyped address is told at once.
    pub(crate) async fn connect(connector: Connector) -> Result<Self, Problem> {
        let address = connector.to_string();
        let link = Link::connect(connector)
            .await
            .map_err(|error| cannot_connect(&address, &error))?;
        Ok(Self { link })
    }

    pub(crate) async fn submit(&self, spec: &JobSpec) -> Result<JobId, Problem> {
        self.link
            .call(Self::ANSWER_MAX, |desk, context| async move {
                desk.submit(context, spec.clone()).await
            })
            .await
            .map_err(|error| no_answer("the job was not accepted", &error))
    }

    /// Waits for news of a job. A broken connection is mended within [`Client::AWAY_MAX`].
    pub(crate) async fn watch(
        &self,
        job: JobId,
        seen: u64,
        notices: u64,
    ) -> Result<JobStatus, Problem> {
        let since = Instant::now();
        loop {
            let answer = self
                .link
                .call(POLL_MAX + Self::ANSWER_MAX, |desk, context| async move {
                    desk.watch(context, job, seen, notices).await
                })
                .await;
            match answer {
                Ok(status) => return Ok(status),
                Err(
                    CallError::Disconnected { .. }
                    | CallError::Unreachable { .. }
                    | CallError::Timeout { .. },
                ) if since.elapsed() < Self::AWAY_MAX => {}
                Err(error) => return Err(no_answer("the job is out of sight", &error)),
            }
        }
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

fn no_answer(what: &str, error: &CallError) -> Problem {
    if let CallError::Refused(refusal @ Refusal::UnknownJob(_)) = error {
        return Problem::new(Exit::Usage, refusal.to_string())
            .hint("a master forgets its jobs when it is started again, and old ones in time");
    }
    let exit = match error {
        CallError::Refused(Refusal::ShuttingDown)
        | CallError::Timeout { .. }
        | CallError::Disconnected { .. }
        | CallError::Unreachable { .. }
        | CallError::Version { .. } => Exit::Unreachable,
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
