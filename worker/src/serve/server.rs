//! The data listener's life: it is bound, admits readers up to a limit, and cuts them off when it stops.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mapfold_protocol::service::DataAddress;
use tracing::{debug, warn};

use super::answer::serve;
use super::listener::{Listener, Wake, bind_tcp, bind_unix};
use crate::machine::random_secret;
use crate::settings::ServeAt;
use crate::store::{HeldRun, RunStore};
use crate::stream::Stream;
use crate::wire::{Head, Request, Start, Status};

/// Readers at once. Each reduce attempt uses a few, so this is a few dozen attempts at one holder.
const CONNECTIONS_MAX: usize = 128;

/// The first request must come sooner than later ones: nobody has shown the secret yet.
const FIRST_MAX: Duration = Duration::from_secs(5);
/// A reader that takes no bytes for so long is cut off.
pub(super) const WRITE_STALL_MAX: Duration = Duration::from_secs(10);
/// Pause after a failed accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a stop waits for readers that were cut off to notice.
const STOP_MAX: Duration = Duration::from_secs(2);

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

pub(super) struct Shared {
    pub(super) secret: u128,
    /// The store of the current life.
    runs: RwLock<Option<Arc<RunStore>>>,
    pub(super) stopping: AtomicBool,
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
        match (self.wake.wake(), self.thread.take()) {
            (Ok(()), Some(thread)) => {
                let _ = thread.join();
            }
            // It cannot be woken (no descriptors left): it ends with the process.
            (Err(error), _) => debug!(%error, "cannot wake the data listener"),
            (Ok(()), None) => {}
        }
        self.wake.remove();
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
        return stream.write_all(&Head::refuse(Start::NONE, Status::Busy).encode());
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

    pub(super) fn find(&self, request: &Request) -> Option<Arc<HeldRun>> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        runs.as_ref()?.get(request.job, request.start.token)
    }
}
