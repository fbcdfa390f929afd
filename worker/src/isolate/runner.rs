//! Jobs whose attempts are made by children.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use mapfold_data::run::{RunBytes, Segment};
use mapfold_data::scratch::{Scratch, ScratchError, ScratchFile};
use mapfold_job::border::{Ask, InputAt, RunAt, Told};
use mapfold_job::{
    BuildError, Catalog, MapDone, MapTask, Monitor, ReduceDone, ReduceTask, Runner, SampleTask,
    SequentialDone, SequentialTask, TaskError, Unwatched,
};
use mapfold_terms::{Boundaries, ByteSize, FailClass, Failure, JobInfo, RawPath};

use super::child::{Heard, SlotChild, told_end};
use super::message::{News, SlotAsk};
use super::{IsolateSettings, data_max_for};

/// The same jobs, with every attempt made by a child process that stays with its slot.
pub fn isolated(catalog: Arc<dyn Catalog>, settings: IsolateSettings) -> Arc<dyn Catalog> {
    Arc::new(Isolated {
        catalog,
        children: Arc::new(Children {
            settings,
            idle: Mutex::default(),
        }),
    })
}

struct Isolated {
    catalog: Arc<dyn Catalog>,
    children: Arc<Children>,
}

/// As many children as attempts ever ran at once.
struct Children {
    settings: IsolateSettings,
    idle: Mutex<Vec<SlotChild>>,
}

impl Catalog for Isolated {
    fn list(&self) -> Vec<JobInfo> {
        self.catalog.list()
    }

    /// Runs none of the job's code, which may do anything: a child makes the job.
    fn build(
        &self,
        name: &str,
        params: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn Runner>, BuildError> {
        let jobs = self.catalog.list();
        let info = jobs.iter().find(|info| info.name == name);
        let info = info.cloned().ok_or_else(|| BuildError::UnknownJob {
            name: name.to_owned(),
            known: jobs.into_iter().map(|info| info.name).collect(),
        })?;
        Ok(Arc::new(IsolatedRunner {
            info,
            params: params.clone(),
            children: Arc::clone(&self.children),
        }))
    }
}

struct IsolatedRunner {
    info: JobInfo,
    params: BTreeMap<String, String>,
    children: Arc<Children>,
}

impl Runner for IsolatedRunner {
    fn info(&self) -> &JobInfo {
        &self.info
    }

    fn map(&self, task: &MapTask<'_>, monitor: &dyn Monitor) -> Result<MapDone, TaskError> {
        let ask = Ask::map(task, ByteSize(0))?;
        let (report, run) = self
            .make(ask, task.memory, task.scratch, monitor)?
            .mapped()?;
        let RunAt::File(run) = run else {
            return Err(ours(&NoFile));
        };
        let file = task.scratch.adopt(run.as_path().to_owned());
        let file = file.map_err(|error| no_file(&error))?;
        let run = RunBytes::from_scratch(file).map_err(|error| ours(&error))?;
        Ok(MapDone { report, run })
    }

    fn reduce(&self, task: ReduceTask<'_>, monitor: &dyn Monitor) -> Result<ReduceDone, TaskError> {
        let mut kept = Vec::new();
        let places = task.inputs.iter();
        let places = places.map(|segment| place(segment, task.scratch, &mut kept));
        let ask = Ask::reduce(&task, places.collect::<Result<_, _>>()?)?;
        self.make(ask, task.memory, task.scratch, monitor)?
            .reduced()
    }

    fn sample(&self, task: &SampleTask<'_>) -> Result<Boundaries, TaskError> {
        self.make(Ask::sample(task)?, ByteSize(0), task.scratch, &Unwatched)?
            .sampled()
    }

    fn sequential(&self, _: &SequentialTask<'_>) -> Result<SequentialDone, TaskError> {
        Err(ours(&NotHere))
    }
}

/// Only attempts are isolated.
#[derive(Debug, thiserror::Error)]
#[error("a job without an engine is not run in a process of its own")]
struct NotHere;

#[derive(Debug, thiserror::Error)]
#[error("the run of an isolated attempt is not in a file")]
struct NoFile;

/// Where a child finds a segment. One that is in memory is written to a file, which goes into `kept`.
fn place(
    segment: &Segment,
    scratch: &Scratch,
    kept: &mut Vec<ScratchFile>,
) -> Result<InputAt, TaskError> {
    Ok(match segment.file() {
        _ if segment.bytes().is_empty() => InputAt::Nowhere,
        Some((path, start)) => InputAt::File(RawPath::from(path), start),
        None => {
            let mut file = scratch.create("segment").map_err(|error| no_file(&error))?;
            // What is in the folder is counted while the child works there.
            file.file
                .write_all(segment.bytes())
                .map_err(|error| ours(&error))?;
            let path = RawPath::from(file.path.as_path());
            kept.push(file);
            InputAt::File(path, 0)
        }
    })
}

impl IsolatedRunner {
    /// Has a child do something.
    fn make(
        &self,
        ask: Ask,
        memory: ByteSize,
        scratch: &Scratch,
        monitor: &dyn Monitor,
    ) -> Result<Told, TaskError> {
        let ask = SlotAsk::Attempt {
            job: self.info.name.clone(),
            params: self.params.clone(),
            ask,
        };
        self.children.make(&ask, memory, scratch, monitor)
    }
}

impl Children {
    /// Has a child make an attempt that may use `memory` and works in `scratch`; returns what it told at the end.
    fn make(
        &self,
        ask: &SlotAsk,
        memory: ByteSize,
        scratch: &Scratch,
        monitor: &dyn Monitor,
    ) -> Result<Told, TaskError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        let asked = idle.and_then(|mut child| child.ask(ask).ok().map(|()| child));
        let child = match asked {
            Some(child) => child,
            None => self.start(ask, memory)?,
        };
        let mut charge = scratch.charge();
        loop {
            match child.hear() {
                Heard::News(News::Progress { records, bytes }) => monitor.progress(records, bytes),
                Heard::News(News::Ended(told)) => {
                    let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                    idle.push(child);
                    drop(idle);
                    return Ok(told);
                }
                // Nobody has asked for a look into a plugin.
                Heard::Nothing | Heard::News(News::Probed(_)) => {}
                Heard::Ended => return Err(self.died(child)),
            }
            if monitor.cancelled() {
                return Err(TaskError::Cancelled);
            }
            if charge.is_bounded() {
                scratch
                    .measure(&mut charge)
                    .map_err(|error| no_file(&error))?;
            }
        }
    }

    fn start(&self, ask: &SlotAsk, memory: ByteSize) -> Result<SlotChild, TaskError> {
        let data_max = self.settings.data_max.max(data_max_for(memory));
        let settings = IsolateSettings {
            data_max,
            ..self.settings.clone()
        };
        let mut child = SlotChild::start(&settings).map_err(|error| ours(&error))?;
        child.ask(ask).map_err(|error| ours(&error))?;
        Ok(child)
    }

    /// The job's code has ended its process.
    fn died(&self, child: SlotChild) -> TaskError {
        let (status, words) = child.post_mortem();
        let mut chain = vec![format!("the attempt's process {}", told_end(status))];
        let starved = words
            .iter()
            .any(|line| line.contains("memory allocation of"));
        chain.extend(words.into_iter().map(|line| format!("it said: {line}")));
        TaskError::from(Failure {
            class: FailClass::Job,
            chain,
            at: None,
            hint: starved.then(|| {
                "an attempt's process may have twice its share of --memory, and 256 MiB".to_owned()
            }),
            backtrace: None,
        })
    }
}

/// A temporary file is.
pub(crate) fn no_file(error: &ScratchError) -> TaskError {
    let failure = Failure {
        hint: error.hint().map(str::to_owned),
        ..Failure::new(FailClass::Worker, error)
    };
    failure.into()
}

/// Something of this worker's is lacking.
fn ours(error: &dyn std::error::Error) -> TaskError {
    Failure::new(FailClass::Worker, error).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_job_is_refused_without_a_child() {
        let catalog = Arc::new(mapfold_job::JobTable::default());
        let settings = IsolateSettings {
            program: "/nowhere".into(),
            data_max: ByteSize(0),
            plugins: Vec::new(),
        };
        let refused = isolated(catalog, settings).build("x", &BTreeMap::new());
        assert!(matches!(refused, Err(BuildError::UnknownJob { .. })));
    }
}
