//! Attempts that are far behind the others, and attempts that stand still.
//!
//! A straggler is an attempt that needs longer for what it has left than a new attempt would need for all of it, by
//! its own rate so far (Zaharia et al., "Improving MapReduce performance in heterogeneous environments", OSDI 2008) and by the
//! median of those that won. It gets a second attempt on another worker, the backup (Dean and Ghemawat, 3.6), once no other task
//! wants the slot; the first of the two to report wins, the other is stopped.
//!
//! Running attempts are looked through every few seconds, not at each event; what is found then is all that an event looks at.
//! An attempt that was told to stop, or that nobody knows (its order was late), and that goes on without a step for as long, has its slot
//! lost as well: a job that waited for it would wait for ever.
//!
//! Both backups and what is known of progress are forgotten with the master, at the cost of time alone.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use mapfold_terms::{
    AttemptId, FailClass, Failure, JobId, NoticeKind, Progress, TaskId, TaskKind, WorkerId, roughly,
};

use crate::Action;
use crate::job::{Job, JobState};
use crate::phase::Phase;
use crate::planted::Bug;
use crate::scheduler::{Scheduler, name_of};
use crate::task::TaskState;
use crate::timers::Timer;
use crate::workers::{Launched, Lingering, Workers};
use crate::{Moment, Settings};

/// Stragglers of a job that an event tries to find a place for; the others wait for the next event.
const TRIED_MAX: usize = 4;

/// Of the running attempts of a phase, one in so many may be a backup.
const BACKUP_SHARE: usize = 10;

/// An attempt that runs so many times as long as it should is behind whatever its progress says: the last steps may be long, and
/// some attempts cannot tell.
const OVERDUE_TIMES: u32 = 3;

/// An attempt that stands still for so long is told of, once: what its code loops in should be known before `--task-timeout` is over.
const STILL_TOLD: Duration = Duration::from_secs(30);

/// A worker that can end an attempt's process does so when its time is over, and finds out at which record it stands: it knows its attempts' steps
/// when they are made, and comes first. Of the limit, and at least.
const GRACE_SHARE: u32 = 8;
const GRACE_LEAST: Duration = Duration::from_millis(1500);

/// A straggler and where it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Straggler {
    /// How long it will take; the longest first.
    left: Reverse<Duration>,
    attempt: AttemptId,
    on: WorkerId,
    /// How long it should take in all.
    expected: Duration,
}

impl Scheduler {
    /// Looks through the running attempts of a job, and will again.
    pub(crate) fn look_for_stragglers(&mut self, id: JobId) {
        let now = self.clock.counted();
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        job.stragglers = match job.state {
            JobState::Running => find(job, &self.workers, now, &self.settings),
            JobState::Committing { .. } => BTreeSet::new(),
        };
        self.watch_for_stragglers(id);
    }

    /// Sees to it that the running attempts of the job are looked through.
    pub(crate) fn watch_for_stragglers(&mut self, id: JobId) {
        let job = self.jobs.get(&id);
        if job.is_some_and(|job| job.backup && job.state == JobState::Running) {
            self.arm(Timer::Stragglers(id), self.settings.look_every());
        }
    }

    /// Starts the backup of the worst straggler for which a slot is free on another worker; jobs take turns.
    pub(crate) fn launch_backup(&mut self) -> bool {
        let after = self.jobs.range((Excluded(self.served), Unbounded));
        let found = after
            .chain(self.jobs.range(..=self.served))
            .find_map(|(_, job)| {
                let slow = job.stragglers.iter().take(TRIED_MAX);
                slow.copied().find_map(|straggler| {
                    let place = place_of(job, &self.workers, &straggler)?;
                    Some((straggler, place))
                })
            });
        let Some((straggler, on)) = found else {
            return false;
        };
        let Straggler {
            attempt, expected, ..
        } = straggler;
        if let Some(job) = self.jobs.get_mut(&attempt.job) {
            job.stragglers.remove(&straggler);
            job.stats.backups += 1;
        }
        // It may have a free slot next, just because its attempt was stopped.
        self.workers.edit(straggler.on, |worker| worker.slow = true);
        let second = self.launch(attempt.job, attempt.task, on, true);
        let text = format!(
            "{second} starts on {on} beside {attempt} on {}, which is far behind: the others took about {}",
            straggler.on,
            roughly(expected),
        );
        self.notice(Some(attempt.job), NoticeKind::Backup, text);
        true
    }

    /// Whether any straggler could have its backup now; for checks.
    pub(crate) fn backup_waits(&self) -> bool {
        self.jobs.values().any(|job| {
            let slow = job.stragglers.iter().take(TRIED_MAX);
            slow.into_iter()
                .any(|straggler| place_of(job, &self.workers, straggler).is_some())
        })
    }

    /// A worker tells how far its attempts are. Those that have stood still for too long fail; before that they are told of.
    pub(crate) fn progressed(&mut self, id: WorkerId, progress: &[Progress]) {
        let jobs = &self.jobs;
        let found = self.workers.edit(id, |worker| {
            let (mut stuck, mut still) = (Vec::new(), Vec::new());
            let watched = worker.watched;
            for told in progress {
                let Some(launched) = worker.running.get_mut(&told.attempt) else {
                    continue;
                };
                if launched.steps.is_some_and(|steps| told.steps < steps) {
                    // The beat was overtaken by others: it says nothing of now.
                    continue;
                }
                launched.hear(told, watched);
                let limit = jobs
                    .get(&told.attempt.job)
                    .map_or(Duration::ZERO, |job| job.task_timeout);
                let since = watched - launched.stepped;
                if told.steps == 0 {
                    // It waits for its slot.
                } else if !limit.is_zero() && since > limit + grace(limit) {
                    stuck.push((told.attempt, limit));
                } else if since > STILL_TOLD && !launched.still_told {
                    launched.still_told = true;
                    still.push((told.attempt, since, limit));
                }
            }
            (stuck, still)
        });
        let (stuck, still) = found.unwrap_or_default();
        for (attempt, since, limit) in still {
            self.tell_still(id, attempt, since, limit);
        }
        for (attempt, limit) in stuck {
            self.stands_still(id, attempt, limit);
        }
        self.look_for_lingering(id, progress);
    }

    fn tell_still(&mut self, id: WorkerId, attempt: AttemptId, since: Duration, limit: Duration) {
        let text = format!(
            "{attempt} on {id} has made no progress for {}; {}{}",
            roughly(since),
            match limit {
                Duration::ZERO => "no --task-timeout ends it".to_owned(),
                limit => format!("--task-timeout ends it after {}", roughly(limit)),
            },
            match attempt.task.kind {
                _ if limit.is_zero() => "",
                TaskKind::Map => ", and --isolate tells at which record it stands",
                TaskKind::Reduce => ", and --isolate tells at which key it stands",
            }
        );
        self.notice(Some(attempt.job), NoticeKind::Waiting, text);
    }

    /// Attempts that should have stopped long ago: code that never comes back has their slots.
    fn look_for_lingering(&mut self, id: WorkerId, progress: &[Progress]) {
        if self.planted(Bug::LingeringNotCounted) {
            return;
        }
        let limit = self.settings.stop_max;
        let ahead = self.workers.ahead_per_slot();
        let lost = self.workers.edit(id, |worker| {
            let mut lost = Vec::new();
            for told in progress {
                let attempt = told.attempt;
                let known =
                    worker.running.contains_key(&attempt) || worker.stuck.contains(&attempt);
                if known || told.steps == 0 {
                    continue;
                }
                let room =
                    worker.stopping.contains_key(&attempt) || worker.busy() < worker.most(ahead);
                let lingering = worker.lingering.entry(attempt).or_insert(Lingering {
                    steps: 0,
                    stepped: worker.watched,
                    limit,
                });
                if told.steps > lingering.steps {
                    lingering.steps = told.steps;
                    lingering.stepped = worker.watched;
                }
                let still = worker.watched - lingering.stepped;
                // With fewer steps the beat was overtaken by others.
                if told.steps == lingering.steps && still > lingering.limit && room {
                    lost.push((attempt, still));
                }
            }
            lost
        });
        for (attempt, still) in lost.unwrap_or_default() {
            self.slot_lost(id, attempt);
            let text = format!(
                "{attempt} of {} on {id} was told to stop, has made no progress for {}, and keeps its slot until it stops",
                attempt.job,
                roughly(still)
            );
            self.notice(None, NoticeKind::Worker, text);
            self.workers_dwindled();
        }
    }

    /// The code of an attempt may never come back: its slot is lost until it does, and what waits for it goes elsewhere.
    fn slot_lost(&mut self, id: WorkerId, attempt: AttemptId) {
        let now = self.clock.counted();
        let waiting = self.workers.edit(id, |worker| {
            worker.stuck.insert(attempt);
            worker.running.remove(&attempt);
            worker.stopping.entry(attempt).or_insert(now);
            let waits = |(_, launched): &(&AttemptId, &Launched)| launched.steps == Some(0);
            let waiting = worker.running.iter().filter(waits);
            waiting.map(|(waiting, _)| *waiting).collect::<Vec<_>>()
        });
        for waiting in waiting.unwrap_or_default() {
            self.stop(waiting, id);
            self.requeue(waiting);
        }
    }

    /// An attempt makes no progress: it is told to stop, and failed. The code that it is in may never look up, so its slot may be lost, and the
    /// attempts that wait for that slot go elsewhere. If no other worker could try the task, the job fails at once: each try
    /// would cost a slot for nothing.
    fn stands_still(&mut self, id: WorkerId, attempt: AttemptId, limit: Duration) {
        if self.planted(Bug::NoTimeout) {
            return;
        }
        // An earlier one of the same beat may have ended the job.
        let runs = self.runs(id, attempt);
        self.slot_lost(id, attempt);
        self.workers_dwindled();
        if !runs {
            return;
        }
        self.actions.push_back(Action::Cancel { attempt, on: id });
        let elsewhere = self.can_be_tried_elsewhere(attempt.job, attempt.task, id);
        let failure = Failure {
            class: FailClass::Job,
            chain: vec![format!("no progress for {}", roughly(limit))],
            at: None,
            backtrace: None,
            hint: Some(
                "--task-timeout sets how long an attempt may stand still, 0 is for ever; with --isolate its process is ended, and the record is told"
                    .to_owned(),
            ),
        };
        if elsewhere {
            return self.job_fault(id, attempt, failure);
        }
        if let Some(job) = self.jobs.get_mut(&attempt.job) {
            job.stats.attempts_failed += 1;
        }
        self.requeue(attempt);
        let what = format!(
            "{} stands still, its thread cannot be stopped from outside, and no other worker could try it",
            name_of(attempt.task)
        );
        let failure = crate::ended::told(failure, id, attempt);
        let reason = mapfold_terms::FailReason::TaskFailed;
        self.fail_job(attempt.job, what, reason, Some(failure));
    }

    /// Whether a worker other than this one, on which the task has not failed, has a slot that code has not taken for good.
    fn can_be_tried_elsewhere(&self, id: JobId, task: TaskId, on: WorkerId) -> bool {
        let Some(job) = self.jobs.get(&id) else {
            return false;
        };
        let avoid = job.phase(task.kind).tasks[task.index as usize].avoid();
        self.workers.iter().any(|(other, worker)| {
            other != on && !avoid.has(other) && worker.stuck.len() < worker.slots as usize
        })
    }

    /// Two attempts of a task left different results. It is told once a job.
    pub(crate) fn differs(&mut self, winner: AttemptId, other: AttemptId) {
        let Some(job) = self.jobs.get_mut(&winner.job) else {
            return;
        };
        let first = job.stats.differing.iter().all(Option::is_none);
        if !job.stats.note_differing(winner.task) || !first {
            return;
        }
        let text = format!(
            "the job is not deterministic: {winner} and {other} left different {}",
            match winner.task.kind {
                TaskKind::Map => "records",
                TaskKind::Reduce => "rows",
            }
        );
        self.notice(Some(winner.job), NoticeKind::Differs, text);
    }
}

impl Launched {
    /// What a heartbeat tells of it, when its worker has been watched for so long.
    fn hear(&mut self, told: &Progress, watched: Duration) {
        if self.steps.is_none_or(|steps| told.steps > steps) {
            self.steps = Some(told.steps);
            self.stepped = watched;
            self.bytes = told.bytes;
            self.bytes_total = told.bytes_total;
        }
    }

    /// By its own rate so far, how long it will still take; `None` if it cannot be told.
    fn left(&self, age: Duration) -> Option<Duration> {
        let left = self.bytes_total.checked_sub(self.bytes)?;
        let nanos = (age.as_nanos().checked_mul(u128::from(left))?)
            .checked_div(u128::from(self.bytes))
            .unwrap_or(u128::MAX);
        (self.bytes_total > 0)
            .then(|| Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

fn grace(limit: Duration) -> Duration {
    (limit / GRACE_SHARE).max(GRACE_LEAST)
}

/// The stragglers of a job, as many as may have backups. Cost: its running attempts.
fn find(job: &Job, workers: &Workers, now: Moment, settings: &Settings) -> BTreeSet<Straggler> {
    if !job.backup {
        return BTreeSet::new();
    }
    let phases = [&job.maps, &job.reduces];
    let mut found = BTreeSet::new();
    for phase in phases.into_iter().filter(|phase| phase.pending.is_empty()) {
        let running = phase.running.iter().filter_map(|(attempt, on)| {
            let launched = workers.get(*on)?.running.get(attempt)?;
            is_behind(phase, *attempt, *on, launched, now, settings)
        });
        let slow: BTreeSet<Straggler> = running.collect();
        let most = (phase.running.len() / BACKUP_SHARE).max(1);
        let room = most.saturating_sub(backups(phase));
        found.extend(slow.into_iter().take(room));
    }
    found
}

/// Attempts beyond one a task.
fn backups(phase: &Phase) -> usize {
    let second = |attempt: &AttemptId| {
        let state = &phase.tasks[attempt.task.index as usize].state;
        matches!(state, TaskState::Running(both) if both.len() > 1 && both[1] == *attempt)
    };
    phase.running.keys().filter(|it| second(it)).count()
}

fn is_behind(
    phase: &Phase,
    attempt: AttemptId,
    on: WorkerId,
    launched: &Launched,
    now: Moment,
    settings: &Settings,
) -> Option<Straggler> {
    let age = now.0 - launched.at.0;
    if age < settings.backup_min_age || !is_alone(phase, attempt) {
        return None;
    }
    let expected = phase.pace.expected(launched.bytes_total)?;
    let overdue = age > expected * OVERDUE_TIMES;
    let left = launched.left(age);
    let slow = left.is_some_and(|left| left > expected) && age > expected;
    (overdue || slow).then(|| Straggler {
        left: Reverse(left.unwrap_or(Duration::MAX)),
        attempt,
        on,
        expected,
    })
}

/// Whether it is the only one at its task.
fn is_alone(phase: &Phase, attempt: AttemptId) -> bool {
    let task = phase.tasks.get(attempt.task.index as usize);
    let state = task.map(|task| &task.state);
    matches!(state, Some(TaskState::Running(attempts)) if attempts.as_slice() == [attempt])
}

/// Where the backup of a straggler may start now, if it is one still.
fn place_of(job: &Job, workers: &Workers, straggler: &Straggler) -> Option<WorkerId> {
    let Straggler { attempt, on, .. } = *straggler;
    let phase = job.phase(attempt.task.kind);
    let wanted = job.state == JobState::Running
        && phase.pending.is_empty()
        && is_alone(phase, attempt)
        && phase.running.get(&attempt) == Some(&on)
        && (attempt.task.kind == TaskKind::Map || job.maps.all_won());
    if !wanted {
        return None;
    }
    let mut avoid = phase.tasks[attempt.task.index as usize].avoid();
    avoid.add(on);
    workers.choose_other(&avoid)
}
