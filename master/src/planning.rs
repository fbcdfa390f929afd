//! From a job as submitted to one that can run: everything that can be refused is refused here.

use std::path::{Path, PathBuf};

use mapfold_data::input::{self, DiscoverError, PlanError, PlanOptions};
use mapfold_data::manifest::Inputs;
use mapfold_protocol::codec::fits;
use mapfold_terms::{
    AttemptId, ByteSize, FailClass, FailReason, Failure, JobBrief, JobId, JobSpec, MasterEpoch,
    Order, Plan, RawPath, Split, TaskId, Token,
};

use crate::files::Files;
use crate::output::{self, OutputRefused};
use crate::staging::{self, Staging};

/// A job that can run.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) inputs: Inputs,
    /// In bytes.
    pub(crate) split_size: u64,
    pub(crate) brief: JobBrief,
    pub(crate) staging: Staging,
}

/// Why a job cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanRefused {
    /// No output can be made.
    #[error(transparent)]
    Output(#[from] OutputRefused),
    /// The inputs cannot be listed.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// They cannot be cut.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An order would be above the frame limit.
    #[error("the order for map task {} would be too long for a message", TaskId::map(*index))]
    OrderTooLong {
        /// The largest split.
        index: u32,
    },
    /// A bug of ours.
    #[error("planning ended without a result")]
    Panicked,
}

impl PlanRefused {
    /// Decides the exit code.
    pub(crate) fn reason(&self) -> FailReason {
        match self {
            Self::Output(refused) => refused.reason(),
            Self::Discover(_) | Self::Plan(_) | Self::OrderTooLong { .. } => FailReason::Input,
            Self::Panicked => FailReason::Internal,
        }
    }

    /// For people.
    pub(crate) fn failure(&self) -> Failure {
        let class = match self.reason() {
            FailReason::Input => FailClass::Input,
            _ => FailClass::Worker,
        };
        Failure {
            hint: self.hint(),
            ..Failure::new(class, self)
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Output(refused) => refused.hint(),
            Self::Discover(error) => error.hint(),
            Self::Plan(error) => error.hint(),
            Self::OrderTooLong { .. } => {
                Some("pass large parameters in a file rather than with -p".to_owned())
            }
            Self::Panicked => None,
        }
    }
}

/// Plans a job: checks its output, lists and cuts its inputs, makes its staging folder. Blocks.
/// `state`: where the master keeps its journal, if it keeps one.
pub(crate) fn plan(
    files: &dyn Files,
    id: JobId,
    spec: &JobSpec,
    state: Option<&Path>,
) -> Result<Planned, PlanRefused> {
    let output = spec.output.as_path();
    // First, so that a job that is refused cleans up as well.
    let swept = staging::sweep(files, output, state);
    if swept > 0 {
        tracing::info!(swept, "removed staging folders of dead masters");
    }
    output::check(output, spec.overwrite)?;
    let found = input::discover(&spec.inputs)?;
    if spec.overwrite {
        output::check_holds_no_input(output, &spec.inputs, &found)?;
    }
    let inputs = Inputs::of(&found);
    let plan = input::plan_with(found, PlanOptions::from(spec))?;
    let split_size = spec
        .split_size
        .unwrap_or_else(|| input::split_size_for(ByteSize(plan.bytes)));
    // Before a folder is made for nothing: with the longest path that one can have.
    let longest = output.as_os_str().len() + STAGING_NAME_MAX;
    check_orders(
        &plan,
        &brief(id, spec, &plan, PathBuf::from("x".repeat(longest))),
    )?;

    let staging = output::stage(files, output, spec.overwrite, state)?;
    Ok(Planned {
        brief: brief(id, spec, &plan, staging.root().to_owned()),
        plan,
        inputs,
        split_size: split_size.bytes(),
        staging,
    })
}

/// A staging folder's path is longer than its output's by this at most.
const STAGING_NAME_MAX: usize = 64;

pub(crate) fn brief(id: JobId, spec: &JobSpec, plan: &Plan, staging: PathBuf) -> JobBrief {
    let maps = u32::try_from(plan.splits.len()).expect("a plan has at most SPLITS_MAX splits");
    JobBrief {
        job: id,
        name: spec.job.clone(),
        params: spec.params.clone(),
        files: spec.files.clone(),
        format: spec.format,
        reducers: plan.reducers,
        partitioning: spec.partitioning.clone(),
        maps,
        parts: spec.parts,
        skip_bad: spec.skip_bad,
        task_timeout: spec.task_timeout,
        staging: RawPath::from(staging),
    }
}

/// Each order must fit a message. The one of the largest split is the longest.
fn check_orders(plan: &Plan, brief: &JobBrief) -> Result<(), PlanRefused> {
    let largest = plan
        .splits
        .iter()
        .max_by_key(|split| weight(split))
        .cloned();
    let split = largest.unwrap_or(Split {
        index: 0,
        pieces: Vec::new(),
    });
    let index = split.index;
    let attempt = AttemptId {
        token: Token {
            epoch: MasterEpoch(u32::MAX),
            counter: u64::MAX,
        },
        job: brief.job,
        task: TaskId::map(index),
        number: u32::MAX,
    };
    let order = Order::Map {
        attempt,
        split,
        brief: brief.clone(),
    };
    match fits(&order) {
        true => Ok(()),
        false => Err(PlanRefused::OrderTooLong { index }),
    }
}

/// Grows with the length of a split in a message; the numbers of a piece take up to 100 bytes.
fn weight(split: &Split) -> usize {
    let pieces = split.pieces.iter();
    pieces
        .map(|piece| 100 + piece.file.name.as_bytes().len() + piece.file.path.as_bytes().len())
        .sum()
}
