//! The loop of a map attempt: read a block, map its records, spill when full, leave one run.

use std::time::{Duration, Instant};

use mapfold_data::input::{Block, ReadSplitError, Record, SplitReader};
use mapfold_data::partition::Partitioner;
use mapfold_terms::{ByteSize, FailClass, MapReport, PartitionId, RecordAt, Skipped};

use crate::bad_records;
use crate::budget::Budget;
use crate::combine::MergeError;
use crate::emitter::{Emitted, Emitter, Finished, Place};
use crate::guard;
use crate::output::Output;
use crate::spare::{MapMemory, Spare};
use crate::{Attempt, Job, MapDone, MapTask, Monitor, TaskError};

/// A record may take this share of an attempt's memory; the rest is for what `map` makes of it.
const RECORD_SHARE: u64 = 2;

/// A record of this size is accepted however small the memory budget.
pub(crate) const RECORD_MAX_LEAST: ByteSize = ByteSize::mib(64);

/// The counter of records that were left out, among the job's own.
const SKIPPED_COUNTER: &str = "skipped records";

/// Maps one split into one run, without the records that it may leave out because the job's code fails on them.
pub(crate) fn map_attempt<J: Job>(
    job: &J,
    spare: &Spare<J>,
    task: &MapTask<'_>,
    monitor: &dyn Monitor,
) -> Result<MapDone, TaskError> {
    let started = Instant::now();
    let record_max = ByteSize(task.memory.bytes() / RECORD_SHARE).max(RECORD_MAX_LEAST);
    let partitioner = Partitioner::new(task.partitioning, task.partitions);
    let attempt = Attempt::of_map(task, monitor);
    let budget = Budget {
        attempt: &attempt,
        partitions: task.partitions,
        partitioner: &partitioner,
        memory: task.memory,
        in_memory_max: task.in_memory_max,
    };
    let pass = Pass {
        job,
        spare,
        task,
        record_max,
        budget: &budget,
        monitor,
    };
    let mut bad = task.left_out.to_vec();
    let mut done = match pass.run(&bad) {
        Err(TaskError::Failed(failure)) if failure.class == FailClass::Job && task.skip_bad > 0 => {
            bad = guard::without_backtraces(|| {
                bad_records::find(job, task, record_max, &budget, monitor)
            })?;
            if bad.len() == task.left_out.len() {
                return Err(TaskError::Failed(failure));
            }
            pass.run(&bad)?
        }
        done => done?,
    };
    if !bad.is_empty() {
        done.report.counters.add(SKIPPED_COUNTER, bad.len() as i64);
        done.report.skipped = bad;
    }
    done.report.elapsed = started.elapsed();
    Ok(done)
}

/// One way through a split.
struct Pass<'a, J: Job> {
    job: &'a J,
    spare: &'a Spare<J>,
    task: &'a MapTask<'a>,
    record_max: ByteSize,
    budget: &'a Budget<'a>,
    monitor: &'a dyn Monitor,
}

impl<J: Job> Pass<'_, J> {
    /// Maps all records but those in `skip`, which is in the order of the split.
    fn run(&self, skip: &[Skipped]) -> Result<MapDone, TaskError> {
        let Self {
            job, task, budget, ..
        } = *self;
        let memory = self.spare.take();
        let mut reader =
            SplitReader::with_buffer(task.split, task.format, self.record_max, memory.buffer);
        let mut emitted = Emitted::new(memory.sink, budget);
        if J::MAP_ONLY {
            emitted.write_rows(self.output()?, task.format);
        }
        let mut records_in = 0;
        while let Some(block) = reader.next_block().map_err(read_failed)? {
            if self.monitor.cancelled() {
                return Err(TaskError::Cancelled);
            }
            if skip.is_empty() {
                map_block(job, &block, records_in, budget, &mut emitted)?;
            } else {
                map_rest(job, &block, records_in, skip, budget, &mut emitted)?;
            }
            records_in += block.record_count();
            self.monitor.progress(records_in, reader.bytes_read());
        }
        end_records(job, budget, &mut emitted)?;
        let finished = finish(job, budget, emitted)?;
        let bytes_in = reader.bytes_read();
        self.spare.put(MapMemory {
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
                elapsed: Duration::ZERO,
                skipped: Vec::new(),
                staged: finished.staged,
            },
            run: finished.run,
        })
    }

    fn output(&self) -> Result<Output, MergeError> {
        let MapTask {
            attempt,
            split,
            part_folder,
            part_codec,
            ..
        } = *self.task;
        let partition = PartitionId(split.index);
        Ok(Output::staged(
            part_folder,
            attempt.token,
            partition,
            part_codec,
        )?)
    }
}

/// One block through the job's code, after `before` records of its split; what goes wrong there is told with the record at hand.
pub(crate) fn map_block<J: Job>(
    job: &J,
    block: &Block<'_>,
    before: u64,
    budget: &Budget<'_>,
    emitted: &mut Emitted<J>,
) -> Result<(), TaskError> {
    let whole = Place {
        offset: block.offset(),
        len: block.bytes().len(),
    };
    emitted.set_place(whole);
    let mapped = guard::catch(|| {
        let mut emitter = Emitter::new(job, budget, block.bytes(), emitted);
        job.map_block(block, &mut emitter)
    });
    let Some(failed) = guard::failure(mapped) else {
        return Ok(emitted.check()?);
    };
    if budget.attempt.cancelled() {
        return Err(TaskError::Cancelled);
    }
    let mut failure = failed.failure;
    if failed.is_of_attempt {
        return Err(failure.into());
    }
    failure.at = Some(if emitted.place() == whole && block.record_count() > 1 {
        first_to_fail(job, block, before, budget)
            .unwrap_or_else(|| record_at(block, before, emitted.place()))
    } else {
        record_at(block, before, emitted.place())
    });
    Err(failure.into())
}

/// The records of a block but for those in `skip`, one by one if there are such among them.
fn map_rest<J: Job>(
    job: &J,
    block: &Block<'_>,
    before: u64,
    skip: &[Skipped],
    budget: &Budget<'_>,
    emitted: &mut Emitted<J>,
) -> Result<(), TaskError> {
    let first = skip.partition_point(|bad| bad.record <= before);
    let upto = skip.partition_point(|bad| bad.record <= before + block.record_count());
    if first == upto {
        return map_block(job, block, before, budget, emitted);
    }
    let mut skip = skip[first..upto].iter().map(|bad| bad.record).peekable();
    let mapped = guard::catch(|| {
        let mut emitter = Emitter::new(job, budget, block.bytes(), emitted);
        for (number, record) in (before + 1..).zip(block.records()) {
            if skip.next_if_eq(&number).is_none() {
                emitter.begin_record(&record);
                job.map(&record, &mut emitter)?;
            }
        }
        Ok(())
    });
    let Some(failed) = guard::failure(mapped) else {
        return Ok(emitted.check()?);
    };
    if budget.attempt.cancelled() {
        return Err(TaskError::Cancelled);
    }
    let mut failure = failed.failure;
    failure.at = (!failed.is_of_attempt).then(|| record_at(block, before, emitted.place()));
    Err(failure.into())
}

/// The record on which a job fails that does not say which one it has at hand.
fn first_to_fail<J: Job>(
    job: &J,
    block: &Block<'_>,
    before: u64,
    budget: &Budget<'_>,
) -> Option<RecordAt> {
    let fails = |record: &Record<'_>| {
        let failure = bad_records::fails_alone(job, block, record, budget);
        matches!(failure, Ok(Some(_)))
    };
    let bad = guard::without_backtraces(|| block.records().find(fails))?;
    let place = Place {
        offset: bad.offset,
        len: bad.bytes.len(),
    };
    Some(record_at(block, before, place))
}

fn record_at(block: &Block<'_>, before: u64, place: Place) -> RecordAt {
    let record = match block.row_group() {
        None => {
            let start = place.offset.saturating_sub(block.offset());
            let start = usize::try_from(start).unwrap_or(usize::MAX);
            block.bytes().get(start..).unwrap_or_default()
        }
        // Rows are counted, not their bytes.
        Some(_) => {
            let mut rows = block.records();
            let row = rows.find(|row| row.offset == place.offset);
            row.map_or(&[][..], |row| row.bytes)
        }
    };
    let excerpt_len = record.len().min(place.len).min(RecordAt::EXCERPT_MAX);
    let earlier = block
        .records()
        .take_while(|record| record.offset < place.offset);
    RecordAt {
        file: block.file().name.clone(),
        offset: place.offset,
        row_group: block.row_group(),
        record: before + 1 + earlier.count() as u64,
        excerpt: record[..excerpt_len].to_vec(),
    }
}

/// After the last record: the job may emit what it has kept.
pub(crate) fn end_records<J: Job>(
    job: &J,
    budget: &Budget<'_>,
    emitted: &mut Emitted<J>,
) -> Result<(), TaskError> {
    let ended = guard::catch(|| {
        let ended = job.finish_map(&mut Emitter::new(job, budget, &[], emitted));
        emitted.drop_state();
        ended
    });
    let Some(failed) = guard::failure(ended) else {
        return Ok(emitted.check()?);
    };
    if budget.attempt.cancelled() {
        return Err(TaskError::Cancelled);
    }
    let what = || "the end of the map attempt (`finish_map`) failed".to_owned();
    Err(failed.at(what).into())
}

/// The run of all that was emitted; a panic of the combiner becomes a failure of the job.
pub(crate) fn finish<J: Job>(
    job: &J,
    budget: &Budget<'_>,
    emitted: Emitted<J>,
) -> Result<Finished<J>, TaskError> {
    let finished = guard::catch(|| emitted.finish(job, budget)).map_err(|panic| panic.failure())?;
    Ok(finished?)
}

pub(crate) fn read_failed(error: ReadSplitError) -> TaskError {
    error.into_failure().into()
}
