//! What attempts leave for others to find.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use mapfold_terms::{MapReport, ReduceReport, TaskId, TaskKind};
use serde::{Deserialize, Serialize};

use super::write_once;
use crate::error::Problem;
use crate::exit::Exit;
use crate::plan::cannot_write;
use crate::plan_file::{PlanFile, cannot_read};

/// What one attempt did.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Left {
    Map {
        /// The id of the plan.
        plan: String,
        attempt: u32,
        index: u32,
        /// The file of its run, in the same folder; without reduce tasks, the folder of its part there.
        left: String,
        report: MapReport,
    },
    Reduce {
        plan: String,
        attempt: u32,
        index: u32,
        /// The folder of its part, in the same folder.
        folder: String,
        report: ReduceReport,
    },
}

/// The map attempt that counts.
pub(super) struct MapWinner {
    pub(super) attempt: u32,
    /// The file of its run, or the folder of its part.
    pub(super) left: PathBuf,
    pub(super) report: MapReport,
}

/// A reduce attempt.
pub(super) struct ReduceLeft {
    pub(super) attempt: u32,
    pub(super) folder: PathBuf,
    pub(super) report: ReduceReport,
}

/// Where attempts of one plan leave what they did.
pub(super) struct Folder<'a> {
    path: &'a Path,
    plan: &'a PlanFile,
}

impl<'a> Folder<'a> {
    /// Makes the folder if it is not there.
    pub(super) fn make(path: &'a Path, plan: &'a PlanFile) -> Result<Self, Problem> {
        fs::create_dir_all(path).map_err(|error| cannot_write(path, &error))?;
        Ok(Self { path, plan })
    }

    pub(super) fn path(&self) -> &Path {
        self.path
    }

    /// Whether the attempt is done.
    pub(super) fn has(&self, task: TaskId, attempt: u32) -> bool {
        self.path.join(file_name(task, attempt)).exists()
    }

    /// A name for what an attempt makes that nobody else uses.
    pub(super) fn unique(&self, task: TaskId, attempt: u32) -> Result<String, Problem> {
        let nonce = getrandom::u32().map_err(|error| {
            Problem::new(Exit::Internal, "the system gives no random bytes").because(&error)
        })?;
        Ok(format!("{}-{nonce:08x}", stem(task, attempt)))
    }

    /// The attempt is done.
    pub(super) fn leave(&self, left: &Left) -> Result<(), Problem> {
        let (task, attempt) = match left {
            Left::Map { index, attempt, .. } => (TaskId::map(*index), *attempt),
            Left::Reduce { index, attempt, .. } => (TaskId::reduce(*index), *attempt),
        };
        let path = self.path.join(file_name(task, attempt));
        let unique = self.path.join(self.unique(task, attempt)?);
        let json = serde_json::to_vec(left).expect("texts and numbers always serialize");
        write_once(&path, &unique, &json).map_err(|error| cannot_write(&path, &error))
    }

    /// The winners of all map tasks, by index.
    pub(super) fn maps(&self) -> Result<BTreeMap<u32, MapWinner>, Problem> {
        let mut winners = BTreeMap::new();
        let attempts = self.attempts(TaskKind::Map)?;
        for index in 0..self.plan.maps {
            let task = TaskId::map(index);
            let lowest = attempts.get(&index).and_then(|numbers| numbers.first());
            let attempt = lowest.ok_or_else(|| not_done(task))?;
            match self.read(task, *attempt)? {
                Left::Map { left, report, .. } => winners.insert(
                    index,
                    MapWinner {
                        attempt: *attempt,
                        left: self.path.join(left),
                        report,
                    },
                ),
                Left::Reduce { .. } => return Err(not_done(task)),
            };
        }
        Ok(winners)
    }

    /// All attempts at a reduce task, the lowest first; at least one.
    pub(super) fn reduces(&self) -> Result<Vec<Vec<ReduceLeft>>, Problem> {
        let attempts = self.attempts(TaskKind::Reduce)?;
        let of_task = |index| {
            let task = TaskId::reduce(index);
            let numbers = attempts.get(&index).ok_or_else(|| not_done(task))?;
            let read = |attempt: &u32| match self.read(task, *attempt)? {
                Left::Reduce { folder, report, .. } => Ok(ReduceLeft {
                    attempt: *attempt,
                    folder: self.path.join(folder),
                    report,
                }),
                Left::Map { .. } => Err(not_done(task)),
            };
            numbers.iter().map(read).collect()
        };
        (0..self.plan.reducers).map(of_task).collect()
    }

    /// The numbers of the attempts that are done, by task.
    fn attempts(&self, kind: TaskKind) -> Result<BTreeMap<u32, Vec<u32>>, Problem> {
        let entries = fs::read_dir(self.path).map_err(|error| cannot_read(self.path, &error))?;
        let mut attempts: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for entry in entries.filter_map(Result::ok) {
            let name = entry.file_name();
            if let Some((index, attempt)) = name.to_str().and_then(|name| parse(name, kind)) {
                attempts.entry(index).or_default().push(attempt);
            }
        }
        attempts
            .values_mut()
            .for_each(|numbers| numbers.sort_unstable());
        Ok(attempts)
    }

    fn read(&self, task: TaskId, attempt: u32) -> Result<Left, Problem> {
        let path = self.path.join(file_name(task, attempt));
        let json = fs::read(&path).map_err(|error| cannot_read(&path, &error))?;
        let left: Left = serde_json::from_slice(&json).map_err(|error| {
            let what = format!("{} is not what a task leaves", path.display());
            Problem::new(Exit::DoNotRetry, what).because(&error)
        })?;
        let (Left::Map { plan, .. } | Left::Reduce { plan, .. }) = &left;
        if plan != self.plan.id() {
            let what = format!("{} belongs to another plan", path.display());
            return Err(
                Problem::new(Exit::DoNotRetry, what).hint("use a folder of its own for each plan")
            );
        }
        Ok(left)
    }
}

fn not_done(task: TaskId) -> Problem {
    let what = format!("no attempt at {task} is done yet");
    Problem::new(Exit::TryAgain, what)
}

fn stem(task: TaskId, attempt: u32) -> String {
    format!("{}-{}.{attempt}", task.kind.name(), task.index)
}

fn file_name(task: TaskId, attempt: u32) -> String {
    format!("{}.json", stem(task, attempt))
}

/// Index and attempt of `map-3.1.json`.
fn parse(name: &str, kind: TaskKind) -> Option<(u32, u32)> {
    let numbers = name.strip_prefix(kind.name())?.strip_prefix('-')?;
    let (index, attempt) = numbers.strip_suffix(".json")?.split_once('.')?;
    Some((index.parse().ok()?, attempt.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_task_and_attempt() {
        let name = file_name(TaskId::map(30), 2);
        assert_eq!(parse(&name, TaskKind::Map), Some((30, 2)));
        assert_eq!(parse(&name, TaskKind::Reduce), None);
        for other in [
            "map-3.1-8f02.run",
            "map-3.json",
            "map-3.1.tmp",
            "map-x.1.json",
        ] {
            assert_eq!(parse(other, TaskKind::Map), None, "{other}");
        }
    }
}
