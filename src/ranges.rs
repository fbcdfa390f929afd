//! For jobs whose part files follow each other in order: which range of keys each part gets, before the job is submitted.
//!
//! The client finds the ranges, not the master, since that runs the job's code: a master runs none, and may not have it. Both list
//! and cut the same input by the same rules, so they agree on the number of reduce tasks.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::{env, thread};

use mapfold_data::input::{self, PlanOptions};
use mapfold_data::scratch::ScratchRoot;
use mapfold_job::{Runner, SampleTask, TaskError};
use mapfold_terms::{FailClass, Failure, JobSpec, Partitioning, Plan};
use mapfold_worker::STACK_BYTES;
use tokio::sync::oneshot;

use crate::error::Problem;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::scratch::no_scratch;
use crate::signals::Signals;

/// After so long it is told that `map` may not come back.
const TOLD_AFTER: Duration = Duration::from_secs(30);

/// As [`find`], on a thread that nobody waits for when a signal comes: the job's code may never come back.
pub(crate) async fn find_or_leave(
    runner: Arc<dyn Runner>,
    mut spec: JobSpec,
    progress: &Progress,
    signals: &mut Signals,
) -> Result<(JobSpec, Option<Plan>), Problem> {
    let (done, found) = oneshot::channel();
    let thread = thread::Builder::new().stack_size(STACK_BYTES);
    let started = thread.spawn(move || {
        let plan = find(&*runner, &mut spec);
        drop(runner);
        let _ = done.send(plan.map(|plan| (spec, plan)));
    });
    started
        .map_err(|error| Problem::new(Exit::Internal, "cannot start a thread").because(&error))?;
    let mut found = pin!(found);
    let mut long = pin!(tokio::time::sleep(TOLD_AFTER));
    let mut is_told = false;
    loop {
        tokio::select! {
            biased;
            found = &mut found => {
                return found.unwrap_or_else(|error| {
                    let what = "the thread that samples the input has ended";
                    Err(Problem::new(Exit::Internal, what).because(&error))
                });
            }
            caught = signals.next() => return Err(Problem::silent(caught.exit())),
            () = &mut long, if !is_told => {
                is_told = true;
                progress.warn(
                    "WAITING",
                    "for ranges of keys: `map`, called for some of the records, has not come back from one for 30 s",
                );
            }
        }
    }
}

/// Finds them, if the job wants them and there is more than one part. Reads a little of the input; takes some
/// tens of milliseconds. Returns the plan, if it was made for that.
pub(crate) fn find(runner: &dyn Runner, spec: &mut JobSpec) -> Result<Option<Plan>, Problem> {
    if !runner.info().total_order && !runner.keeps_records() {
        return Ok(None);
    }
    let found = input::discover(&spec.inputs).map_err(|error| refused(&error, error.hint()))?;
    let plan = input::plan_with(found, PlanOptions::from(&*spec))
        .map_err(|error| refused(&error, error.hint()))?;
    if !runner.info().total_order {
        return Ok(Some(plan));
    }
    spec.reducers = Some(plan.reducers);
    if plan.reducers > 1 {
        let root = ScratchRoot::open(&env::temp_dir()).map_err(|error| no_scratch(&error))?;
        let task = SampleTask {
            plan: &plan,
            skip_bad: spec.skip_bad > 0,
            scratch: &root.scratch("sample"),
        };
        spec.partitioning = Partitioning::Ranges(runner.sample(&task).map_err(not_sampled)?);
    }
    Ok(Some(plan))
}

/// In the words that the master would use.
pub(crate) fn refused(error: &dyn std::error::Error, hint: Option<String>) -> Problem {
    let failure = Failure {
        hint,
        ..Failure::new(FailClass::Input, error)
    };
    Problem::refused(Exit::Input, &failure)
}

fn not_sampled(error: TaskError) -> Problem {
    const WHAT: &str = "cannot sample the input for ranges of keys";
    match error {
        TaskError::Failed(failure) => {
            let exit = match failure.class {
                FailClass::Job => Exit::JobFailed,
                FailClass::Input => Exit::Input,
                FailClass::Worker | FailClass::Output => Exit::Internal,
                FailClass::Space => Exit::NoSpace,
            };
            Problem::new(exit, WHAT).failure(&failure)
        }
        error @ (TaskError::Cancelled | TaskError::BadRun { .. }) => {
            Problem::new(Exit::Internal, WHAT).because(&error)
        }
    }
}
