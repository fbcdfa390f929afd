//! The shell around the real scheduler: tells it what arrives, does what it asks, and judges both.

use std::time::Duration;

use mapfold_terms::{AttemptId, FailReason, JobId, WorkerId};

use super::world::{FAULTS_END, Happening, Message, Reply, World};
use crate::planted::Bug;
use crate::script::{failure, words};
use crate::{Action, CommitOutcome, Event, JobResult, Settings};

/// Bounds that fit a world in which a second is long.
pub(super) fn settings() -> Settings {
    let ms = Duration::from_millis;
    Settings {
        lease: ms(300),
        lease_slack: ms(60),
        grace_without_workers: ms(1_500),
        confirm_within: ms(150),
        run_losses_max: 30,
        retry_first: ms(20),
        retry_max: ms(200),
        yield_after: ms(100),
        runs_awaited: ms(400),
        backup_min_age: ms(100),
        flap_window: ms(2_000),
        exclusion_first: ms(100),
        exclusion_max: ms(400),
        stop_max: ms(500),
        ahead_per_slot: 1,
        ahead_after: 1,
        ..Settings::default()
    }
}

impl World {
    pub(super) fn reach_master(&mut self, happening: Happening) -> Result<(), String> {
        match happening {
            Happening::MasterUp => self.start_master(),
            // Clients go on asking.
            Happening::Submit(job) if self.master_down => {
                self.push(self.now + 50, Happening::Submit(job));
                Ok(())
            }
            _ if self.master_down => Ok(()),
            Happening::ToMaster {
                process,
                life,
                from,
                message,
            } => self.heard(process, life, from, message),
            Happening::Submit(job) => {
                let plan = self.jobs[&job].function.plan.clone();
                self.handle(Event::JobPlanned { job, plan })?;
                self.job(job).accepted = !self.master_down;
                if self.master_down {
                    self.push(self.now + 50, Happening::Submit(job));
                }
                Ok(())
            }
            Happening::CommitEnded(job, epoch, outcome) => {
                if epoch != self.epoch {
                    return Ok(());
                }
                self.handle(Event::CommitEnded { job, outcome })
            }
            Happening::Gone(worker, why) => self.handle(Event::WorkerGone { worker, why }),
            Happening::Tick => {
                if self.tick_at.is_some_and(|at| at <= self.now) {
                    self.tick_at = None;
                    self.scheduler.tick(self.moment());
                    self.drain()?;
                }
                Ok(())
            }
            other => unreachable!("{other:?} is not for the master"),
        }
    }

    /// A message of a worker arrives at the master, which answers.
    pub(super) fn heard(
        &mut self,
        process: usize,
        life: u64,
        from: WorkerId,
        message: Message,
    ) -> Result<(), String> {
        let reply = match message {
            Message::Join { returning } => {
                let worker = WorkerId(self.next_worker);
                self.next_worker += 1;
                let slots = self.processes[process].slots;
                self.processes[process].orders_at = self.now;
                self.processes[process].life_of.insert(worker, life);
                let number = self.processes[process].number(process);
                let event = match returning {
                    Some((epoch, holds)) if epoch < self.epoch => Event::WorkerReturned {
                        worker,
                        slots,
                        holds,
                        process: number,
                    },
                    _ => Event::WorkerJoined {
                        worker,
                        slots,
                        process: number,
                    },
                };
                self.handle(event)?;
                if !self.master_down {
                    self.reply(process, life, Reply::Joined(worker, self.epoch));
                }
                return Ok(());
            }
            Message::Attach(runs) => {
                self.handle(Event::RunsHeld { worker: from, runs })?;
                Reply::AttachHeard(from)
            }
            Message::Beat {
                holds,
                progress,
                sent,
            } => {
                self.handle(Event::Heartbeat {
                    worker: from,
                    holds,
                    progress,
                })?;
                Reply::BeatHeard { sent }
            }
            Message::Ended { attempt, outcome } => {
                let outcome = *outcome;
                self.reported = Some((attempt, outcome.clone()));
                self.handle(Event::AttemptEnded {
                    worker: from,
                    attempt,
                    outcome,
                })?;
                Reply::EndHeard(attempt)
            }
        };
        if self.master_down {
            return Ok(());
        }
        let reply = if self.scheduler.is_live(from) {
            reply
        } else {
            Reply::Refused(from)
        };
        self.reply(process, life, reply);
        Ok(())
    }

    pub(super) fn handle(&mut self, event: Event) -> Result<(), String> {
        if self.trace.is_some() {
            self.note(&format!("{event:?}"));
        }
        self.scheduler.handle(self.moment(), event);
        self.drain()
    }

    /// Does what the scheduler asks, and checks that it may be asked.
    pub(super) fn drain(&mut self) -> Result<(), String> {
        if self.invariants {
            self.scheduler.check_invariants()?;
        }
        let actions: Vec<Action> = std::iter::from_fn(|| self.scheduler.poll_action()).collect();
        self.record(&actions)?;
        if self.crash_in_turn && self.disk.is_behind() {
            // Orders may leave before the sync, if nothing but wins and losses is recorded.
            let tasks_only = self.disk.tasks_only && self.rng.chance(50);
            for action in actions.into_iter().filter(|_| tasks_only) {
                if matches!(
                    action,
                    Action::Launch { .. } | Action::Cancel { .. } | Action::Discard { .. }
                ) {
                    self.note(&words(&action));
                    self.perform(action)?;
                }
            }
            self.crash_master();
            return Ok(());
        }
        let late = self.scheduler.planted(Bug::ToldBeforeSync) && self.rng.chance(50);
        if self.disk.is_behind() && !late {
            self.disk.sync();
        }
        for action in actions {
            self.note(&words(&action));
            self.perform(action)?;
        }
        let live = self.scheduler.usable() > 0;
        self.workerless_since = if live {
            None
        } else {
            self.workerless_since.or(Some(self.now))
        };
        if let Some(due) = self.scheduler.next_deadline() {
            let due = u64::try_from(due.0.as_micros().div_ceil(1000)).unwrap();
            let at = due.saturating_sub(self.clock_ahead).max(self.now + 1);
            if self.tick_at.is_none_or(|tick| at < tick || tick < self.now) {
                self.tick_at = Some(at);
                self.push(at, Happening::Tick);
            }
        }
        Ok(())
    }

    pub(super) fn perform(&mut self, action: Action) -> Result<(), String> {
        match action {
            Action::Launch { attempt, on } => {
                if !self.launched.insert(attempt.token) {
                    return Err(format!("{attempt} was launched twice"));
                }
                let ended = self.jobs[&attempt.job].result.is_some();
                if self.fenced.contains(&on) || ended {
                    return Err(format!("{attempt} was launched on {on} too late"));
                }
                self.order(on, Reply::Launch(attempt));
            }
            Action::Cancel { attempt, on } => self.order(on, Reply::Cancel(attempt)),
            Action::Discard { attempt, on } => {
                let winner = self.scheduler.winner(attempt.job, attempt.task.index);
                if winner.is_some_and(|winner| winner.attempt == attempt) {
                    return Err(format!("the run of {attempt} wins and is discarded"));
                }
                self.order(on, Reply::Discard(attempt));
            }
            Action::Commit { job, parts } => self.commit(job, &parts)?,
            Action::Finish { job, result } => self.end(job, result)?,
            Action::Dismiss { worker } => self.order(worker, Reply::Stop),
            Action::Fence { worker } => {
                self.fenced.insert(worker);
                self.summary.workers_lost += 1;
            }
            Action::Found { .. } => self.summary.found += 1,
            Action::Adopted { .. } => self.summary.adopted += 1,
            Action::Notice { .. } | Action::Won { .. } | Action::Drains { .. } => {}
        }
        Ok(())
    }

    pub(super) fn commit(&mut self, id: JobId, parts: &[AttemptId]) -> Result<(), String> {
        let faults = self.now < FAULTS_END;
        let epoch = self.epoch;
        let job = self.jobs.get_mut(&id).unwrap();
        let broken = faults && !job.visible && self.rng.chance(2);
        job.commit_broken = broken;
        if job.commit_asked.replace(epoch) == Some(epoch) || job.result.is_some() {
            return Err(format!("{id} commits again"));
        }
        if job.visible && job.commit_parts != parts {
            return Err(format!(
                "{id} commits other parts than those that are visible"
            ));
        }
        job.commit_parts = parts.to_vec();
        self.judge(id)?;
        let outcome = if broken {
            CommitOutcome::Failed {
                reason: FailReason::Output,
                failure: failure(mapfold_terms::FailClass::Worker, "broken"),
            }
        } else {
            CommitOutcome::Done { root: [1; 32] }
        };
        let at = self.now + self.rng.range(2, 60);
        if !broken {
            let visible = self.rng.range(self.now + 1, at);
            self.push(visible, Happening::Visible(id, epoch));
        }
        self.push(at, Happening::CommitEnded(id, epoch, outcome.clone()));
        if self.rng.chance(5) {
            self.push(at + 20, Happening::CommitEnded(id, epoch, outcome));
        }
        Ok(())
    }

    /// Whether the parts of a commit are the output, as they are now.
    pub(super) fn judge(&mut self, id: JobId) -> Result<(), String> {
        let job = &self.jobs[&id];
        for attempt in &job.commit_parts {
            // Whoever wrote there last.
            if let Some(part) = self.shown.get(&(id, attempt.task)) {
                self.staged.insert(*attempt, part.clone());
            }
        }
        let judged = job.function.check(&job.commit_parts, &self.staged);
        judged.map_err(|text| format!("wrong output of {id}: {text}"))
    }

    pub(super) fn end(&mut self, id: JobId, result: JobResult) -> Result<(), String> {
        let grace = settings().grace_without_workers.as_millis();
        let workerless = self.workerless_since.map_or(0, |since| self.now - since) + self.jumped;
        let job = self.jobs.get_mut(&id).unwrap();
        let fair = match &result {
            JobResult::Succeeded { .. } => job.visible,
            JobResult::Cancelled => job.cancelled && !job.visible,
            JobResult::Failed { reason, .. } => match reason {
                FailReason::NoWorkers => u128::from(workerless) >= grace,
                FailReason::Rollbacks => !job.function.deterministic,
                FailReason::Output => job.commit_broken,
                FailReason::TaskFailed => self.looped.iter().any(|it| it.job == id),
                _ => false,
            },
        };
        if job.result.is_some() || !fair {
            return Err(format!(
                "{id} ended with {result:?} (before: {:?})",
                job.result
            ));
        }
        self.summary.jobs += 1;
        self.summary.succeeded += u64::from(matches!(result, JobResult::Succeeded { .. }));
        let stats = self.scheduler.stats(id).unwrap_or_default();
        self.summary.attempts += stats.attempts;
        self.summary.backups += stats.backups;
        self.summary.backups_won += stats.backups_won;
        self.summary.rollbacks += u64::from(stats.rollbacks);
        self.summary.maps_rerun += stats.maps_rerun;
        job.result = Some(result);
        let forgetful: Vec<WorkerId> = self.scheduler.workers().map(|w| w.worker).collect();
        for worker in forgetful {
            self.order(worker, Reply::Forget(id));
        }
        if self.unfinished().is_empty() {
            self.ended_at = Some(self.now);
        }
        Ok(())
    }
}
