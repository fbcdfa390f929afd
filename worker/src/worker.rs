//! A worker from start to end: joins, lives, joins again, leaves.

use std::io;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use mapfold_data::scratch::{ScratchError, ScratchRoot};
use mapfold_job::Catalog;
use mapfold_protocol::service::{JoinReply, JoinRequest, Refusal, Returning};
use mapfold_protocol::{Backoff, CallError, Connector};
use mapfold_terms::{ByteSize, MasterEpoch};
use rayon::ThreadPoolBuildError;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::attempt::Site;
use crate::desk::{Desk, DeskError};
use crate::job_files::JobFiles;
use crate::life::{Identity, Life, LifeEnd};
use crate::locate::{self, Locator};
use crate::machine::machine_id;
use crate::memory::Shares;
use crate::serve::{ServeError, Server};
use crate::settings::{JobFilesAt, Settings};
use crate::slots::Slots;
use crate::store::RunStore;
use crate::{heartbeat, orders, reattach};

/// How long attempts of a life that is over may take to notice. One that has not ended then (code that
/// loops within a record) costs its slot for good.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Delays between a life and the next, so that a master that forgets workers at once is not flooded.
const REJOIN_BASE: Duration = Duration::from_millis(20);
const REJOIN_CAP: Duration = Duration::from_secs(2);
/// How long a good-bye may take.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// Why a worker ended, when it was not told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// There is no place for temporary files.
    #[error("cannot use the folder for temporary files")]
    Scratch(#[from] ScratchError),
    /// Runs cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The threads for attempts cannot be started.
    #[error("cannot start the threads for attempts")]
    Slots(#[from] ThreadPoolBuildError),
    /// The thread for heartbeats cannot be started.
    #[error("cannot start the heartbeat")]
    Heartbeat(#[source] io::Error),
    /// The master cannot be reached, or cannot work with this version.
    #[error("the master is lost")]
    Lost(#[source] CallError),
    /// The master does not take this worker.
    #[error("the master does not take this worker")]
    Refused(#[source] Refusal),
    /// The master's state folder was put back as it was: it would give tokens again that it gave before.
    #[error(
        "the master is at start {found} of its state folder, and this worker has worked for start {known}"
    )]
    Older {
        /// The epoch that the master has.
        found: MasterEpoch,
        /// The highest of the same master that this worker knows.
        known: MasterEpoch,
    },
    /// Attempts that do not end occupy all slots.
    #[error("all {slots} slots are occupied by attempts that were cancelled and do not end")]
    Stuck {
        /// Number of slots.
        slots: usize,
    },
}

/// Runs a worker until the master or `stop` says that it should end; whatever happens to its connections or
/// to its standing with the master in between, it joins again. Once `drain` is true it takes no more attempts, and ends when the
/// master says that nobody needs its runs.
///
/// The future is to be driven by a tokio runtime with time and I/O enabled; it never blocks. Attempts,
/// heartbeats and served runs have threads of their own. When it returns, attempts were told to stop
/// and temporary files are gone (but those of attempts that do not stop, which the next worker removes).
///
/// # Errors
/// See [`WorkerError`].
pub async fn run(
    settings: Settings,
    catalog: Arc<dyn Catalog>,
    connector: Connector,
    stop: impl Future<Output = ()>,
    drain: watch::Receiver<bool>,
) -> Result<(), WorkerError> {
    let worker = Worker::start(&settings, catalog, connector)?;
    let mut stop = pin!(stop);
    let mut stuck = 0;
    let mut newest = None;
    let mut rejoin = Backoff::new(REJOIN_BASE, REJOIN_CAP);
    loop {
        let slots = NonZeroUsize::new(settings.slots.get() - stuck).ok_or(WorkerError::Stuck {
            slots: settings.slots.get(),
        })?;
        let life = tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            () = wished(drain.clone()) => return Ok(()),
            joined = worker.join(slots) => joined?,
        };
        let life = worker.refuse_older(life, newest).await?;
        let end = worker.live(life, stop.as_mut(), drain.clone()).await?;
        newest = Some(end.terms);
        match end {
            Ended {
                why: LifeEnd::Unknown,
                still_running,
                ..
            } => {
                stuck = still_running.min(settings.slots.get());
                tokio::select! {
                    biased;
                    () = &mut stop => return Ok(()),
                    // Between lives it holds nothing that anybody needs.
                    () = wished(drain.clone()) => return Ok(()),
                    () = tokio::time::sleep(rejoin.wait()) => {}
                }
            }
            Ended {
                why: LifeEnd::Stopped,
                ..
            } => return Ok(()),
            Ended {
                why: LifeEnd::Lost(error),
                ..
            } => return Err(WorkerError::Lost(error)),
        }
    }
}

/// Returns when it is to drain.
async fn wished(mut drain: watch::Receiver<bool>) {
    if drain.wait_for(|wished| *wished).await.is_err() {
        // Nobody is left who could wish.
        std::future::pending().await
    }
}

/// What a worker has, whatever its life.
struct Worker {
    name: String,
    machine: String,
    memory_for_runs: ByteSize,
    connector: Connector,
    desk: Desk,
    server: Server,
    slots: Slots,
}

/// A life that has just begun, and the questions its attempts will ask.
struct Begun {
    life: Arc<Life>,
    slots: NonZeroUsize,
    questions: locate::Questions,
}

/// Ends the life when the worker's future is dropped: threads would go on without it.
struct EndsWithUs(Arc<Life>);

impl Drop for EndsWithUs {
    fn drop(&mut self) {
        self.0.finish(LifeEnd::Stopped);
    }
}

struct Ended {
    why: LifeEnd,
    still_running: usize,
    /// What the master promised last.
    terms: JoinReply,
}

impl Worker {
    fn start(
        settings: &Settings,
        catalog: Arc<dyn Catalog>,
        connector: Connector,
    ) -> Result<Self, WorkerError> {
        let shares = Shares::new(settings.memory, settings.slots);
        let scratch = ScratchRoot::open_within(&settings.scratch, settings.temp_max)?;
        let (files, isolation) = match &settings.files {
            JobFilesAt::Paths => (JobFiles::at_their_paths(), None),
            JobFilesAt::Master(isolation) => {
                // A connection of its own: orders and reports do not wait behind files.
                let desk = Desk::new(connector.clone(), settings.patience);
                let files = JobFiles::from_master(desk, scratch.scratch("files"));
                (files, Some(isolation.clone()))
            }
        };
        let site = Site {
            name: settings.name.clone(),
            catalog,
            files,
            isolation,
            scratch,
            memory: shares.attempt,
        };
        Ok(Self {
            name: settings.name.clone(),
            machine: machine_id(),
            memory_for_runs: shares.runs,
            desk: Desk::new(connector.clone(), settings.patience),
            connector,
            server: Server::start(&settings.serve)?,
            slots: Slots::new(settings.slots, site)?,
        })
    }

    /// Becomes a worker of the master's, under a new id.
    async fn join(&self, slots: NonZeroUsize) -> Result<Begun, WorkerError> {
        let joined = Instant::now();
        let request = self.hello(slots, None);
        let reply = self.desk.call(Duration::ZERO, |desk, context| {
            let request = request.clone();
            async move { desk.join(context, request).await }
        });
        let terms: JoinReply = reply.await.map_err(|error| match error {
            DeskError::Refused(refusal) => WorkerError::Refused(refusal),
            DeskError::Lost(error) => WorkerError::Lost(error),
        })?;
        info!(worker = %terms.worker, slots, "joined");
        let runs = Arc::new(RunStore::new(self.memory_for_runs, slots.get()));
        self.server.show(Some(Arc::clone(&runs)));
        let (locator, questions) = Locator::new();
        let identity = Identity { terms, joined };
        let life = Life::new(identity, self.machine.clone(), runs, locator);
        Ok(Begun {
            life: Arc::new(life),
            slots,
            questions,
        })
    }

    /// Takes its leave of a master whose start is older than one of the same master that this process has worked for.
    async fn refuse_older(
        &self,
        begun: Begun,
        newest: Option<JoinReply>,
    ) -> Result<Begun, WorkerError> {
        let terms = begun.life.identity().terms;
        match newest {
            Some(newest) if newest.since == terms.since && terms.epoch < newest.epoch => {
                self.leave(&begun.life).await;
                Err(WorkerError::Older {
                    found: terms.epoch,
                    known: newest.epoch,
                })
            }
            _ => Ok(begun),
        }
    }

    fn hello(&self, slots: NonZeroUsize, returning: Option<Returning>) -> JoinRequest {
        JoinRequest {
            name: self.name.clone(),
            slots: u32::try_from(slots.get()).unwrap_or(u32::MAX),
            machine: self.machine.clone(),
            data: self.server.address().clone(),
            data_secret: self.server.secret(),
            returning,
        }
    }

    /// Lives until the life is over, and clears up after it.
    async fn live(
        &self,
        begun: Begun,
        stop: impl Future<Output = ()>,
        drain: watch::Receiver<bool>,
    ) -> Result<Ended, WorkerError> {
        let Begun {
            life,
            slots,
            questions,
        } = begun;
        let _guard = EndsWithUs(Arc::clone(&life));
        let beating = heartbeat::start(self.connector.clone(), Arc::clone(&life));
        let beating = beating.map_err(WorkerError::Heartbeat)?;
        tokio::select! {
            biased;
            () = stop => life.finish(LifeEnd::Stopped),
            () = life.over() => {}
            () = orders::follow(&life, &self.desk, &self.slots) => {}
            () = orders::report(&life, &self.desk) => {}
            () = locate::answer(&life, &self.desk, questions) => {}
            () = reattach::stay_known(&life, &self.desk, |returning| self.hello(slots, Some(returning))) => {}
            () = self.drain(&life, drain) => {}
        }
        self.server.show(None);
        let why = life.take_end();
        let terms = life.identity().terms;
        if matches!(why, LifeEnd::Stopped) {
            self.leave(&life).await;
        }
        let still_running = self.slots.drain(DRAIN_MAX).await;
        if still_running > 0 {
            warn!(still_running, "attempts do not stop");
        }
        // It ends within moments: it looks up as soon as the life is over.
        drop(tokio::task::spawn_blocking(move || beating.join()).await);
        Ok(Ended {
            why,
            still_running,
            terms,
        })
    }

    /// Tells the master, once it is wished, and the next master if there comes one. Never returns: the master's order ends the life.
    async fn drain(&self, life: &Life, drain: watch::Receiver<bool>) {
        /// A master that was started again has forgotten the wish.
        const LOOK_EVERY: Duration = Duration::from_millis(500);
        wished(drain).await;
        loop {
            let worker = life.worker();
            let told = self.desk.call(Duration::ZERO, |desk, context| async move {
                desk.drain(context, worker).await
            });
            if let Err(error) = told.await {
                info!(?error, "the master was not told of the drain");
            }
            while life.worker() == worker {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    async fn leave(&self, life: &Life) {
        let worker = life.worker();
        let left = self.desk.call_once(LEAVE_MAX, |desk, context| async move {
            desk.leave(context, worker).await
        });
        if let Err(error) = left.await {
            info!(%error, "left without a good-bye");
        }
    }
}

#[cfg(test)]
mod tests;
