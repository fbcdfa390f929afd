//! Replay capsules: what it takes to run a failed attempt's task again, in one small file each.
//!
//! Whoever ran the job writes them, for attempts that failed by the job's fault, into `.mapfold/failed` of its working folder; the
//! oldest go when there are many. JSON, versioned.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use mapfold_terms::{FailedAttempt, Failure, JobSpec, TaskId, excerpt};
use serde::{Deserialize, Serialize};

use crate::error::Problem;
use crate::exit::Exit;
use crate::plan::of_job;
use crate::plan_file::{PlanFile, cannot_read};
use crate::plugin::plain;

/// Of the layout.
const VERSION: u32 = 1;

/// Where capsules are left, below the working folder.
const FOLDER: &str = ".mapfold/failed";

/// Capsules that are kept there, of all jobs.
const KEPT_MAX: usize = 64;

/// A capsule that was left.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) task: TaskId,
    /// As it can be typed.
    pub(crate) path: PathBuf,
}

/// What one attempt was about, and how it failed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Capsule {
    mapfold_replay: u32,
    /// `map` or `reduce`.
    kind: String,
    index: u32,
    attempt: u32,
    worker: String,
    /// What went wrong, then its causes.
    pub(crate) error: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<At>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    backtrace: Option<String>,
    /// As much of the job's plan as the task needs.
    pub(crate) plan: PlanFile,
}

/// The record at which it failed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct At {
    file: String,
    offset: u64,
    /// Which of its map task, from 1.
    record: u64,
    /// Its first bytes, escaped.
    excerpt: String,
}

/// Leaves a capsule for each of these attempts of a job; returns those that were written. Lists the input once more,
/// as a map task's split is not part of a report. Best effort: there are none where they cannot be made.
pub(crate) fn leave(spec: &JobSpec, plugin: Option<&Path>, failed: &[FailedAttempt]) -> Vec<Left> {
    if failed.is_empty() {
        return Vec::new();
    }
    let folder = Path::new(FOLDER);
    let (Ok(plan), Ok(())) = (of_job(spec, plugin), fs::create_dir_all(folder)) else {
        return Vec::new();
    };
    make_room(folder, failed.len());
    let written = failed.iter().filter_map(|attempt| {
        let capsule = Capsule::new(attempt, &plan);
        let name = format!(
            "{}-{}-{:08x}.replay",
            plain(&spec.job),
            attempt.attempt,
            spec.key.0 >> 96
        );
        let path = folder.join(name);
        fs::write(&path, capsule.to_json()).ok()?;
        let task = attempt.attempt.task;
        Some(Left { task, path })
    });
    written.collect()
}

/// Removes the oldest capsules.
fn make_room(folder: &Path, wanted: usize) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut capsules: Vec<(SystemTime, PathBuf)> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|it| it == "replay"))
        .filter_map(|path| Some((path.metadata().ok()?.modified().ok()?, path)))
        .collect();
    capsules.sort();
    let surplus = (capsules.len() + wanted).saturating_sub(KEPT_MAX);
    for (_, path) in capsules.iter().take(surplus) {
        let _ = fs::remove_file(path);
    }
}

impl Capsule {
    fn new(failed: &FailedAttempt, plan: &PlanFile) -> Self {
        let task = failed.attempt.task;
        let at = failed.failure.at.as_ref().map(|at| At {
            file: at.file.display().to_string(),
            offset: at.offset,
            record: at.record,
            excerpt: excerpt(&at.excerpt),
        });
        Self {
            mapfold_replay: VERSION,
            kind: task.kind.name().to_owned(),
            index: task.index,
            attempt: failed.attempt.number,
            worker: failed.worker.to_string(),
            error: failed.failure.chain.clone(),
            at,
            backtrace: failed.failure.backtrace.clone(),
            plan: plan.clone().for_task(task),
        }
    }

    fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("texts and numbers always serialize");
        json.push(b'\n');
        json
    }

    /// Reads one and checks that this version wrote it.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
        let json = fs::read(path).map_err(|error| cannot_read(path, &error))?;
        let no_capsule = |error: &dyn std::error::Error| {
            let what = format!("{} is not a replay capsule", path.display());
            Problem::new(Exit::Usage, what).because(error)
        };
        let capsule: Self = serde_json::from_slice(&json).map_err(|error| no_capsule(&error))?;
        if capsule.mapfold_replay != VERSION {
            let error = io::Error::other("it was written by another version of Mapfold");
            return Err(no_capsule(&error));
        }
        capsule.plan.check(&path.display().to_string())?;
        Ok(capsule)
    }

    pub(crate) fn task(&self) -> TaskId {
        match self.kind.as_str() {
            "map" => TaskId::map(self.index),
            _ => TaskId::reduce(self.index),
        }
    }

    /// Whether an attempt failed as this one did.
    pub(crate) fn is_like(&self, failure: &Failure) -> bool {
        let same_place = match (&self.at, &failure.at) {
            (Some(this), Some(that)) => this.offset == that.offset,
            (this, that) => this.is_none() == that.is_none(),
        };
        same_place && failure.chain.starts_with(&self.error)
    }
}
