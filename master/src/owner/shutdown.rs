//! The end of a master: first its jobs, then its workers, then itself.

use mapfold_terms::{JobId, Order, WorkerId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Owner;
use crate::session::Session;

/// A shutdown under way.
pub(super) struct Shutdown {
    asked: Vec<oneshot::Sender<()>>,
    /// Set when the workers were told to stop.
    farewell_ends: Option<Instant>,
}

impl Shutdown {
    pub(super) fn farewell_ends(&self) -> Option<Instant> {
        self.farewell_ends
    }

    /// Tells whoever asked for it.
    pub(super) fn done(self) {
        for asker in self.asked {
            let _ = asker.send(());
        }
    }
}

impl Owner {
    pub(super) fn begin_shutdown(&mut self, asker: oneshot::Sender<()>) {
        let shutdown = self.shutdown.get_or_insert_with(|| Shutdown {
            asked: Vec::new(),
            farewell_ends: None,
        });
        shutdown.asked.push(asker);
        let jobs: Vec<JobId> = self.jobs.active().map(|job| job.id).collect();
        for job in jobs {
            let _ = self.cancel(job);
        }
    }

    /// Once no job is left, tells the workers to stop.
    pub(super) fn advance_shutdown(&mut self) {
        let idle = self.jobs.active().next().is_none();
        let Some(shutdown) = &mut self.shutdown else {
            return;
        };
        if !idle || shutdown.farewell_ends.is_some() {
            return;
        }
        shutdown.farewell_ends = Some(Instant::now() + self.settings.farewell_max);
        let workers: Vec<WorkerId> = self.sessions.keys().copied().collect();
        for worker in workers {
            self.order(worker, Order::Stop);
        }
    }

    /// Every worker has left or has taken the order to stop, or has had its time.
    pub(super) fn is_over(&self) -> bool {
        let farewell_ends = self.shutdown.as_ref().and_then(Shutdown::farewell_ends);
        farewell_ends.is_some_and(|ends| {
            self.sessions.values().all(Session::has_all) || ends <= Instant::now()
        })
    }
}
