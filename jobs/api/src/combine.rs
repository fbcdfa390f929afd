//! Merging runs of one job, with its combiner applied on the way.

use mapfold_data::fold_merge::FoldMerge;
use mapfold_data::key_bytes::KeyBytes;
use mapfold_data::merge::{self, Push};
use mapfold_data::part::WritePartError;
use mapfold_data::run::{ReadRunError, Run, RunBytes, Segment, WriteRunError};
use mapfold_data::sort_buffer::RecordTooLong;
use mapfold_terms::{ByteSize, FailClass, Failure, RunSummary};

use crate::budget::Budget;
use crate::guard;
use crate::job::hash_partitions;
use crate::output::OutputError;
use crate::partition::NoPartition;
use crate::shown_key::shown_key;
use crate::sink::Heap;
use crate::value::DecodeValueError;
use crate::{DecodeKeyError, Job, Key, TaskError, Value, ValueOwned, ValueRef};

/// Why records could not be merged, reduced or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    #[error("cannot read sorted records")]
    Read(#[from] ReadRunError),
    #[error("cannot write sorted records")]
    Write(#[from] WriteRunError),
    #[error("cannot write rows")]
    WritePart(#[from] WritePartError),
    #[error("cannot write rows")]
    Output(#[source] OutputError),
    #[error("a key does not decode: it was not encoded by this job")]
    DecodeKey(#[from] DecodeKeyError),
    #[error("a value does not decode: it was not encoded by this job")]
    DecodeValue(#[from] DecodeValueError),
    #[error("cannot share out keys")]
    Partition(#[from] NoPartition),
}

impl From<MergeError> for TaskError {
    fn from(error: MergeError) -> Self {
        let class = match &error {
            MergeError::Write(WriteRunError::RecordTooLong { .. })
            | MergeError::DecodeKey(_)
            | MergeError::DecodeValue(_)
            | MergeError::Output(_)
            | MergeError::Partition(_) => FailClass::Job,
            MergeError::Read(_) | MergeError::Write(_) => FailClass::Worker,
            MergeError::WritePart(_) => FailClass::Output,
        };
        Failure {
            hint: error.hint().map(str::to_owned),
            ..Failure::new(class, &error)
        }
        .into()
    }
}

impl From<RecordTooLong> for MergeError {
    fn from(error: RecordTooLong) -> Self {
        Self::Write(WriteRunError::RecordTooLong { bytes: error.bytes })
    }
}

impl From<OutputError> for MergeError {
    fn from(error: OutputError) -> Self {
        match error {
            OutputError::Write(error) => Self::WritePart(error),
            named => Self::Output(named),
        }
    }
}

impl MergeError {
    /// What a person may do about it.
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Write(error) => error.hint(),
            Self::WritePart(error) if error.is_no_space() => {
                Some("free some space where the output is to be, or name another folder")
            }
            _ => None,
        }
    }
}

/// A fold of segments into accumulators of a job.
pub(crate) type JobMerge<'s, J> = FoldMerge<'s, ValueOwned<J>, Heap<J>>;

/// All runs as one, partition by partition; equal keys keep the order of the runs. `combine` is what becomes of the segments of one
/// partition. Also the bytes that intermediate merges wrote.
pub(crate) fn combine_runs(
    runs: &[Run],
    budget: &Budget<'_>,
    combine: impl FnMut(&[Segment], &mut Push<'_>) -> Result<(), MergeError>,
) -> Result<(RunBytes, RunSummary, ByteSize), MergeError> {
    let mut writer = budget.run_writer(budget.in_memory_max);
    let width = merge::width_for(budget.for_cursors());
    let spilled = merge::merge_runs(runs, width, budget.attempt.scratch(), &mut writer, combine)?;
    let (run, summary) = writer.finish()?;
    Ok((run, summary, spilled))
}

/// Segments of one partition pushed on in the order of the job's runs, folded to one record a key if the job folds.
pub(crate) fn combine<J: Job>(
    job: &J,
    segments: &[Segment],
    partitions: u32,
    memory: ByteSize,
    push: &mut Push<'_>,
) -> Result<(), MergeError> {
    if J::FOLD.is_none() {
        return merge::copy(segments, push);
    }
    let mut encoded = Vec::new();
    let mut merge = JobMerge::<J>::new(segments, hash_partitions::<J>(partitions), memory)?;
    while fold_bucket(job, &mut merge, |key, sum| {
        encoded.clear();
        J::Value::encode_owned(sum, &mut encoded);
        Ok(push(key, &encoded)?)
    })? {}
    Ok(())
}

/// Folds the next bucket with the job's combiner; false at the end.
#[inline]
pub(crate) fn fold_bucket<J: Job>(
    job: &J,
    merge: &mut JobMerge<'_, J>,
    each: impl FnMut(&KeyBytes<'_>, &ValueOwned<J>) -> Result<(), MergeError>,
) -> Result<bool, MergeError> {
    merge.next_bucket(
        |value| Ok(J::Value::into_owned(J::Value::decode(value)?)),
        |key, sum, value| {
            fold(job, key, sum, J::Value::decode(value)?);
            Ok(())
        },
        each,
    )
}

/// Applies the combiner of a job that has one. Through the constant each time, so that it is inlined where it is called.
#[inline]
pub(crate) fn fold<J: Job>(job: &J, key: &[u8], sum: &mut ValueOwned<J>, value: ValueRef<'_, J>) {
    guard::naming(
        || {
            let key = shown_key(&J::Key::kind(), key);
            format!("cannot combine values of key `{key}`")
        },
        || J::FOLD.expect("the job folds")(job, key, sum, value),
    );
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_full_disk_is_told_with_what_to_do() {
        let full = WriteRunError::NoSpace {
            path: "run".into(),
            source: io::Error::from(io::ErrorKind::StorageFull),
        };
        let TaskError::Failed(failure) = MergeError::from(full).into() else {
            panic!("it is a failure");
        };
        assert_eq!(failure.class, FailClass::Space);
        assert!(failure.hint.is_some_and(|hint| hint.contains("TMPDIR")));
    }
}
