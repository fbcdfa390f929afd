//! Records that `map` fails on, where a job may leave some out.
//!
//! What a record emitted before it failed cannot be taken out of a table or a buffer, and a block of records may be mapped as one
//! text. So an attempt that failed is made again from the start of its split, in two passes: [`find`] maps every block by itself
//! and, of those that fail, every record by itself, into memory that is thrown away; then the split is mapped without the records so found.
//! A record is bad if `map` fails on it alone: not when a combiner fails on values of several records, and whatever
//! memory there is. So all attempts, on whatever worker, leave the same records out. A split without bad records costs nothing.
//!
//! Records at which a process ended are known beforehand ([`MapTask::left_out`]), as whoever looks for them has to outlive it.

use mapfold_data::input::{Block, Record, SplitReader};
use mapfold_terms::{ByteSize, FailClass, Failure, Skipped};

use crate::budget::Budget;
use crate::emitter::{Emitted, Emitter};
use crate::guard;
use crate::map_attempt::{map_block, read_failed};
use crate::sink::Sink;
use crate::{Job, MapTask, Monitor, TaskError};

/// All that is told of the bad records of one attempt: its report must fit a message.
const TOLD_MAX: usize = 640 << 10;

/// The bad records of a split, in its order, with those that are known; no more than those if the failure was not that of single records.
///
/// # Errors
/// There are more than the task may leave out; or what a map attempt can fail with beside its job's code.
pub(crate) fn find<J: Job>(
    job: &J,
    task: &MapTask<'_>,
    record_max: ByteSize,
    budget: &Budget<'_>,
    monitor: &dyn Monitor,
) -> Result<Vec<Skipped>, TaskError> {
    let mut found = Found {
        list: Vec::new(),
        told_bytes: 0,
        most: task.skip_bad,
    };
    let mut reader = SplitReader::new(task.split, task.format, record_max);
    let mut known = task.left_out.iter().peekable();
    let mut records = 0;
    while let Some(block) = reader.next_block().map_err(read_failed)? {
        if monitor.cancelled() {
            return Err(TaskError::Cancelled);
        }
        let upto = records + block.record_count();
        let has_known = known.peek().is_some_and(|bad| bad.record <= upto);
        if has_known || fails(job, &block, records, budget)? {
            for (number, record) in (records + 1..).zip(block.records()) {
                if let Some(bad) = known.next_if(|bad| bad.record == number) {
                    found.keep(bad.clone());
                } else if let Some(failure) = fails_alone(job, &block, &record, budget)? {
                    found.add(number, &record, failure)?;
                }
            }
        }
        records = upto;
        monitor.progress(records, reader.bytes_read());
    }
    Ok(found.list)
}

/// Whether `map` fails on a block, with nothing emitted before.
fn fails<J: Job>(
    job: &J,
    block: &Block<'_>,
    before: u64,
    budget: &Budget<'_>,
) -> Result<bool, TaskError> {
    let mut emitted = Emitted::new(Sink::new(), budget);
    match map_block(job, block, before, budget, &mut emitted) {
        Err(TaskError::Failed(failure)) if failure.class == FailClass::Job => Ok(true),
        mapped => mapped.map(|()| false),
    }
}

/// How `map` fails on one record, with nothing emitted before; `None` if it does not.
///
/// # Errors
/// What it emitted could not be written.
pub(crate) fn fails_alone<J: Job>(
    job: &J,
    block: &Block<'_>,
    record: &Record<'_>,
    budget: &Budget<'_>,
) -> Result<Option<Failure>, TaskError> {
    let mut emitted = Emitted::new(Sink::new(), budget);
    let mapped = guard::catch(|| {
        let mut emitter = Emitter::new(job, budget, block.bytes(), &mut emitted);
        emitter.begin_record(record);
        job.map(record, &mut emitter)
    });
    match guard::failure(mapped) {
        Some(failed) => Ok(Some(failed.failure)),
        None => match emitted.check().map_err(TaskError::from) {
            Ok(()) => Ok(None),
            Err(TaskError::Failed(failure)) if failure.class == FailClass::Job => {
                Ok(Some(*failure))
            }
            Err(error) => Err(error),
        },
    }
}

struct Found {
    list: Vec<Skipped>,
    told_bytes: usize,
    most: u32,
}

impl Found {
    fn add(&mut self, number: u64, record: &Record<'_>, failure: Failure) -> Result<(), TaskError> {
        let excerpt_len = record.bytes.len().min(Skipped::TEXT_MAX);
        let mut error = failure.to_string();
        error.truncate(error.floor_char_boundary(Skipped::TEXT_MAX));
        let skipped = Skipped {
            file: record.file.name.clone(),
            offset: record.offset,
            record: number,
            bytes: record.bytes.len() as u64,
            excerpt: record.bytes[..excerpt_len].to_vec(),
            error,
        };
        let told_bytes = self.told_bytes + told_bytes(&skipped);
        let most = self.most;
        let too_many = if self.list.len() >= most as usize {
            Some(Skipped::too_many(most))
        } else if told_bytes > TOLD_MAX {
            Some("what is to be told of skipped records does not fit a message".to_owned())
        } else {
            None
        };
        if let Some(too_many) = too_many {
            let mut failure = failure;
            failure.chain.insert(0, too_many);
            failure.at = Some(skipped.at());
            return Err(failure.into());
        }
        self.keep(skipped);
        Ok(())
    }

    fn keep(&mut self, skipped: Skipped) {
        self.told_bytes += told_bytes(&skipped);
        self.list.push(skipped);
    }
}

/// About as many as it takes in a message.
fn told_bytes(skipped: &Skipped) -> usize {
    64 + skipped.file.as_bytes().len() + skipped.excerpt.len() + skipped.error.len()
}
