//! Jobs whose attempts are made by children.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mapfold_data::run::{RunBytes, Segment};
use mapfold_data::scratch::{Scratch, ScratchError, ScratchFile};
use mapfold_job::border::{Ask, InputAt, RunAt, Told};
use mapfold_job::{
    BuildError, Catalog, MapDone, MapTask, Monitor, ReduceDone, ReduceTask, Runner, SampleTask,
    SequentialDone, SequentialTask, TaskError, Unwatched,
};
use mapfold_terms::{Boundaries, ByteSize, FailClass, Failure, FileId, JobInfo, RawPath, roughly};

use super::child::{Heard, SlotChild};
use super::culprit::{self, Culprit, Trial};
use super::ended::{Ended, How, died, killed_after, stood_still};
use super::message::{News, SlotAsk};
use super::stillness::Stillness;
use super::{IsolateSettings, data_max_for};
use crate::plugin::{NoPluginJob, OpenPluginError, PluginFile, PluginJob, TryJob, probe};

/// A job that has not been made by then never will.
const MAKE_MAX: Duration = Duration::from_secs(20);
/// To put a stack into words takes a second or two, where there are many names.
const STACK_MAX: Duration = Duration::from_secs(10);
/// As the child has it: a record of this size is read however small the memory.
const RECORD_MAX_LEAST: ByteSize = ByteSize::mib(64);

/// Makes attempts in child processes that stay with their slots. Clones share the children.
#[derive(Clone, Debug)]
pub struct Isolation(Arc<Children>);

impl Isolation {
    /// No children yet.
    pub fn new(settings: IsolateSettings) -> Self {
        Self(Arc::new(Children {
            settings,
            idle: Mutex::default(),
        }))
    }

    /// The same jobs, with every attempt made by a child.
    pub fn catalog(&self, catalog: Arc<dyn Catalog>) -> Arc<dyn Catalog> {
        Arc::new(Isolated {
            catalog,
            children: Arc::clone(&self.0),
        })
    }

    /// A job of a plugin that this process never opens, ready to run. A child looks into the plugin first, and makes the job once.
    ///
    /// # Errors
    /// The plugin cannot be used here, which is the worker's affair, or the job refuses its parameters.
    pub(crate) fn job_of_plugin(
        &self,
        path: &Path,
        name: &str,
        params: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn Runner>, Box<Failure>> {
        let of_worker = |failure: Failure| Failure {
            class: FailClass::Worker,
            ..failure
        };
        let job: PluginJob = name
            .parse()
            .map_err(|error: NoPluginJob| Failure::new(FailClass::Job, &error))?;
        let attempt = TryJob {
            name: Some(job.name.clone()),
            params: params.clone(),
        };
        let probed = probe(path, Some(attempt), &self.0.settings);
        let probed = probed.map_err(|failure| of_worker(*failure))?;
        if probed.file.id != job.plugin {
            let changed = OpenPluginError::Changed {
                path: path.to_owned(),
            };
            return Err(of_worker(changed.failure()).into());
        }
        if let Some(refused) = probed.refused {
            return Err(Failure::new(FailClass::Job, &refused).into());
        }
        let info = probed.jobs.into_iter().find(|info| info.name == job.name);
        let info = info.ok_or_else(|| Failure::new(FailClass::Job, &NoSuchJob(name.to_owned())))?;
        Ok(Arc::new(IsolatedRunner {
            info: JobInfo {
                name: name.to_owned(),
                ..info
            },
            params: params.clone(),
            plugin: Some(probed.file),
            keeps_records: OnceLock::from(probed.keeps_records),
            children: Arc::clone(&self.0),
        }))
    }
}

/// The plugin has been asked for a job that it does not have.
#[derive(Debug, thiserror::Error)]
#[error("there is no job `{0}` in its plugin")]
struct NoSuchJob(String);

struct Isolated {
    catalog: Arc<dyn Catalog>,
    children: Arc<Children>,
}

/// As many children as attempts ever ran at once.
#[derive(Debug)]
struct Children {
    settings: IsolateSettings,
    /// Each with the plugin that it has open: one that came with its job has children of its own, so that what it leaves in a process
    /// harms no other job.
    idle: Mutex<Vec<(Option<FileId>, SlotChild)>>,
}

impl Catalog for Isolated {
    fn list(&self) -> Vec<JobInfo> {
        self.catalog.list()
    }

    fn info(&self, name: &str) -> Option<JobInfo> {
        self.catalog.info(name)
    }

    /// Runs none of the job's code, which may do anything: a child makes the job.
    fn build(
        &self,
        name: &str,
        params: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn Runner>, BuildError> {
        let info = self.info(name).ok_or_else(|| BuildError::UnknownJob {
            name: name.to_owned(),
            known: self.list().into_iter().map(|info| info.name).collect(),
        })?;
        Ok(Arc::new(IsolatedRunner {
            info,
            params: params.clone(),
            plugin: None,
            keeps_records: OnceLock::new(),
            children: Arc::clone(&self.children),
        }))
    }
}

struct IsolatedRunner {
    info: JobInfo,
    params: BTreeMap<String, String>,
    /// The plugin that came with the job; others are known to all children.
    plugin: Option<PluginFile>,
    /// Found out when somebody asks.
    keeps_records: OnceLock<bool>,
    children: Arc<Children>,
}

impl Runner for IsolatedRunner {
    fn info(&self) -> &JobInfo {
        &self.info
    }

    fn map(&self, task: &MapTask<'_>, monitor: &dyn Monitor) -> Result<MapDone, TaskError> {
        let ask = Ask::map(task, ByteSize(0))?;
        let made = self.make(ask, task.memory, task.scratch, monitor);
        let told = made.map_err(|stopped| match stopped {
            Stopped::Ended(ended) => self.blame(task, *ended, monitor).into(),
            Stopped::Other(error) => error,
        })?;
        let (report, run) = told.mapped()?;
        let RunAt::File(run) = run else {
            if report.staged.is_some() {
                let run = RunBytes::from(Vec::new());
                return Ok(MapDone { report, run });
            }
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
        let told = self.make(Ask::sample(task)?, ByteSize(0), task.scratch, &Unwatched)?;
        // A child ends with the thread that has started it, and whoever samples may not live long.
        let plugin = self.plugin.as_ref().map(|plugin| plugin.id);
        drop(self.children.take(plugin));
        told.sampled()
    }

    fn sequential(&self, _: &SequentialTask<'_>) -> Result<SequentialDone, TaskError> {
        Err(ours(&NotHere))
    }

    fn keeps_records(&self) -> bool {
        *self.keeps_records.get_or_init(|| {
            let ask = SlotAsk::Make {
                job: self.info.name.clone(),
                params: self.params.clone(),
            };
            // A job that cannot be made is told by its first attempt.
            self.children.keeps_records(&ask).unwrap_or_default()
        })
    }

    /// A child that waits for the next attempt has the memory that its last one used.
    fn free_memory(&self) {
        if let Some(plugin) = &self.plugin {
            self.children.dismiss(plugin.id);
        }
    }
}

/// Nobody wants the plugin open when its job has ended.
impl Drop for IsolatedRunner {
    fn drop(&mut self) {
        self.free_memory();
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
    ) -> Result<Told, Stopped> {
        let ask = self.slot_ask(ask);
        let plugin = self.plugin.as_ref().map(|plugin| plugin.id);
        self.children.make(&ask, plugin, memory, scratch, monitor)
    }
}

impl IsolatedRunner {
    fn slot_ask(&self, ask: Ask) -> SlotAsk {
        SlotAsk::Attempt {
            job: self.info.name.clone(),
            params: self.params.clone(),
            plugin: self.plugin.clone(),
            ask: Box::new(ask),
        }
    }

    /// What is to be told of a map attempt whose process has ended, with the record that did it, if one can be found.
    fn blame(&self, task: &MapTask<'_>, ended: Ended, monitor: &dyn Monitor) -> Failure {
        let culprit = match ended.begun {
            true => self.culprit(task, &ended, monitor),
            false => Culprit::Unknown,
        };
        let mut failure = ended.failure;
        match (culprit, ended.how) {
            (Culprit::Record(at), How::Died) => failure.at = Some(at),
            (Culprit::Record(at), How::StoodStill { .. }) => {
                let alone = roughly(ended.how.trial_max());
                failure.chain.push(format!(
                    "`map` does not come back within {alone} from this record alone"
                ));
                failure.at = Some(at);
            }
            (Culprit::Nobody, _) => {
                failure
                    .chain
                    .push("it does so without a record, too".to_owned());
            }
            (Culprit::Unknown, How::StoodStill { .. }) if ended.begun => {
                failure.chain.push(format!(
                    "it had mapped {} records, and no record was found that does it alone",
                    ended.done
                ));
            }
            (Culprit::Unknown, _) => {}
        }
        let no_skip = || "what ends its process is not put aside by --skip-bad".to_owned();
        failure.hint.get_or_insert_with(no_skip);
        failure
    }

    fn culprit(&self, task: &MapTask<'_>, ended: &Ended, monitor: &dyn Monitor) -> Culprit {
        let record_max = ByteSize(task.memory.bytes() / 2).max(RECORD_MAX_LEAST);
        let mut search = Stillness::new(Some(ended.how.search_max()));
        let mut trials = 0;
        culprit::find(task.split, task.format, record_max, ended.done, |split| {
            trials += 1;
            // A folder that no dead child has left files in.
            let Ok(folder) = task.scratch.folder() else {
                return Trial::Unclear;
            };
            let folder = folder.join(format!("trial-{trials}"));
            if fs::create_dir(&folder).is_err() {
                return Trial::Unclear;
            }
            let ask = Ask::Map {
                attempt: task.attempt,
                split,
                maps: task.maps,
                format: task.format,
                partitions: task.partitions,
                partitioning: task.partitioning.clone(),
                memory: task.memory,
                in_memory_max: ByteSize(0),
                skip_bad: 0,
                scratch: RawPath::from(folder.as_path()),
                part_codec: task.part_codec,
                part_folder: RawPath::from(folder.as_path()),
            };
            let ask = self.slot_ask(ask);
            let watch = Watch {
                how: ended.how,
                search: &mut search,
                monitor,
            };
            let trial = self.children.try_out(&ask, task.memory, watch);
            let _ = fs::remove_dir_all(&folder);
            trial
        })
    }
}

impl Children {
    /// Has a child make an attempt that may use `memory` and works in `scratch`; returns what it told at the end.
    fn make(
        &self,
        ask: &SlotAsk,
        plugin: Option<FileId>,
        memory: ByteSize,
        scratch: &Scratch,
        monitor: &dyn Monitor,
    ) -> Result<Told, Stopped> {
        let idle = self.take(plugin);
        let asked = idle.and_then(|mut child| child.ask(ask).ok().map(|()| child));
        let child = match asked {
            Some(child) => child,
            None => self.start(ask, memory)?,
        };
        let mut charge = scratch.charge();
        let limit = monitor.still_max();
        let mut stillness = Stillness::new(limit.map(killed_after));
        let (mut begun, mut done) = (false, 0);
        // Its time begins now, here and at the master.
        monitor.progress(0, 0);
        loop {
            let heard = child.hear();
            if matches!(heard, Heard::News(_)) {
                stillness.broken();
            }
            match heard {
                Heard::News(News::Begun) => {
                    begun = true;
                    monitor.progress(0, 0);
                }
                Heard::News(News::Progress { records, bytes }) => {
                    done = records.max(done);
                    monitor.progress(records, bytes);
                }
                Heard::News(News::Status(text)) => monitor.status(&text),
                Heard::News(News::Ended(told)) => {
                    self.idle().push((plugin, child));
                    return Ok(told);
                }
                // Nobody has asked for them.
                Heard::Nothing | Heard::News(News::Stands(_) | News::Probed(_) | News::Made(_)) => {
                }
                Heard::Ended => {
                    return Err(Stopped::Ended(Box::new(Ended {
                        failure: died(child),
                        how: How::Died,
                        begun,
                        done,
                    })));
                }
            }
            if monitor.cancelled() {
                return Err(TaskError::Cancelled.into());
            }
            if let Some(limit) = limit
                && stillness.is_over()
            {
                let mut failure = stood_still(limit, begun);
                if begun {
                    failure.backtrace = stack_of(&child, monitor);
                }
                drop(child);
                return Err(Stopped::Ended(Box::new(Ended {
                    failure,
                    how: How::StoodStill { limit },
                    begun,
                    done,
                })));
            }
            if charge.is_bounded() {
                scratch
                    .measure(&mut charge)
                    .map_err(|error| no_file(&error))?;
            }
        }
    }

    /// Whether a new child does it again.
    fn try_out(&self, ask: &SlotAsk, memory: ByteSize, watch: Watch<'_>) -> Trial {
        let Watch {
            how,
            search,
            monitor,
        } = watch;
        let Ok(child) = self.start(ask, memory) else {
            return Trial::Unclear;
        };
        let mut stillness = Stillness::new(Some(MAKE_MAX));
        let (mut begun, mut done) = (false, 0);
        while !monitor.cancelled() && !search.is_over() {
            // Nobody is to think that the attempt stands still.
            monitor.progress(0, 0);
            let heard = child.hear();
            if matches!(heard, Heard::News(_)) {
                stillness.broken();
            }
            match heard {
                Heard::News(News::Begun) => {
                    begun = true;
                    stillness = Stillness::new(Some(how.trial_max()));
                }
                Heard::News(News::Progress { records, .. }) => done = records.max(done),
                Heard::News(News::Ended(_)) => return Trial::Passed,
                Heard::News(
                    News::Status(_) | News::Stands(_) | News::Probed(_) | News::Made(_),
                )
                | Heard::Nothing => {}
                Heard::Ended => {
                    return match how {
                        How::Died => Trial::Repeats { done },
                        How::StoodStill { .. } => Trial::Unclear,
                    };
                }
            }
            if stillness.is_over() {
                return match how {
                    How::StoodStill { .. } if begun => Trial::Repeats { done },
                    _ => Trial::Unclear,
                };
            }
        }
        Trial::Unclear
    }

    /// An idle child with that plugin open. If there is none, one with another makes room for a new one.
    fn take(&self, plugin: Option<FileId>) -> Option<SlotChild> {
        let mut idle = self.idle();
        let same = idle.iter().rposition(|(open, _)| *open == plugin);
        let other = match same {
            Some(same) => return Some(idle.swap_remove(same).1),
            None => idle.pop(),
        };
        drop(idle);
        drop(other);
        None
    }

    /// Ends the idle children that have a plugin open.
    fn dismiss(&self, plugin: FileId) {
        let mut idle = self.idle();
        let goes = |it: &mut (Option<FileId>, SlotChild)| it.0 == Some(plugin);
        let gone: Vec<_> = idle.extract_if(.., goes).collect();
        drop(idle);
        drop(gone);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Option<FileId>, SlotChild)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a child that does nothing else make a job.
    fn keeps_records(&self, ask: &SlotAsk) -> Option<bool> {
        let child = self.start(ask, ByteSize(0)).ok()?;
        let mut stillness = Stillness::new(Some(MAKE_MAX));
        while !stillness.is_over() {
            match child.hear() {
                Heard::News(News::Made(made)) => return made.ok(),
                Heard::Ended => return None,
                Heard::News(_) | Heard::Nothing => {}
            }
        }
        None
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
}

/// Why an attempt has nothing to tell.
enum Stopped {
    /// Its process has ended, for the job's code.
    Ended(Box<Ended>),
    /// Something else.
    Other(TaskError),
}

/// What a child is watched for that is to do it again, and until when.
struct Watch<'a> {
    how: How,
    search: &'a mut Stillness,
    monitor: &'a dyn Monitor,
}

impl From<TaskError> for Stopped {
    fn from(error: TaskError) -> Self {
        Self::Other(error)
    }
}

impl From<Stopped> for TaskError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Ended(ended) => ended.failure.into(),
            Stopped::Other(error) => error,
        }
    }
}

/// Where the attempt of a child stands, if processes are asked for backtraces and it can still say.
fn stack_of(child: &SlotChild, monitor: &dyn Monitor) -> Option<String> {
    if !child.ask_where() {
        return None;
    }
    let mut stillness = Stillness::new(Some(STACK_MAX));
    while !stillness.is_over() && !monitor.cancelled() {
        // Nobody is to think that the attempt stands still.
        monitor.progress(0, 0);
        match child.hear() {
            Heard::News(News::Stands(stack)) => return Some(stack),
            Heard::Ended => return None,
            Heard::News(_) | Heard::Nothing => {}
        }
    }
    None
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
        let isolation = Isolation::new(settings);
        let refused = isolation.catalog(catalog).build("x", &BTreeMap::new());
        assert!(matches!(refused, Err(BuildError::UnknownJob { .. })));
    }
}
