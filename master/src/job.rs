//! One job at the master: where it is, who waits for news of it, and what it will report.
//!
//! ```text
//! Planning --> Running --> Committing --> Closing --> Ended
//!     |           |  ^---------'             ^
//!     |           '--------------------------+    failed, cancelled
//!     '--------------------------------------'    (or straight to Ended: nothing was made yet)
//! ```
//! The scheduler decides; this is the shell's record. Closing lasts while the staging folder is being
//! removed: who hears of the end finds nothing left behind.

use std::sync::Arc;
use std::time::Duration;

use mapfold_data::manifest::Inputs;
use mapfold_terms::{
    JobBrief, JobEnd, JobEntry, JobId, JobReport, JobSpec, JobStage, JobState, JobStatus,
    NoticeKind, PhaseStatus, Plan,
};
use tokio::time::Instant;

use crate::inbox::Reply;
use crate::notices::Notices;
use crate::staging::Staging;
use crate::tally::Tally;

/// Progress is told no more often than this. A phase, a notice and the end are told at once.
const WAKE_EVERY: Duration = Duration::from_millis(100);

/// A job.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) spec: Arc<JobSpec>,
    pub(crate) accepted: Instant,
    pub(crate) stage: Stage,
    notices: Notices,
    news: News,
}

/// Where a job is, with what is true only there.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Its inputs are being listed and cut.
    Planning {
        /// Somebody asked for its end meanwhile.
        cancelled: bool,
    },
    /// Tasks run.
    Running(Box<Work>),
    /// The output is being put in place.
    Committing(Box<Work>),
    /// It has ended, and its staging folder is being removed.
    Closing {
        work: Box<Work>,
        report: Box<JobReport>,
    },
    /// It has ended.
    Ended {
        report: Box<JobReport>,
        map: PhaseStatus,
        reduce: PhaseStatus,
    },
}

/// What a job needs while it runs.
#[derive(Debug)]
pub(crate) struct Work {
    pub(crate) plan: Plan,
    pub(crate) inputs: Inputs,
    pub(crate) split_size: u64,
    pub(crate) brief: JobBrief,
    pub(crate) staging: Option<Staging>,
    /// The manifest of a commit that an earlier start of the master has begun.
    pub(crate) manifest: Option<Vec<u8>>,
    pub(crate) tally: Tally,
}

/// Versions, and who waits for the next one.
#[derive(Debug)]
struct News {
    /// Counts changes, from 1.
    version: u64,
    /// The version that was told last.
    told: u64,
    told_at: Instant,
    /// When what has changed since is to be told.
    tell_at: Option<Instant>,
    watchers: Vec<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    notices: u64,
    reply: Reply<JobStatus>,
}

impl Job {
    /// A job that was just accepted.
    pub(crate) fn new(id: JobId, spec: Arc<JobSpec>, now: Instant) -> Self {
        Self {
            id,
            spec,
            accepted: now,
            stage: Stage::Planning { cancelled: false },
            notices: Notices::default(),
            news: News {
                version: 1,
                told: 1,
                told_at: now,
                tell_at: None,
                watchers: Vec::new(),
            },
        }
    }

    /// What tasks need, while there may be any.
    pub(crate) fn work(&self) -> Option<&Work> {
        match &self.stage {
            Stage::Running(work) | Stage::Committing(work) => Some(work),
            Stage::Planning { .. } | Stage::Closing { .. } | Stage::Ended { .. } => None,
        }
    }

    /// The same, to change.
    pub(crate) fn work_mut(&mut self) -> Option<&mut Work> {
        match &mut self.stage {
            Stage::Running(work) | Stage::Committing(work) => Some(work),
            Stage::Planning { .. } | Stage::Closing { .. } | Stage::Ended { .. } => None,
        }
    }

    /// Whether it has ended for whoever waits for it.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.stage, Stage::Ended { .. })
    }

    /// Something small has changed.
    pub(crate) fn progressed(&mut self) {
        self.news.version += 1;
        let soonest = self.news.told_at + WAKE_EVERY;
        self.news.tell_at.get_or_insert(soonest);
    }

    /// Something has changed that is worth waking people for.
    pub(crate) fn changed(&mut self, now: Instant) {
        self.news.version += 1;
        self.news.tell_at = Some(now);
    }

    /// Tells people something.
    pub(crate) fn notice(&mut self, kind: NoticeKind, text: String, now: Instant) {
        self.notices.push(now - self.accepted, kind, text);
        self.changed(now);
    }

    /// When [`Job::tell`] has something to do.
    pub(crate) fn tell_at(&self) -> Option<Instant> {
        self.news.tell_at
    }

    /// Answers those who wait, if it is time. Cost: one status for each.
    pub(crate) fn tell(&mut self, now: Instant, workers: (u32, u32)) {
        if self.news.tell_at.is_none_or(|at| at > now) {
            return;
        }
        self.news.tell_at = None;
        self.news.told = self.news.version;
        self.news.told_at = now;
        for watcher in std::mem::take(&mut self.news.watchers) {
            let status = self.status(watcher.notices, workers);
            let _ = watcher.reply.send(Ok(status));
        }
    }

    /// Whether there is a later version than `seen` to tell. An ended job has no next version, so nobody
    /// is to wait for it.
    pub(crate) fn has_news(&self, seen: u64) -> bool {
        seen < self.news.told || self.has_ended()
    }

    /// Somebody wants the next version, with the notices from `notices` on.
    pub(crate) fn wait(&mut self, notices: u64, reply: Reply<JobStatus>) {
        // Those whose askers are gone would otherwise stay until the next change.
        self.news.watchers.retain(|it| !it.reply.is_closed());
        self.news.watchers.push(Watcher { notices, reply });
    }

    /// The present.
    pub(crate) fn status(&self, notices: u64, (workers, slots): (u32, u32)) -> JobStatus {
        let (map, reduce) = self.phases();
        let (state, files) = match &self.stage {
            Stage::Planning { .. } => (JobState::Planning, 0),
            Stage::Running(work) => (JobState::Running, work.plan.files),
            Stage::Committing(work) => (JobState::Committing, work.plan.files),
            // Nobody needs to know that a folder is being removed.
            Stage::Closing { work, report } => match report.end {
                JobEnd::Succeeded { .. } => (JobState::Committing, work.plan.files),
                JobEnd::Failed { .. } | JobEnd::Cancelled => (JobState::Running, work.plan.files),
            },
            Stage::Ended { report, .. } => (JobState::Ended(report.clone()), report.files),
        };
        JobStatus {
            job: self.id,
            version: self.news.version,
            state,
            files,
            map,
            reduce,
            workers,
            slots,
            notices: self.notices.since(notices),
            said: match &self.stage {
                Stage::Running(work) => work.tally.newest_said(),
                _ => None,
            },
        }
    }

    /// The job in a list.
    pub(crate) fn entry(&self, now: Instant) -> JobEntry {
        let (map, reduce) = self.phases();
        let (stage, elapsed) = match &self.stage {
            Stage::Planning { .. } => (JobStage::Planning, now - self.accepted),
            Stage::Running(_) => (JobStage::Running, now - self.accepted),
            Stage::Committing(_) | Stage::Closing { .. } => {
                (JobStage::Committing, now - self.accepted)
            }
            Stage::Ended { report, .. } => {
                (JobState::Ended(report.clone()).stage(), report.elapsed)
            }
        };
        JobEntry {
            job: self.id,
            name: self.spec.job.clone(),
            stage,
            elapsed,
            maps: (map.done, map.tasks),
            reduces: (reduce.done, reduce.tasks),
            output: self.spec.output.clone(),
        }
    }

    /// The job has ended for all: nothing of it is left but its report.
    pub(crate) fn end(&mut self, report: JobReport, now: Instant) {
        let (map, reduce) = self.phases();
        self.stage = Stage::Ended {
            report: Box::new(report),
            map,
            reduce,
        };
        self.changed(now);
    }

    fn phases(&self) -> (PhaseStatus, PhaseStatus) {
        match &self.stage {
            Stage::Planning { .. } => Default::default(),
            Stage::Running(work) | Stage::Committing(work) | Stage::Closing { work, .. } => {
                work.tally.phases(&work.plan)
            }
            Stage::Ended { map, reduce, .. } => (*map, *reduce),
        }
    }
}
