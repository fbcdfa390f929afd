//! Workers that are to leave without loss: they get no attempts, end what they run, and stay until no running job needs their runs.

use std::collections::VecDeque;

use mapfold_terms::{NoticeKind, WorkerId};

use mapfold_journal::Record;

use crate::Action;
use crate::planted::Bug;
use crate::scheduler::Scheduler;

/// Worker processes that are to leave, in all their lives and over all starts of the master. A process that has left never comes back, so
/// only the last few count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drains(VecDeque<u128>);

impl Drains {
    fn has(&self, process: u128) -> bool {
        self.0.contains(&process)
    }

    /// Whether that is new. 0 is no process.
    pub(crate) fn note(&mut self, process: u128) -> bool {
        if process == 0 || self.has(process) {
            return false;
        }
        if self.0.len() == Record::DRAINS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(process);
        true
    }
}

impl Scheduler {
    /// A worker has come: if its process is to leave, it is.
    pub(crate) fn drain_again(&mut self, id: WorkerId, process: u128) {
        if self.drains.has(process) {
            self.worker_drains(id);
        }
    }

    /// A worker is to leave.
    pub(crate) fn worker_drains(&mut self, id: WorkerId) {
        let begins = self.workers.edit(id, |worker| {
            let begins = !worker.draining;
            worker.draining = true;
            begins.then_some(worker.process)
        });
        let process = match begins {
            None => return self.stale(None),
            Some(None) => return,
            Some(Some(process)) => process,
        };
        if self.drains.note(process) {
            self.actions.push_back(Action::Drains { process });
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
