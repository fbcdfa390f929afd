//! Merging sorted runs of one job, with its combiner applied on the way.

use mapfold_data::merge::{self, Cursor, Merge};
use mapfold_data::part::WritePartError;
use mapfold_data::run::{ReadRunError, Run, RunBytes, SegmentCursor, WriteRunError};
use mapfold_terms::{ByteSize, FailClass, Failure, RunSummary};

use crate::emitter::Budget;
use crate::value::DecodeValueError;
use crate::{DecodeKeyError, Fold, Job, TaskError, Value, ValueOwned};

/// Why sorted records could not be merged, reduced or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    #[error("cannot read sorted records")]
    Read(#[from] ReadRunError),
    #[error("cannot write sorted records")]
    Write(#[from] WriteRunError),
    #[error("cannot write rows")]
    WritePart(#[from] WritePartError),
    #[error("a key does not decode: it was not encoded by this job")]
    DecodeKey(#[from] DecodeKeyError),
    #[error("a value does not decode: it was not encoded by this job")]
    DecodeValue(#[from] DecodeValueError),
}

impl From<MergeError> for TaskError {
    fn from(error: MergeError) -> Self {
        let class = match &error {
            MergeError::Write(WriteRunError::RecordTooLong { .. })
            | MergeError::DecodeKey(_)
            | MergeError::DecodeValue(_) => FailClass::Job,
            MergeError::Read(_) | MergeError::Write(_) | MergeError::WritePart(_) => {
                FailClass::Worker
            }
        };
        Self::Failed(Failure::new(class, &error))
    }
}

/// All runs as one, partition by partition; equal keys keep the order of the runs. Also the bytes that
/// intermediate merges wrote.
pub(crate) fn combine_runs<J: Job>(
    job: &J,
    runs: &[Run],
    budget: &Budget<'_>,
) -> Result<(RunBytes, RunSummary, ByteSize), MergeError> {
    let mut writer = budget.run_writer(budget.in_memory_max);
    let width = merge::width_for(budget.memory);
    let spilled = merge::merge_runs(runs, width, budget.scratch, &mut writer, |merge, push| {
        combine(job, merge, push)
    })?;
    let (run, summary) = writer.finish()?;
    Ok((run, summary, spilled))
}

/// One sorted stream pushed on, folded to one record a key if the job folds.
pub(crate) fn combine<J: Job>(
    job: &J,
    merge: &mut Merge<SegmentCursor<'_>>,
    push: &mut merge::Push<'_>,
) -> Result<(), MergeError> {
    let Some(fold) = J::FOLD else {
        return merge::copy(merge, push);
    };
    let mut key = Vec::new();
    let mut encoded = Vec::new();
    let mut more = merge.advance()?;
    while more {
        key.clear();
        key.extend_from_slice(merge.key());
        let folded = fold_group(job, fold, merge, &key)?;
        encoded.clear();
        J::Value::encode_owned(&folded.value, &mut encoded);
        push(&key, &encoded)?;
        more = folded.more;
    }
    Ok(())
}

/// What a group folds to, of how many records, and whether the merge stands at a further group.
pub(crate) struct Folded<J: Job> {
    pub(crate) value: ValueOwned<J>,
    pub(crate) records: u64,
    pub(crate) more: bool,
}

/// Folds all values of the group at which `merge` stands.
#[inline]
pub(crate) fn fold_group<J: Job>(
    job: &J,
    fold: Fold<J>,
    merge: &mut Merge<SegmentCursor<'_>>,
    key: &[u8],
) -> Result<Folded<J>, MergeError> {
    let mut value = J::Value::into_owned(J::Value::decode(merge.value())?);
    let mut records = 1;
    loop {
        let more = merge.advance()?;
        if !more || merge.key() != key {
            return Ok(Folded {
                value,
                records,
                more,
            });
        }
        fold(job, key, &mut value, J::Value::decode(merge.value())?);
        records += 1;
    }
}
