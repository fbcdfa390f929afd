//! A job tried on records in memory: what its author's tests are written with.
//!
//! ```
//! # use mapfold_job::{Emitter, Fold, Job, JobError, NoParams, Record, Rows, Values};
//! # struct BlankWords;
//! # impl Job for BlankWords {
//! #     type Params = NoParams;
//! #     type Key = String;
//! #     type Value = u64;
//! #     const NAME: &'static str = "blank-words";
//! #     const SUMMARY: &'static str = "count words between blanks";
//! #     const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);
//! #     fn new(_: NoParams) -> Result<Self, JobError> { Ok(Self) }
//! #     fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
//! #         for word in str::from_utf8(record.bytes)?.split_whitespace() { out.emit(word, 1); }
//! #         Ok(())
//! #     }
//! #     fn reduce(&self, word: &str, counts: &mut Values<'_, Self>, rows: &mut Rows<'_>) -> Result<(), JobError> {
//! #         rows.row(word, counts.owned().sum::<u64>());
//! #         Ok(())
//! #     }
//! # }
//! use mapfold_job::Trial;
//!
//! let tried = Trial::<BlankWords>::of("the cat\nthe hat\n").run().unwrap();
//! assert_eq!(tried.rows(), ["cat\t1", "hat\t1", "the\t2"]);
//! assert_eq!(tried.intermediate(), [r#"m0 p0 "cat" 1"#, r#"m0 p0 "hat" 1"#, r#"m0 p0 "the" 2"#]);
//!
//! // In many ways: the rows must always be the same.
//! Trial::<BlankWords>::of("the cat\nthe hat\n").check().unwrap();
//! ```
//!
//! It is the engine's own code that runs: splits are planned, mapped, spilled and reduced as they are in a job, one after the other, on the
//! calling thread. Input and parts are files in a folder for temporary files that goes with the trial.

mod check;
mod error;
mod tried;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use mapfold_data::input::{PlanOptions, discover, plan_with};
use mapfold_data::run::Run;
use mapfold_data::scratch::{Scratch, ScratchRoot};
use mapfold_terms::{
    AttemptId, ByteSize, Codec, InputName, JobId, MasterEpoch, PartitionId, Partitioning, Plan,
    RawPath, TaskId, Token,
};

use crate::{
    Catalog, Format, Job, JobTable, Maker, MapDone, MapTask, ReduceTask, Runner, SampleTask,
    Unwatched,
};

pub use error::TrialError;
use error::{not_made, not_read};
pub use tried::Tried;

/// Enough for the records of a test.
const MEMORY: ByteSize = ByteSize::mib(16);

/// A job with its input and parameters, to be run once or in many ways.
///
/// ```
/// # use mapfold_job::{Emitter, Job, JobError, Record, Rows, Trial, Values};
/// mapfold_job::params! {
///     /// What to look for.
///     struct Params {
///         /// letters that a line must have
///         letters: String,
///     }
/// }
///
/// /// Where lines with some letters stand.
/// struct Find(Params);
///
/// impl Job for Find {
///     type Params = Params;
///     type Key = (String, u64);
///     type Value = ();
///     const NAME: &'static str = "find";
///     const SUMMARY: &'static str = "where lines with some letters stand";
///
///     fn new(params: Params) -> Result<Self, JobError> {
///         Ok(Self(params))
///     }
///
///     fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
///         if str::from_utf8(record.bytes)?.contains(&self.0.letters) {
///             out.emit((&record.file.name.display().to_string(), record.offset), ());
///         }
///         Ok(())
///     }
///
///     fn reduce(
///         &self,
///         (file, offset): (&str, u64),
///         _: &mut Values<'_, Self>,
///         rows: &mut Rows<'_>,
///     ) -> Result<(), JobError> {
///         rows.row(file, offset);
///         Ok(())
///     }
/// }
///
/// let trial = Trial::<Find>::new()
///     .file("one.txt", "a cat\na dog\n")
///     .file("two.txt", "the cat\n")
///     .param("letters", "cat")
///     .reducers(1);
/// assert_eq!(trial.check().unwrap().rows(), ["one.txt\t0", "two.txt\t0"]);
/// ```
pub struct Trial<J: Job> {
    files: Vec<TrialFile>,
    params: BTreeMap<String, String>,
    side_files: Vec<(String, Vec<u8>)>,
    /// Of all inputs, and of single ones, as they were said.
    format: Option<Format>,
    formats: Vec<(String, Format)>,
    how: How,
    job: PhantomData<fn() -> J>,
}

/// A file of the input.
struct TrialFile {
    /// The input that it belongs to.
    of: Option<String>,
    name: String,
    bytes: Vec<u8>,
}

/// What the rows of a job must not depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct How {
    /// As by default, if there is none.
    split_size: Option<ByteSize>,
    memory: ByteSize,
    reducers: NonZeroU32,
}

impl<J: Job> Trial<J> {
    /// Without input; see [`file`](Self::file).
    pub fn new() -> Self {
        Self {
            files: Vec::new(),
            params: BTreeMap::new(),
            side_files: Vec::new(),
            format: None,
            formats: Vec::new(),
            how: How {
                split_size: None,
                memory: MEMORY,
                reducers: NonZeroU32::MIN,
            },
            job: PhantomData,
        }
    }

    /// With one file, `input`.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self::new().file("input", bytes)
    }

    /// A further file, of this name in messages and rows. Small files share a split.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.files.push(TrialFile {
            of: None,
            name: name.to_owned(),
            bytes: bytes.as_ref().to_owned(),
        });
        self
    }

    /// A file of one of the job's [`INPUTS`](Job::INPUTS), as `NAME=PATH`; its name in messages and rows is that of the input. Those that are not given
    /// hold nothing.
    #[must_use]
    pub fn input(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.files.push(TrialFile {
            of: Some(name.to_owned()),
            name: name.to_owned(),
            bytes: bytes.as_ref().to_owned(),
        });
        self
    }

    /// As `-p NAME=VALUE`.
    #[must_use]
    pub fn param(mut self, name: &str, value: impl ToString) -> Self {
        self.params.insert(name.to_owned(), value.to_string());
        self
    }

    /// As `-p NAME=FILE`, for a parameter that is a [`SideFile`](crate::SideFile), with a file that holds `bytes`.
    #[must_use]
    pub fn side_file(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.side_files
            .push((name.to_owned(), bytes.as_ref().to_owned()));
        self
    }

    /// How files are cut into records; as the job has it, if it is not said.
    #[must_use]
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// The same of one of the job's [`INPUTS`](Job::INPUTS), as `--format NAME=csv`.
    #[must_use]
    pub fn format_of(mut self, input: &str, format: Format) -> Self {
        self.formats.push((input.to_owned(), format));
        self
    }

    /// About so many bytes of input a map task; 1 for one record each.
    #[must_use]
    pub fn split_size(mut self, bytes: u64) -> Self {
        self.how.split_size = Some(ByteSize(bytes.max(1)));
        self
    }

    /// Reduce tasks, each of which leaves one part; 1, if it is not said.
    ///
    /// # Panics
    /// `count` is 0.
    #[must_use]
    pub fn reducers(mut self, count: u32) -> Self {
        self.how.reducers = NonZeroU32::new(count).expect("a job has a reduce task");
        self
    }

    /// Memory of each attempt, above which it spills; 16 MiB, if it is not said.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.how.memory = ByteSize(bytes);
        self
    }

    /// Runs the job once.
    ///
    /// # Errors
    /// It refuses its parameters, it fails, or files cannot be made.
    pub fn run(&self) -> Result<Tried<J>, TrialError> {
        Stage::new(self)?.run(self.how)
    }

    /// Runs the job in many ways: twice as it is, with a map task a record and with splits of other sizes, with memory so small that it spills, and with other numbers of
    /// reduce tasks. Returns what it left as it is.
    ///
    /// That finds combiners that are not associative, and jobs that depend on more than their records and parameters: on time, on
    /// the order of a hash map, on what they kept from an earlier record.
    ///
    /// # Errors
    /// As [`run`](Self::run); or [`TrialError::Differs`], which names the two ways, and the first row that is not the same.
    pub fn check(&self) -> Result<Tried<J>, TrialError> {
        check::check(&Stage::new(self)?, self.how)
    }
}

impl<J: Job> Default for Trial<J> {
    fn default() -> Self {
        Self::new()
    }
}

impl TrialFile {
    /// Which input of the job it belongs to.
    fn input<J: Job>(&self) -> Result<u32, TrialError> {
        match &self.of {
            None if J::INPUTS.is_empty() => Ok(0),
            None => Err(no_input::<J>(&self.name)),
            Some(of) => input::<J>(of),
        }
    }
}

/// The input of this name.
fn input<J: Job>(name: &str) -> Result<u32, TrialError> {
    let mut inputs = (0..).zip(J::INPUTS);
    let found = inputs.find(|(_, known)| **known == name);
    let (input, _) = found.ok_or_else(|| no_input::<J>(name))?;
    Ok(input)
}

fn no_input<J: Job>(name: &str) -> TrialError {
    TrialError::NoInput {
        name: name.to_owned(),
        known: J::INPUTS,
    }
}

/// A job made, and its input where it can be read.
struct Stage<J: Job> {
    runner: Arc<dyn Runner>,
    root: ScratchRoot,
    /// Holds the folder of the input.
    _input: Scratch,
    names: Vec<InputName>,
    /// Bytes of the input.
    bytes: u64,
    format: Format,
    /// How often it was run: what one run left may outlive it.
    runs: Cell<u32>,
    job: PhantomData<fn() -> J>,
}

impl<J: Job> Stage<J> {
    fn new(trial: &Trial<J>) -> Result<Self, TrialError> {
        let root = ScratchRoot::open(&std::env::temp_dir())?;
        let input = root.scratch("input");
        let folder = input.folder()?;
        let params = params(trial, &folder)?;
        let runner = JobTable::new([Maker::of::<J>()]).build(J::NAME, &params)?;
        let mut names = Vec::new();
        for (number, file) in trial.files.iter().enumerate() {
            let path = match file.of {
                None => folder.join(&file.name),
                Some(_) => folder.join(format!(".input-{number}")),
            };
            let parent = path.parent().unwrap_or(&folder);
            fs::create_dir_all(parent)
                .and_then(|()| fs::write(&path, &file.bytes))
                .map_err(|error| not_made(&path, error))?;
            names.push(InputName {
                typed: RawPath::from(Path::new(&file.name)),
                absolute: RawPath::from(path),
                input: file.input::<J>()?,
                format: None,
            });
        }
        let formats = formats(trial)?;
        for name in &mut names {
            name.format = formats.get(name.input as usize).copied();
        }
        names.sort_by_key(|name| name.input);
        Ok(Self {
            runner,
            names,
            bytes: trial.files.iter().map(|file| file.bytes.len() as u64).sum(),
            format: trial.format.unwrap_or(J::FORMAT),
            _input: input,
            root,
            runs: Cell::new(0),
            job: PhantomData,
        })
    }

    fn run(&self, how: How) -> Result<Tried<J>, TrialError> {
        let files = discover(&self.names).map_err(not_read)?;
        let reducers = if J::MAP_ONLY { 0 } else { how.reducers.get() };
        let options = PlanOptions {
            format: self.format,
            split_size: how.split_size,
            split_per_file: J::SPLIT_PER_FILE,
            reducers: Some(reducers),
        };
        let plan = plan_with(files, options).map_err(not_read)?;
        self.runs.update(|count| count + 1);
        let scratch = self.root.scratch(&format!("trial-{}", self.runs.get()));
        let partitioning = self.partitioning(&plan, &scratch)?;
        let mut tried = Tried::new();
        let folder = self.root.scratch("part");
        let part_folder = folder.folder()?.join("part");
        let maps = u32::try_from(plan.splits.len()).unwrap_or(u32::MAX);
        for split in &plan.splits {
            let attempt = attempt(TaskId::map(split.index));
            let task = MapTask {
                attempt,
                split,
                maps,
                format: plan.format,
                partitions: plan.reducers,
                partitioning: &partitioning,
                memory: how.memory,
                in_memory_max: MEMORY,
                skip_bad: 0,
                left_out: &[],
                scratch: &scratch,
                part_codec: Codec::Plain,
                part_folder: &part_folder,
            };
            let MapDone { report, run } = self.runner.map(&task, &Unwatched)?;
            tried.counters.merge(&report.counters);
            tried.digests.push(report.run.digest);
            match &report.staged {
                Some(staged) => {
                    tried.take(
                        attempt.token,
                        PartitionId(split.index),
                        staged,
                        &part_folder,
                    )?;
                }
                None => tried.runs.push(Run::open(run)?),
            }
        }
        for partition in 0..plan.reducers {
            self.reduce(PartitionId(partition), &plan, how, &part_folder, &mut tried)?;
        }
        Ok(tried)
    }

    fn partitioning(&self, plan: &Plan, scratch: &Scratch) -> Result<Partitioning, TrialError> {
        if !J::TOTAL_ORDER {
            return Ok(Partitioning::Hash);
        }
        let task = SampleTask {
            plan,
            skip_bad: false,
            scratch,
        };
        Ok(Partitioning::Ranges(self.runner.sample(&task)?))
    }

    /// The part of one partition.
    fn reduce(
        &self,
        partition: PartitionId,
        plan: &Plan,
        how: How,
        part_folder: &Path,
        tried: &mut Tried<J>,
    ) -> Result<(), TrialError> {
        let scratch = self.root.scratch("merge");
        let segments = (0..).zip(&tried.runs).map(|(map, run)| {
            let segment = run.segment(partition)?;
            Ok(segment.with_map(map))
        });
        let attempt = attempt(TaskId::reduce(partition.0));
        let task = ReduceTask {
            attempt,
            partition,
            format: plan.format,
            maps: u32::try_from(tried.runs.len()).unwrap_or(u32::MAX),
            partitions: plan.reducers,
            inputs: segments.collect::<Result<_, TrialError>>()?,
            memory: how.memory,
            scratch: &scratch,
            part_codec: Codec::Plain,
            part_folder,
            notes: None,
        };
        let done = self.runner.reduce(task, &Unwatched)?;
        tried.counters.merge(&done.counters);
        tried.take(attempt.token, partition, &done.staged, part_folder)
    }
}

/// Those of the job's inputs, if it has several.
fn formats<J: Job>(trial: &Trial<J>) -> Result<Vec<Format>, TrialError> {
    let mut formats = match (trial.format, J::INPUT_FORMATS) {
        (None, [_, ..]) => J::INPUT_FORMATS.to_vec(),
        (all, _) => vec![all.unwrap_or(J::FORMAT); J::INPUTS.len()],
    };
    for (name, format) in &trial.formats {
        formats[input::<J>(name)? as usize] = *format;
    }
    Ok(formats)
}

/// The parameters of a trial, with side files in `folder`.
fn params<J: Job>(trial: &Trial<J>, folder: &Path) -> Result<BTreeMap<String, String>, TrialError> {
    let mut params = trial.params.clone();
    for (name, bytes) in &trial.side_files {
        let path = folder.join(format!(".side-file-{name}"));
        fs::write(&path, bytes).map_err(|error| not_made(&path, error))?;
        params.insert(name.clone(), path.display().to_string());
    }
    Ok(params)
}

/// The only attempt of a task.
fn attempt(task: TaskId) -> AttemptId {
    AttemptId {
        token: Token {
            epoch: MasterEpoch(1),
            counter: u64::from(task.index),
        },
        job: JobId(1),
        task,
        number: 1,
    }
}

#[cfg(test)]
mod tests;
