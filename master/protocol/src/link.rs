//! A lasting way to call a service: connects when needed, bounds every call, reconnects after trouble.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tarpc::client::RpcError;
use tarpc::context::{self, Context};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::backoff::Backoff;
use crate::codec::FrameError;
use crate::connect::Connection;
use crate::handshake::HandshakeError;
use crate::service::Refusal;
use crate::{ConnectError, Connector, Service, VersionMismatch};

/// Bound of the first wait before a link connects again. Five hundred workers that lose their master at once come back spread
/// over this time, not in one instant.
const RETRY_FIRST: Duration = Duration::from_millis(200);

/// Bound of every wait; well below a lease, so that a heartbeat gets several tries within one.
const RETRY_LONGEST: Duration = Duration::from_secs(2);

/// tarpc's own deadline. It does not hold for calls that are still queued, so it bounds nothing here and
/// is only kept far away from [`Link::call`]'s; above 2.18 years tarpc panics.
const FAR: Duration = Duration::from_secs(3600);

/// A context whose deadline never matters.
pub(crate) fn far_context() -> Context {
    let mut context = context::current();
    context.deadline = std::time::Instant::now() + FAR;
    context
}

/// Why a call brought no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The other side answered that it will not.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It did not answer in time. Whether it did what was asked is unknown; all methods may be
    /// repeated.
    #[error("{peer} did not answer within {} ms", within.as_millis())]
    Timeout {
        /// Who.
        peer: String,
        /// The time it had.
        within: Duration,
    },
    /// The connection broke during the call. Whether it did what was asked is unknown; the next call
    /// connects again.
    #[error("the connection to {peer} broke")]
    Disconnected {
        /// Who.
        peer: String,
    },
    /// No connection could be had in time; the next call tries again.
    #[error("cannot reach {peer}")]
    Unreachable {
        /// Who.
        peer: String,
        /// Why the last try failed.
        source: Arc<ConnectError>,
    },
    /// The two sides cannot work together. Ends all tries: every later call fails the same way.
    #[error("{peer} runs another version")]
    Version {
        /// Who.
        peer: String,
        /// Both versions.
        source: VersionMismatch,
    },
    /// The request is above the frame limit and was not sent.
    #[error(
        "a request of {len} bytes is above the limit of {}",
        crate::codec::FRAME_MAX
    )]
    TooLong {
        /// Length of the request as encoded, in bytes.
        len: usize,
    },
    /// The other side failed at the request: a bug there, an answer too long to send, or too many
    /// requests at once.
    #[error("{peer} failed: {detail}")]
    Failed {
        /// Who.
        peer: String,
        /// What it says.
        detail: String,
    },
}

/// Calls one service of one master. Clones share the connection.
///
/// There is no task behind it but the connection's own: a call that finds no live connection makes one,
/// within its own time, after a jittered wait if there was trouble before. Must be used within a tokio
/// runtime; a link that is to work whatever happens on other threads needs a runtime of its own.
pub struct Link<C> {
    shared: Arc<Shared<C>>,
}

struct Shared<C> {
    connector: Connector,
    state: tokio::sync::Mutex<State<C>>,
    /// Why the last try to connect failed, for calls that run out of time behind it.
    trouble: Mutex<Option<Arc<ConnectError>>>,
    generation: AtomicU64,
}

/// Held while connecting, so that one caller connects and the others wait for it.
struct State<C> {
    live: Option<Arc<Live<C>>>,
    backoff: Backoff,
    not_before: Option<Instant>,
    mismatch: Option<VersionMismatch>,
}

struct Live<C> {
    connection: Connection<C>,
    /// A call on it was answered.
    proved: AtomicBool,
    /// It is to be replaced.
    spent: AtomicBool,
}

impl<C: Service> Link<C> {
    /// A link that connects at its first call.
    pub fn new(connector: Connector) -> Self {
        Self {
            shared: Arc::new(Shared {
                connector,
                state: tokio::sync::Mutex::new(State {
                    live: None,
                    backoff: Backoff::new(RETRY_FIRST, RETRY_LONGEST),
                    not_before: None,
                    mismatch: None,
                }),
                trouble: Mutex::new(None),
                generation: AtomicU64::new(0),
            }),
        }
    }

    /// A link that is connected: one try, at once.
    ///
    /// # Errors
    /// Nothing answers there, or it will not or cannot serve.
    pub async fn connect(connector: Connector) -> Result<Self, ConnectError> {
        let connection = connector.open::<C>().await?;
        let link = Self::new(connector);
        link.shared.state.lock().await.install(connection);
        link.shared.generation.store(1, Ordering::Relaxed);
        Ok(link)
    }

    /// Who is called.
    pub fn connector(&self) -> &Connector {
        &self.shared.connector
    }

    /// How many connections there have been. A change means that the other side may have restarted.
    pub fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Relaxed)
    }

    /// Calls a method: `link.call(within, |desk, context| async move { desk.poll(context, ..).await })`.
    /// Returns within `within`, connecting included. Never repeats a call by itself. Dropping it
    /// cancels the call.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call<T, F, Fut>(&self, within: Duration, ask: F) -> Result<T, CallError>
    where
        F: FnOnce(C, Context) -> Fut,
        Fut: Future<Output = Result<Result<T, Refusal>, RpcError>>,
    {
        let deadline = Instant::now() + within;
        let live = match timeout_at(deadline, self.live()).await {
            Ok(live) => live?,
            Err(_) => return Err(self.unreachable(within)),
        };
        let answer = timeout_at(deadline, ask(live.connection.client.clone(), far_context())).await;
        match answer {
            Ok(Ok(answer)) => {
                live.proved.store(true, Ordering::Relaxed);
                Ok(answer?)
            }
            Ok(Err(error)) => Err(self.broken(&live, error)),
            Err(_) => {
                // It may be stalled for good: queued calls would wait behind this one.
                live.spent.store(true, Ordering::Relaxed);
                Err(self.timeout(within))
            }
        }
    }

    /// A live connection; makes one, however many tries it takes.
    async fn live(&self) -> Result<Arc<Live<C>>, CallError> {
        let mut state = self.shared.state.lock().await;
        if let Some(live) = state.usable() {
            return Ok(live);
        }
        loop {
            if let Some(mismatch) = &state.mismatch {
                return Err(CallError::Version {
                    peer: self.peer(),
                    source: mismatch.clone(),
                });
            }
            if let Some(not_before) = state.not_before {
                sleep_until(not_before).await;
            }
            match self.shared.connector.open::<C>().await {
                Ok(connection) => {
                    self.shared.generation.fetch_add(1, Ordering::Relaxed);
                    self.set_trouble(None);
                    return Ok(state.install(connection));
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot connect");
                    if let ConnectError::Handshake { source, .. } = &error
                        && let HandshakeError::Version(mismatch) = &**source
                    {
                        state.mismatch = Some(mismatch.clone());
                    }
                    state.wait_before_next();
                    self.set_trouble(Some(Arc::new(error)));
                }
            }
        }
    }

    /// Sorts out why tarpc brought no answer.
    fn broken(&self, live: &Live<C>, error: RpcError) -> CallError {
        let detail = match error {
            RpcError::Server(error) => error.detail,
            RpcError::DeadlineExceeded => return self.timeout(FAR),
            RpcError::Send(error) => match error.downcast_ref::<FrameError>() {
                Some(&FrameError::TooLong { len }) => return CallError::TooLong { len },
                _ => error.to_string(),
            },
            RpcError::Shutdown | RpcError::Channel(_) => {
                live.spent.store(true, Ordering::Relaxed);
                return CallError::Disconnected { peer: self.peer() };
            }
        };
        CallError::Failed {
            peer: self.peer(),
            detail,
        }
    }

    fn unreachable(&self, within: Duration) -> CallError {
        let trouble = self.shared.trouble.lock();
        match &*trouble.unwrap_or_else(PoisonError::into_inner) {
            Some(source) => CallError::Unreachable {
                peer: self.peer(),
                source: source.clone(),
            },
            None => self.timeout(within),
        }
    }

    fn timeout(&self, within: Duration) -> CallError {
        CallError::Timeout {
            peer: self.peer(),
            within,
        }
    }

    fn set_trouble(&self, trouble: Option<Arc<ConnectError>>) {
        let lock = self.shared.trouble.lock();
        *lock.unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn peer(&self) -> String {
        self.shared.connector.to_string()
    }
}

impl<C> State<C> {
    /// The connection, if there is one that is well; else the ground is prepared for a new one.
    fn usable(&mut self) -> Option<Arc<Live<C>>> {
        let live = self.live.take()?;
        if !live.spent.load(Ordering::Relaxed) && !live.connection.is_closed() {
            self.live = Some(live.clone());
            return Some(live);
        }
        if live.proved.load(Ordering::Relaxed) {
            self.backoff.reset();
        }
        self.wait_before_next();
        None
    }

    /// Keeps the next try away for a random while, so that many askers do not come at once.
    fn wait_before_next(&mut self) {
        self.not_before = Some(Instant::now() + self.backoff.wait());
    }

    fn install(&mut self, connection: Connection<C>) -> Arc<Live<C>> {
        let live = Arc::new(Live {
            connection,
            proved: AtomicBool::new(false),
            spent: AtomicBool::new(false),
        });
        self.not_before = None;
        self.live.insert(live).clone()
    }
}

impl<C> Clone for Link<C> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<C> fmt::Debug for Link<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Link({})", self.shared.connector)
    }
}
