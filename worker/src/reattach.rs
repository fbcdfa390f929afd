//! How a life outlives its master: another start of it, which goes on with the same jobs, is told what this worker has.
//!
//! ```text
//! a call is refused: unknown worker
//!   '--> join, telling the epoch that the life began in, and the attempts that run or wait to be reported
//!          |--> the same epoch: this very master has declared us dead.                The life ends
//!          |--> the master knows nothing of our epoch: another master.                The life ends
//!          '--> a later one --> attach, until all runs are told --> the life goes on under the new id
//! ```
//! Until then nothing else is said: a report that came before its run would make the master discard the run. How
//! long a worker keeps what it has while no master answers is its patience ([`crate::Settings::patience`]).

use std::time::Duration;

use mapfold_protocol::codec::prefix_that_fits;
use mapfold_protocol::service::{
    HOLDS_MAX, HeldRuns, JoinReply, JoinRequest, RUNS_MAX, Refusal, Returning,
};
use mapfold_terms::{AttemptId, Digest, WorkerId};
use tokio::time::Instant;
use tracing::{error, info};

use crate::desk::{Desk, DeskError};
use crate::life::{Identity, Life, LifeEnd};

/// Makes the worker known again whenever the master does not know it; returns when the life is over. `hello` introduces
/// the worker.
pub(crate) async fn stay_known(life: &Life, desk: &Desk, hello: impl Fn(Returning) -> JoinRequest) {
    loop {
        life.estranged().await;
        match reattach(life, desk, &hello).await {
            Ok(Some(identity)) => life.rename(identity),
            Ok(None) => return life.finish(LifeEnd::Unknown),
            Err(DeskError::Refused(refusal)) => {
                error!(%refusal, "the master refuses this worker");
                return life.finish(LifeEnd::Unknown);
            }
            Err(DeskError::Lost(error)) => return life.finish(LifeEnd::Lost(error)),
        }
    }
}

/// A new identity; `None` if what this life has does not count any more.
async fn reattach(
    life: &Life,
    desk: &Desk,
    hello: &impl Fn(Returning) -> JoinRequest,
) -> Result<Option<Identity>, DeskError> {
    let epoch = life.identity().terms.epoch;
    loop {
        let mut holds = life.attempts.survey();
        holds.truncate(HOLDS_MAX);
        let request = hello(Returning { epoch, holds });
        let joined = Instant::now();
        let join = desk.call(Duration::ZERO, |desk, context| {
            let request = request.clone();
            async move { desk.join(context, request).await }
        });
        let terms: JoinReply = join.await?;
        if !terms.goes_on || terms.epoch <= epoch {
            return Ok(None);
        }
        let runs = life.runs.inventory();
        match attach(terms.worker, desk, &runs).await {
            // It was started once more meanwhile, or has waited too long for us.
            Err(DeskError::Refused(Refusal::UnknownWorker(_))) => {}
            Err(error) => return Err(error),
            Ok(()) => {
                info!(worker = %terms.worker, runs = runs.len(), "joined a master that was started again");
                return Ok(Some(Identity { terms, joined }));
            }
        }
    }
}

/// Tells all runs, in as many calls as it takes.
async fn attach(
    worker: WorkerId,
    desk: &Desk,
    mut runs: &[(AttemptId, Digest)],
) -> Result<(), DeskError> {
    while !runs.is_empty() {
        let (told, rest) = runs.split_at(prefix_that_fits(runs, RUNS_MAX).max(1));
        desk.call(Duration::ZERO, |desk, context| {
            let told = HeldRuns(told.to_vec());
            async move { desk.attach(context, worker, told).await }
        })
        .await?;
        runs = rest;
    }
    Ok(())
}
