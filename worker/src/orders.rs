//! Takes the master's orders and brings it the outcomes.

use std::sync::Arc;
use std::time::Duration;

use mapfold_protocol::codec::prefix_that_fits;
use mapfold_protocol::service::{POLL_MAX, REPORTS_MAX, Refusal, Reports};
use mapfold_terms::{AttemptId, JobBrief, Order, WorkerId};
use tracing::{debug, error, warn};

use crate::attempt::Work;
use crate::desk::{Desk, DeskError};
use crate::life::{Life, LifeEnd};
use crate::slots::Executor;

/// Polls for orders and hands them on, until the life is over.
pub(crate) async fn follow(life: &Arc<Life>, desk: &Desk, slots: &impl Executor) {
    let mut worker = life.worker();
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
            Err(error) => {
                lose(life, worker, error).await;
                // Another start of the master numbers its orders anew.
                acked = 0;
            }
        }
        worker = life.worker();
    }
}

fn obey(life: &Arc<Life>, slots: &impl Executor, order: Order) {
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

fn start(life: &Arc<Life>, slots: &impl Executor, attempt: AttemptId, brief: JobBrief, work: Work) {
    if life.is_over() {
        return;
    }
    if !slots.admit(attempt.token) {
        debug!(%attempt, token = %attempt.token, "an order came again");
        return;
    }
    slots.start(life, attempt, brief, work);
}

/// Reports ended attempts, each report until it is acknowledged, until the life is over. What ends while a report is on its way goes with
/// the next.
pub(crate) async fn report(life: &Life, desk: &Desk) {
    while !life.is_over() {
        life.attempts.wait_ended().await;
        while let Some(reports) = batch(life) {
            let worker = life.worker();
            let told = tell(worker, desk, &reports).await;
            match told {
                Ok(()) => {}
                Err(DeskError::Refused(refusal)) if !is_unknown(&refusal) => {
                    // Repeating it would change nothing.
                    warn!(%refusal, "the master does not take outcomes");
                }
                Err(error) => {
                    lose(life, worker, error).await;
                    if life.is_over() {
                        return;
                    }
                    continue;
                }
            }
            let reported = reports.0.iter().map(|report| report.attempt);
            life.attempts.acknowledge(reported);
        }
    }
}

/// The oldest outcomes that fit a message; `None` if there are none.
fn batch(life: &Life) -> Option<Reports> {
    let mut reports = life.attempts.unreported(REPORTS_MAX);
    // At least one: that each fits was made sure of when its attempt ended.
    reports.truncate(prefix_that_fits(&reports, REPORTS_MAX).max(1));
    (!reports.is_empty()).then_some(Reports(reports))
}

async fn tell(worker: WorkerId, desk: &Desk, reports: &Reports) -> Result<(), DeskError> {
    desk.call(Duration::ZERO, |desk, context| {
        let reports = reports.clone();
        async move { desk.ended(context, worker, reports).await }
    })
    .await
}

const fn is_unknown(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::UnknownWorker(_))
}

/// What was said as `worker` was not taken. Returns when it may be said again, under another id, or the life is over.
async fn lose(life: &Life, worker: WorkerId, error: DeskError) {
    match error {
        DeskError::Refused(refusal) if is_unknown(&refusal) => life.unknown(worker).await,
        DeskError::Refused(refusal) => {
            error!(%refusal, "the master refuses this worker");
            life.finish(LifeEnd::Unknown);
        }
        DeskError::Lost(error) => life.finish(LifeEnd::Lost(error)),
    }
}
