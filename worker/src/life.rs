//! One life of a worker: from a join to the moment the master has declared that id dead.
//!
//! A worker whose lease ran out is dead to the master, its attempts and runs are reassigned, and
//! whatever it still says under the old id is ignored. So nothing of a life is carried into the next:
//! attempts are cancelled, runs dropped, and the process joins again under a new id.
//!
//! A master that was started again does not know the id either, but goes on with its jobs. Then the life goes on too, with all
//! that runs and all runs, under the id that the new start gives ([`crate::reattach`]).

use std::sync::{Arc, Mutex, PoisonError};

use mapfold_protocol::CallError;
use mapfold_protocol::service::JoinReply;
use mapfold_terms::WorkerId;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::info;

use crate::attempts::Attempts;
use crate::fetch::Fetcher;
use crate::locate::Locator;
use crate::runners::Runners;
use crate::store::RunStore;

/// What all parts of the worker share during one life.
pub(crate) struct Life {
    /// What runs, and what is to be reported.
    pub(crate) attempts: Attempts,
    /// Finished runs.
    pub(crate) runs: Arc<RunStore>,
    /// Gets the runs of others.
    pub(crate) fetcher: Fetcher,
    /// Jobs ready to run.
    pub(crate) runners: Runners,
    /// Asks where runs are.
    pub(crate) locator: Locator,
    identity: watch::Sender<Identity>,
    /// The id that the master said it does not know, last.
    estranged: watch::Sender<Option<WorkerId>>,
    over: watch::Sender<bool>,
    end: Mutex<Option<LifeEnd>>,
}

/// Who the worker is to the master, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    /// The id, and what the master promised.
    pub(crate) terms: JoinReply,
    /// When the join was sent: the lease counts from there.
    pub(crate) joined: Instant,
}

/// Why a life is over.
#[derive(Debug)]
pub(crate) enum LifeEnd {
    /// The master does not know the id (any more): join again.
    Unknown,
    /// The master has no more work, or we were told to stop: leave.
    Stopped,
    /// The master cannot be reached.
    Lost(CallError),
}

impl Life {
    /// A life that begins.
    pub(crate) fn new(
        identity: Identity,
        machine: String,
        runs: Arc<RunStore>,
        locator: Locator,
    ) -> Self {
        let worker = identity.terms.worker;
        Self {
            attempts: Attempts::default(),
            fetcher: Fetcher::new(worker, machine, Arc::clone(&runs)),
            runs,
            runners: Runners::default(),
            locator,
            identity: watch::Sender::new(identity),
            estranged: watch::Sender::new(None),
            over: watch::Sender::new(false),
            end: Mutex::new(None),
        }
    }

    /// The present id.
    pub(crate) fn worker(&self) -> WorkerId {
        self.identity().terms.worker
    }

    /// The present id, and what comes with it.
    pub(crate) fn identity(&self) -> Identity {
        *self.identity.borrow()
    }

    /// The master says that it knows no worker `id`.
    pub(crate) fn is_unknown(&self, id: WorkerId) {
        self.estranged.send_replace(Some(id));
    }

    /// The same; returns when there is another id, or the life is over.
    pub(crate) async fn unknown(&self, id: WorkerId) {
        self.is_unknown(id);
        let mut identity = self.identity.subscribe();
        tokio::select! {
            biased;
            () = self.over() => {}
            // The sender is in `self`, so waiting cannot fail.
            _ = identity.wait_for(|identity| identity.terms.worker != id) => {}
        }
    }

    /// Returns when the master does not know the present id.
    pub(crate) async fn estranged(&self) {
        // The sender is in `self`, so waiting cannot fail.
        let mut estranged = self.estranged.subscribe();
        let _ = estranged.wait_for(|id| *id == Some(self.worker())).await;
    }

    /// The worker is known to another start of the master under another id.
    pub(crate) fn rename(&self, identity: Identity) {
        self.fetcher.renamed(identity.terms.worker);
        self.identity.send_replace(identity);
    }

    /// Ends the life: stops all attempts and lets go of all runs. Of several reasons the first counts.
    pub(crate) fn finish(&self, end: LifeEnd) {
        let mut first = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_over() {
            return;
        }
        info!(worker = %self.worker(), why = ?end, "life ends");
        *first = Some(end);
        self.over.send_replace(true);
        drop(first);
        self.attempts.cancel_all();
        self.runs.clear();
    }

    /// Whether it is over.
    pub(crate) fn is_over(&self) -> bool {
        *self.over.borrow()
    }

    /// Returns when it is over.
    pub(crate) async fn over(&self) {
        // The sender is in `self`, so waiting cannot fail.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }

    /// Why it is over; `Stopped` if nobody said.
    pub(crate) fn take_end(&self) -> LifeEnd {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.take().unwrap_or(LifeEnd::Stopped)
    }
}
