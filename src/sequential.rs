//! `mapfold sequential`: a job on one thread without the engine, in a process of its own so that `mapfold bench` can measure
//! it as it measures every other program.

use std::sync::Arc;

use mapfold_data::input::{PlanOptions, discover, plan_with};
use mapfold_data::scratch::ScratchRoot;
use mapfold_job::{Catalog, SequentialTask, TaskError};
use mapfold_terms::{FailClass, Failure};

use crate::args::SequentialArgs;
use crate::error::Problem;
use crate::exit::Exit;
use crate::formats::Formats;
use crate::plugin;
use crate::scratch::no_scratch;
use crate::settings::{codec, params};

pub(crate) fn sequential(
    args: &SequentialArgs,
    catalog: &Arc<dyn Catalog>,
) -> Result<Exit, Problem> {
    let found = plugin::find(&args.job, catalog)?;
    let settled = found.settled(&params(args.params.clone())?)?;
    let runner = found.build(&settled.params)?;
    let formats = Formats::new(&args.format)?;
    let names = found.files(&args.inputs, &formats)?;
    let cannot_read = |error: &dyn std::error::Error| {
        Problem::new(Exit::Input, "cannot read the input").because(error)
    };
    let files = discover(&names).map_err(|error| cannot_read(&error))?;
    let info = runner.info();
    let options = PlanOptions {
        format: formats.rest(info),
        split_per_file: info.split_per_file,
        ..PlanOptions::default()
    };
    let plan = plan_with(files, options).map_err(|error| cannot_read(&error))?;
    let root = ScratchRoot::open(&std::env::temp_dir()).map_err(|error| no_scratch(&error))?;
    let done = runner.sequential(&SequentialTask {
        splits: &plan.splits,
        format: plan.format,
        scratch: &root.scratch("sequential"),
        part_codec: codec(args.compress),
        part_folder: &args.output,
    });
    done.map_err(|error| failed(&error))?;
    Ok(Exit::Done)
}

fn failed(error: &TaskError) -> Problem {
    match error {
        TaskError::Failed(failure) => Problem::refused(exit(failure), failure),
        TaskError::Cancelled | TaskError::BadRun { .. } => {
            Problem::new(Exit::Internal, "the job ended early").because(error)
        }
    }
}

fn exit(failure: &Failure) -> Exit {
    match failure.class {
        FailClass::Input => Exit::Input,
        FailClass::Job => Exit::JobFailed,
        FailClass::Worker => Exit::Internal,
        FailClass::Space => Exit::NoSpace,
        FailClass::Output => Exit::Output,
    }
}
