//! Jobs whose attempts are made by children.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use mapfold_data::part::attempt_file_name;
use mapfold_data::run::{RunBytes, Segment};
use mapfold_data::scratch::{Scratch, ScratchFile};
use mapfold_job::border::{Ask, InputAt, RunAt, Told};
use mapfold_job::{
    BuildError, Catalog, MapDone, MapTask, Monitor, ReduceDone, ReduceTask, Runner, SampleTask,
    SequentialDone, SequentialTask, TaskError, Unwatched,
};
use mapfold_terms::{Boundaries, ByteSize, FailClass, Failure, JobInfo, RawPath, Skipped, roughly};

use super::IsolateSettings;
use super::at_hand::NotePage;
use super::children::{Children, Stopped, Watch, no_file, ours};
use super::culprit::{self, Culprit, Trial};
use super::ended::{Ended, How};
use super::message::SlotAsk;
use super::stillness::Stillness;
use crate::plugin::{NoPluginJob, OpenPluginError, PluginFile, PluginJob, TryJob, probe};

/// As the child has it: a record of this size is read however small the memory.
const RECORD_MAX_LEAST: ByteSize = ByteSize::mib(64);

/// Makes attempts in child processes that stay with their slots. Clones share the children.
#[derive(Clone, Debug)]
pub struct Isolation(Arc<Children>);

impl Isolation {
    /// No children yet.
    pub fn new(settings: IsolateSettings) -> Self {
        Self(Arc::new(Children::new(settings)))
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
        let probed = probe(path, Some(attempt), self.0.settings());
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
        let mut left_out = task.left_out.to_vec();
        let told = loop {
            let task = MapTask {
                left_out: &left_out,
                ..*task
            };
            let ask = Ask::map(&task, ByteSize(0))?;
            match self.make(ask, task.memory, task.scratch, monitor) {
                Ok(told) => break told,
                Err(Stopped::Other(error)) => return Err(error),
                Err(Stopped::Ended(ended)) => {
                    let skipped = self.blame(&task, *ended, monitor)?;
                    sweep(&task);
                    let place = left_out.partition_point(|it| it.record < skipped.record);
                    left_out.insert(place, skipped);
                }
            }
        };
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
        let places = places.collect::<Result<_, _>>()?;
        let notes = NotePage::new().ok();
        let task = ReduceTask {
            notes: notes.as_ref().map(NotePage::path),
            ..task
        };
        let made = self.make(
            Ask::reduce(&task, places)?,
            task.memory,
            task.scratch,
            monitor,
        );
        let told = made.map_err(|stopped| match stopped {
            Stopped::Ended(mut ended) => {
                let noted = notes.as_ref();
                let noted = noted.and_then(|page| page.told(&self.info.key, task.partition));
                ended.failure.chain.splice(1..1, noted);
                ended.failure.into()
            }
            Stopped::Other(error) => error,
        })?;
        told.reduced()
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

/// Whether a record that ends the attempt's process may be left out.
fn may_be_skipped(task: &MapTask<'_>, skipped: &Skipped) -> bool {
    let is_known = |it: &Skipped| it.record == skipped.record;
    task.left_out.len() < task.skip_bad as usize && !task.left_out.iter().any(is_known)
}

/// Removes what a dead child has left, so that another can make the same attempt.
fn sweep(task: &MapTask<'_>) {
    if let Ok(folder) = task.scratch.folder() {
        for left in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = left.path();
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
    }
    if task.partitions == 0 {
        // Rows, in the part and in named outputs.
        let own = attempt_file_name(task.attempt.token, "");
        for left in fs::read_dir(task.part_folder)
            .into_iter()
            .flatten()
            .flatten()
        {
            if left
                .file_name()
                .as_encoded_bytes()
                .starts_with(own.as_bytes())
            {
                let _ = fs::remove_file(left.path());
            }
        }
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

    fn slot_ask(&self, ask: Ask) -> SlotAsk {
        SlotAsk::Attempt {
            job: self.info.name.clone(),
            params: self.params.clone(),
            plugin: self.plugin.clone(),
            ask: Box::new(ask),
        }
    }

    /// The record that did it, if it may be left out.
    ///
    /// # Errors
    /// What is to be told of a map attempt whose process has ended, with the record that did it, if one can be found.
    fn blame(
        &self,
        task: &MapTask<'_>,
        ended: Ended,
        monitor: &dyn Monitor,
    ) -> Result<Skipped, TaskError> {
        let culprit = match ended.begun {
            true => self.culprit(task, &ended, monitor),
            false => Culprit::Unknown,
        };
        let mut failure = ended.failure;
        if let Culprit::Record(..) = culprit
            && task.skip_bad > 0
            && task.left_out.len() >= task.skip_bad as usize
        {
            failure.chain.insert(0, Skipped::too_many(task.skip_bad));
        }
        match (culprit, ended.how) {
            (Culprit::Record(_, mut skipped), _) if may_be_skipped(task, &skipped) => {
                skipped.error = failure.chain.swap_remove(0);
                return Ok(*skipped);
            }
            (Culprit::Record(at, _), How::Died) => failure.at = Some(at),
            (Culprit::Record(at, _), How::StoodStill { .. }) => {
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
            (Culprit::NotAlone(at), _) => {
                let by = match self.info.folds {
                    true => "in the combiner, or by what the job keeps from those before",
                    false => "by what the job keeps from those before",
                };
                let note = format!("`map` comes back from this record alone: it is {by}");
                failure.chain.push(note);
                let no_skip = || "--skip-bad puts aside records that do it alone".to_owned();
                failure.hint.get_or_insert_with(no_skip);
                failure.at = Some(at);
            }
            (Culprit::End, _) => {
                let after = match self.info.folds {
                    true => "in the combiner, in `finish_map`, or in writing what was emitted",
                    false => "in `finish_map`, or in writing what was emitted",
                };
                let note = format!("`map` comes back from all records at hand: it is {after}");
                failure.chain.push(note);
            }
            (Culprit::Unknown, How::StoodStill { .. }) if ended.begun => {
                failure.chain.push(format!(
                    "it had mapped {} records, and no record was found that does it alone",
                    ended.done
                ));
            }
            (Culprit::Unknown, _) => {}
        }
        Err(failure.into())
    }

    fn culprit(&self, task: &MapTask<'_>, ended: &Ended, monitor: &dyn Monitor) -> Culprit {
        let record_max = ByteSize(task.memory.bytes() / 2).max(RECORD_MAX_LEAST);
        let mut search = Stillness::new(Some(ended.how.search_max()));
        let mut trials = 0;
        let copies = task.scratch.folder().map(|it| it.join("copies"));
        let Some(copies) = copies.ok().filter(|it| fs::create_dir(it).is_ok()) else {
            return Culprit::Unknown;
        };
        let (split, format, done) = (task.split, task.format, ended.done);
        let left_out = task.left_out;
        let culprit = culprit::find(
            split,
            format,
            record_max,
            done,
            left_out,
            &copies,
            |split| {
                trials += 1;
                // A folder that no dead child has left files in.
                let folder = copies.with_file_name(format!("trial-{trials}"));
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
                    // One that fails is none that does it.
                    skip_bad: task.skip_bad,
                    left_out: Vec::new(),
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
            },
        );
        let _ = fs::remove_dir_all(&copies);
        culprit
    }
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
