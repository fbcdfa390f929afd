//! The master crashes and is started again: what it records, what it forgets, what must hold afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use mapfold_journal::{Planned, Record};
use mapfold_terms::{
    ByteSize, Counters, JobEnd, JobId, JobReport, MasterEpoch, Outcome, PhaseStatus, RawPath,
    TaskKind,
};

use super::master::settings;
use super::world::{FAULTS_END, Happening, World};
use crate::planted::Bug;
use crate::{Action, JobPlan, Scheduler};

impl World {
    /// Records what the scheduler has decided for good, before anybody hears of it.
    pub(super) fn record(&mut self, actions: &[Action]) -> Result<(), String> {
        let planned: Vec<(JobId, JobPlan)> = self.unrecorded_plans();
        for (job, plan) in planned {
            self.disk.append(&planned_record(job, &plan));
        }
        for action in actions {
            self.record_action(action);
        }
        match self.invariants && self.disk.is_behind() {
            true => self.disk.compare(&self.scheduler),
            false => Ok(()),
        }
    }

    fn unrecorded_plans(&mut self) -> Vec<(JobId, JobPlan)> {
        let plans = self.jobs.iter().filter(|(id, _)| {
            let known =
                self.scheduler.jobs.contains_key(id) || self.scheduler.ended.contains_key(id);
            known && !self.disk.planned.contains(id)
        });
        plans
            .map(|(id, job)| (*id, job.function.plan.clone()))
            .collect()
    }

    fn record_action(&mut self, action: &Action) {
        match action {
            Action::Won {
                by: Some((attempt, by)),
                ..
            } => {
                let (attempt, by) = (*attempt, *by);
                match self.reported.take() {
                    Some((of, Outcome::Mapped(report))) if of == attempt => {
                        let report = Box::new(report);
                        self.disk.append(&Record::MapWon {
                            attempt,
                            by,
                            report,
                        });
                    }
                    Some((of, Outcome::Reduced(report))) if of == attempt => {
                        let report = Box::new(report);
                        self.disk.append(&Record::ReduceWon {
                            attempt,
                            by,
                            report,
                        });
                    }
                    other => panic!("{attempt} won without a report: {other:?}"),
                }
            }
            Action::Won {
                job,
                task,
                by: None,
            } => {
                if task.kind == TaskKind::Map && self.scheduler.planted(Bug::LossNotRecorded) {
                    return;
                }
                self.disk.append(&Record::Lost {
                    job: *job,
                    task: *task,
                });
            }
            Action::Drains { process } => {
                self.disk.append(&Record::Drains { process: *process });
            }
            Action::Commit { job, .. } if !self.disk.committing.contains(job) => {
                self.disk.append(&Record::Committing { job: *job });
            }
            Action::Finish { job, result } => {
                let report = Box::new(report(result.clone().into()));
                self.disk.append(&Record::Ended {
                    job: *job,
                    report,
                    map: PhaseStatus::default(),
                    reduce: PhaseStatus::default(),
                });
            }
            _ => {}
        }
    }

    pub(super) fn crash_master(&mut self) {
        self.crash_in_turn = false;
        if self.master_down {
            return;
        }
        self.note("master crashes");
        self.master_down = true;
        self.master_stalled_until = 0;
        self.disk.crash(&mut self.rng);
        self.restart_later();
    }

    fn restart_later(&mut self) {
        let at = (self.now + self.rng.range(5, 500)).min(FAULTS_END);
        self.push(at.max(self.now + 1), Happening::MasterUp);
    }

    /// A master starts on what the last one has left, which may crash it again before or after its new
    /// file is in place.
    pub(super) fn start_master(&mut self) -> Result<(), String> {
        self.summary.restarts += 1;
        let reused = u32::from(!self.scheduler.planted(Bug::EpochReused));
        let epoch = MasterEpoch(self.epoch.0 + reused);
        let (records, disk) = self.disk.restart(epoch)?;
        let again = self.now < FAULTS_END && self.rng.chance(20);
        if again && self.rng.chance(50) {
            self.restart_later();
            return Ok(());
        }
        self.disk = disk;
        self.epoch = epoch;
        if again {
            self.restart_later();
            return Ok(());
        }
        self.note(&format!("master starts with {} records", records.len()));
        let planted = std::mem::take(&mut self.scheduler.planted);
        let mut scheduler = Scheduler::new(epoch, 1, settings());
        scheduler.planted = planted;
        records.iter().for_each(|record| scheduler.replay(record));
        scheduler.resume(self.moment());
        self.scheduler = scheduler;
        self.master_down = false;
        self.tick_at = None;
        self.remember(&records)?;
        self.workerless_since = Some(self.now);
        self.drain()
    }

    /// What was told before holds still, and what was not told yet is told now.
    fn remember(&mut self, records: &[Record]) -> Result<(), String> {
        let mut known = BTreeSet::new();
        let mut ended = BTreeSet::new();
        for record in records {
            known.extend(record.job());
            let Record::Ended { job, report, .. } = record else {
                continue;
            };
            ended.insert(*job);
            if self.jobs[job].result.is_none() {
                self.end(*job, report.end.clone().into())?;
            }
        }
        for (id, job) in &self.jobs {
            if job.accepted && !known.contains(id) {
                return Err(format!("{id} was accepted and is forgotten"));
            }
            if job.result.is_some() && !ended.contains(id) {
                return Err(format!("the end of {id} was told and is forgotten"));
            }
        }
        Ok(())
    }
}

fn planned_record(job: JobId, plan: &JobPlan) -> Record {
    Record::Planned {
        job,
        planned: Planned {
            maps: plan.maps,
            reducers: plan.reduces,
            files: 0,
            bytes: 0,
            split_size: 0,
            max_attempts: plan.max_attempts,
            skip_bad: plan.skip_bad,
            backup: plan.backup,
            task_timeout: plan.task_timeout,
            staging: RawPath::from(Vec::new()),
            inputs: String::new(),
        },
    }
}

/// A report that tells the end alone.
fn report(end: JobEnd) -> JobReport {
    JobReport {
        end,
        elapsed: Duration::ZERO,
        plan_elapsed: Duration::ZERO,
        map_elapsed: Duration::ZERO,
        reduce_elapsed: Duration::ZERO,
        commit_elapsed: Duration::ZERO,
        files: 0,
        maps: 0,
        reduces: 0,
        records_in: 0,
        bytes_in: ByteSize(0),
        records_mapped: 0,
        records_shuffled: 0,
        bytes_shuffled: ByteSize(0),
        bytes_remote: ByteSize(0),
        bytes_spilled: ByteSize(0),
        groups: 0,
        rows: 0,
        bytes_out: ByteSize(0),
        named: std::collections::BTreeMap::new(),
        attempts: 0,
        attempts_failed: 0,
        attempts_lost: 0,
        maps_rerun: 0,
        time_lost: Duration::ZERO,
        stale_reports: 0,
        rollbacks: 0,
        workers_lost: 0,
        backups: 0,
        backups_won: 0,
        differing: Vec::new(),
        slowest: Vec::new(),
        map_median: Duration::ZERO,
        reduce_median: Duration::ZERO,
        largest: Vec::new(),
        counters: Counters::default(),
        skipped: 0,
        failed: Vec::new(),
    }
}
