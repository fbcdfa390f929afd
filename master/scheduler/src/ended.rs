//! What the end of an attempt means.

use mapfold_terms::{
    AttemptId, Digest, FailClass, FailReason, Failure, NoticeKind, Outcome, ReduceReport, Skipped,
    TaskKind, WorkerId,
};

use crate::Action;
use crate::inputs::Change;
use crate::job::Job;
use crate::planted::Bug;
use crate::scheduler::{Scheduler, name_of};
use crate::timers::Timer;
use crate::workers::Launched;

impl Scheduler {
    /// A worker reports the end of an attempt. Only the first report of an attempt that runs, by the live
    /// worker that it was given to, changes the state of its task.
    pub(crate) fn attempt_ended(&mut self, worker: WorkerId, attempt: AttemptId, outcome: Outcome) {
        if !self.runs(worker, attempt) {
            return self.late(worker, attempt, &outcome);
        }
        let launched = self.workers.edit(worker, |worker| {
            worker.unconfirmed = 0;
            worker.running.remove(&attempt)
        });
        let launched = launched.flatten();
        let map_only = self.jobs.get(&attempt.job).is_some_and(Job::is_map_only);
        match (attempt.task.kind, outcome) {
            (TaskKind::Map, Outcome::Mapped(report)) if map_only == report.staged.is_some() => {
                let short = report.elapsed < self.settings.ahead_below;
                if let Some(job) = self.jobs.get_mut(&attempt.job) {
                    job.short_maps = if short {
                        job.short_maps.saturating_add(1)
                    } else {
                        0
                    };
                }
                self.map_won(worker, attempt, report.run.digest);
                self.skipped(attempt, &report.skipped);
                self.keep_pace(worker, attempt, launched, report.bytes_in);
                if map_only {
                    self.commit_if_done(attempt.job);
                }
            }
            (TaskKind::Reduce, Outcome::Reduced(report)) => {
                self.reduced(worker, attempt, &report);
                self.keep_pace(worker, attempt, launched, report.fetched.bytes());
            }
            (TaskKind::Reduce, Outcome::FetchFailed(failure)) => {
                self.fetch_failed(worker, attempt, &failure);
            }
            (_, Outcome::Failed(failure)) => self.failed(worker, attempt, failure),
            (_, Outcome::Cancelled) => self.stopped_unasked(worker, attempt),
            (_, Outcome::Mapped(_) | Outcome::Reduced(_) | Outcome::FetchFailed(_)) => {
                let failure =
                    fault_of("the worker reports an end that this kind of task cannot have");
                self.worker_fault(worker, attempt, failure, FailReason::Internal);
            }
        }
    }

    /// If the attempt won, others are compared with it.
    fn keep_pace(
        &mut self,
        worker: WorkerId,
        attempt: AttemptId,
        launched: Option<Launched>,
        bytes: u64,
    ) {
        let now = self.clock.counted();
        let (Some(job), Some(launched)) = (self.jobs.get_mut(&attempt.job), launched) else {
            return;
        };
        let phase = job.phase_mut(attempt.task.kind);
        if phase.winner(attempt.task.index) == Some((attempt, worker)) {
            let took = now.0 - launched.at.0;
            let usual = phase.pace.expected(bytes);
            phase.pace.won(took, bytes);
            job.stats.backups_won += u64::from(launched.backup);
            if usual.is_some_and(|usual| took < usual * 3 / 2) {
                self.workers.edit(worker, |worker| worker.slow = false);
            }
            self.blame(attempt, worker);
        }
    }

    /// Whether the attempt runs at that worker, which is alive.
    pub(crate) fn runs(&self, worker: WorkerId, attempt: AttemptId) -> bool {
        let job = self.jobs.get(&attempt.job);
        let runs_on = job.and_then(|job| job.phase(attempt.task.kind).running.get(&attempt));
        runs_on == Some(&worker)
    }

    /// A report that no longer matters; at most it frees the slot of an attempt that was told to stop.
    /// A run that nobody will read is deleted at once rather than at the end of the job.
    fn late(&mut self, worker: WorkerId, attempt: AttemptId, outcome: &Outcome) {
        self.stale(Some(attempt.job));
        #[cfg(test)]
        if self.accept_anyway(worker, attempt, outcome) {
            return;
        }
        let live = self.workers.edit(worker, |worker| {
            worker.stopping.remove(&attempt);
            worker.stuck.remove(&attempt);
        });
        self.compare(attempt, outcome);
        let (Some(()), Some(job)) = (live, self.jobs.get(&attempt.job)) else {
            return;
        };
        let index = attempt.task.index;
        // Whoever holds it: a worker that returned to a master which was started again has a new id.
        let winner = job.maps.winner(index).map(|(winner, _)| winner);
        let wins = (winner == Some(attempt) || job.awaited.contains(&index))
            && !self.planted(Bug::RepeatedReportDiscardsRun);
        if matches!(outcome, Outcome::Mapped(_)) && !wins && !job.is_map_only() {
            let on = worker;
            self.actions.push_back(Action::Discard { attempt, on });
        }
    }

    /// A second result of a task that has one: of a backup attempt or its rival, of a worker that was given up.
    fn compare(&mut self, attempt: AttemptId, outcome: &Outcome) {
        let Some(job) = self.jobs.get(&attempt.job) else {
            return;
        };
        let index = attempt.task.index;
        let (winner, same) = match (attempt.task.kind, outcome) {
            (TaskKind::Map, Outcome::Mapped(report)) => (
                job.maps.winner(index),
                job.inputs.digest(index) == Some(report.run.digest),
            ),
            (TaskKind::Reduce, Outcome::Reduced(report)) => {
                let part = job.parts.get(index as usize).copied();
                // Of other runs, other rows are to be expected.
                let other_runs = report.consumed != job.inputs.expected();
                let same = other_runs || part == Some(Some(part_of(report)));
                (job.reduces.winner(index), same)
            }
            _ => return,
        };
        if let Some((winner, _)) = winner.filter(|(winner, _)| !same && *winner != attempt) {
            self.differs(winner, attempt);
        }
    }

    fn map_won(&mut self, worker: WorkerId, attempt: AttemptId, digest: Digest) {
        let index = attempt.task.index;
        let next_token = self.next_token();
        let Some(job) = self.jobs.get_mut(&attempt.job) else {
            return;
        };
        let superseded = job.maps.win(attempt, worker);
        let change = job.inputs.win(index, digest);
        job.winners_since = next_token;
        let leaves_run = !job.is_map_only();
        self.workers.edit(worker, |worker| {
            if leaves_run {
                worker.held.entry(attempt.job).or_default().insert(index);
            }
            worker.faults = 0;
        });
        self.tell_won(attempt.job, attempt.task, Some((attempt, worker)));
        for (other, on) in superseded {
            self.stop(other, on);
        }
        if change == Change::Other
            && let Some(job) = self.jobs.get_mut(&attempt.job)
        {
            job.stats.note_differing(attempt.task);
        }
        if change == Change::Other && !self.planted(Bug::NoRollback) {
            self.roll_back(attempt);
        }
    }

    /// A map task that is won may have put records aside: more of them than the job allows fail it.
    fn skipped(&mut self, attempt: AttemptId, skipped: &[Skipped]) {
        let Some(job) = self.jobs.get_mut(&attempt.job) else {
            return;
        };
        let max = job.skip_bad;
        let Some(all) = job.skip(attempt.task.index, skipped.len()) else {
            return;
        };
        let what = format!("`map` fails on {all} records so far, and {max} may be skipped");
        let failure = skipped.last().map(|last| Failure {
            class: FailClass::Job,
            chain: vec![format!(
                "{} failed on one of them: {}",
                name_of(attempt.task),
                last.error
            )],
            at: Some(last.at()),
            hint: None,
            backtrace: None,
        });
        self.fail_job(attempt.job, what, FailReason::TaskFailed, failure);
    }

    /// A reduce attempt staged its part. It wins if it consumed exactly the runs that count.
    fn reduced(&mut self, worker: WorkerId, attempt: AttemptId, report: &ReduceReport) {
        let ignore = self.planted(Bug::ConsumedNotCompared);
        let mismatches_max = self.settings.mismatches_max;
        let Some(job) = self.jobs.get_mut(&attempt.job) else {
            return;
        };
        let expected = job.inputs.expected();
        let complete = report.runs as usize == job.maps.tasks.len();
        if !(complete && report.consumed == expected || ignore) {
            job.mismatches += 1;
            let spent = job.mismatches > mismatches_max;
            let what = format!("{attempt} on {worker} consumed other runs than those that won");
            self.count_lost(attempt.job);
            self.requeue(attempt);
            if spent {
                return self.fail_job(attempt.job, what, FailReason::Internal, None);
            }
            return self.notice(Some(attempt.job), NoticeKind::Retry, what);
        }
        let superseded = job.reduces.win(attempt, worker);
        job.consumed[attempt.task.index as usize] = Some(expected);
        job.parts[attempt.task.index as usize] = Some(part_of(report));
        self.workers.edit(worker, |worker| worker.faults = 0);
        if !self.workers.complaints.is_empty() {
            // It has just had runs of all.
            let complaints = &mut self.workers.complaints;
            complaints.retain(|(_, reader), _| *reader != worker);
        }
        self.tell_won(attempt.job, attempt.task, Some((attempt, worker)));
        for (other, on) in superseded {
            self.stop(other, on);
        }
        self.commit_if_done(attempt.job);
    }

    fn failed(&mut self, worker: WorkerId, attempt: AttemptId, failure: Failure) {
        match failure.class {
            FailClass::Job => self.job_fault(worker, attempt, failure),
            FailClass::Worker => {
                self.worker_fault(worker, attempt, failure, FailReason::TaskFailed);
            }
            FailClass::Space => self.worker_fault(worker, attempt, failure, FailReason::NoSpace),
            FailClass::Output => self.worker_fault(worker, attempt, failure, FailReason::Output),
            FailClass::Input => {
                self.count_lost(attempt.job);
                self.requeue(attempt);
                let what = format!("{} cannot read its input", name_of(attempt.task));
                let failure = told(failure, worker, attempt);
                self.fail_job(attempt.job, what, FailReason::Input, Some(failure));
            }
        }
    }

    /// The job's code failed: counted, and after `max_attempts` the job fails with the first failure; at once, if it fails on every worker
    /// there is as it did the time before.
    pub(crate) fn job_fault(&mut self, worker: WorkerId, attempt: AttemptId, failure: Failure) {
        let reported = failure.clone();
        let failure = told(failure, worker, attempt);
        let Some(job) = self.jobs.get_mut(&attempt.job) else {
            return;
        };
        job.stats.attempts_failed += 1;
        let max = job.max_attempts;
        let trouble = job
            .phase_mut(attempt.task.kind)
            .task(attempt.task.index)
            .trouble();
        trouble.failed += 1;
        trouble.avoid.retain(|id| self.workers.is_live(id));
        trouble.avoid.add(worker);
        let failed = trouble.failed;
        let alike = trouble.fails_alike(&reported) && self.workers.all_avoided(&trouble.avoid);
        trouble.last = Some(reported);
        let text = format!("try {failed} of {max}: {failure}");
        let first = trouble.first.get_or_insert(failure).clone();
        self.requeue(attempt);
        if failed >= max {
            let what = format!(
                "{} failed {failed} of {max} attempts",
                name_of(attempt.task)
            );
            return self.fail_job(attempt.job, what, FailReason::TaskFailed, Some(first));
        }
        if alike {
            let what = format!(
                "{} fails on the same record each time ({failed} attempts)",
                name_of(attempt.task)
            );
            return self.fail_job(attempt.job, what, FailReason::TaskFailed, Some(first));
        }
        self.notice(Some(attempt.job), NoticeKind::Retry, text);
    }

    /// A worker could not do it: not counted against the task, which goes elsewhere; the worker rests,
    /// longer each time until it succeeds. When every live worker has failed the task, a few more tries
    /// are made, then the job fails for `reason`: what the last one lacked, or a defect of ours if what they say cannot be.
    pub(crate) fn worker_fault(
        &mut self,
        worker: WorkerId,
        attempt: AttemptId,
        failure: Failure,
        reason: FailReason,
    ) {
        let failure = told(failure, worker, attempt);
        self.rest(worker);
        self.count_lost(attempt.job);
        let Some(job) = self.jobs.get_mut(&attempt.job) else {
            return;
        };
        let trouble = job
            .phase_mut(attempt.task.kind)
            .task(attempt.task.index)
            .trouble();
        trouble.faults += 1;
        trouble.avoid.retain(|id| self.workers.is_live(id));
        trouble.avoid.add(worker);
        let faults = trouble.faults;
        let tries_max = self.workers.usable() + self.settings.worker_faults_spare as usize;
        let spent = faults as usize >= tries_max && self.workers.all_avoided(&trouble.avoid);
        self.requeue(attempt);
        if spent {
            let what = format!(
                "{} could not be run by any worker ({faults} attempts)",
                name_of(attempt.task)
            );
            return self.fail_job(attempt.job, what, reason, Some(failure));
        }
        self.notice(Some(attempt.job), NoticeKind::Retry, failure.to_string());
    }

    /// A worker stopped an attempt that the scheduler did not stop: its own lease ran out while its beats
    /// were still on the way here, or a reduce attempt waited in vain for a run that is being made again.
    /// Nobody's fault, so not counted as a failure; but it must not go on for ever, nor fast.
    fn stopped_unasked(&mut self, worker: WorkerId, attempt: AttemptId) {
        let stops_max = self.settings.stops_max;
        self.count_lost(attempt.job);
        let Some(job) = self.jobs.get_mut(&attempt.job) else {
            return;
        };
        let waited_for_run = attempt.task.kind == TaskKind::Reduce
            && (!job.maps.all_won() || attempt.token < job.winners_since);
        let trouble = job
            .phase_mut(attempt.task.kind)
            .task(attempt.task.index)
            .trouble();
        trouble.stops += 1;
        let stops = trouble.stops;
        if !waited_for_run {
            self.rest(worker);
        }
        self.requeue(attempt);
        if stops > stops_max {
            let what = format!(
                "{} was stopped by its workers {stops} times",
                name_of(attempt.task)
            );
            return self.fail_job(attempt.job, what, FailReason::TaskFailed, None);
        }
        let text = format!("{attempt} was stopped by {worker}");
        self.notice(Some(attempt.job), NoticeKind::Retry, text);
    }

    /// The worker gets no attempts for a while, longer each time until it succeeds. What else fails while
    /// it rests began before, and is part of the same fault.
    fn rest(&mut self, id: WorkerId) {
        let faults = self.workers.edit(id, |worker| {
            if worker.resting {
                return None;
            }
            worker.faults += 1;
            worker.resting = true;
            Some(worker.faults)
        });
        if let Some(faults) = faults.flatten() {
            self.arm(Timer::Rest(id), self.settings.back_off(faults));
        }
    }
}

/// A failure that the scheduler itself finds.
pub(crate) fn fault_of(text: &str) -> Failure {
    Failure {
        class: FailClass::Worker,
        chain: vec![text.to_owned()],
        at: None,
        hint: None,
        backtrace: None,
    }
}

/// What tells a part from another, and its named outputs from others.
pub(crate) fn part_of(report: &ReduceReport) -> Digest {
    report.staged.digest()
}

/// The failure, saying where it happened.
pub(crate) fn told(mut failure: Failure, worker: WorkerId, attempt: AttemptId) -> Failure {
    let first = failure.chain.first().cloned().unwrap_or_default();
    failure.chain.splice(
        ..failure.chain.len().min(1),
        [format!("attempt {attempt} on worker {worker}: {first}")],
    );
    failure
}
