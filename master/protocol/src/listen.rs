//! The answerer's side: one task a connection, and nothing a peer does reaches beyond its own.
//!
//! tarpc's own listener drives all connections in one stream, where one hostile frame ends them all
//! and the listener too, and where running out of file descriptors spins.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::codec::Framed;

use crate::accept::Acceptor;
use crate::attend::attend;
use crate::bind::{self, SocketFile};
use crate::codec::{AnswererCodec, ReadBudget};
use crate::handshake::{self, Verdict};
use crate::service::{ClientDeskClient, PulseClient, WorkerDeskClient};
use crate::socket::Socket;
use crate::{Address, BindError, Desk, Role, Service};

/// Connections that are served at once: two a worker, one a client. Those above are told that the
/// master is busy.
pub const CONNECTIONS_MAX: usize = 4096;

/// A connection without a whole request for so long is closed. Workers poll and beat every few
/// seconds; a peer that sends a frame byte by byte never completes a request.
pub const IDLE_MAX: Duration = Duration::from_secs(60);

/// Once told to stop, requests under way have so long to be answered.
pub const DRAIN_MAX: Duration = Duration::from_secs(1);

/// Frames of the longest kind that may arrive at once, over all connections; the next is refused with its
/// connection. Control messages are nearly all far below the length that counts.
const LONG_FRAMES_MAX: usize = 32;

/// How many connections there may be.
#[derive(Clone, Copy)]
struct Caps {
    /// In service; those above are told that the master is busy.
    served: usize,
    /// Above those, in their handshake or being told; those above are closed unheard.
    greeting: usize,
}

const CAPS: Caps = Caps {
    served: CONNECTIONS_MAX,
    greeting: 256,
};

/// A socket that takes connections. Closed when dropped.
#[derive(Debug)]
pub struct Listener {
    acceptor: Acceptor,
    local: Address,
    /// Removed when dropped.
    _file: Option<SocketFile>,
}

impl Listener {
    /// Opens a listener; port 0 takes a free one. Whether an address *may* be listened at is
    /// [`crate::check_listen`]'s affair. A Unix socket gets mode 0600; its folder is made, with mode 0700, if it is
    /// missing; a socket that a dead process left is replaced.
    ///
    /// # Errors
    /// The address is taken, unsafe or out of reach.
    pub async fn bind(address: &Address) -> Result<Self, BindError> {
        let bound = bind::bind(address).await?;
        Ok(Self {
            acceptor: Acceptor::new(bound.socket),
            local: bound.local,
            _file: bound.file,
        })
    }

    /// Where it listens, with the port it has.
    pub fn local_address(&self) -> &Address {
        &self.local
    }

    /// Serves all connections at `desk` until `stop` is ready; then takes no more, and returns when
    /// requests under way are answered, or after [`DRAIN_MAX`]. Dropping the future closes everything
    /// at once.
    pub async fn serve<D: Desk>(self, desk: D, stop: impl Future<Output = ()>) {
        self.serve_at_most(CAPS, desk, stop).await;
    }

    async fn serve_at_most<D: Desk>(self, caps: Caps, desk: D, stop: impl Future<Output = ()>) {
        let (stopping, watched) = watch::channel(false);
        let shared = Shared {
            desk,
            room: Arc::new(Semaphore::new(caps.served)),
            budget: ReadBudget::new(LONG_FRAMES_MAX),
            stopping: watched,
        };
        let mut tasks = JoinSet::new();
        let mut stop = pin!(stop);
        let mut acceptor = self.acceptor;
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(ended) = tasks.join_next() => note_panic(ended),
                socket = acceptor.accept() => {
                    if tasks.len() < caps.served + caps.greeting {
                        tasks.spawn(connection(socket, shared.clone()));
                    }
                }
            }
        }
        drop(acceptor);
        stopping.send_replace(true);
        let drain = async {
            while let Some(ended) = tasks.join_next().await {
                note_panic(ended);
            }
        };
        if timeout(DRAIN_MAX, drain).await.is_err() {
            tracing::debug!(connections = tasks.len(), "closed with requests under way");
        }
    }
}

/// Serves one connection at `desk`, from its first byte to its last. For connections that come another way than to a
/// [`Listener`].
pub async fn serve_stream<D: Desk>(stream: Box<dyn Socket>, desk: D) {
    let (_running, stopping) = watch::channel(false);
    let shared = Shared {
        desk,
        room: Arc::new(Semaphore::new(1)),
        budget: ReadBudget::new(LONG_FRAMES_MAX),
        stopping,
    };
    connection(stream, shared).await;
}

fn note_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        let error: &dyn std::error::Error = &error;
        tracing::error!(error, "a connection's task failed");
    }
}

/// What all connections of a listener share.
#[derive(Clone)]
struct Shared<D> {
    desk: D,
    /// A permit for each connection that is served.
    room: Arc<Semaphore>,
    budget: ReadBudget,
    stopping: watch::Receiver<bool>,
}

/// One connection, from its first byte to its last.
async fn connection<D: Desk>(mut socket: Box<dyn Socket>, shared: Shared<D>) {
    let mut permit = None;
    let judge = |_| {
        if *shared.stopping.borrow() {
            return Verdict::ShuttingDown;
        }
        permit = shared.room.clone().try_acquire_owned().ok();
        match permit {
            Some(_) => Verdict::Welcome,
            None => Verdict::Busy,
        }
    };
    match handshake::answer(&mut socket, judge).await {
        Ok(Role::Worker) => serve_role::<WorkerDeskClient, D>(socket, shared).await,
        Ok(Role::Pulse) => serve_role::<PulseClient, D>(socket, shared).await,
        Ok(Role::Client) => serve_role::<ClientDeskClient, D>(socket, shared).await,
        Err(error) => tracing::debug!(%error, "connection refused"),
    }
}

async fn serve_role<C: Service, D: Desk>(socket: Box<dyn Socket>, shared: Shared<D>) {
    let mut stopping = shared.stopping;
    let stop = async move {
        // An error means that the listener is gone, and soon this task with it.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let codec = AnswererCodec::<C::Request, C::Response>::new(shared.budget);
    attend::<C, D, _>(
        Framed::new(socket, codec),
        shared.desk,
        Some(IDLE_MAX),
        stop,
    )
    .await;
}

#[cfg(test)]
mod tests;
