//! The loop of a reduce attempt: merge one partition of all runs, group by key, reduce, write rows.

use mapfold_data::merge::{self, Cursor, Merge};
use mapfold_data::part::PartWriter;
use mapfold_data::run::{Segment, SegmentCursor};
use mapfold_terms::{Counters, FailClass, Failure, Format, RecordAt};

use crate::combine::{MergeError, combine, fold_group};
use crate::guard;
use crate::{Job, JobError, Key, Monitor, ReduceDone, ReduceTask, Rows, TaskError, Values};

/// Groups reduced between two looks at the monitor.
const GROUPS_A_ROUND: u32 = 4096;

/// Reduces one partition of all runs into one part file.
pub(crate) fn reduce_attempt<J: Job>(
    job: &J,
    task: ReduceTask<'_>,
    monitor: &dyn Monitor,
) -> Result<ReduceDone, TaskError> {
    let inputs = task.inputs.clone();
    reduce(job, task, monitor).map_err(|error| match error {
        Stop::Task(error) => error,
        Stop::Merge(error @ MergeError::Read(_)) => blame(&inputs).unwrap_or_else(|| error.into()),
        Stop::Merge(error) => error.into(),
    })
}

/// Why the loop ended early.
enum Stop {
    Task(TaskError),
    Merge(MergeError),
}

impl<E: Into<MergeError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Merge(error.into())
    }
}

/// The first input that is damaged, if it is an input and not a merge of ours.
fn blame(inputs: &[Segment]) -> Option<TaskError> {
    inputs.iter().find_map(|segment| {
        let error = segment.verify().err()?;
        Some(TaskError::BadRun {
            map: segment.map(),
            message: error.to_string(),
        })
    })
}

fn reduce<J: Job>(
    job: &J,
    task: ReduceTask<'_>,
    monitor: &dyn Monitor,
) -> Result<ReduceDone, Stop> {
    let records_in = task.inputs.iter().map(Segment::records).sum();
    let bytes_in = task.inputs.iter().map(|segment| segment.head().bytes).sum();
    let width = merge::width_for(task.memory);
    let narrowed = guarded(|| {
        merge::reduce_width(task.inputs, width, task.scratch, |merge, push| {
            combine(job, merge, push)
        })
    })??;
    let cursors = narrowed.segments.iter().map(Segment::cursor).collect();
    let mut merge = Merge::new(cursors)?;
    let mut round = Round {
        job,
        key: Vec::new(),
        decoded: Vec::new(),
        part: PartWriter::create(task.part_folder, task.partition, task.part_codec)?,
        counters: Counters::default(),
        format: task.format,
        groups: 0,
        records: 0,
    };
    let mut more = merge.advance()?;
    while more {
        if monitor.cancelled() {
            return Err(Stop::Task(TaskError::Cancelled));
        }
        more = guarded(|| round.run(&mut merge))??;
        monitor.progress(round.records, share(bytes_in, round.records, records_in));
    }
    let part = round.part.finish()?;
    Ok(ReduceDone {
        records_in,
        groups: round.groups,
        part,
        spilled: narrowed.spilled,
        counters: round.counters,
    })
}

/// The bytes that `records` of `records_all` records are, if all are of one size.
fn share(bytes_all: u64, records: u64, records_all: u64) -> u64 {
    let bytes = u128::from(bytes_all) * u128::from(records) / u128::from(records_all.max(1));
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Runs the job's code; a panic becomes a failure of the job.
fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, Stop> {
    guard::catch(body)
        .map_err(|panic| Stop::Task(TaskError::Failed(Failure::new(FailClass::Job, &panic))))
}

/// What stays from group to group.
struct Round<'a, J> {
    job: &'a J,
    /// Key of the group at hand, encoded.
    key: Vec<u8>,
    /// Space for decoding it.
    decoded: Vec<u8>,
    part: PartWriter,
    counters: Counters,
    format: Format,
    groups: u64,
    records: u64,
}

impl<J: Job> Round<'_, J> {
    /// Reduces some groups; whether there are more. `merge` stands at the first record of a group.
    fn run(&mut self, merge: &mut Merge<SegmentCursor<'_>>) -> Result<bool, Stop> {
        for _ in 0..GROUPS_A_ROUND {
            self.key.clear();
            self.key.extend_from_slice(merge.key());
            let mut values = match J::FOLD {
                Some(fold) => Values::folded(fold_group(self.job, fold, merge, &self.key)?),
                None => Values::streamed(merge, &self.key),
            };
            let key =
                <J::Key as Key>::decode(&self.key, &mut self.decoded).map_err(MergeError::from)?;
            let mut rows = Rows::new(&mut self.part, &mut self.counters, self.format);
            let reduced = self.job.reduce(key, &mut values, &mut rows);
            rows.finish()?;
            let end = values.finish()?;
            reduced.map_err(|error| failed(error, &self.key))?;
            self.groups += 1;
            self.records += end.records;
            if !end.more {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The job's own error, with the key at which it happened.
fn failed(error: JobError, key: &[u8]) -> Stop {
    let mut failure = Failure::new(FailClass::Job, error.as_ref());
    let shown = &key[..key.len().min(RecordAt::EXCERPT_MAX)];
    failure
        .chain
        .insert(0, format!("cannot reduce key `{}`", shown.escape_ascii()));
    Stop::Task(TaskError::Failed(failure))
}
