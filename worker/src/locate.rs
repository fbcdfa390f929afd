//! Asks the master where runs are, on behalf of attempts.
//!
//! An attempt runs on a thread of its own and cannot await; it puts a question into a queue, and the task
//! that holds the line to the master answers it. The attempt waits in short steps, so that it can be
//! cancelled while the master is silent.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use mapfold_job::Monitor;
use mapfold_protocol::service::{Location, Refusal};
use mapfold_terms::{JobId, WorkerId};
use tokio::sync::mpsc;

use crate::desk::{Desk, DeskError};
use crate::life::{Life, LifeEnd};

/// Questions that wait. Each slot has one; more are left over only from attempts that were cancelled.
const QUESTIONS_MAX: usize = 256;
/// How often a waiting attempt looks whether it is cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Where questions are put.
pub(crate) struct Locator(mpsc::Sender<Question>);

/// Questions on their way.
pub(crate) type Questions = mpsc::Receiver<Question>;

/// Where are the runs of a job, from one map task on?
pub(crate) struct Question {
    job: JobId,
    from: u32,
    answer: SyncSender<Result<Vec<Location>, Refusal>>,
}

/// Why a question has no answer.
#[derive(Debug)]
pub(crate) enum LocateError {
    /// The asker was told to stop, or the life is over.
    Cancelled,
    /// The master does not say.
    Refused(Refusal),
}

impl Locator {
    /// A queue of questions.
    pub(crate) fn new() -> (Self, Questions) {
        let (sender, receiver) = mpsc::channel(QUESTIONS_MAX);
        (Self(sender), receiver)
    }

    /// One page of locations. Blocks until there is an answer or the asker is cancelled.
    pub(crate) fn page(
        &self,
        job: JobId,
        from: u32,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Location>, LocateError> {
        let (answer, answered) = sync_channel(1);
        let mut question = Question { job, from, answer };
        loop {
            match self.0.try_send(question) {
                Ok(()) => break,
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(LocateError::Cancelled),
                Err(mpsc::error::TrySendError::Full(back)) => question = back,
            }
            if monitor.cancelled() {
                return Err(LocateError::Cancelled);
            }
            thread::sleep(LOOK_EVERY);
        }
        loop {
            match answered.recv_timeout(LOOK_EVERY) {
                Ok(answer) => return answer.map_err(LocateError::Refused),
                Err(RecvTimeoutError::Disconnected) => return Err(LocateError::Cancelled),
                Err(RecvTimeoutError::Timeout) if monitor.cancelled() => {
                    return Err(LocateError::Cancelled);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

/// Answers questions, one after the other, until the master is lost or does not know us.
pub(crate) async fn answer(life: &Life, desk: &Desk, mut questions: Questions) {
    while let Some(question) = questions.recv().await {
        let answer = loop {
            let worker = life.worker();
            match ask(worker, desk, &question).await {
                Ok(locations) => break Ok(locations),
                Err(DeskError::Refused(Refusal::UnknownWorker(_))) => {
                    life.unknown(worker).await;
                    if life.is_over() {
                        return;
                    }
                }
                Err(DeskError::Refused(refusal)) => break Err(refusal),
                Err(DeskError::Lost(error)) => return life.finish(LifeEnd::Lost(error)),
            }
        };
        match question.answer.try_send(answer) {
            // The asker may have been cancelled meanwhile; there is room for its one answer.
            Ok(()) | Err(TrySendError::Disconnected(_) | TrySendError::Full(_)) => {}
        }
    }
}

async fn ask(
    worker: WorkerId,
    desk: &Desk,
    question: &Question,
) -> Result<Vec<Location>, DeskError> {
    let Question { job, from, .. } = *question;
    desk.call(Duration::ZERO, |desk, context| async move {
        desk.locate(context, worker, job, from).await
    })
    .await
}

/// For tests in which time is paused, and a thread that waits would stop it.
#[cfg(test)]
pub(crate) mod paused {
    use super::*;

    impl Locator {
        /// One page of locations; `None` if nobody answers any more.
        pub(crate) async fn ask(&self, job: JobId, from: u32) -> Option<Vec<Location>> {
            let (answer, answered) = sync_channel(1);
            self.0.send(Question { job, from, answer }).await.ok()?;
            loop {
                match answered.try_recv() {
                    Ok(answer) => return answer.ok(),
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return None,
                    Err(std::sync::mpsc::TryRecvError::Empty) => {
                        tokio::time::sleep(LOOK_EVERY).await;
                    }
                }
            }
        }
    }

    /// Answers questions from what is known already.
    pub(crate) async fn answer_known(
        mut questions: Questions,
        known: impl Fn(JobId) -> Vec<Location>,
    ) {
        while let Some(Question { job, from, answer }) = questions.recv().await {
            let mut locations = known(job);
            locations.drain(..locations.len().min(from as usize));
            let _ = answer.try_send(Ok(locations));
        }
    }
}
