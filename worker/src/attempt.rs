//! Carries out one attempt on a slot's thread: finds the job, calls it, and turns whatever happens into
//! an outcome that can be reported.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use mapfold_data::scratch::ScratchRoot;
use mapfold_job::{Catalog, Monitor, TaskError};
use mapfold_terms::{
    AttemptId, ByteSize, FailClass, Failure, JobBrief, Outcome, PartitionId, Split,
};
use tracing::{debug, info_span};

use crate::attempts::Running;
use crate::isolate::Isolation;
use crate::job_files::JobFiles;
use crate::life::Life;
use crate::{map, outcome, reduce};

/// What attempts need of the worker, whatever its life.
pub(crate) struct Site {
    /// The worker's name, for messages.
    pub(crate) name: String,
    /// Where jobs come from.
    pub(crate) catalog: Arc<dyn Catalog>,
    /// Files that go with jobs.
    pub(crate) files: JobFiles,
    /// Runs the jobs of plugins among those; without it they are jobs of the catalog.
    pub(crate) isolation: Option<Isolation>,
    /// For temporary files.
    pub(crate) scratch: ScratchRoot,
    /// Each attempt's share of the memory.
    pub(crate) memory: ByteSize,
}

/// What an attempt is to do.
pub(crate) enum Work {
    /// A map task.
    Map(Split),
    /// A reduce task.
    Reduce(PartitionId),
}

/// Runs an attempt to its end, on the calling thread, and leaves its outcome to be reported.
pub(crate) fn carry_out(
    site: &Site,
    life: &Life,
    running: &Running,
    brief: &JobBrief,
    work: &Work,
) {
    let attempt = running.attempt();
    let span = info_span!("attempt", job = %attempt.job, %attempt, token = %attempt.token);
    let _entered = span.enter();
    running.begin();
    let run = || match work {
        Work::Map(split) => map::attempt(site, life, running, brief, split),
        Work::Reduce(partition) => reduce::attempt(site, life, running, brief, *partition),
    };
    // Panics of a job's functions are caught in the job interface, with the record at hand. What comes here
    // is a bug of ours, or of a runner or a job's making that does without that; the slot outlives both.
    // What the attempt shares with others is whole after a panic: values behind locks under which nothing
    // but a job's making runs, and that changes nothing of ours.
    let outcome = catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Outcome::Failed(panicked(&*panic)));
    debug!(?outcome, elapsed = ?running.elapsed(), "attempt ended");
    if life.is_over() {
        life.attempts.abandon(attempt);
    } else {
        life.attempts
            .end(attempt, outcome::fit(&site.name, outcome));
    }
}

/// The outcome of a task that ended early.
pub(crate) fn ended_early(
    error: TaskError,
    bad_run: impl FnOnce(u32, String) -> Outcome,
) -> Outcome {
    match error {
        TaskError::Cancelled => Outcome::Cancelled,
        TaskError::Failed(failure) => Outcome::Failed(*failure),
        TaskError::BadRun { map, message } => bad_run(map, message),
    }
}

/// The outcome of an attempt that could not be carried out for want of something of this worker's.
pub(crate) fn failed_here(error: &dyn std::error::Error) -> Outcome {
    Outcome::Failed(Failure::new(FailClass::Worker, error))
}

/// Scratch folder names: the token is unique over everything.
pub(crate) fn scratch_name(attempt: AttemptId) -> String {
    attempt.token.to_string()
}

/// Whether the attempt should stop before it begins.
pub(crate) fn is_moot(life: &Life, running: &Running) -> bool {
    life.is_over() || running.cancelled()
}

/// Counted as the job's, so that a bug that strikes on every worker ends the job rather than go round.
fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message");
    Failure {
        class: FailClass::Job,
        chain: vec![format!("panicked: {message}")],
        at: None,
        hint: None,
        backtrace: None,
    }
}
