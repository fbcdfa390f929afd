//! The jobs of a worker, made ready once and shared by all their attempts, so that what a job compiles
//! or keeps (a regular expression, a table) serves from split to split.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mapfold_job::{BuildError, Catalog, Runner};
use mapfold_terms::{JobBrief, JobId};

/// Jobs that are ready to run.
#[derive(Default)]
pub(crate) struct Runners(Mutex<BTreeMap<JobId, Arc<dyn Runner>>>);

impl Runners {
    /// The job of `brief`, for an attempt that begins; made ready if it is not yet, while others wait. The other jobs give up
    /// the memory that they keep for their next attempts: the slots' budget is for those that run.
    pub(crate) fn get(
        &self,
        catalog: &dyn Catalog,
        brief: &JobBrief,
    ) -> Result<Arc<dyn Runner>, BuildError> {
        let mut runners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runners
            .iter()
            .filter(|(job, _)| **job != brief.job)
            .for_each(|(_, other)| other.free_memory());
        if let Some(runner) = runners.get(&brief.job) {
            return Ok(Arc::clone(runner));
        }
        let runner = catalog.build(&brief.name, &brief.params)?;
        runners.insert(brief.job, Arc::clone(&runner));
        Ok(runner)
    }

    /// Lets go of a job.
    pub(crate) fn forget(&self, job: JobId) {
        let mut runners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let runner = runners.remove(&job);
        drop(runners);
        drop(runner);
    }
}
