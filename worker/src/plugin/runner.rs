//! A job of a plugin in this process, as the engine sees it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mapfold_data::run::{RunBytes, Segment};
use mapfold_data::scratch::{Charge, Scratch, ScratchError};
use mapfold_job::border::abi::Lent;
use mapfold_job::border::{Ask, InputAt, RunAt, Told};
use mapfold_job::{
    MapDone, MapTask, Monitor, ReduceDone, ReduceTask, Runner, SampleTask, SequentialDone,
    SequentialTask, TaskError, Unwatched,
};
use mapfold_terms::{Boundaries, FailClass, Failure, JobInfo, RawPath};

use super::open::PluginJobMade;
use crate::isolate::no_file;

/// A job of a plugin in this process.
pub(super) struct PluginRunner {
    pub(super) info: JobInfo,
    pub(super) job: PluginJobMade,
}

impl Runner for PluginRunner {
    fn info(&self) -> &JobInfo {
        &self.info
    }

    fn map(&self, task: &MapTask<'_>, monitor: &dyn Monitor) -> Result<MapDone, TaskError> {
        let ask = Ask::map(task, task.in_memory_max)?;
        let measured = Measured::new(task.scratch, monitor);
        let (told, beside) = self.job.attempt(&ask, Vec::new(), &measured)?;
        let (report, run) = measured.judge(told)?.mapped()?;
        let run = match run {
            RunAt::Beside => beside,
            RunAt::File(path) => {
                let file = task.scratch.adopt(path.as_path().to_owned());
                let file = file.map_err(|error| no_file(&error))?;
                RunBytes::from_scratch(file)
                    .map_err(|error| Failure::new(FailClass::Worker, &error))?
            }
        };
        Ok(MapDone { report, run })
    }

    fn reduce(&self, task: ReduceTask<'_>, monitor: &dyn Monitor) -> Result<ReduceDone, TaskError> {
        let mut beside = Vec::new();
        let places = task
            .inputs
            .iter()
            .map(|segment| place(segment, &mut beside))
            .collect();
        let ask = Ask::reduce(&task, places)?;
        let measured = Measured::new(task.scratch, monitor);
        let (told, _) = self.job.attempt(&ask, beside, &measured)?;
        measured.judge(told)?.reduced()
    }

    fn sequential(&self, task: &SequentialTask<'_>) -> Result<SequentialDone, TaskError> {
        let (told, _) = self
            .job
            .attempt(&Ask::sequential(task)?, Vec::new(), &Unwatched)?;
        told.sequential()
    }

    fn sample(&self, task: &SampleTask<'_>) -> Result<Boundaries, TaskError> {
        let (told, _) = self
            .job
            .attempt(&Ask::sample(task)?, Vec::new(), &Unwatched)?;
        told.sampled()
    }

    fn keeps_records(&self) -> bool {
        self.job.keeps_records()
    }

    fn free_memory(&self) {
        self.job.free_memory();
    }
}

/// Where the plugin finds a segment. One that is in memory goes into `beside`; a file it maps itself, and gives back what it has read.
fn place(segment: &Segment, beside: &mut Vec<Lent>) -> InputAt {
    match segment.file() {
        _ if segment.head().bytes == 0 => InputAt::Nowhere,
        Some((path, start)) => InputAt::File(RawPath::from(path), start),
        None => {
            beside.push(Lent::from(segment.clone()));
            InputAt::Beside
        }
    }
}

/// Counts what the plugin has in its scratch folder, where there is a bound: its files are made out of sight of the engine.
struct Measured<'a> {
    monitor: &'a dyn Monitor,
    scratch: &'a Scratch,
    charge: Mutex<Charge>,
    over: Mutex<Option<ScratchError>>,
}

impl<'a> Measured<'a> {
    fn new(scratch: &'a Scratch, monitor: &'a dyn Monitor) -> Self {
        Self {
            monitor,
            scratch,
            charge: Mutex::new(scratch.charge()),
            over: Mutex::default(),
        }
    }

    /// Whether the folder is within the bound. Costs nothing where there is none.
    fn is_within(&self) -> bool {
        let mut charge = self.charge.lock().unwrap_or_else(PoisonError::into_inner);
        let measured = match charge.is_bounded() {
            true => self.scratch.measure(&mut charge),
            false => Ok(()),
        };
        let mut over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        *over = measured.err();
        over.is_none()
    }

    /// What it told, unless it was stopped by the bound. What the folder takes is no longer counted here.
    fn judge(self, told: Told) -> Result<Told, TaskError> {
        let over = self.over.into_inner();
        match (over.unwrap_or_else(PoisonError::into_inner), told) {
            (Some(error), Told::Cancelled) => Err(no_file(&error)),
            (_, told) => Ok(told),
        }
    }
}

impl Monitor for Measured<'_> {
    fn progress(&self, records: u64, bytes: u64) {
        self.monitor.progress(records, bytes);
    }

    fn cancelled(&self) -> bool {
        self.monitor.cancelled() || !self.is_within()
    }

    fn still_max(&self) -> Option<Duration> {
        self.monitor.still_max()
    }

    fn status(&self, text: &str) {
        self.monitor.status(text);
    }
}
