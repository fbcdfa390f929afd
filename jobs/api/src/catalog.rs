//! Which jobs there are, and how one is made from its name and parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use mapfold_terms::{Boundaries, FailClass, Failure, JobInfo};
use serde::{Deserialize, Serialize};

use crate::param::{ParamError, Params};
use crate::runner::Runner;
use crate::spare::Spare;
use crate::{Job, Key, Value};

/// Where jobs are looked up by name.
pub trait Catalog: Send + Sync {
    /// All jobs, sorted by name.
    fn list(&self) -> Vec<JobInfo>;

    /// The job of this name. Cheaper than the list where that is made of what each job tells of itself.
    fn info(&self, name: &str) -> Option<JobInfo> {
        self.list().into_iter().find(|info| info.name == name)
    }

    /// Makes a job ready to run.
    ///
    /// # Errors
    /// No job has the name, or the parameters are not its.
    fn build(
        &self,
        name: &str,
        params: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn Runner>, BuildError>;
}

/// Why a job cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum BuildError {
    /// No job has this name.
    #[error("there is no job `{name}`")]
    UnknownJob {
        /// As typed.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A parameter is unknown, missing or does not parse.
    #[error("job `{job}` cannot take these parameters")]
    Param {
        /// The job.
        job: String,
        /// What is wrong.
        source: ParamError,
    },
    /// The job itself refuses its parameters.
    #[error("job `{job}` refuses its parameters: {message}")]
    Refused {
        /// The job.
        job: String,
        /// In the job's words.
        message: String,
    },
    /// The plugin that it is in cannot be used.
    #[error("{}", chain.join(": "))]
    Plugin {
        /// What is wrong, then its causes, outermost first.
        chain: Vec<String>,
        /// What a person may do about it.
        hint: Option<String>,
    },
}

impl BuildError {
    /// The failure of an attempt whose job cannot be made. The job's own fault, unless a file of its parameters is the reason.
    pub fn failure(&self) -> Failure {
        match self {
            Self::Param {
                source: ParamError::File { source, .. },
                ..
            } => Failure {
                hint: Some(source.hint().to_owned()),
                ..Failure::new(source.class(), self)
            },
            _ => Failure::new(FailClass::Job, self),
        }
    }
}

/// Makes one kind of job; `Maker::of::<WordCount>()`.
#[derive(Clone)]
pub struct Maker {
    name: &'static str,
    /// Not called before somebody asks: what each job says of itself is code that would be brought into memory by every start.
    info: fn() -> JobInfo,
    build: Build,
}

type Build = fn(&BTreeMap<String, String>) -> Result<Arc<dyn Runner>, BuildError>;

impl Maker {
    /// The maker of `J`.
    pub fn of<J: Job>() -> Self {
        const {
            assert!(
                !(J::TOTAL_ORDER && J::FOLD.is_some()),
                "a job with a combiner has no total order: its runs are ordered by hash"
            );
            assert!(
                !(J::TOTAL_ORDER && J::PARTITION.is_some()),
                "a job with a total order does not share out its keys itself: its partitions are ranges of keys"
            );
            assert!(
                !(J::MAP_ONLY
                    && (J::FOLD.is_some()
                        || J::TOTAL_ORDER
                        || J::PARTITION.is_some()
                        || J::GROUP_BY_FIRST)),
                "a job without reduce tasks has no combiner, order, partitions or groups"
            );
            assert!(
                !(J::GROUP_BY_FIRST && J::FOLD.is_some()),
                "a job with a combiner has no secondary sort: a key is left with one value"
            );
            assert!(
                can_be_typed(J::INPUTS),
                "the name of an input is not empty, and has no `=`"
            );
            assert!(
                J::INPUT_FORMATS.is_empty() || J::INPUT_FORMATS.len() == J::INPUTS.len(),
                "INPUT_FORMATS has a format for each of INPUTS"
            );
        }
        Self {
            name: J::NAME,
            info: info::<J>,
            build: build::<J>,
        }
    }
}

/// Whether each can stand before the `=` of `NAME=PATH`.
const fn can_be_typed(mut names: &[&str]) -> bool {
    while let [name, rest @ ..] = names {
        let mut bytes = name.as_bytes();
        if bytes.is_empty() {
            return false;
        }
        while let [byte, rest @ ..] = bytes {
            if *byte == b'=' {
                return false;
            }
            bytes = rest;
        }
        names = rest;
    }
    true
}

/// A catalog that is a list of makers.
#[derive(Clone, Default)]
pub struct JobTable(BTreeMap<String, Maker>);

impl JobTable {
    /// A catalog of these; of two with one name the later counts.
    pub fn new(makers: impl IntoIterator<Item = Maker>) -> Self {
        Self(
            makers
                .into_iter()
                .map(|maker| (maker.name.to_owned(), maker))
                .collect(),
        )
    }

    /// The same with one more, which counts if there is another of its name.
    #[must_use]
    pub fn with(mut self, maker: Maker) -> Self {
        self.0.insert(maker.name.to_owned(), maker);
        self
    }
}

impl Catalog for JobTable {
    fn list(&self) -> Vec<JobInfo> {
        self.0.values().map(|maker| (maker.info)()).collect()
    }

    fn info(&self, name: &str) -> Option<JobInfo> {
        self.0.get(name).map(|maker| (maker.info)())
    }

    fn build(
        &self,
        name: &str,
        params: &BTreeMap<String, String>,
    ) -> Result<Arc<dyn Runner>, BuildError> {
        let maker = self.0.get(name).ok_or_else(|| BuildError::UnknownJob {
            name: name.to_owned(),
            known: self.0.keys().cloned().collect(),
        })?;
        (maker.build)(params)
    }
}

fn info<J: Job>() -> JobInfo {
    JobInfo {
        name: J::NAME.to_owned(),
        summary: J::SUMMARY.to_owned(),
        help: J::HELP.to_owned(),
        params: J::Params::describe(),
        key: J::Key::kind(),
        value: J::Value::kind(),
        format: J::FORMAT,
        inputs: J::INPUTS.iter().map(|name| (*name).to_owned()).collect(),
        input_formats: J::INPUT_FORMATS.into(),
        refines: J::REFINES.map(str::to_owned),
        folds: J::FOLD.is_some(),
        total_order: J::TOTAL_ORDER,
        map_only: J::MAP_ONLY,
        split_per_file: J::SPLIT_PER_FILE,
    }
}

fn build<J: Job>(params: &BTreeMap<String, String>) -> Result<Arc<dyn Runner>, BuildError> {
    let job = J::NAME.to_owned();
    let params = match J::Params::parse(params) {
        Ok(params) => params,
        Err(source) => return Err(BuildError::Param { job, source }),
    };
    match J::new(params) {
        Ok(made) => Ok(Arc::new(Attempts {
            info: info::<J>(),
            job: made,
            spare: Spare::new(),
        })),
        Err(error) => Err(BuildError::Refused {
            job,
            message: error.to_string(),
        }),
    }
}

/// Whoever made the plan asked for reduce tasks of a job that has none, or for none of a job that has them.
#[derive(Debug, thiserror::Error)]
#[error("the plan is for another job: one of the two has reduce tasks and the other has none")]
struct OtherReduces;

/// A job of this process as a runner.
struct Attempts<J: Job> {
    info: JobInfo,
    job: J,
    spare: Spare<J>,
}

impl<J: Job> Runner for Attempts<J> {
    fn info(&self) -> &JobInfo {
        &self.info
    }

    fn map(
        &self,
        task: &crate::MapTask<'_>,
        monitor: &dyn crate::Monitor,
    ) -> Result<crate::MapDone, crate::TaskError> {
        if J::MAP_ONLY != (task.partitions == 0) {
            return Err(Failure::new(FailClass::Job, &OtherReduces).into());
        }
        crate::map_attempt::map_attempt(&self.job, &self.spare, task, monitor)
    }

    fn reduce(
        &self,
        task: crate::ReduceTask<'_>,
        monitor: &dyn crate::Monitor,
    ) -> Result<crate::ReduceDone, crate::TaskError> {
        self.spare.free_one();
        crate::reduce_attempt::reduce_attempt(&self.job, task, monitor)
    }

    fn sequential(
        &self,
        task: &crate::SequentialTask<'_>,
    ) -> Result<crate::SequentialDone, crate::TaskError> {
        crate::sequential::sequential(&self.job, task)
    }

    fn sample(&self, task: &crate::SampleTask<'_>) -> Result<Boundaries, crate::TaskError> {
        crate::sample::sample(&self.job, task)
    }

    fn keeps_records(&self) -> bool {
        self.job.keeps_records()
    }

    fn free_memory(&self) {
        self.spare.free_all();
    }
}
