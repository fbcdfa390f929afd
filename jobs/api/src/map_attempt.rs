//! The loop of a map attempt: read a block, map its records, spill when full, leave one run.

use std::time::Instant;

use mapfold_data::input::{Block, ReadSplitError, SplitReader};
use mapfold_data::partition::Partitioner;
use mapfold_terms::{ByteSize, FailClass, Failure, MapReport, RecordAt};

use crate::budget::Budget;
use crate::emitter::{Emitted, Emitter, Finished, Place};
use crate::guard;
use crate::spare::{MapMemory, Spare};
use crate::{Job, JobError, MapDone, MapTask, Monitor, TaskError};

/// A record may take this share of an attempt's memory; the rest is for what `map` makes of it.
const RECORD_SHARE: u64 = 2;

/// A record of this size is accepted however small the memory budget.
pub(crate) const RECORD_MAX_LEAST: ByteSize = ByteSize::mib(64);

/// Maps one split into one run.
pub(crate) fn map_attempt<J: Job>(
    job: &J,
    spare: &Spare<J>,
    task: &MapTask<'_>,
    monitor: &dyn Monitor,
) -> Result<MapDone, TaskError> {
    let started = Instant::now();
    let record_max = ByteSize(task.memory.bytes() / RECORD_SHARE).max(RECORD_MAX_LEAST);
    let partitioner = Partitioner::new(task.partitioning, task.partitions);
    let memory = spare.take();
    let mut reader = SplitReader::with_buffer(task.split, task.format, record_max, memory.buffer);
    let budget = Budget {
        token: task.attempt.token,
        partitions: task.partitions,
        partitioner: &partitioner,
        memory: task.memory,
        in_memory_max: task.in_memory_max,
        scratch: task.scratch,
    };
    let mut emitted = Emitted::new(memory.sink, &budget);
    let mut records_in = 0;
    while let Some(block) = reader.next_block().map_err(read_failed)? {
        if monitor.cancelled() {
            return Err(TaskError::Cancelled);
        }
        map_block(job, &block, &budget, &mut emitted)?;
        records_in += block.record_count();
        monitor.progress(records_in, reader.bytes_read());
    }
    let finished = finish(job, &budget, emitted)?;
    let bytes_in = reader.bytes_read();
    spare.put(MapMemory {
        buffer: reader.into_buffer(),
        sink: finished.sink,
    });
    Ok(MapDone {
        report: MapReport {
            records_in,
            bytes_in,
            records_out: finished.records_out,
            run: finished.summary,
            spilled: finished.spilled,
            spills: finished.spills,
            counters: finished.counters,
            elapsed: started.elapsed(),
            skipped: Vec::new(),
        },
        run: finished.run,
    })
}

/// One block through the job's code; what goes wrong there is told with the record at hand.
pub(crate) fn map_block<J: Job>(
    job: &J,
    block: &Block<'_>,
    budget: &Budget<'_>,
    emitted: &mut Emitted<J>,
) -> Result<(), TaskError> {
    emitted.set_place(Place {
        offset: block.offset(),
        len: block.bytes().len(),
    });
    let mapped = guard::catch(|| {
        let mut emitter = Emitter::new(job, budget, block.bytes(), emitted);
        job.map_block(block, &mut emitter)
    });
    let error = match mapped {
        Ok(Ok(())) => return Ok(emitted.check()?),
        Ok(Err(error)) => error,
        Err(panic) => JobError::from(panic),
    };
    let mut failure = Failure::new(FailClass::Job, error.as_ref());
    failure.at = Some(record_at(block, emitted.place()));
    Err(TaskError::Failed(failure))
}

fn record_at(block: &Block<'_>, place: Place) -> RecordAt {
    let start = usize::try_from(place.offset.saturating_sub(block.offset())).unwrap_or(usize::MAX);
    let record = block.bytes().get(start..).unwrap_or_default();
    let excerpt_len = record.len().min(place.len).min(RecordAt::EXCERPT_MAX);
    RecordAt {
        file: block.file().name.clone(),
        offset: place.offset,
        record: 0,
        excerpt: record[..excerpt_len].to_vec(),
    }
}

/// The run of all that was emitted; a panic of the combiner becomes a failure of the job.
pub(crate) fn finish<J: Job>(
    job: &J,
    budget: &Budget<'_>,
    emitted: Emitted<J>,
) -> Result<Finished<J>, TaskError> {
    let finished = guard::catch(|| emitted.finish(job, budget))
        .map_err(|panic| TaskError::Failed(Failure::new(FailClass::Job, &panic)))?;
    Ok(finished?)
}

pub(crate) fn read_failed(error: ReadSplitError) -> TaskError {
    TaskError::Failed(error.into_failure())
}
