//! Attempts of a plan's tasks on the calling thread, without a master: what `mapfold task` and `mapfold replay` do.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use mapfold_data::run::Segment;
use mapfold_data::scratch::Scratch;
use mapfold_job::{
    Catalog, MapDone, MapTask, ReduceDone, ReduceTask, Runner, TaskError, Unwatched,
};
use mapfold_terms::{
    AttemptId, ByteSize, FailClass, Failure, JobId, MasterEpoch, PartitionId, Partitioning, Split,
    TaskId, Token,
};

use crate::error::Problem;
use crate::exit::Exit;
use crate::plan_file::PlanFile;
use crate::plugin;

/// A job that is ready to run a plan's tasks here.
pub(crate) struct Foreground<'a> {
    runner: Arc<dyn Runner>,
    plan: &'a PlanFile,
    partitioning: Partitioning,
    memory: ByteSize,
}

impl<'a> Foreground<'a> {
    /// Makes the job of a plan ready, for attempts in a process that may occupy `memory`.
    pub(crate) fn new(
        catalog: &Arc<dyn Catalog>,
        plan: &'a PlanFile,
        memory: ByteSize,
    ) -> Result<Self, Problem> {
        let found = plugin::of_plan(&plan.job, plan.plugin().as_deref(), catalog)?;
        Ok(Self {
            runner: found.build(&plan.params)?,
            partitioning: plan.partitioning(),
            memory: mapfold_worker::attempt_memory(memory, NonZeroUsize::MIN),
            plan,
        })
    }

    /// Maps a split; the run goes to a file in `scratch`, or the part, if there are no reduce tasks, into `part_folder`, which is made.
    pub(crate) fn map(
        &self,
        split: &Split,
        number: u32,
        scratch: &Scratch,
        part_folder: &Path,
    ) -> Result<MapDone, TaskError> {
        let task = MapTask {
            attempt: attempt(TaskId::map(split.index), number),
            split,
            maps: self.plan.maps,
            format: self.plan.format(),
            partitions: self.plan.reducers,
            partitioning: &self.partitioning,
            memory: self.memory,
            in_memory_max: ByteSize(0),
            skip_bad: self.plan.skip_bad,
            left_out: &[],
            scratch,
            part_codec: self.plan.parts,
            part_folder,
        };
        self.runner.map(&task, &Unwatched)
    }

    /// Reduces a partition of all runs to a part in `part_folder`, which is made.
    pub(crate) fn reduce(
        &self,
        partition: PartitionId,
        number: u32,
        inputs: Vec<Segment>,
        scratch: &Scratch,
        part_folder: &Path,
    ) -> Result<ReduceDone, TaskError> {
        let task = ReduceTask {
            attempt: attempt(TaskId::reduce(partition.0), number),
            partition,
            format: self.plan.format(),
            maps: self.plan.maps,
            partitions: self.plan.reducers,
            inputs,
            memory: self.memory,
            scratch,
            part_codec: self.plan.parts,
            part_folder,
            notes: None,
        };
        self.runner.reduce(task, &Unwatched)
    }
}

/// An attempt that no master ordered.
pub(crate) fn attempt(task: TaskId, number: u32) -> AttemptId {
    AttemptId {
        token: Token {
            epoch: MasterEpoch(0),
            counter: number.into(),
        },
        job: JobId(0),
        task,
        number,
    }
}

/// The exit code for a task that failed, where each kind of failure asks the caller for something else.
pub(crate) fn exit_of(failure: &Failure) -> Exit {
    match failure.class {
        FailClass::Job => Exit::JobFailed,
        FailClass::Worker | FailClass::Space | FailClass::Output => Exit::TryAgain,
        FailClass::Input => Exit::DoNotRetry,
    }
}
