//! The invariants of [`crate::scheduler`], checked in full. For tests and simulations: O(everything).

use std::collections::{BTreeMap, BTreeSet};

use mapfold_terms::{AttemptId, JobId, TaskKind, WorkerId};

use crate::Scheduler;
use crate::job::{Job, JobState};
use crate::phase::Phase;
use crate::task::{Task, TaskState};
use crate::timers::Timer;

impl Scheduler {
    /// Checks everything that must hold between two calls; the error says what does not.
    ///
    /// # Errors
    /// The first invariant found broken, in words.
    pub fn check_invariants(&self) -> Result<(), String> {
        for (id, job) in &self.jobs {
            check_phase(&job.maps).map_err(|text| format!("{id} maps: {text}"))?;
            check_phase(&job.reduces).map_err(|text| format!("{id} reduces: {text}"))?;
            check_inputs(job).map_err(|text| format!("{id}: {text}"))?;
            self.check_alive(*id, job)?;
        }
        self.check_workers()?;
        self.check_timers()?;
        if self.backup_waits() {
            return Err("a backup waits though a slot is free".to_owned());
        }
        if let Some((id, kind, choice)) = self.choose() {
            let index = choice.index;
            return Err(format!(
                "{id}: {kind:?} task {index} waits though a slot is free"
            ));
        }
        Ok(())
    }

    /// Whether nothing is left but live, idle workers: no jobs, no attempts, no runs, no other waits.
    pub fn is_idle(&self) -> bool {
        self.is_idle_but_for(|_| false)
    }

    /// The same, if it does not count what runs for ever although it was told to stop.
    pub(crate) fn is_idle_but_for(&self, forever: impl Fn(AttemptId) -> bool) -> bool {
        let idle = |timer| matches!(timer, Timer::Lease(_) | Timer::Rest(_) | Timer::Excluded(_));
        self.jobs.is_empty()
            && self.timers.iter().all(idle)
            && self.workers.iter().all(|(_, worker)| {
                worker.running.is_empty()
                    && worker.stopping.keys().all(|attempt| forever(*attempt))
                    && worker.held.is_empty()
            })
    }

    /// Something will happen to the job even if nobody says anything.
    fn check_alive(&self, id: JobId, job: &Job) -> Result<(), String> {
        let committing = matches!(job.state, JobState::Committing { .. });
        let running = !job.maps.running.is_empty() || !job.reduces.running.is_empty();
        if committing && running {
            return Err(format!("{id} commits while attempts run"));
        }
        let waits = self.timers.iter().any(|timer| match timer {
            Timer::Retry(job, _) | Timer::NoWorkers(job) | Timer::Runs(job) => job == id,
            _ => false,
        });
        if committing || running || waits || self.workers.usable() > 0 {
            return Ok(());
        }
        Err(format!("{id} waits for nothing"))
    }

    /// Workers know exactly the attempts that run and the runs that win, and no slot is used twice.
    fn check_workers(&self) -> Result<(), String> {
        let mut running = BTreeMap::new();
        let mut held = BTreeSet::new();
        for (id, worker) in self.workers.iter() {
            let most = worker.most(self.workers.ahead_per_slot());
            if worker.busy() > most {
                return Err(format!("{id} has {} of {most} attempts", worker.busy()));
            }
            running.extend(worker.running.keys().map(|attempt| (*attempt, id)));
            for (job, maps) in &worker.held {
                held.extend(maps.iter().map(|map| (*job, *map, id)));
            }
        }
        let mut running_here: BTreeMap<AttemptId, WorkerId> = BTreeMap::new();
        let mut held_here = BTreeSet::new();
        for (id, job) in &self.jobs {
            running_here.extend(&job.maps.running);
            running_here.extend(&job.reduces.running);
            let winners = job.maps.winners();
            let winners = winners.map(|(attempt, by)| (*id, attempt.task.index, by));
            let winners =
                winners.filter(|(_, map, _)| !job.is_map_only() && !job.awaited.contains(map));
            // Runs of a job that commits may be lost without anybody caring.
            let counts = |by: &WorkerId| job.state == JobState::Running || self.is_live(*by);
            held_here.extend(winners.filter(|(_, _, by)| counts(by)));
        }
        if running != running_here {
            return Err(format!("workers run {running:?}, tasks {running_here:?}"));
        }
        if held != held_here {
            return Err(format!("workers hold {held:?}, tasks won {held_here:?}"));
        }
        if !self.workers.order_is_exact() {
            return Err("the order of free workers is stale".to_owned());
        }
        Ok(())
    }

    /// Timers stand for something that exists, and whatever must be waited for has one.
    fn check_timers(&self) -> Result<(), String> {
        for timer in self.timers.iter() {
            let stands = match timer {
                Timer::Lease(id) => self.is_live(id),
                Timer::Rest(id) => self.workers.get(id).is_some_and(|worker| worker.resting),
                Timer::Excluded(id) => self.workers.get(id).is_some_and(|it| it.excluded),
                Timer::Retry(id, task) => self.jobs.get(&id).is_some_and(|job| {
                    job.phase(task.kind).tasks[task.index as usize].state == TaskState::Waiting
                }),
                Timer::NoWorkers(id) | Timer::Unbegun(id) => {
                    self.jobs.contains_key(&id) && self.workers.usable() == 0
                }
                Timer::Yield(id) => self.jobs.contains_key(&id),
                Timer::Runs(id) => {
                    let job = self.jobs.get(&id);
                    job.is_some_and(|job| !job.awaited.is_empty())
                }
                Timer::Stragglers(id) => self.jobs.get(&id).is_some_and(|job| job.backup),
            };
            if !stands {
                return Err(format!("{timer:?} stands for nothing"));
            }
        }
        for (id, worker) in self.workers.iter() {
            if !self.timers.is_set(Timer::Lease(id)) {
                return Err(format!("{id} has no lease"));
            }
            if worker.excluded && !self.timers.is_set(Timer::Excluded(id)) {
                return Err(format!("{id} is excluded for ever"));
            }
            if worker.resting && !self.timers.is_set(Timer::Rest(id)) {
                return Err(format!("{id} rests for ever"));
            }
        }
        for (id, job) in &self.jobs {
            if !job.awaited.is_empty() && !self.timers.is_set(Timer::Runs(*id)) {
                return Err(format!("{id} waits for runs for ever"));
            }
            for (index, task) in (0..).zip(&job.reduces.tasks) {
                let retry = Timer::Retry(*id, mapfold_terms::TaskId::reduce(index));
                if task.state == TaskState::Waiting && !self.timers.is_set(retry) {
                    return Err(format!("{id} r{index} waits for ever"));
                }
            }
        }
        Ok(())
    }
}

/// States, queue, running set and count of one phase say the same.
fn check_phase(phase: &Phase) -> Result<(), String> {
    let queued: Vec<u32> = phase.pending.iter().collect();
    let pending: BTreeSet<u32> = queued.iter().copied().collect();
    if queued.len() != pending.len() {
        return Err(format!("queued twice: {queued:?}"));
    }
    let mut running = BTreeSet::new();
    let mut won = 0;
    for (index, task) in (0..).zip(&phase.tasks) {
        check_task(index, task)?;
        if pending.contains(&index) != (task.state == TaskState::Pending) {
            return Err(format!(
                "task {index} is {:?}, queue {pending:?}",
                task.state
            ));
        }
        match &task.state {
            TaskState::Running(attempts) => running.extend(attempts.iter().copied()),
            TaskState::Won { .. } => won += 1,
            TaskState::Pending | TaskState::Waiting => {}
        }
    }
    if won != phase.won {
        return Err(format!("{won} tasks are won, not {}", phase.won));
    }
    if !running.iter().eq(phase.running.keys()) {
        return Err(format!("running {running:?}, not {:?}", phase.running));
    }
    Ok(())
}

fn check_task(index: u32, task: &Task) -> Result<(), String> {
    let attempts: &[AttemptId] = match &task.state {
        TaskState::Running(attempts) => attempts,
        TaskState::Won { attempt, .. } => std::slice::from_ref(attempt),
        TaskState::Pending | TaskState::Waiting => return Ok(()),
    };
    let right = |attempt: &AttemptId| attempt.task.index == index && attempt.number <= task.tries;
    if attempts.is_empty() || attempts.len() > Task::RUNNING_MAX || !attempts.iter().all(right) {
        return Err(format!("task {index} has attempts {attempts:?}"));
    }
    Ok(())
}

/// Won reduce tasks consumed the runs that count.
fn check_inputs(job: &Job) -> Result<(), String> {
    let expected = job.inputs.expected();
    if expected != job.inputs.recomputed() {
        return Err("the expected inputs are not the sum of the winners".to_owned());
    }
    for (index, consumed) in (0..).zip(&job.consumed) {
        let won = job.phase(TaskKind::Reduce).winner(index).is_some();
        if won != consumed.is_some() || consumed.is_some_and(|set| set != expected) {
            return Err(format!(
                "r{index} (won: {won}) consumed {consumed:?}, not {expected}"
            ));
        }
    }
    for (map, _) in (0..).zip(&job.maps.tasks) {
        if job.maps.winner(map).is_some() && job.inputs.digest(map).is_none() {
            return Err(format!("m{map} is won without a digest"));
        }
    }
    Ok(())
}
