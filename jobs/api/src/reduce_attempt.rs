//! The loops of a reduce attempt: bring one partition of all runs together, key by key, reduce, write rows.
//!
//! Without a combiner, runs are in order of key: they are merged, and the values of a key stream past. With one, they are in
//! order of hash: they are folded bucket by bucket, and what is left is sorted by key.

use mapfold_data::merge::{self, Cursor, Merge};
use mapfold_data::partition::Partitioner;
use mapfold_data::run::{ReadRunError, Segment};
use mapfold_terms::{ByteSize, Counters, Format};

use crate::budget::Budget;
use crate::combine::{JobMerge, MergeError, combine, fold_bucket};
use crate::guard::{self, Failed};
use crate::job::{group_of, hash_partitions};
use crate::key_order::KeyOrder;
use crate::notes::Notes;
use crate::output::Output;
use crate::shown_key::shown_key;
use crate::state::State;
use crate::values::GroupEnd;
use crate::{Attempt, Job, Key, Monitor, ReduceDone, ReduceTask, Rows, TaskError, Value, Values};

/// Groups reduced between two looks at the monitor.
const GROUPS_A_ROUND: u32 = 4096;

/// Reduces one partition of all runs into one part file.
pub(crate) fn reduce_attempt<J: Job>(
    job: &J,
    task: ReduceTask<'_>,
    monitor: &dyn Monitor,
) -> Result<ReduceDone, TaskError> {
    let inputs = task.inputs.clone();
    reduce(job, task, monitor).map_err(|stop| match stop {
        Stop::Merge(MergeError::Read(_)) => blame(&inputs).unwrap_or_else(|| stop.into()),
        stop => stop.into(),
    })
}

/// Why the loop ended early.
pub(crate) enum Stop {
    Task(TaskError),
    Merge(MergeError),
}

impl<E: Into<MergeError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Merge(error.into())
    }
}

impl From<Stop> for TaskError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Task(error) => error,
            Stop::Merge(error) => error.into(),
        }
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
    mut task: ReduceTask<'_>,
    monitor: &dyn Monitor,
) -> Result<ReduceDone, Stop> {
    let so_far = SoFar {
        monitor,
        records_in: task.inputs.iter().map(Segment::records).sum(),
        bytes_in: task.inputs.iter().map(|segment| segment.head().bytes).sum(),
    };
    let inputs = std::mem::take(&mut task.inputs);
    let shares = Shares::of::<J>(task.memory);
    let width = merge::width_for(shares.cursors);
    let mut notes = Notes::at(task.notes);
    if J::FOLD.is_some() {
        notes.combines();
    }
    let narrowed = guarded(|| {
        merge::reduce_width(inputs, width, task.scratch, |segments, push| {
            combine(job, segments, task.partitions, shares.folds, push)
        })
    })??;
    let token = task.attempt.token;
    let mut output = Output::staged(task.part_folder, token, task.partition, task.part_codec)?;
    let attempt = Attempt::of_reduce(&task, monitor);
    let mut round = Round::new(job, &mut output, task.format, &attempt);
    round.notes = notes;
    let spilled = if J::FOLD.is_some() {
        fold_all(&mut round, &attempt, shares, &narrowed.segments, &so_far)?
    } else {
        let cursors = narrowed.segments.iter().map(Segment::cursor).collect();
        stream_all(&mut round, &mut Merge::new(cursors)?, &so_far)?;
        ByteSize(0)
    };
    round.end()?;
    let Round {
        groups, counters, ..
    } = round;
    Ok(ReduceDone {
        records_in: so_far.records_in,
        groups,
        staged: output.finish()?.expect("its rows have a place"),
        spilled: ByteSize(narrowed.spilled.0 + spilled.0),
        counters,
    })
}

/// How the memory of an attempt is shared by what is in use at once.
#[derive(Clone, Copy)]
struct Shares {
    /// For segments that are read.
    cursors: ByteSize,
    /// For what their records are folded into.
    folds: ByteSize,
    /// For what is left, on its way into order of key.
    survivors: ByteSize,
}

impl Shares {
    fn of<J: Job>(memory: ByteSize) -> Self {
        let eighths = |count: u64| ByteSize(memory.bytes() / 8 * count);
        let (cursors, folds, survivors) = match J::FOLD {
            None => (8, 0, 0),
            Some(_) => (3, 2, 3),
        };
        Self {
            cursors: eighths(cursors),
            folds: eighths(folds),
            survivors: eighths(survivors),
        }
    }
}

/// Reduces records in order of key.
pub(crate) fn stream_all<J: Job>(
    round: &mut Round<'_, J>,
    records_by_key: &mut impl Cursor<Error = ReadRunError>,
    so_far: &SoFar<'_>,
) -> Result<(), Stop> {
    let mut more = records_by_key.advance()?;
    let mut key = Vec::new();
    let mut records = 0;
    while more {
        so_far.tell(records)?;
        guarded(|| {
            for _ in 0..GROUPS_A_ROUND {
                key.clear();
                key.extend_from_slice(records_by_key.key());
                let values = Values::streamed(records_by_key, group_of::<J>(&key));
                let end = round.reduce(&key, values)?;
                records += end.records;
                more = end.more;
                if !more {
                    break;
                }
            }
            Ok::<_, Stop>(())
        })??;
    }
    so_far.tell(records)
}

/// Folds segments in order of hash, and reduces what is left in order of key. Returns the bytes written on the way.
fn fold_all<J: Job>(
    round: &mut Round<'_, J>,
    attempt: &Attempt<'_>,
    shares: Shares,
    segments: &[Segment],
    so_far: &SoFar<'_>,
) -> Result<ByteSize, Stop> {
    let mut left = KeyOrder::new(Budget {
        attempt,
        partitions: 1,
        partitioner: &Partitioner::Hash(1),
        memory: shares.survivors,
        in_memory_max: ByteSize(0),
    });
    let mut merge = JobMerge::<J>::new(
        segments,
        hash_partitions::<J>(attempt.reduces()),
        shares.folds,
    )?;
    let mut more = true;
    while more {
        so_far.tell(merge.records())?;
        more = guarded(|| {
            fold_bucket(round.job, &mut merge, |key, sum| {
                left.push(key, |out| J::Value::encode_owned(sum, out))
            })
        })??;
    }
    drop(merge);
    round.notes.rests();
    guarded(|| {
        left.finish(|key, value| {
            if round.groups.is_multiple_of(u64::from(GROUPS_A_ROUND)) {
                so_far.tell(so_far.records_in)?;
            }
            let value = J::Value::decode(value).map_err(MergeError::from)?;
            let value = Values::folded(J::Value::into_owned(value));
            round.reduce(key, value).map(drop)
        })
    })?
}

/// What the engine hears of the attempt.
pub(crate) struct SoFar<'a> {
    pub(crate) monitor: &'a dyn Monitor,
    pub(crate) records_in: u64,
    pub(crate) bytes_in: u64,
}

impl SoFar<'_> {
    /// Tells that so many records are through; an error if the attempt is to stop.
    fn tell(&self, records: u64) -> Result<(), Stop> {
        let bytes = share(self.bytes_in, records, self.records_in);
        self.monitor.progress(records, bytes);
        if self.monitor.cancelled() {
            return Err(Stop::Task(TaskError::Cancelled));
        }
        Ok(())
    }
}

/// The bytes that `records` of `records_all` records are, if all are of one size.
fn share(bytes_all: u64, records: u64, records_all: u64) -> u64 {
    let bytes = u128::from(bytes_all) * u128::from(records) / u128::from(records_all.max(1));
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Runs the job's code; a panic becomes a failure of the job.
pub(crate) fn guarded<T>(body: impl FnOnce() -> T) -> Result<T, Stop> {
    guard::catch(body).map_err(|panic| Stop::Task(panic.failure().into()))
}

/// What stays from group to group.
pub(crate) struct Round<'a, J> {
    job: &'a J,
    /// Space for decoding a key.
    decoded: Vec<u8>,
    output: &'a mut Output,
    counters: Counters,
    format: Format,
    /// The job's own.
    state: State,
    attempt: &'a Attempt<'a>,
    notes: Notes,
    pub(crate) groups: u64,
}

impl<'a, J: Job> Round<'a, J> {
    /// Nothing is reduced yet; rows go to `output`.
    pub(crate) fn new(
        job: &'a J,
        output: &'a mut Output,
        format: Format,
        attempt: &'a Attempt<'a>,
    ) -> Self {
        Self {
            job,
            decoded: Vec::new(),
            output,
            counters: Counters::default(),
            format,
            state: State::default(),
            attempt,
            notes: Notes::NOWHERE,
            groups: 0,
        }
    }

    /// Reduces one group.
    #[inline]
    pub(crate) fn reduce(
        &mut self,
        key: &[u8],
        mut values: Values<'_, J>,
    ) -> Result<GroupEnd, Stop> {
        let decoded = <J::Key as Key>::decode(key, &mut self.decoded).map_err(MergeError::from)?;
        let (number, partition) = (self.groups + 1, self.attempt.id().task.index);
        self.notes.reduces(number, key);
        let cannot = move || {
            let key = shown_key(&J::Key::kind(), key);
            format!("cannot reduce key `{key}` (key {number} of partition {partition})")
        };
        let mut rows = Rows::new(
            self.output,
            &mut self.counters,
            &mut self.state,
            self.format,
            self.attempt,
        );
        let reduced = guard::naming(cannot, || self.job.reduce(decoded, &mut values, &mut rows));
        self.output.check()?;
        let end = values.finish()?;
        if let Err(error) = reduced {
            let failed = || Stop::Task(Failed::with(&error).at(cannot).into());
            return Err(self.stopped().unwrap_or_else(failed));
        }
        self.groups = number;
        Ok(end)
    }
}

impl<J: Job> Round<'_, J> {
    /// After the last group: the job may write what it has kept.
    pub(crate) fn end(&mut self) -> Result<(), Stop> {
        const WHAT: &str = "the end of the reduce attempt (`finish_reduce`) failed";
        self.notes.finishes(self.groups);
        let mut rows = Rows::new(
            self.output,
            &mut self.counters,
            &mut self.state,
            self.format,
            self.attempt,
        );
        let ended = guard::catch(|| self.job.finish_reduce(&mut rows));
        self.output.check()?;
        match guard::failure(ended) {
            None => Ok(()),
            Some(failed) => {
                let failure = failed.at(|| WHAT.to_owned());
                Err(self.stopped().unwrap_or(Stop::Task(failure.into())))
            }
        }
    }

    /// The reason for an error, if the attempt is to stop.
    #[cold]
    fn stopped(&self) -> Option<Stop> {
        let stops = self.attempt.cancelled();
        stops.then_some(Stop::Task(TaskError::Cancelled))
    }
}
