//! The same job on one thread, without the engine: the yardstick that `mapfold bench` holds the engine against.
//!
//! It is the loop that one would write by hand for the one job, with its own functions and the best containers at hand: all splits go
//! through `map` into one fold table, or into one buffer without a combiner; its keys are sorted once and reduced from where they
//! are; rows go to a file in large pieces. No attempts, partitions or runs, no second thread, nothing encoded
//! that is not kept, nothing hashed, nothing made durable. What the engine costs, and how many slots it takes to win
//! (McSherry, Isard, Murray: "Scalability! But at what COST?", HotOS 2015), shows beside it.

use mapfold_data::input::{ReadBuffer, SplitReader};
use mapfold_data::partition::Partitioner;
use mapfold_terms::{Boundaries, ByteSize, Partitioning, Split};

use crate::budget::Budget;
use crate::combine::{MergeError, fold};
use crate::emitter::Emitted;
use crate::map_attempt::{end_records, map_block, read_failed};
use crate::output::Output;
use crate::reduce_attempt::{Round, SoFar, Stop, guarded, stream_all};
use crate::sink::Sink;
use crate::{Attempt, Job, SequentialDone, SequentialTask, TaskError, Unwatched, Value, Values};

/// More than any machine has; small enough to be doubled.
const UNLIMITED: ByteSize = ByteSize(1 << 60);

/// Maps and reduces everything on the calling thread.
pub(crate) fn sequential<J: Job>(
    job: &J,
    task: &SequentialTask<'_>,
) -> Result<SequentialDone, TaskError> {
    let all_in_one = Partitioning::Ranges(Boundaries::default());
    let whole = Split {
        index: 0,
        pieces: task
            .splits
            .iter()
            .flat_map(|it| &it.pieces)
            .cloned()
            .collect(),
    };
    let attempt = Attempt::alone(1, u32::from(!J::MAP_ONLY), Some(&whole), task.scratch);
    let budget = Budget {
        attempt: &attempt,
        partitions: 1,
        // Takes no look at a key.
        partitioner: &Partitioner::new(&all_in_one, 1),
        memory: UNLIMITED,
        in_memory_max: UNLIMITED,
    };
    let mut output = Output::bare(task.part_folder, task.part_codec).map_err(MergeError::from)?;
    let mut emitted = Emitted::new(Sink::new(), &budget);
    if J::MAP_ONLY {
        emitted.write_rows(output, task.format);
        output = Output::default();
    }
    let mut records_in = 0;
    let mut buffer = ReadBuffer::new();
    for split in task.splits {
        let mut reader = SplitReader::with_buffer(split, task.format, UNLIMITED, buffer);
        while let Some(block) = reader.next_block().map_err(read_failed)? {
            map_block(job, &block, records_in, &budget, &mut emitted)?;
            records_in += block.record_count();
        }
        buffer = reader.into_buffer();
    }
    drop(buffer);
    end_records(job, &budget, &mut emitted)?;
    let records_mapped = emitted.records_out();
    if J::MAP_ONLY {
        let rows = emitted
            .into_output()
            .finish_bare()
            .map_err(MergeError::from)?;
        return Ok(SequentialDone {
            records_in,
            records_mapped: rows,
            groups: 0,
            rows,
        });
    }
    let mut round = Round::new(job, &mut output, task.format, &attempt);
    let sink = emitted.into_sink(job, &budget)?;
    reduce_all(&mut round, job, sink, records_mapped)?;
    round.end()?;
    let groups = round.groups;
    Ok(SequentialDone {
        records_in,
        records_mapped,
        groups,
        rows: output.finish_bare().map_err(MergeError::from)?,
    })
}

fn reduce_all<J: Job>(
    round: &mut Round<'_, J>,
    job: &J,
    sink: Sink<J>,
    records: u64,
) -> Result<(), Stop> {
    let Sink { mut table, buffer } = sink;
    if J::FOLD.is_none() {
        let so_far = SoFar {
            monitor: &Unwatched,
            records_in: records,
            bytes_in: 0,
        };
        return stream_all(round, &mut buffer.into_sorted(), &so_far);
    }
    guarded(|| {
        table.flush(|key, sum, acc| fold(job, key, sum, J::Value::borrow(&acc)));
        table.drain_by_key(|key, sum| round.reduce(key, Values::folded(sum)).map(drop))
    })?
}
