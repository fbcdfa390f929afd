//! The jobs of a worker, made ready once and shared by all their attempts, so that what a job compiles
//! or keeps (a regular expression, a table) serves from split to split.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mapfold_job::{Monitor, Runner};
use mapfold_terms::{JobBrief, JobFileKind, JobId, Outcome, ParamFile};

use crate::attempt::Site;
use crate::job_files::Brought;

/// Jobs that are ready to run, or are being made so.
#[derive(Default)]
pub(crate) struct Runners(Mutex<BTreeMap<JobId, Arc<Mutex<Option<Ready>>>>>);

/// A job that is ready, and the files that it needs.
struct Ready {
    runner: Arc<dyn Runner>,
    _files: Vec<Brought>,
}

impl Runners {
    /// The job of `brief`, for an attempt that begins; made ready if it is not yet, while others of that job wait. The other jobs give up
    /// the memory that they keep for their next attempts: the slots' budget is for those that run.
    ///
    /// # Errors
    /// How the attempt ends.
    pub(crate) fn get(
        &self,
        site: &Site,
        brief: &JobBrief,
        monitor: &dyn Monitor,
    ) -> Result<Arc<dyn Runner>, Box<Outcome>> {
        // Outside the locks: it may take a while, and whoever waits for it can be cancelled.
        let files = site.files.bring(&brief.files, monitor);
        let files = files.map_err(|error| Box::new(error.outcome()))?;
        let job = self.job(brief.job);
        let mut ready = job.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ready) = &*ready {
            return Ok(Arc::clone(&ready.runner));
        }
        let runner = make(site, brief, &files)?;
        *ready = Some(Ready {
            runner: Arc::clone(&runner),
            _files: files,
        });
        Ok(runner)
    }

    fn job(&self, id: JobId) -> Arc<Mutex<Option<Ready>>> {
        let mut jobs = self.lock();
        for (_, other) in jobs.iter().filter(|(job, _)| **job != id) {
            // One that is being made keeps nothing yet.
            if let Ok(Some(ready)) = other.try_lock().as_deref() {
                ready.runner.free_memory();
            }
        }
        Arc::clone(jobs.entry(id).or_default())
    }

    /// Lets go of a job.
    pub(crate) fn forget(&self, job: JobId) {
        let gone = self.lock().remove(&job);
        drop(gone);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Arc<Mutex<Option<Ready>>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a job ready. One whose plugin came with it runs in children alone.
fn make(site: &Site, brief: &JobBrief, files: &[Brought]) -> Result<Arc<dyn Runner>, Box<Outcome>> {
    let params = with_paths(&brief.params, files);
    let plugin = files.iter().find(|it| it.kind == JobFileKind::Plugin);
    match (plugin, &site.isolation) {
        (Some(plugin), Some(isolation)) => {
            let runner = isolation.job_of_plugin(plugin.file.path(), &brief.name, &params);
            runner.map_err(|failure| Box::new(Outcome::Failed(*failure)))
        }
        _ => {
            let runner = site.catalog.build(&brief.name, &params);
            runner.map_err(|error| Box::new(Outcome::Failed(error.failure())))
        }
    }
}

/// The parameters, with side files where they are here.
fn with_paths(params: &BTreeMap<String, String>, files: &[Brought]) -> BTreeMap<String, String> {
    let mut params = params.clone();
    for side in files.iter().filter(|it| it.kind == JobFileKind::Side) {
        if let Some(value) = params.get_mut(&side.name)
            && let Some(file) = ParamFile::parse(value)
        {
            let path = side.file.path().display().to_string();
            *value = ParamFile { path, ..file }.to_string();
        }
    }
    params
}
