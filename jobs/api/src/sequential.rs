//! The same job on one thread, without the engine: the yardstick that `mapfold bench` holds the engine against.
//!
//! All splits go through `map` into one table or buffer without a budget, which leaves one partition in memory; that is reduced to
//! one part file. No scheduler, no messages, no second thread, nothing spilled, nothing merged. What the engine costs, and
//! how many slots it takes to win (McSherry, Isard, Murray: "Scalability! But at what COST?", HotOS 2015), shows beside it.

use mapfold_data::input::SplitReader;
use mapfold_data::partition::Partitioner;
use mapfold_data::run::Run;
use mapfold_terms::{AttemptId, ByteSize, Codec, JobId, PartitionId, TaskId, Token};

use crate::budget::Budget;
use crate::emitter::Emitted;
use crate::map_attempt::{finish, map_block, read_failed};
use crate::reduce_attempt::reduce_attempt;
use crate::sink::Sink;
use crate::{Job, Monitor, ReduceTask, SequentialDone, SequentialTask, TaskError};

/// More than any machine has; small enough to be doubled.
const UNLIMITED: ByteSize = ByteSize(1 << 60);

/// Maps and reduces everything on the calling thread.
pub(crate) fn sequential<J: Job>(
    job: &J,
    task: &SequentialTask<'_>,
) -> Result<SequentialDone, TaskError> {
    let token = Token::NONE;
    let budget = Budget {
        token,
        partitions: 1,
        partitioner: &Partitioner::Hash(1),
        memory: UNLIMITED,
        in_memory_max: UNLIMITED,
        scratch: task.scratch,
    };
    let mut emitted = Emitted::new(Sink::new(), &budget);
    let mut records_in = 0;
    for split in task.splits {
        let mut reader = SplitReader::new(split, task.format, UNLIMITED);
        while let Some(block) = reader.next_block().map_err(read_failed)? {
            map_block(job, &block, &budget, &mut emitted)?;
            records_in += block.record_count();
        }
    }
    let finished = finish(job, &budget, emitted)?;
    drop(finished.sink);
    let segment = Run::open(finished.run)
        .map(|run| run.segment(PartitionId(0)))
        .map_err(crate::combine::MergeError::from)?;
    let reduced = reduce_attempt(
        job,
        ReduceTask {
            attempt: AttemptId {
                token,
                job: JobId(0),
                task: TaskId::reduce(0),
                number: 1,
            },
            partition: PartitionId(0),
            partitions: 1,
            format: task.format,
            inputs: vec![segment],
            memory: UNLIMITED,
            scratch: task.scratch,
            part_codec: Codec::Plain,
            part_folder: task.part_folder,
        },
        &Unwatched,
    )?;
    Ok(SequentialDone {
        records_in,
        records_mapped: finished.records_out,
        groups: reduced.groups,
        part: reduced.part,
    })
}

/// Nobody asks how far it is.
struct Unwatched;

impl Monitor for Unwatched {
    fn progress(&self, _: u64, _: u64) {}

    fn cancelled(&self) -> bool {
        false
    }
}
