//! Who gets which slot, and how a slot is taken back.

use std::ops::Bound::{Excluded, Unbounded};

use mapfold_terms::{AttemptId, JobId, NoticeKind, TaskId, TaskKind, WorkerId};

use crate::Action;
use crate::job::JobState;
use crate::pending::Choice;
use crate::planted::Bug;
use crate::scheduler::Scheduler;
use crate::timers::Timer;
use crate::workers::{Launched, Lingering};

impl Scheduler {
    /// Gives free slots to tasks, one job after the other, until slots or tasks run out.
    pub(crate) fn assign(&mut self) {
        if self.workers.usable() > 0 && std::mem::take(&mut self.starved) {
            for id in self.jobs.keys() {
                self.timers.clear(Timer::NoWorkers(*id));
                self.timers.clear(Timer::Unbegun(*id));
            }
        }
        while self.workers.any_open() && (self.launch_one() || self.launch_backup()) {}
        self.dismiss();
    }

    /// The next attempt to launch: the first job after the one served last that has a task for a free slot; if none has, a short
    /// task that may wait for one.
    pub(crate) fn choose(&self) -> Option<(JobId, TaskKind, Choice)> {
        self.choose_now().or_else(|| self.choose_ahead())
    }

    fn choose_now(&self) -> Option<(JobId, TaskKind, Choice)> {
        let after = self.jobs.range((Excluded(self.served), Unbounded));
        after
            .chain(self.jobs.range(..=self.served))
            .find_map(|(id, job)| {
                let (kind, choice) = job.choose(&self.workers)?;
                Some((*id, kind, choice))
            })
    }

    /// Only for a job alone: what waits at a worker would keep its slots from the tasks of others. Towards the end of a phase
    /// nothing waits, as no worker should have tasks in store that others could begin.
    fn choose_ahead(&self) -> Option<(JobId, TaskKind, Choice)> {
        let (id, job) = self.jobs.first_key_value()?;
        let alone = self.jobs.len() == 1 && job.state == JobState::Running;
        if !alone || job.short_maps < self.settings.ahead_after {
            return None;
        }
        let least = self
            .workers
            .slots()
            .saturating_mul(self.workers.ahead_per_slot());
        let choice = job.maps.pending.choose_ahead(&self.workers, least)?;
        Some((*id, TaskKind::Map, choice))
    }

    fn launch_one(&mut self) -> bool {
        let Some((id, kind, choice)) = self.choose() else {
            return false;
        };
        if let Some(job) = self.jobs.get_mut(&id) {
            job.phase_mut(kind).pending.take(&choice);
        }
        let index = choice.index;
        self.launch(id, TaskId { kind, index }, choice.worker, false);
        true
    }

    /// Gives a task to a worker, which has room for it.
    pub(crate) fn launch(
        &mut self,
        id: JobId,
        task: TaskId,
        on: WorkerId,
        backup: bool,
    ) -> AttemptId {
        let token = self.next_token();
        let mut attempt = AttemptId {
            token,
            job: id,
            task,
            number: 1,
        };
        self.next_counter += 1;
        self.served = id;
        if let Some(job) = self.jobs.get_mut(&id) {
            job.stats.attempts += 1;
            let phase = job.phase_mut(task.kind);
            attempt.number = phase.task(task.index).tries + 1;
            phase.launch(attempt, on);
        }
        let at = self.clock.counted();
        let ahead = self.workers.ahead_per_slot();
        self.workers.edit(on, |worker| {
            let launched = Launched::new(at, worker.watched, backup);
            worker.running.insert(attempt, launched);
            assert!(worker.busy() <= worker.most(ahead), "{attempt} has no slot");
        });
        self.actions.push_back(Action::Launch { attempt, on });
        attempt
    }

    /// Stops all running attempts of a phase; their tasks go back to the queue.
    pub(crate) fn stop_running(&mut self, id: JobId, kind: TaskKind) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let phase = job.phase_mut(kind);
        let running: Vec<_> = phase.running.iter().map(|(a, w)| (*a, *w)).collect();
        for (attempt, on) in running {
            self.stop(attempt, on);
            self.requeue(attempt);
        }
    }

    /// Tells a worker to stop an attempt. It keeps its slot until the worker has stopped it.
    pub(crate) fn stop(&mut self, attempt: AttemptId, on: WorkerId) {
        let now = self.clock.counted();
        let own = self.jobs.get(&attempt.job).map(|job| job.task_timeout);
        let limit = own.filter(|own| !own.is_zero());
        let limit = limit.unwrap_or(self.settings.stop_max);
        self.workers.edit(on, |worker| {
            if let Some(launched) = worker.running.remove(&attempt) {
                let lingering = Lingering {
                    steps: launched.steps.unwrap_or(0),
                    stepped: launched.stepped,
                    limit,
                };
                worker.lingering.insert(attempt, lingering);
            }
            worker.stopping.insert(attempt, now);
        });
        self.count_lost(attempt.job);
        self.actions.push_back(Action::Cancel { attempt, on });
    }

    /// The attempt's task goes back to the queue; the attempt has left its worker already.
    pub(crate) fn requeue(&mut self, attempt: AttemptId) {
        if let Some(job) = self.jobs.get_mut(&attempt.job) {
            job.phase_mut(attempt.task.kind).requeue(attempt);
        }
        if attempt.task.kind == TaskKind::Map {
            self.watch_for_slot(attempt.job);
        }
    }

    /// A map task of the job waits for a slot: sees to it that it does not wait for reduce attempts that
    /// wait for it.
    pub(crate) fn watch_for_slot(&mut self, id: JobId) {
        let waits = self.jobs.get(&id).is_some_and(|job| {
            job.state == JobState::Running
                && !job.maps.pending.is_empty()
                && !job.reduces.running.is_empty()
        });
        let waits = waits && !self.planted(Bug::NoYield);
        if waits && !self.timers.is_set(Timer::Yield(id)) {
            self.arm(Timer::Yield(id), self.settings.yield_after);
        }
    }

    /// Stops the youngest reduce attempt of a job whose lost map task still waits for a slot, best one
    /// on a worker that the map task does not avoid.
    pub(crate) fn yield_slot(&mut self, id: JobId) {
        self.watch_for_slot(id);
        if !self.timers.is_set(Timer::Yield(id)) {
            return;
        }
        let Some(job) = self.jobs.get(&id) else {
            return;
        };
        let fits = |on: WorkerId| {
            let mut groups = job.maps.pending.groups();
            groups.any(|avoid| self.workers.allowed(avoid, on))
        };
        let mut youngest = job.reduces.running.iter().rev().map(|(a, w)| (*a, *w));
        let best = youngest.clone().find(|(_, on)| fits(*on));
        let Some((attempt, on)) = best.or_else(|| youngest.next()) else {
            return;
        };
        let text = format!("{attempt} starts again later: a lost map task needs its slot");
        self.notice(Some(id), NoticeKind::Retry, text);
        self.stop(attempt, on);
        self.requeue(attempt);
    }
}
