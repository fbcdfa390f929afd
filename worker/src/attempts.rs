//! What this worker holds: attempts that run, and ended ones whose report the master has not
//! acknowledged.
//!
//! An attempt goes from running to ended in one step under one lock, and leaves only when its report is
//! acknowledged, so each heartbeat lists it exactly once from the order's arrival to the end. A token
//! that was admitted once is never admitted again ([`Seen`]): an order may arrive any number of times.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mapfold_job::Monitor;
use mapfold_protocol::service::Report;
use mapfold_terms::{AttemptId, AttemptStatus, JobId, Outcome, Progress, Token};
use tokio::sync::Notify;

/// The attempts of one life of the worker.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    held: Mutex<Held>,
    /// Notified when an attempt ends; the reporter waits for it.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Held {
    running: BTreeMap<AttemptId, Arc<Running>>,
    ended: BTreeMap<AttemptId, Outcome>,
}

impl Attempts {
    /// Takes note of a new attempt that runs from now on, and may go for so long without progress; zero for ever.
    pub(crate) fn start(&self, attempt: AttemptId, task_timeout: Duration) -> Arc<Running> {
        let running = Arc::new(Running::new(attempt, task_timeout));
        self.lock().running.insert(attempt, Arc::clone(&running));
        running
    }

    /// The attempt has ended; its outcome is kept until [`Attempts::acknowledge`].
    pub(crate) fn end(&self, attempt: AttemptId, outcome: Outcome) {
        let mut held = self.lock();
        held.running.remove(&attempt);
        held.ended.insert(attempt, outcome);
        drop(held);
        self.ended.notify_one();
    }

    /// The attempt is gone without an outcome: its life is over, nobody would hear it.
    pub(crate) fn abandon(&self, attempt: AttemptId) {
        self.lock().running.remove(&attempt);
    }

    /// The master has the outcomes.
    pub(crate) fn acknowledge(&self, attempts: impl Iterator<Item = AttemptId>) {
        let mut held = self.lock();
        for attempt in attempts {
            held.ended.remove(&attempt);
        }
    }

    /// At most `most` outcomes to report, oldest token first.
    pub(crate) fn unreported(&self, most: usize) -> Vec<Report> {
        let held = self.lock();
        let ended = held.ended.iter().take(most);
        ended
            .map(|(attempt, outcome)| Report {
                attempt: *attempt,
                outcome: outcome.clone(),
            })
            .collect()
    }

    /// Returns when an attempt has ended since the last return, or had before the first call.
    pub(crate) async fn wait_ended(&self) {
        self.ended.notified().await;
    }

    /// For a heartbeat: what runs, and what has ended unacknowledged.
    pub(crate) fn holds(&self) -> (Vec<Progress>, Vec<AttemptId>) {
        let held = self.lock();
        let running = held.running.values().map(|running| running.so_far());
        (running.collect(), held.ended.keys().copied().collect())
    }

    /// What those that run have last said of themselves.
    pub(crate) fn said(&self) -> Vec<AttemptStatus> {
        let held = self.lock();
        let said = held.running.values().filter_map(|running| {
            let text = running.said().clone()?;
            Some(AttemptStatus {
                attempt: running.attempt,
                text,
            })
        });
        said.collect()
    }

    /// For a start of the master that does not know them: what runs, and what has ended unacknowledged. Attempts that were
    /// stopped are forgotten: nobody waits for them.
    pub(crate) fn survey(&self) -> Vec<AttemptId> {
        let mut held = self.lock();
        held.ended
            .retain(|_, outcome| *outcome != Outcome::Cancelled);
        held.running
            .keys()
            .chain(held.ended.keys())
            .copied()
            .collect()
    }

    /// Stops one attempt, if it runs.
    pub(crate) fn cancel(&self, attempt: AttemptId) {
        if let Some(running) = self.lock().running.get(&attempt) {
            running.cancel();
        }
    }

    /// Stops all attempts of a job.
    pub(crate) fn cancel_job(&self, job: JobId) {
        self.cancel_where(|attempt| attempt.job == job);
    }

    /// Stops all attempts; returns how many were running.
    pub(crate) fn cancel_all(&self) -> usize {
        self.cancel_where(|_| true)
    }

    fn cancel_where(&self, condition: impl Fn(&AttemptId) -> bool) -> usize {
        let held = self.lock();
        let running = held
            .running
            .values()
            .filter(|running| condition(&running.attempt));
        running.map(|running| running.cancel()).count()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // No code that can panic runs under the lock, so a poisoned one is whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt that runs: what the job's code sees of the engine, and the engine of it.
#[derive(Debug)]
pub(crate) struct Running {
    attempt: AttemptId,
    task_timeout: Duration,
    started: Instant,
    records: AtomicU64,
    bytes: AtomicU64,
    bytes_total: AtomicU64,
    steps: AtomicU64,
    said: Mutex<Option<String>>,
    cancelled: AtomicBool,
}

impl Running {
    fn new(attempt: AttemptId, task_timeout: Duration) -> Self {
        Self {
            attempt,
            task_timeout,
            started: Instant::now(),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_total: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            said: Mutex::default(),
            cancelled: AtomicBool::new(false),
        }
    }

    /// The attempt.
    pub(crate) const fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// Time since its order came, waiting for a slot included.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// It has a slot from now on.
    pub(crate) fn begin(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// How much it has to do in all is known from now on.
    pub(crate) fn expect(&self, bytes_total: u64) {
        self.bytes_total.store(bytes_total, Ordering::Relaxed);
    }

    /// Asks it to stop; it does so at the next block.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn said(&self) -> MutexGuard<'_, Option<String>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn so_far(&self) -> Progress {
        Progress {
            attempt: self.attempt,
            records: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total: self.bytes_total.load(Ordering::Relaxed),
            steps: self.steps.load(Ordering::Relaxed),
        }
    }
}

impl Monitor for Running {
    fn progress(&self, records: u64, bytes: u64) {
        self.records.fetch_max(records, Ordering::Relaxed);
        self.bytes.fetch_max(bytes, Ordering::Relaxed);
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    fn still_max(&self) -> Option<Duration> {
        (!self.task_timeout.is_zero()).then_some(self.task_timeout)
    }

    fn status(&self, text: &str) {
        self.progress(0, 0);
        // The span of the attempt tells which it is.
        tracing::info!(text, "status");
        let end = text.floor_char_boundary(AttemptStatus::TEXT_MAX);
        *self.said() = Some(text[..end].to_owned());
    }

    fn cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// Tokens of orders that were taken, over all lives of this process.
///
/// Keeps the highest [`Seen::KEPT`]; below the lowest of them every token counts as seen. That is safe
/// because tokens are issued in rising order and a worker holds a few of them at a time, so an order so
/// far behind can only be a repetition.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    tokens: BTreeSet<Token>,
    floor: Option<Token>,
}

impl Seen {
    /// 1.5 MiB at most.
    const KEPT: usize = 1 << 16;

    /// Whether `token` is new; it is not from now on.
    pub(crate) fn admit(&mut self, token: Token) -> bool {
        if self.floor.is_some_and(|floor| token <= floor) || !self.tokens.insert(token) {
            return false;
        }
        if self.tokens.len() > Self::KEPT {
            self.floor = self.tokens.pop_first();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use mapfold_terms::{MasterEpoch, TaskId};

    use super::*;

    fn token(counter: u64) -> Token {
        Token {
            epoch: MasterEpoch(1),
            counter,
        }
    }

    fn attempt(counter: u64) -> AttemptId {
        AttemptId {
            token: token(counter),
            job: JobId(1),
            task: TaskId::map(0),
            number: 1,
        }
    }

    #[test]
    fn a_token_is_admitted_once_even_after_many_others() {
        let mut seen = Seen::default();
        let count = Seen::KEPT as u64 + 10;
        assert!((0..count).all(|counter| seen.admit(token(counter))));
        assert!((0..count).all(|counter| !seen.admit(token(counter))));
        assert!(seen.admit(token(count)));
        assert!(seen.tokens.len() <= Seen::KEPT);
    }

    #[test]
    fn an_attempt_is_listed_until_its_report_is_acknowledged() {
        let attempts = Attempts::default();
        let running = attempts.start(attempt(1), Duration::ZERO);
        assert_eq!(attempts.holds().0[0].steps, 0);
        running.begin();
        running.expect(200);
        running.progress(10, 100);
        running.progress(5, 50);
        let (progress, ended) = attempts.holds();
        assert_eq!((progress[0].records, progress[0].bytes), (10, 100));
        assert_eq!((progress[0].bytes_total, progress[0].steps), (200, 3));
        assert!(ended.is_empty() && attempts.said().is_empty());
        running.status("half way");
        assert_eq!(attempts.said()[0].text, "half way");
        attempts.end(attempt(1), Outcome::Cancelled);
        assert_eq!(attempts.holds(), (vec![], vec![attempt(1)]));
        assert!(attempts.said().is_empty());
        assert_eq!(attempts.unreported(9).len(), 1);
        attempts.acknowledge([attempt(1)].into_iter());
        assert_eq!(attempts.holds(), (vec![], vec![]));
    }

    #[test]
    fn cancelling_reaches_only_what_is_meant() {
        let attempts = Attempts::default();
        let (one, two) = (
            attempts.start(attempt(1), Duration::ZERO),
            attempts.start(attempt(2), Duration::ZERO),
        );
        attempts.cancel(attempt(1));
        assert!(one.cancelled() && !two.cancelled());
        attempts.cancel_job(JobId(2));
        assert!(!two.cancelled());
        assert_eq!(attempts.cancel_all(), 2);
        assert!(two.cancelled());
    }
}
