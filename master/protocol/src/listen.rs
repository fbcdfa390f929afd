//! The answerer's side: one task a connection, and nothing a peer does reaches beyond its own.
//!
//! tarpc's own listener drives all connections in one stream, where one hostile frame ends them all
//! and the listener too, and where running out of file descriptors spins.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::codec::Framed;

use crate::attend::attend;
use crate::codec::{AnswererCodec, ReadBudget};
use crate::handshake::{self, Verdict};
use crate::service::{ClientDeskClient, PulseClient, WorkerDeskClient};
use crate::socket::{Socket, tune};
use crate::{Address, Desk, Role, Service};

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

/// Connections that the kernel may hold for us.
const BACKLOG: u32 = 1024;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something else listens there.
    #[error("{address} is taken: another process listens there; stop it or use another address")]
    Taken {
        /// Where.
        address: Address,
    },
    /// The path is there and is no socket; it is not touched.
    #[error("cannot listen at {}: a file that is no socket is there", path.display())]
    NoSocket {
        /// Where.
        path: PathBuf,
    },
    /// Others could replace the socket.
    #[error("cannot listen in {}: others may write there; use a folder of your own with mode 0700", folder.display())]
    OpenFolder {
        /// Where.
        folder: PathBuf,
    },
    /// Anything else.
    #[error("cannot listen at {address}")]
    Io {
        /// Where.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
}

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
        match address {
            Address::Tcp(host_port) => bind_tcp(address, host_port).await,
            Address::Unix(path) => bind_unix(address, path).await,
        }
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

/// Takes connections, and waits when the system is out of file descriptors or memory.
#[derive(Debug)]
struct Acceptor {
    socket: ListeningSocket,
    pause: Pause,
}

#[derive(Debug)]
enum ListeningSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    /// The next connection. Cancel safe.
    async fn accept(&mut self) -> Box<dyn Socket> {
        loop {
            self.pause.over().await;
            match self.socket.accept().await {
                Ok(socket) => {
                    self.pause.reset();
                    return socket;
                }
                Err(error) => self.pause.after(&error),
            }
        }
    }
}

impl ListeningSocket {
    async fn accept(&self) -> io::Result<Box<dyn Socket>> {
        match self {
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let (socket, _) = listener.accept().await?;
                // Fails only for a peer that has gone already; the handshake finds that out.
                let _ = tune(&socket);
                Ok(Box::new(socket))
            }
        }
    }
}

/// A wait after failed accepts, 100 ms at first, doubling up to a second. Connections meanwhile wait in the
/// kernel's queue.
#[derive(Debug, Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(1);

    async fn over(&mut self) {
        if let Some(until) = self.until {
            sleep_until(until).await;
            self.until = None;
        }
    }

    fn reset(&mut self) {
        self.failures = 0;
    }

    fn after(&mut self, error: &io::Error) {
        // The peer left before it was accepted: nothing is wrong here.
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return;
        }
        if self.failures == 0 {
            tracing::warn!(%error, "cannot take connections; raise the limit of open files (ulimit -n) if it is too low");
        }
        let wait = Self::FIRST.saturating_mul(1 << self.failures.min(8));
        self.failures += 1;
        self.until = Some(Instant::now() + wait.min(Self::LONGEST));
    }
}

async fn bind_tcp(address: &Address, host_port: &str) -> Result<Listener, BindError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken {
            address: address.clone(),
        },
        _ => BindError::Io {
            address: address.clone(),
            source,
        },
    };
    let resolved = tokio::net::lookup_host(host_port).await.map_err(io)?.next();
    let at = resolved.ok_or_else(|| io(io::ErrorKind::NotFound.into()))?;
    let listener = listen_tcp(at).map_err(io)?;
    let local = Address::Tcp(listener.local_addr().map_err(io)?.to_string());
    Ok(Listener {
        acceptor: Acceptor {
            socket: ListeningSocket::Tcp(listener),
            pause: Pause::default(),
        },
        local,
        _file: None,
    })
}

fn listen_tcp(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A master that restarts must get its port back while old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

async fn bind_unix(address: &Address, path: &Path) -> Result<Listener, BindError> {
    let io = |source| BindError::Io {
        address: address.clone(),
        source,
    };
    secure_folder(path, io)?;
    clear_stale(address, path).await?;
    let socket = UnixSocket::new_stream().map_err(io)?;
    socket.bind(path).map_err(io)?;
    let file = SocketFile::new(path).map_err(io)?;
    // Before listening: until then no one can connect, whatever the umask was.
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(io)?;
    let listener = socket.listen(BACKLOG).map_err(io)?;
    Ok(Listener {
        acceptor: Acceptor {
            socket: ListeningSocket::Unix(listener),
            pause: Pause::default(),
        },
        local: address.clone(),
        _file: Some(file),
    })
}

/// Makes the folder of a socket if it is missing, and refuses one in which others could replace the socket.
fn secure_folder(path: &Path, io: impl Fn(io::Error) -> BindError) -> Result<(), BindError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
        _ => {}
    }
    let found = std::fs::metadata(folder).map_err(&io)?;
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    match ours && found.mode() & 0o022 == 0 {
        true => Ok(()),
        false => Err(BindError::OpenFolder {
            folder: folder.to_owned(),
        }),
    }
}

/// Removes a socket that nobody listens at any more.
async fn clear_stale(address: &Address, path: &Path) -> Result<(), BindError> {
    let io = |source| BindError::Io {
        address: address.clone(),
        source,
    };
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(io)?,
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NoSocket {
            path: path.to_owned(),
        });
    }
    match tokio::net::UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(io)
        }
        Ok(_) => Err(BindError::Taken {
            address: address.clone(),
        }),
        Err(source) => Err(io(source)),
    }
}

/// The file of a Unix socket; removed when dropped, unless another took its place.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            inode: std::fs::symlink_metadata(path)?.ino(),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // Nobody is left to tell, and the next start replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests;
