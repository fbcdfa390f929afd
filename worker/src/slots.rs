//! The threads that run attempts.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mapfold_terms::{AttemptId, JobBrief, Token};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::attempt::{Site, Work, carry_out};
use crate::attempts::Seen;
use crate::life::Life;
use crate::store::Dropped;

/// Bytes of stack of a thread that runs a job's code, which may recurse; the default of 2 MiB is a main thread's quarter.
pub const STACK_BYTES: usize = 8 << 20;

/// What carries out orders.
pub(crate) trait Executor {
    /// Whether an attempt is new to this process; it is not from now on.
    fn admit(&self, token: Token) -> bool;
    /// Starts an attempt.
    fn start(&self, life: &Arc<Life>, attempt: AttemptId, brief: JobBrief, work: Work);
    /// Deletes the files of runs without holding up the calling task.
    fn delete(&self, runs: Dropped);
}

/// One thread a slot. An attempt that has no slot yet waits in the pool's queue; the master sends no more
/// than there are slots, so that is for the moment between an outcome and the next order.
pub(crate) struct Slots {
    pool: ThreadPool,
    site: Arc<Site>,
    seen: Mutex<Seen>,
    /// Attempts in the pool, over all lives, and deletions.
    busy: Arc<watch::Sender<usize>>,
}

impl Slots {
    /// Starts the threads.
    pub(crate) fn new(slots: NonZeroUsize, site: Site) -> Result<Self, ThreadPoolBuildError> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(slots.get())
            .thread_name(|slot| format!("slot-{slot}"))
            .stack_size(STACK_BYTES)
            .build()?;
        Ok(Self {
            pool,
            site: Arc::new(site),
            seen: Mutex::default(),
            busy: Arc::default(),
        })
    }

    /// Waits until no attempt runs and nothing is being deleted, at most for `patience`; returns how much is left then.
    pub(crate) async fn drain(&self, patience: Duration) -> usize {
        let mut busy = self.busy.subscribe();
        // The sender is in `self`, so only time can run out.
        let _ = timeout(patience, busy.wait_for(|busy| *busy == 0)).await;
        *busy.borrow()
    }
}

impl Executor for Slots {
    fn admit(&self, token: Token) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.admit(token)
    }

    fn start(&self, life: &Arc<Life>, attempt: AttemptId, brief: JobBrief, work: Work) {
        let running = life.attempts.start(attempt, brief.task_timeout);
        let (life, site) = (Arc::clone(life), Arc::clone(&self.site));
        let busy = Arc::clone(&self.busy);
        busy.send_modify(|busy| *busy += 1);
        self.pool.spawn(move || {
            carry_out(&site, &life, &running, &brief, &work);
            // They own temporary files, which should be gone when nothing runs any more.
            drop((life, site));
            busy.send_modify(|busy| *busy -= 1);
        });
    }

    fn delete(&self, runs: Dropped) {
        if !runs.has_files() {
            return;
        }
        let busy = Arc::clone(&self.busy);
        busy.send_modify(|busy| *busy += 1);
        tokio::task::spawn_blocking(move || {
            drop(runs);
            busy.send_modify(|busy| *busy -= 1);
        });
    }
}
