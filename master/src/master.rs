//! A master that runs, and what the process it runs in may do with it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use mapfold_protocol::{
    Address, BindError, Connector, InProcess, ListenRefused, Listener, check_listen,
};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};

use crate::Settings;
use crate::clock::Clock;
use crate::depot::Depot;
use crate::desk::MasterDesk;
use crate::files::{Files, SystemFiles};
use crate::inbox::{INBOX_MAX, Inbox, Message};
use crate::journal::{Journal, JournalError, Opened};
use crate::owner::{Failed, Owner};

/// Starts masters.
#[derive(Debug)]
pub struct Master;

/// A master that runs. Clones are of the same master, which runs until [`MasterHandle::shutdown`] or
/// the end of its runtime; the latter leaves the staging folders of running jobs to the next job for
/// the same output.
#[derive(Clone, Debug)]
pub struct MasterHandle {
    inbox: Inbox,
    desk: MasterDesk,
    runtime: Handle,
    owner: AbortHandle,
    failure: watch::Receiver<Option<Arc<JournalError>>>,
    listeners: Arc<Listeners>,
}

#[derive(Debug)]
struct Listeners {
    stop: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Why a master does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address may not be listened at.
    #[error(transparent)]
    Refused(#[from] ListenRefused),
    /// It cannot be listened at.
    #[error(transparent)]
    Bind(#[from] BindError),
}

impl Master {
    /// Starts a master on the current tokio runtime (which must have timers). It opens no port and
    /// touches no file until it is told to.
    pub fn start(settings: Settings) -> MasterHandle {
        Self::start_on(settings, Arc::new(SystemFiles))
    }

    /// Starts a master that keeps a journal in the folder `state`, which is made if need be: it goes on with the jobs
    /// of an earlier start there. Epoch and first worker are the journal's. Blocks while it reads the journal.
    ///
    /// # Errors
    /// Another master works there, the journal is damaged, or the folder cannot be used.
    pub fn open(settings: Settings, state: &Path) -> Result<MasterHandle, JournalError> {
        Self::open_on(settings, state, Arc::new(SystemFiles))
    }

    pub(crate) fn open_on(
        settings: Settings,
        state: &Path,
        files: Arc<dyn Files>,
    ) -> Result<MasterHandle, JournalError> {
        let seconds = SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default()
            .as_secs();
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let opened = Journal::open(Arc::clone(&files), state, seconds)?;
        Ok(Self::run(settings, files, Some((opened, state))))
    }

    pub(crate) fn start_on(settings: Settings, files: Arc<dyn Files>) -> MasterHandle {
        Self::run(settings, files, None)
    }

    fn run(
        settings: Settings,
        files: Arc<dyn Files>,
        state: Option<(Opened, &Path)>,
    ) -> MasterHandle {
        let clock = Clock::new();
        let (inbox, receiver) = mpsc::channel(INBOX_MAX);
        let failed = Failed::new(None);
        let failure = failed.subscribe();
        let inboxes = (inbox.clone(), receiver);
        let depot = match &state {
            Some((_, folder)) => Depot::open(Arc::clone(&files), folder, settings.files_max),
            None => Depot::temporary(Arc::clone(&files), &settings.scratch, settings.files_max),
        };
        if !depot.is_empty() {
            depot.keep_tidy();
        }
        let owner = match state {
            Some((opened, folder)) => {
                let settings = Settings {
                    epoch: opened.epoch,
                    since: opened.since,
                    earlier: opened.starts.clone(),
                    last_worker: opened.last_worker,
                    ..settings
                };
                let mut owner = Owner::new(settings, files, depot.clone(), clock, inboxes, failed);
                owner.recover(opened, folder);
                owner
            }
            None => Owner::new(settings, files, depot.clone(), clock, inboxes, failed),
        };
        let running = tokio::spawn(owner.run());
        MasterHandle {
            owner: running.abort_handle(),
            desk: MasterDesk::new(inbox.clone(), clock, depot),
            inbox,
            runtime: Handle::current(),
            failure,
            listeners: Arc::new(Listeners {
                stop: watch::Sender::new(false),
                tasks: Mutex::default(),
            }),
        }
    }
}

impl MasterHandle {
    /// What workers and clients within the process connect with. They may run on other threads with
    /// runtimes of their own.
    pub fn connector(&self) -> Connector {
        Connector::InProcess(InProcess::new(self.desk.clone(), self.runtime.clone()))
    }

    /// The services themselves, without a connection.
    pub fn desk(&self) -> MasterDesk {
        self.desk.clone()
    }

    /// Serves workers and clients at `address` until [`MasterHandle::shutdown`]; may be called for several
    /// addresses. Returns where it listens, with the port it has.
    ///
    /// # Errors
    /// The address is not loopback and `insecure` was not given, is public, or is taken.
    pub async fn serve(&self, address: &Address, insecure: bool) -> Result<Address, ServeError> {
        let asked = address.clone();
        let checked = tokio::task::spawn_blocking(move || check_listen(&asked, insecure)).await;
        let address = checked.expect("checking an address does not panic")?;
        let listener = Listener::bind(&address).await?;
        let local = listener.local_address().clone();
        let mut stop = self.listeners.stop.subscribe();
        let serving = listener.serve(self.desk.clone(), async move {
            // An error means that all handles are gone: it stops then too.
            let _ = stop.wait_for(|stop| *stop).await;
        });
        let task = self.runtime.spawn(serving);
        let tasks = self.listeners.tasks.lock();
        tasks.unwrap_or_else(PoisonError::into_inner).push(task);
        tracing::info!(address = %local, "listening");
        Ok(local)
    }

    /// Returns when the journal has failed, and the master with it: it tells nobody anything any more, and only another start can
    /// go on. Never returns for a master without one.
    pub async fn failed(&self) -> Arc<JournalError> {
        let mut failure = self.failure.clone();
        let failed = failure.wait_for(Option::is_some).await;
        match failed.as_deref() {
            Ok(Some(error)) => Arc::clone(error),
            // It ended in good order.
            _ => std::future::pending().await,
        }
    }

    /// Says that the process of a local worker has ended, as its parent saw: the master then need not
    /// wait for the lease. `name` is the one it joined with.
    pub async fn worker_exited(&self, name: &str) {
        let name = name.to_owned();
        // If the owner is gone, it has no workers.
        let _ = self.inbox.send(Message::WorkerExited { name }).await;
    }

    /// Ends the master without a word to anybody, as the end of its process does: what its journal does not say is forgotten. What it
    /// had begun on threads of its own still ends. Tests play crashes with it.
    pub fn abandon(&self) {
        self.owner.abort();
        self.listeners.stop.send_replace(true);
    }

    /// Ends the master: cancels its jobs, waits until they have cleaned up, tells its workers to stop and
    /// gives them a while to leave, closes its listeners. Takes no new jobs and workers from the first
    /// moment on. Returns when all that is done.
    pub async fn shutdown(&self) {
        let (asker, done) = oneshot::channel();
        if self.inbox.send(Message::Shutdown(asker)).await.is_ok() {
            // An error means that it ended for another who asked.
            let _ = done.await;
        }
        self.listeners.stop.send_replace(true);
        let tasks = {
            let mut tasks = self.listeners.tasks.lock();
            std::mem::take(&mut **tasks.as_mut().unwrap_or_else(|error| error.get_mut()))
        };
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a listener failed");
            }
        }
    }
}
