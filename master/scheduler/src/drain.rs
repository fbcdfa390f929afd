//! Workers that are to leave without loss: they get no attempts, end what they run, and stay until no running job needs their runs.

use mapfold_terms::{NoticeKind, WorkerId};

use crate::Action;
use crate::planted::Bug;
use crate::scheduler::Scheduler;

impl Scheduler {
    /// A worker is to leave.
    pub(crate) fn worker_drains(&mut self, id: WorkerId) {
        let begins = self.workers.edit(id, |worker| {
            let begins = !worker.draining;
            worker.draining = true;
            begins
        });
        match begins {
            None => return self.stale(None),
            Some(false) => return,
            Some(true) => {}
        }
        self.workers.draining.insert(id);
        if !self.jobs.is_empty() {
            let text = format!(
                "{id} is draining: it gets no more tasks, and leaves when its runs are not needed"
            );
            self.notice(None, NoticeKind::Worker, text);
        }
        self.workers_dwindled();
    }

    /// Draining workers that nobody needs any more may go. Cost: the draining workers.
    pub(crate) fn dismiss(&mut self) {
        if self.workers.draining.is_empty() || self.planted(Bug::NotDismissed) {
            return;
        }
        let now = self.clock.counted();
        let draining: Vec<WorkerId> = self.workers.draining.iter().copied().collect();
        for id in draining {
            let again = self.settings.confirm_within;
            let goes = self.workers.edit(id, |worker| {
                // Code that never comes back would keep it for ever.
                let rid = worker.running.is_empty()
                    && worker.stopping.keys().all(|it| worker.stuck.contains(it));
                let told = worker.dismissed.is_some_and(|told| now.0 - told.0 <= again);
                let goes = rid && worker.held.is_empty() && !told;
                if goes {
                    worker.dismissed = Some(now);
                }
                goes
            });
            if goes == Some(true) {
                self.actions.push_back(Action::Dismiss { worker: id });
            }
        }
    }
}
