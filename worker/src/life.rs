//! One life of a worker: what lasts from a join to the moment the master no longer knows that id.
//!
//! A worker whose lease ran out is dead to the master, its attempts and runs are reassigned, and
//! whatever it still says under the old id is ignored. So nothing of a life is carried into the next:
//! attempts are cancelled, runs dropped, and the process joins again under a new id.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use mapfold_protocol::CallError;
use mapfold_protocol::service::JoinReply;
use mapfold_terms::WorkerId;
use tokio::sync::watch;
use tracing::info;

use crate::attempts::Attempts;
use crate::fetch::Fetcher;
use crate::locate::Locator;
use crate::runners::Runners;
use crate::store::RunStore;

/// What all parts of the worker share during one life.
pub(crate) struct Life {
    /// The id for this life.
    pub(crate) worker: WorkerId,
    /// What the master promised.
    pub(crate) terms: JoinReply,
    /// When the join was sent: the lease counts from there.
    pub(crate) joined: Instant,
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
    over: watch::Sender<bool>,
    end: Mutex<Option<LifeEnd>>,
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
        terms: JoinReply,
        joined: Instant,
        machine: String,
        runs: Arc<RunStore>,
        locator: Locator,
    ) -> Self {
        Self {
            worker: terms.worker,
            terms,
            joined,
            attempts: Attempts::default(),
            fetcher: Fetcher::new(terms.worker, machine, Arc::clone(&runs)),
            runs,
            runners: Runners::default(),
            locator,
            over: watch::Sender::new(false),
            end: Mutex::new(None),
        }
    }

    /// Ends the life: stops all attempts and lets go of all runs. Of several reasons the first counts.
    pub(crate) fn finish(&self, end: LifeEnd) {
        let mut first = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_over() {
            return;
        }
        info!(worker = %self.worker, why = ?end, "life ends");
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
