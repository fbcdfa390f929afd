//! Carries out attempts with the engine's own code, and makes them take virtual time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mapfold_job::Monitor;
use mapfold_protocol::service::Location;
use mapfold_terms::{AttemptId, JobBrief, JobId, Token};
use tokio::time::{Duration, sleep};

use super::network::Rng;
use crate::attempt::{Site, Work, carry_out};
use crate::attempts::Seen;
use crate::life::Life;
use crate::locate::Locator;
use crate::slots::Executor;
use crate::store::Dropped;

/// Where runs are, as the master said last.
pub(super) type Known = Arc<Mutex<BTreeMap<JobId, Vec<Location>>>>;

/// An attempt waits in virtual time, asks the master where its runs are, and is then carried out on a thread of its own; while one
/// is, time stands still. So what an attempt does takes no time, and what it asks has been asked before.
pub(super) struct Paced {
    pub(super) site: Arc<Site>,
    pub(super) seen: Arc<Mutex<Seen>>,
    pub(super) rng: Arc<Mutex<Rng>>,
    /// Puts questions to the master.
    pub(super) asks: Arc<Locator>,
    pub(super) known: Known,
}

impl Executor for Paced {
    fn admit(&self, token: Token) -> bool {
        self.seen.lock().unwrap().admit(token)
    }

    fn start(&self, life: &Arc<Life>, attempt: AttemptId, brief: JobBrief, work: Work) {
        let running = life.attempts.start(attempt, brief.task_timeout);
        let (life, site, asks) = (
            Arc::clone(life),
            Arc::clone(&self.site),
            Arc::clone(&self.asks),
        );
        let known = Arc::clone(&self.known);
        let slow = self.rng.lock().unwrap().chance(10);
        let takes = self
            .rng
            .lock()
            .unwrap()
            .range(1, if slow { 200 } else { 30 });
        tokio::spawn(async move {
            for done in 0..takes {
                sleep(Duration::from_millis(100)).await;
                running.progress(done, done);
                if running.cancelled() {
                    break;
                }
            }
            if matches!(work, Work::Reduce(_)) {
                let located = asks.ask(brief.job, 0).await;
                known
                    .lock()
                    .unwrap()
                    .insert(brief.job, located.unwrap_or_default());
            }
            let attempt = move || carry_out(&site, &life, &running, &brief, &work);
            tokio::task::spawn_blocking(attempt).await.unwrap();
        });
    }

    fn delete(&self, runs: Dropped) {
        drop(runs);
    }
}
