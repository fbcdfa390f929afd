//! Serves this worker's runs to reducers elsewhere, on a listener of its own: bulk never shares a
//! connection or a thread with orders and heartbeats.
//!
//! Blocking threads, one a connection and at most [`CONNECTIONS_MAX`]: a transfer is a copy from memory (or
//! a mapped file) to a socket, for which a runtime has nothing to offer. A reader beyond the limit is
//! told [`Status::Busy`] and comes back; a reader that stalls is cut off by a timeout and resumes by offset.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fs, hint};

use mapfold_protocol::service::DataAddress;
use mapfold_terms::RawPath;
use tracing::{debug, warn};

use crate::machine::random_secret;
use crate::settings::ServeAt;
use crate::store::{HeldRun, RunStore};
use crate::stream::Stream;
use crate::wire::{Form, Head, REQUEST_LEN, Request, Status, Want};

/// Readers at once. Each reduce attempt uses a few, so this is a few dozen attempts at one holder.
const CONNECTIONS_MAX: usize = 128;
/// A connection that asks for nothing for so long is closed; its reader connects again when it needs to.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// The first request must come sooner: nobody has shown the secret yet.
const FIRST_MAX: Duration = Duration::from_secs(5);
/// A reader that takes no bytes for so long is cut off.
const WRITE_STALL_MAX: Duration = Duration::from_secs(10);
/// Pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a stop waits for readers that were cut off to notice.
const STOP_MAX: Duration = Duration::from_secs(2);
/// A reply up to this size is sent with one write.
const ONE_WRITE_MAX: usize = 64 << 10;

/// The data listener of this process; dropped, it stops and closes all connections.
pub(crate) struct Server {
    address: DataAddress,
    shared: Arc<Shared>,
    accepting: Option<Accepting>,
}

struct Accepting {
    wake: Wake,
    thread: Option<JoinHandle<()>>,
}

/// How to make the accepting thread look up.
enum Wake {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

struct Shared {
    secret: u128,
    /// The store of the current life.
    runs: RwLock<Option<Arc<RunStore>>>,
    stopping: AtomicBool,
    readers: Mutex<Readers>,
    /// Notified when a reader is gone.
    left: Condvar,
}

/// Open connections, so that they can be counted and cut.
#[derive(Default)]
struct Readers {
    next: u64,
    open: BTreeMap<u64, Stream>,
}

/// Why the data listener cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket cannot be made.
    #[error("cannot serve runs at {at}")]
    Bind {
        /// The path or address.
        at: String,
        /// Why not.
        source: io::Error,
    },
    /// There is no thread for it.
    #[error("cannot start the thread that serves runs")]
    Thread(#[source] io::Error),
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

impl Server {
    /// Starts serving; there are no runs until [`Server::show`]. In-process there is nothing to start.
    pub(crate) fn start(at: &ServeAt) -> Result<Self, ServeError> {
        let shared = Arc::new(Shared {
            secret: random_secret(),
            runs: RwLock::new(None),
            stopping: AtomicBool::new(false),
            readers: Mutex::default(),
            left: Condvar::new(),
        });
        let (listener, address, wake) = match at {
            ServeAt::InProcess => {
                return Ok(Self {
                    address: DataAddress::InProcess,
                    shared,
                    accepting: None,
                });
            }
            ServeAt::Unix { folder } => bind_unix(folder)?,
            ServeAt::Tcp { listen, advertise } => bind_tcp(listen, advertise.as_deref())?,
        };
        let accept = {
            let shared = Arc::clone(&shared);
            move || accept(&listener, &shared)
        };
        let thread = thread::Builder::new()
            .name("serve".to_owned())
            .spawn(accept)
            .map_err(ServeError::Thread)?;
        Ok(Self {
            address,
            shared,
            accepting: Some(Accepting {
                wake,
                thread: Some(thread),
            }),
        })
    }

    /// Where readers find it.
    pub(crate) const fn address(&self) -> &DataAddress {
        &self.address
    }

    /// What readers must show.
    pub(crate) fn secret(&self) -> u128 {
        self.shared.secret
    }

    /// Serves these runs from now on, and no others.
    pub(crate) fn show(&self, runs: Option<Arc<RunStore>>) {
        *self
            .shared
            .runs
            .write()
            .unwrap_or_else(PoisonError::into_inner) = runs;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        if let Some(accepting) = &mut self.accepting {
            accepting.stop();
        }
        let readers = self.shared.readers();
        for stream in readers.open.values() {
            stream.shutdown();
        }
        // Their threads hold runs, whose files should be gone when the worker is.
        let gone = self
            .shared
            .left
            .wait_timeout_while(readers, STOP_MAX, |readers| !readers.open.is_empty());
        drop(gone);
    }
}

impl Accepting {
    fn stop(&mut self) {
        let woken = match &self.wake {
            Wake::Unix(path) => UnixStream::connect(path).map(drop),
            Wake::Tcp(address) => TcpStream::connect(address).map(drop),
        };
        match (woken, self.thread.take()) {
            (Ok(()), Some(thread)) => {
                let _ = thread.join();
            }
            // It cannot be woken (no descriptors left): it ends with the process.
            (Err(error), _) => debug!(%error, "cannot wake the data listener"),
            (Ok(()), None) => {}
        }
        if let Wake::Unix(path) = &self.wake {
            let _ = fs::remove_file(path);
        }
    }
}

fn bind_unix(folder: &Path) -> Result<(Listener, DataAddress, Wake), ServeError> {
    // Short, since a socket's path may have 107 bytes; random, since processes share the folder.
    let name = format!("d{:012x}", random_secret() >> 80);
    let path = folder.join(name);
    let bind = || {
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    let listener = bind().map_err(|source| ServeError::Bind {
        at: path.display().to_string(),
        source,
    })?;
    let address = DataAddress::Unix(RawPath::from(path.as_path()));
    Ok((Listener::Unix(listener), address, Wake::Unix(path)))
}

fn bind_tcp(
    listen: &str,
    advertise: Option<&str>,
) -> Result<(Listener, DataAddress, Wake), ServeError> {
    let bind = || {
        let listener = TcpListener::bind(listen)?;
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    let (listener, local) = bind().map_err(|source| ServeError::Bind {
        at: listen.to_owned(),
        source,
    })?;
    let shown = match advertise {
        Some(host) => format!("{host}:{}", local.port()),
        // Nobody can connect to "all addresses"; the name of this machine is the best guess.
        None if local.ip().is_unspecified() => {
            let system = rustix::system::uname();
            format!("{}:{}", system.nodename().to_string_lossy(), local.port())
        }
        None => local.to_string(),
    };
    let mut wake = local;
    if wake.ip().is_unspecified() {
        wake.set_ip(match wake {
            SocketAddr::V4(_) => [127, 0, 0, 1].into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok((
        Listener::Tcp(listener),
        DataAddress::Tcp(shown),
        Wake::Tcp(wake),
    ))
}

impl Listener {
    fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

fn accept(listener: &Listener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        match accepted {
            Ok(stream) => {
                if let Err(error) = admit(stream, shared) {
                    debug!(%error, "a reader was not admitted");
                }
            }
            Err(error) => {
                warn!(%error, "cannot accept a reader");
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    }
}

/// Gives a reader its thread, or tells it to come back later.
fn admit(mut stream: Stream, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_timeouts(FIRST_MAX, WRITE_STALL_MAX)?;
    let handle = stream.try_clone()?;
    let Some(number) = shared.readers().add(handle) else {
        return stream.write_all(&Head::refuse(&Request::NONE, Status::Busy).encode());
    };
    let serving = {
        let shared = Arc::clone(shared);
        move || {
            if let Err(error) = serve(stream, &shared) {
                debug!(%error, "a reader is gone");
            }
            shared.gone(number);
        }
    };
    let spawned = thread::Builder::new()
        .name(format!("serve-{number}"))
        .spawn(serving);
    if let Err(error) = spawned {
        shared.gone(number);
        return Err(error);
    }
    Ok(())
}

impl Readers {
    /// The number of the new reader; `None` if there are too many.
    fn add(&mut self, stream: Stream) -> Option<u64> {
        if self.open.len() >= CONNECTIONS_MAX {
            return None;
        }
        self.next += 1;
        self.open.insert(self.next, stream);
        Some(self.next)
    }
}

impl Shared {
    fn readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gone(&self, reader: u64) {
        self.readers().open.remove(&reader);
        self.left.notify_all();
    }

    fn find(&self, request: &Request) -> Option<Arc<HeldRun>> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        runs.as_ref()?.get(request.job, request.token)
    }
}

/// Answers the requests of one reader until it leaves.
fn serve(mut stream: Stream, shared: &Shared) -> io::Result<()> {
    let mut bytes = [0; REQUEST_LEN];
    while !shared.stopping.load(Ordering::SeqCst) {
        match stream.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
        let request = match Request::decode(&bytes) {
            Ok(request) => request,
            Err(error) => {
                debug!(%error, "a reader's request makes no sense");
                return stream
                    .write_all(&Head::refuse(&Request::NONE, Status::BadRequest).encode());
            }
        };
        if !same_secret(request.secret, shared.secret) {
            warn!("a reader does not know the secret");
            return stream.write_all(&Head::refuse(&request, Status::BadSecret).encode());
        }
        match shared.find(&request) {
            Some(held) => answer(&mut stream, &request, &held)?,
            None => stream.write_all(&Head::refuse(&request, Status::NotFound).encode())?,
        }
        stream.set_timeouts(IDLE_MAX, WRITE_STALL_MAX)?;
    }
    Ok(())
}

/// Compares in time that does not depend on where the two differ.
fn same_secret(got: u128, want: u128) -> bool {
    hint::black_box(got ^ want) == 0
}

fn answer(stream: &mut Stream, request: &Request, held: &HeldRun) -> io::Result<()> {
    let run = held.run();
    if request.partition.0 >= run.partitions() {
        return stream.write_all(&Head::refuse(request, Status::BadRequest).encode());
    }
    let segment = run.segment(request.partition);
    if request.want == Want::Verified
        && let Err(error) = segment.verify()
    {
        warn!(%error, "a run is damaged");
        return stream.write_all(&Head::refuse(request, Status::Corrupt).encode());
    }
    let mut head = Head {
        digest: run.digest(),
        segment: segment.head(),
        ..Head::refuse(request, Status::Ok)
    };
    let body = match run.bytes().path() {
        Some(path) if request.want == Want::Path && path_fits(path) => {
            head.form = Form::Path;
            path.as_os_str().as_bytes()
        }
        _ => piece(segment.bytes(), request),
    };
    head.length = u32::try_from(body.len()).expect("a piece is not longer than was asked for");
    send(stream, &head, body)
}

fn path_fits(path: &Path) -> bool {
    path.as_os_str().len() <= crate::wire::PATH_MAX as usize
}

/// What was asked for of `bytes`; empty beyond the end.
fn piece<'a>(bytes: &'a [u8], request: &Request) -> &'a [u8] {
    let rest = usize::try_from(request.offset)
        .ok()
        .and_then(|offset| bytes.get(offset..));
    let rest = rest.unwrap_or_default();
    &rest[..rest.len().min(request.length as usize)]
}

fn send(stream: &mut Stream, head: &Head, body: &[u8]) -> io::Result<()> {
    let head = head.encode();
    if body.len() <= ONE_WRITE_MAX {
        return stream.write_all(&[&head, body].concat());
    }
    stream.write_all(&head)?;
    stream.write_all(body)
}
