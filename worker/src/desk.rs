//! Calls to the master's desk that are repeated until they are answered.
//!
//! Repeating is safe because every method of the service is idempotent, so a broken connection aborts
//! nothing. What bounds it is the worker's patience: a master that has answered nothing for so long is
//! given up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mapfold_protocol::service::{Refusal, WorkerDeskClient};
use mapfold_protocol::{Backoff, CallError, Connector, Link};
use tarpc::client::RpcError;
use tarpc::context::Context;
use tokio::time::Instant;
use tracing::{debug, warn};

/// How long a call may take, beyond what the master is meant to wait: connecting, both ways, and a busy master.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Delays between tries; see [`Backoff`]. [`Link`] waits too, before it connects again.
const RETRY_BASE: Duration = Duration::from_millis(10);
const RETRY_CAP: Duration = Duration::from_secs(1);

/// Failed tries of one call after which people are told: a connection that was merely cut is no news.
const FAILED_TOLD: u32 = 5;

/// The worker's line to the master, shared by its tasks.
pub(crate) struct Desk {
    link: Link<WorkerDeskClient>,
    patience: Duration,
    answered: Mutex<Instant>,
    /// Whether it was told that the master does not answer.
    told: AtomicBool,
}

/// Why a call has no answer.
#[derive(Debug)]
pub(crate) enum DeskError {
    /// The master answers that it will not.
    Refused(Refusal),
    /// No answer will come.
    Lost(CallError),
}

impl Desk {
    /// Connects when first used.
    pub(crate) fn new(connector: Connector, patience: Duration) -> Self {
        Self {
            link: Link::new(connector),
            patience,
            answered: Mutex::new(Instant::now()),
            told: AtomicBool::new(false),
        }
    }

    /// Makes a call until it is answered. `waits` is how long the master may take by design.
    ///
    /// # Errors
    /// The master refuses, or has answered nothing for the whole of our patience, or never will.
    pub(crate) async fn call<T, Answer>(
        &self,
        waits: Duration,
        ask: impl Fn(WorkerDeskClient, Context) -> Answer,
    ) -> Result<T, DeskError>
    where
        Answer: Future<Output = Result<Result<T, Refusal>, RpcError>>,
    {
        let mut backoff = Backoff::new(RETRY_BASE, RETRY_CAP);
        let mut failed = 0;
        let within = waits + ANSWER_MAX.min(self.patience);
        loop {
            let error = match self.link.call(within, &ask).await {
                Ok(answer) => {
                    self.note_answer();
                    return Ok(answer);
                }
                // Another master may take its place.
                Err(error @ CallError::Refused(Refusal::ShuttingDown)) => error,
                Err(CallError::Refused(refusal)) => {
                    self.note_answer();
                    return Err(DeskError::Refused(refusal));
                }
                Err(error @ (CallError::Version { .. } | CallError::TooLong { .. })) => {
                    return Err(DeskError::Lost(error));
                }
                Err(error) => error,
            };
            if self.silent() > self.patience {
                return Err(DeskError::Lost(error));
            }
            debug!(%error, "a call failed and is repeated");
            failed += 1;
            if failed == FAILED_TOLD && !self.told.swap(true, Ordering::Relaxed) {
                warn!(patience = ?self.patience, "the master does not answer");
            }
            tokio::time::sleep(backoff.wait()).await;
        }
    }

    /// Makes a call once.
    ///
    /// # Errors
    /// It was not answered within `within`, or refused.
    pub(crate) async fn call_once<T, Answer>(
        &self,
        within: Duration,
        ask: impl FnOnce(WorkerDeskClient, Context) -> Answer,
    ) -> Result<T, CallError>
    where
        Answer: Future<Output = Result<Result<T, Refusal>, RpcError>>,
    {
        self.link.call(within, ask).await
    }

    fn note_answer(&self) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if self.told.swap(false, Ordering::Relaxed) {
            warn!("the master answers again");
        }
    }

    /// Time since the last answer.
    fn silent(&self) -> Duration {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.elapsed()
    }
}
