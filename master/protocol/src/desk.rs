//! Who answers: one desk for all services, and what ties a service to its role and its messages.

use std::pin::Pin;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tarpc::client::Channel;
use tarpc::context::Context;
use tarpc::{RequestName, ServerError};

use crate::inprocess::{ClientHalf, Host};
use crate::service::{
    ClientDeskClient, ClientDeskRequest, ClientDeskResponse, PulseClient, PulseRequest,
    PulseResponse, WorkerDeskClient, WorkerDeskRequest, WorkerDeskResponse,
};

/// What a connection is for; told in the handshake, fixed for the connection's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// [`crate::service::WorkerDesk`].
    Worker,
    /// [`crate::service::Pulse`].
    Pulse,
    /// [`crate::service::ClientDesk`].
    Client,
}

/// An answer on its way.
pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, ServerError>> + Send>>;

/// Answers all three services. A clone is made for each request, so it should be a handle (a
/// channel to the task that owns the state).
///
/// A type that implements the three service traits is a desk by three lines; they are not a blanket
/// implementation because only a concrete type's futures are known to be `Send`:
///
/// ```
/// # use mapfold_protocol::service::*;
/// # use mapfold_protocol::{Answer, Desk};
/// # use mapfold_terms::*;
/// # use tarpc::context::Context;
/// # #[derive(Clone)] struct Master;
/// # impl WorkerDesk for Master {
/// # async fn join(self, _: Context, _: JoinRequest) -> Result<JoinReply, Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn attach(self, _: Context, _: WorkerId, _: HeldRuns) -> Result<(), Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn poll(self, _: Context, _: WorkerId, _: u64) -> Result<Orders, Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn ended(self, _: Context, _: WorkerId, _: Reports) -> Result<(), Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn locate(self, _: Context, _: WorkerId, _: JobId, _: u32) -> Result<Vec<Location>, Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn file(self, _: Context, _: FileId, _: u64) -> Result<FilePiece, Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn drain(self, _: Context, _: WorkerId) -> Result<(), Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn leave(self, _: Context, _: WorkerId) -> Result<(), Refusal> { Err(Refusal::ShuttingDown) }
/// # }
/// # impl Pulse for Master {
/// # async fn beat(self, _: Context, _: Heartbeat) -> Result<(), Refusal> { Err(Refusal::ShuttingDown) }
/// # }
/// # impl ClientDesk for Master {
/// # async fn lacks(self, _: Context, _: FileIds) -> Result<FileIds, Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn send_file(self, _: Context, _: FileId, _: ByteSize, _: u64, _: FilePiece) -> Result<u64, Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn submit(self, _: Context, _: JobSpec) -> Result<JobId, Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn watch(self, _: Context, _: JobId, _: u64, _: u64) -> Result<JobStatus, Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn cancel(self, _: Context, _: JobId) -> Result<(), Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn drain_worker(self, _: Context, _: WorkerId) -> Result<(), Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn jobs(self, _: Context) -> Result<Vec<JobEntry>, Refusal> { Err(Refusal::ShuttingDown) }
/// # async fn workers(self, _: Context) -> Result<Vec<WorkerStatus>, Refusal> { Err(Refusal::ShuttingDown) }
/// # }
/// use tarpc::server::Serve;
///
/// impl Desk for Master {
///     fn worker(self, context: Context, request: WorkerDeskRequest) -> Answer<WorkerDeskResponse> {
///         Box::pin(WorkerDesk::serve(self).serve(context, request))
///     }
///     fn pulse(self, context: Context, request: PulseRequest) -> Answer<PulseResponse> {
///         Box::pin(Pulse::serve(self).serve(context, request))
///     }
///     fn client(self, context: Context, request: ClientDeskRequest) -> Answer<ClientDeskResponse> {
///         Box::pin(ClientDesk::serve(self).serve(context, request))
///     }
/// }
/// ```
///
/// An answer may be dropped at any await, when its caller gave up or its connection broke: hand the
/// request to the owner of the state in one step and await the reply; change nothing across an await.
/// A panic is answered with an error and harms no other call. Each connection has at most
/// [`crate::codec::IN_FLIGHT_MAX`] requests at once.
pub trait Desk: Clone + Send + Sync + 'static {
    /// Answers a worker.
    fn worker(self, context: Context, request: WorkerDeskRequest) -> Answer<WorkerDeskResponse>;
    /// Answers a heartbeat.
    fn pulse(self, context: Context, request: PulseRequest) -> Answer<PulseResponse>;
    /// Answers a client.
    fn client(self, context: Context, request: ClientDeskRequest) -> Answer<ClientDeskResponse>;
}

/// One of the three services, named by its client stub: `WorkerDeskClient`, `PulseClient` or
/// `ClientDeskClient`. Sealed.
pub trait Service: sealed::Plumbing {}

pub(crate) mod sealed {
    use super::*;

    pub trait Plumbing: Clone + Send + Sync + 'static {
        const ROLE: Role;
        type Request: Serialize + DeserializeOwned + RequestName + Send + 'static;
        type Response: Serialize + DeserializeOwned + Send + 'static;

        /// The client stub over tarpc's untyped client.
        fn stub(channel: Channel<Self::Request, Self::Response>) -> Self;
        /// Passes a request to the part of the desk that answers it.
        fn ask<D: Desk>(
            desk: D,
            context: Context,
            request: Self::Request,
        ) -> Answer<Self::Response>;
        /// A connection within the process.
        fn open(host: &dyn Host) -> ClientHalf<Self>;
    }
}

macro_rules! service {
    ($client:ident, $role:ident, $method:ident, $request:ident, $response:ident) => {
        impl Service for $client {}

        impl sealed::Plumbing for $client {
            const ROLE: Role = Role::$role;
            type Request = $request;
            type Response = $response;

            fn stub(channel: Channel<$request, $response>) -> Self {
                Self::from(channel)
            }

            fn ask<D: Desk>(desk: D, context: Context, request: $request) -> Answer<$response> {
                desk.$method(context, request)
            }

            fn open(host: &dyn Host) -> ClientHalf<Self> {
                host.$method()
            }
        }
    };
}

service!(
    WorkerDeskClient,
    Worker,
    worker,
    WorkerDeskRequest,
    WorkerDeskResponse
);
service!(PulseClient, Pulse, pulse, PulseRequest, PulseResponse);
service!(
    ClientDeskClient,
    Client,
    client,
    ClientDeskRequest,
    ClientDeskResponse
);

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    /// Has one answer to everything, once it gets a permit.
    #[derive(Clone)]
    pub(crate) struct Sentry(pub(crate) Arc<Semaphore>);

    impl Sentry {
        pub(crate) fn new(permits: usize) -> Self {
            Self(Arc::new(Semaphore::new(permits)))
        }

        fn answer<T: 'static>(self) -> Answer<T> {
            Box::pin(async move {
                self.0.acquire().await.unwrap().forget();
                Err(ServerError::new(std::io::ErrorKind::Other, "no".to_owned()))
            })
        }
    }

    impl Desk for Sentry {
        fn worker(self, _: Context, _: WorkerDeskRequest) -> Answer<WorkerDeskResponse> {
            self.answer()
        }

        fn pulse(self, _: Context, _: PulseRequest) -> Answer<PulseResponse> {
            self.answer()
        }

        fn client(self, _: Context, _: ClientDeskRequest) -> Answer<ClientDeskResponse> {
            self.answer()
        }
    }
}
