//! All jobs of a master: those that run, and the last ones that ended.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mapfold_protocol::codec::prefix_that_fits;
use mapfold_protocol::service::Refusal;
use mapfold_terms::{JobEntry, JobId, JobKey, JobSpec};
use tokio::time::Instant;

use crate::job::{Job, Work};

/// Jobs that may be in progress at once.
const ACTIVE_MAX: usize = 1000;

/// The table.
#[derive(Debug)]
pub(crate) struct Jobs {
    active: BTreeMap<JobId, Job>,
    ended: BTreeMap<JobId, Job>,
    /// The ended ones in the order in which they ended.
    order: VecDeque<JobId>,
    ended_max: usize,
    by_key: BTreeMap<JobKey, JobId>,
    next: JobId,
}

impl Jobs {
    /// No jobs; at most `ended_max` that ended are kept.
    pub(crate) fn new(ended_max: usize) -> Self {
        Self {
            active: BTreeMap::new(),
            ended: BTreeMap::new(),
            order: VecDeque::new(),
            ended_max,
            by_key: BTreeMap::new(),
            next: JobId(1),
        }
    }

    /// The job that was submitted with this key.
    pub(crate) fn submitted(&self, key: JobKey) -> Option<&Job> {
        let id = self.by_key.get(&key)?;
        self.active.get(id).or_else(|| self.ended.get(id))
    }

    /// Takes up a job, whose key is new.
    pub(crate) fn accept(&mut self, spec: Arc<JobSpec>, now: Instant) -> Result<JobId, Refusal> {
        if self.active.len() >= ACTIVE_MAX {
            return Err(Refusal::TooLong {
                what: "the list of jobs in progress".to_owned(),
                got: self.active.len() as u64 + 1,
                max: ACTIVE_MAX as u64,
            });
        }
        let id = self.next;
        self.next = JobId(id.0 + 1);
        self.by_key.insert(spec.key, id);
        self.active.insert(id, Job::new(id, spec, now));
        Ok(id)
    }

    /// Takes over a job of an earlier start of the master.
    pub(crate) fn restore(&mut self, job: Job) {
        self.next = self.next.max(JobId(job.id.0 + 1));
        self.by_key.insert(job.spec.key, job.id);
        self.active.insert(job.id, job);
    }

    /// No job gets an id below this one.
    pub(crate) fn begin_at(&mut self, next: JobId) {
        self.next = self.next.max(next);
    }

    /// A job that has ended becomes a memory, and the oldest memory goes.
    pub(crate) fn retire(&mut self, id: JobId) {
        let Some(job) = self.active.remove(&id) else {
            return;
        };
        self.ended.insert(id, job);
        self.order.push_back(id);
        while self.order.len() > self.ended_max
            && let Some(oldest) = self.order.pop_front()
            && let Some(job) = self.ended.remove(&oldest)
        {
            self.by_key.remove(&job.spec.key);
        }
    }

    /// For people: as many as fit a message, newest first.
    pub(crate) fn list(&self, now: Instant) -> Vec<JobEntry> {
        let all: BTreeMap<&JobId, &Job> = self.ended.iter().chain(&self.active).collect();
        let mut list: Vec<JobEntry> = all.values().rev().map(|job| job.entry(now)).collect();
        list.truncate(prefix_that_fits(&list, usize::MAX));
        list
    }

    /// A job, in progress or ended.
    pub(crate) fn get_mut(&mut self, id: JobId) -> Result<&mut Job, Refusal> {
        let active = self.active.get_mut(&id);
        active
            .or_else(|| self.ended.get_mut(&id))
            .ok_or(Refusal::UnknownJob(id))
    }

    /// A job in progress.
    pub(crate) fn active_job(&mut self, id: JobId) -> Option<&mut Job> {
        self.active.get_mut(&id)
    }

    /// What a job that runs or commits needs.
    pub(crate) fn work(&mut self, id: JobId) -> Option<&mut Work> {
        self.active.get_mut(&id)?.work_mut()
    }

    /// Jobs in progress.
    pub(crate) fn active(&self) -> impl Iterator<Item = &Job> {
        self.active.values()
    }

    /// Jobs in progress, to change.
    pub(crate) fn active_mut(&mut self) -> impl Iterator<Item = &mut Job> {
        self.active.values_mut()
    }
}
