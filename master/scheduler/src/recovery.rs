//! From a journal to a scheduler that goes on where an earlier start of the master was cut off.
//!
//! Replay is a function of the records alone: it sets what was decided for good, which tasks are won by whom, what
//! commits, what has ended. What runs, who works, how often a task has failed is not recorded. [`Scheduler::recover`]
//! then waits for workers to return. Each brings what it runs and what it holds, and tokens decide what of that counts:
//!
//! | a worker brings | it counts if | else |
//! | --- | --- | --- |
//! | a run | its attempt is the winner of its task, and no worker has brought it yet | the run is deleted |
//! | an attempt that runs or has ended | its task is pending | it is cancelled |
//!
//! A worker that was declared dead before the restart may return too: its lost runs are nobody's winners any more, and an attempt
//! of its that is adopted is as good as a new one, since reports are judged by what they consumed and left.

use std::collections::BTreeSet;

use mapfold_journal::Record;
use mapfold_terms::{
    AttemptId, Digest, FailReason, JobId, MasterEpoch, NoticeKind, TaskId, TaskKind, WorkerId,
};

use crate::ended::part_of;
use crate::inputs::Change;
use crate::job::{Job, JobState};
use crate::planted::Bug;
use crate::scheduler::Scheduler;
use crate::timers::Timer;
use crate::workers::Launched;
use crate::{Action, JobPlan, JobStats, Moment, Settings};

/// An attempt with a higher number is none of ours: a task is given up long before.
const NUMBER_MAX: u32 = 1 << 20;

impl Scheduler {
    /// The scheduler that these records of earlier starts leave, with tokens of a new epoch. Drain
    /// [`Scheduler::poll_action`]: commits that were cut off are asked for again.
    pub fn recover<'a>(
        now: Moment,
        epoch: MasterEpoch,
        settings: Settings,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Self {
        let mut scheduler = Self::new(epoch, 1, settings);
        for record in records {
            scheduler.replay(record);
        }
        scheduler.resume(now);
        scheduler
    }

    /// Takes over what a record says. O(log tasks), but for a job's plan and end, and for roll-backs.
    pub(crate) fn replay(&mut self, record: &Record) {
        match record {
            Record::Planned { job, planned } => {
                let plan = JobPlan {
                    maps: planned.maps,
                    reduces: planned.reducers,
                    max_attempts: planned.max_attempts,
                    skip_bad: planned.skip_bad,
                    backup: planned.backup,
                    task_timeout: planned.task_timeout,
                };
                self.jobs.insert(*job, Job::new(&plan));
            }
            Record::MapWon {
                attempt,
                by,
                report,
            } => {
                let tolerant = self.planted(Bug::ReplayWithoutRollback);
                let twice = self.planted(Bug::ReplayWinsTwice);
                if let Some(job) = self.jobs.get_mut(&attempt.job) {
                    job.replay_map(*attempt, *by, report.run.digest, tolerant);
                    job.skip(attempt.task.index, report.skipped.len());
                    job.maps.won += usize::from(twice);
                }
            }
            Record::ReduceWon {
                attempt,
                by,
                report,
            } => {
                if let Some(job) = self.jobs.get_mut(&attempt.job) {
                    job.stats.attempts += 1;
                    job.reduces.replay_win(*attempt, *by);
                    if let Some(consumed) = job.consumed.get_mut(attempt.task.index as usize) {
                        *consumed = Some(report.consumed);
                    }
                    if let Some(part) = job.parts.get_mut(attempt.task.index as usize) {
                        *part = Some(part_of(report));
                    }
                }
            }
            Record::Lost { job, task } => {
                let keep = self.planted(Bug::ReplayWithoutRollback);
                if let Some(job) = self.jobs.get_mut(job)
                    && !(keep && task.kind == TaskKind::Reduce)
                {
                    job.replay_loss(*task);
                }
            }
            Record::Committing { job } => {
                if let Some(job) = self.jobs.get_mut(job) {
                    job.state = JobState::Committing { cancelled: false };
                }
            }
            Record::Ended { job, .. } => {
                self.jobs.remove(job);
                self.ended.insert(*job, JobStats::default());
            }
            Record::Drains { process } => {
                if !self.planted(Bug::DrainsForgotten) {
                    self.drains.note(*process);
                }
            }
            Record::Began { .. }
            | Record::Starts { .. }
            | Record::Workers { .. }
            | Record::Accepted { .. }
            | Record::Splits { .. }
            | Record::Cancelled { .. }
            | Record::Manifest { .. } => {}
        }
    }

    /// Everything was replayed: goes on.
    pub(crate) fn resume(&mut self, now: Moment) {
        self.advance(now);
        let next_token = self.next_token();
        let ids: Vec<JobId> = self.jobs.keys().copied().collect();
        for id in ids {
            let Some(job) = self.jobs.get_mut(&id) else {
                continue;
            };
            job.winners_since = next_token;
            if job.state != JobState::Running {
                if self.planted(Bug::CommitForgotten) {
                    continue;
                }
                self.ask_commit(id);
                continue;
            }
            let skipped = job.skipped_too_many();
            if !job.is_map_only() {
                job.awaited = job.maps.winners().map(|(run, _)| run.task.index).collect();
            }
            let awaits = !job.awaited.is_empty();
            if awaits && !self.planted(Bug::RunsAwaitedForEver) {
                self.arm(Timer::Runs(id), self.settings.runs_awaited);
            }
            self.await_first_worker(id);
            self.watch_for_stragglers(id);
            if let Some(all) = skipped {
                // The end that followed from the last win was cut off.
                let what = format!("`map` fails on {all} records, and fewer may be skipped");
                self.fail_job(id, what, FailReason::TaskFailed, None);
            }
            self.commit_if_done(id);
        }
    }

    /// A worker that was there before the restart: what it holds and is still wanted runs on.
    pub(crate) fn worker_returned(
        &mut self,
        worker: WorkerId,
        slots: u32,
        holds: &BTreeSet<AttemptId>,
        process: u128,
    ) {
        let now = self.clock.counted();
        if !self.workers.join(worker, slots, process, now) {
            return self.stale(None);
        }
        self.arm(Timer::Lease(worker), self.settings.silence_max());
        for attempt in holds {
            self.adopt(worker, *attempt);
        }
        self.worker_came(worker);
        self.drain_again(worker, process);
    }

    fn adopt(&mut self, on: WorkerId, attempt: AttemptId) {
        let at = self.clock.counted();
        let ahead = self.workers.ahead_per_slot();
        let room = self
            .workers
            .get(on)
            .is_some_and(|worker| worker.busy() < worker.most(ahead));
        let job = self.jobs.get_mut(&attempt.job);
        let adopted = job.is_some_and(|job| {
            let wanted = room
                && attempt.number <= NUMBER_MAX
                && attempt.token.epoch < self.epoch
                && job.state == JobState::Running
                && job.phase_mut(attempt.task.kind).adopt(attempt, on);
            job.stats.attempts += u64::from(wanted);
            wanted
        });
        if adopted {
            self.workers.edit(on, |worker| {
                let launched = Launched {
                    confirmed: true,
                    ..Launched::new(at, worker.watched, false)
                };
                worker.running.insert(attempt, launched);
            });
            self.actions.push_back(Action::Adopted { attempt, on });
            self.watch_for_slot(attempt.job);
            return;
        }
        if room {
            self.workers
                .edit(on, |worker| worker.stopping.insert(attempt, at));
        }
        self.actions.push_back(Action::Cancel { attempt, on });
    }

    /// A worker that returned brings runs.
    pub(crate) fn runs_held(&mut self, worker: WorkerId, runs: &[(AttemptId, Digest)]) {
        if !self.workers.is_live(worker) {
            return self.stale(None);
        }
        for (attempt, digest) in runs {
            self.run_held(worker, *attempt, *digest);
        }
    }

    fn run_held(&mut self, worker: WorkerId, attempt: AttemptId, digest: Digest) {
        let (id, index) = (attempt.job, attempt.task.index);
        let next_token = self.next_token();
        // A run of this epoch is no news, and one whose report is still to come is judged by that.
        if attempt.token.epoch >= self.epoch || self.runs(worker, attempt) {
            return;
        }
        let job = self.jobs.get_mut(&id);
        if job
            .as_ref()
            .is_some_and(|job| job.state != JobState::Running)
        {
            // Whoever commits needs no runs; they go with the job.
            return;
        }
        if let Some(job) = job
            && let Some((winner, by)) = job.maps.winner(index)
            && winner == attempt
            && job.inputs.digest(index) == Some(digest)
        {
            if !job.awaited.remove(&index) {
                if by == worker {
                    return;
                }
            } else {
                job.maps.moved(index, worker);
                job.winners_since = next_token;
                if job.awaited.is_empty() {
                    self.timers.clear(Timer::Runs(id));
                }
                self.workers.edit(worker, |worker| {
                    worker.held.entry(id).or_default().insert(index)
                });
                let at = worker;
                return self.actions.push_back(Action::Found { attempt, at });
            }
        }
        let on = worker;
        self.actions.push_back(Action::Discard { attempt, on });
    }

    /// Workers had time enough to return.
    pub(crate) fn runs_missed(&mut self, id: JobId) {
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        let missed = std::mem::take(&mut job.awaited);
        for map in &missed {
            self.run_lost(id, *map);
        }
        let text = format!(
            "no worker has brought the runs of {} finished map tasks since the master started again: they start again",
            missed.len()
        );
        self.notice(Some(id), NoticeKind::Worker, text);
    }
}

impl Job {
    fn replay_map(&mut self, attempt: AttemptId, by: WorkerId, digest: Digest, tolerant: bool) {
        if attempt.task.index as usize >= self.maps.tasks.len() {
            return;
        }
        self.stats.attempts += 1;
        self.maps.replay_win(attempt, by);
        if self.inputs.win(attempt.task.index, digest) != Change::Other || tolerant {
            return;
        }
        let won: Vec<TaskId> = self.reduces.winners().map(|(part, _)| part.task).collect();
        self.stats.rollbacks += u32::from(!won.is_empty());
        won.into_iter().for_each(|task| self.replay_loss(task));
    }

    /// A roll-back is recorded after the win that caused it, so its losses may have been replayed already.
    fn replay_loss(&mut self, task: TaskId) {
        let phase = self.phase_mut(task.kind);
        if phase.winner(task.index).is_none() {
            return;
        }
        phase.queue(task.index);
        match task.kind {
            TaskKind::Map => self.stats.maps_rerun += 1,
            TaskKind::Reduce => self.consumed[task.index as usize] = None,
        }
    }
}

/// What a journal must hold of a job, for comparison: whether it commits, and the winners with what they left and
/// consumed.
#[cfg(test)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lasting {
    committing: bool,
    maps: Vec<Option<mapfold_terms::Token>>,
    digests: Vec<Option<Digest>>,
    reduces: Vec<Option<(mapfold_terms::Token, Option<mapfold_terms::InputsDigest>)>>,
    rollbacks: u32,
}

#[cfg(test)]
impl Scheduler {
    /// What must survive of all jobs that have not ended.
    pub(crate) fn lasting(&self) -> std::collections::BTreeMap<JobId, Lasting> {
        let lasting = |job: &Job| {
            let count = |phase: &crate::phase::Phase| {
                u32::try_from(phase.tasks.len()).expect("few tasks in a test")
            };
            let winner = |phase: &crate::phase::Phase, index| {
                phase.winner(index).map(|(attempt, _)| attempt.token)
            };
            Lasting {
                committing: job.state != JobState::Running,
                maps: (0..count(&job.maps))
                    .map(|n| winner(&job.maps, n))
                    .collect(),
                digests: (0..count(&job.maps))
                    .map(|n| job.inputs.digest(n))
                    .collect(),
                reduces: (0..count(&job.reduces))
                    .map(|n| Some((winner(&job.reduces, n)?, job.consumed[n as usize])))
                    .collect(),
                rollbacks: job.stats.rollbacks,
            }
        };
        self.jobs
            .iter()
            .map(|(id, job)| (*id, lasting(job)))
            .collect()
    }
}
