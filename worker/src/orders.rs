//! Takes the master's orders and brings it the outcomes.

use std::sync::Arc;
use std::time::Duration;

use mapfold_protocol::service::{POLL_MAX, Refusal};
use mapfold_terms::{AttemptId, JobBrief, Order, Outcome};
use tracing::{debug, error, warn};

use crate::attempt::Work;
use crate::desk::{Desk, DeskError};
use crate::life::{Life, LifeEnd};
use crate::slots::Slots;

/// Polls for orders and hands them on, until the life is over.
pub(crate) async fn follow(life: &Arc<Life>, desk: &Desk, slots: &Slots) {
    let worker = life.worker;
    let mut acked = 0;
    while !life.is_over() {
        let poll = desk.call(POLL_MAX, |desk, context| async move {
            desk.poll(context, worker, acked).await
        });
        match poll.await {
            Ok(orders) => {
                for order in orders.orders {
                    obey(life, slots, order);
                }
                acked = orders.upto;
            }
            Err(error) => lose(life, error),
        }
    }
}

fn obey(life: &Arc<Life>, slots: &Slots, order: Order) {
    match order {
        Order::Map {
            attempt,
            split,
            brief,
        } => start(life, slots, attempt, brief, Work::Map(split)),
        Order::Reduce {
            attempt,
            partition,
            brief,
        } => start(life, slots, attempt, brief, Work::Reduce(partition)),
        Order::Cancel(attempt) => life.attempts.cancel(attempt),
        Order::Discard(attempt) => slots.delete(life.runs.discard(attempt.token)),
        Order::Forget(job) => {
            life.attempts.cancel_job(job);
            slots.delete(life.runs.forget(job));
            life.runners.forget(job);
        }
        Order::Stop => life.finish(LifeEnd::Stopped),
    }
}

fn start(life: &Arc<Life>, slots: &Slots, attempt: AttemptId, brief: JobBrief, work: Work) {
    if life.is_over() {
        return;
    }
    if !slots.admit(attempt.token) {
        debug!(%attempt, token = %attempt.token, "an order came again");
        return;
    }
    slots.start(life, attempt, brief, work);
}

/// Reports ended attempts, each until it is acknowledged, until the life is over.
pub(crate) async fn report(life: &Life, desk: &Desk) {
    while !life.is_over() {
        for (attempt, outcome) in life.attempts.unreported() {
            match tell(life, desk, attempt, outcome).await {
                Ok(()) => life.attempts.acknowledge(attempt),
                Err(DeskError::Refused(refusal @ Refusal::UnknownWorker(_))) => {
                    return lose(life, DeskError::Refused(refusal));
                }
                Err(DeskError::Refused(refusal)) => {
                    // The job has ended, say: repeating it would change nothing.
                    warn!(%attempt, %refusal, "the master does not take an outcome");
                    life.attempts.acknowledge(attempt);
                }
                Err(error) => return lose(life, error),
            }
        }
        life.attempts.wait_ended().await;
    }
}

async fn tell(
    life: &Life,
    desk: &Desk,
    attempt: AttemptId,
    outcome: Outcome,
) -> Result<(), DeskError> {
    let (worker, outcome) = (life.worker, &outcome);
    desk.call(Duration::ZERO, |desk, context| {
        let outcome = outcome.clone();
        async move { desk.ended(context, worker, attempt, outcome).await }
    })
    .await
}

fn lose(life: &Life, error: DeskError) {
    match error {
        DeskError::Refused(Refusal::UnknownWorker(_)) => life.finish(LifeEnd::Unknown),
        DeskError::Refused(refusal) => {
            error!(%refusal, "the master refuses this worker");
            life.finish(LifeEnd::Unknown);
        }
        DeskError::Lost(error) => life.finish(LifeEnd::Lost(error)),
    }
}
