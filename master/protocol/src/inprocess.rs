//! The same services inside one process: messages move through bounded channels, unencoded.

use std::fmt;
use std::sync::Arc;

use tarpc::transport::channel::{self, Channel};
use tarpc::{ClientMessage, Response};
use tokio::runtime::Handle;

use crate::attend::attend;
use crate::desk::sealed::Plumbing;
use crate::service::{ClientDeskClient, PulseClient, WorkerDeskClient};
use crate::{Desk, Service};

/// Messages that a channel holds each way before its sender waits.
const BUFFERED_MAX: usize = 64;

/// The asker's end of a connection within the process.
pub(crate) type ClientHalf<C> =
    Channel<Response<<C as Plumbing>::Response>, ClientMessage<<C as Plumbing>::Request>>;

/// A desk that can be reached from anywhere in the process. Each connection is answered by a task on
/// the runtime given here; the asking side may live on another thread with a runtime of its own.
#[derive(Clone)]
pub struct InProcess {
    host: Arc<dyn Host>,
}

impl InProcess {
    /// Answers at `desk`, on `runtime`.
    pub fn new<D: Desk>(desk: D, runtime: Handle) -> Self {
        Self {
            host: Arc::new(DeskHost { desk, runtime }),
        }
    }

    /// Opens a connection.
    pub(crate) fn open<C: Service>(&self) -> ClientHalf<C> {
        C::open(&*self.host)
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

/// A desk whose type is forgotten.
pub trait Host: Send + Sync {
    fn worker(&self) -> ClientHalf<WorkerDeskClient>;
    fn pulse(&self) -> ClientHalf<PulseClient>;
    fn client(&self) -> ClientHalf<ClientDeskClient>;
}

struct DeskHost<D> {
    desk: D,
    runtime: Handle,
}

impl<D: Desk> DeskHost<D> {
    fn open<C: Service>(&self) -> ClientHalf<C> {
        let (asker, answerer) = channel::bounded(BUFFERED_MAX);
        let never = std::future::pending();
        self.runtime
            .spawn(attend::<C, D, _>(answerer, self.desk.clone(), None, never));
        asker
    }
}

impl<D: Desk> Host for DeskHost<D> {
    fn worker(&self) -> ClientHalf<WorkerDeskClient> {
        self.open::<WorkerDeskClient>()
    }

    fn pulse(&self) -> ClientHalf<PulseClient> {
        self.open::<PulseClient>()
    }

    fn client(&self) -> ClientHalf<ClientDeskClient> {
        self.open::<ClientDeskClient>()
    }
}
