//! Where the job's code is: does what is asked of a [`Runner`].

use std::path::PathBuf;

use mapfold_data::run::{ReadRunError, RunBytes, Segment, SegmentHead};
use mapfold_data::scratch::Scratch;
use mapfold_terms::{FailClass, Failure, PartitionId, RawPath};

use super::message::{Ask, AskReduce, Input, InputAt, RunAt, Told};
use crate::{MapDone, MapTask, Monitor, ReduceTask, Runner, SampleTask, SequentialTask, TaskError};

/// What came of it.
#[derive(Debug)]
pub struct Answered {
    /// The message.
    pub told: Told,
    /// The run of a map task, if it stayed in memory.
    pub run: Option<RunBytes>,
}

impl From<Told> for Answered {
    fn from(told: Told) -> Self {
        Self { told, run: None }
    }
}

/// Does what is asked. `beside` are the segments that are in memory, in order.
pub fn answer(
    runner: &dyn Runner,
    ask: &Ask,
    beside: Vec<RunBytes>,
    monitor: &dyn Monitor,
) -> Answered {
    try_answer(runner, ask, beside, monitor).unwrap_or_else(|error| Told::from(error).into())
}

fn try_answer(
    runner: &dyn Runner,
    ask: &Ask,
    beside: Vec<RunBytes>,
    monitor: &dyn Monitor,
) -> Result<Answered, TaskError> {
    let lent = |scratch: &RawPath| Scratch::lent(scratch.as_path().to_owned());
    match ask {
        Ask::Map {
            attempt,
            split,
            maps,
            format,
            partitions,
            partitioning,
            memory,
            in_memory_max,
            skip_bad,
            left_out,
            scratch,
            part_codec,
            part_folder,
        } => {
            let scratch = lent(scratch);
            let task = MapTask {
                attempt: *attempt,
                split,
                maps: *maps,
                format: *format,
                partitions: *partitions,
                partitioning,
                memory: *memory,
                in_memory_max: *in_memory_max,
                skip_bad: *skip_bad,
                left_out,
                scratch: &scratch,
                part_codec: *part_codec,
                part_folder: part_folder.as_path(),
            };
            let done = runner.map(&task, monitor)?;
            hand_over(done)
        }
        Ask::Reduce(ask) => {
            let scratch = lent(&ask.scratch);
            let task = ReduceTask {
                attempt: ask.attempt,
                partition: ask.partition,
                format: ask.format,
                maps: ask.maps,
                partitions: ask.partitions,
                inputs: segments(ask, beside)?,
                memory: ask.memory,
                scratch: &scratch,
                part_codec: ask.part_codec,
                part_folder: ask.part_folder.as_path(),
                notes: ask.notes.as_ref().map(RawPath::as_path),
            };
            let done = runner.reduce(task, monitor)?;
            Ok(Told::Reduced(done).into())
        }
        Ask::Sample {
            plan,
            skip_bad,
            scratch,
        } => {
            let task = SampleTask {
                plan,
                skip_bad: *skip_bad,
                scratch: &lent(scratch),
            };
            Ok(Told::Sampled(runner.sample(&task)?).into())
        }
        Ask::Sequential {
            splits,
            format,
            scratch,
            part_codec,
            part_folder,
        } => {
            let done = runner.sequential(&SequentialTask {
                splits,
                format: *format,
                scratch: &lent(scratch),
                part_codec: *part_codec,
                part_folder: part_folder.as_path(),
            })?;
            Ok(Told::Sequential(done).into())
        }
    }
}

/// Gives the run to whoever asked. A file gets another name, under which it is not deleted from here; one that was handed over to this
/// process got another name already.
fn hand_over(done: MapDone) -> Result<Answered, TaskError> {
    let MapDone { report, run } = done;
    let report = Box::new(report);
    let Some(made) = run.path() else {
        return Ok(Answered {
            told: Told::Mapped {
                report,
                run: RunAt::Beside,
            },
            run: Some(run),
        });
    };
    let mut path = made.as_os_str().to_owned();
    path.push(".handed");
    let path = PathBuf::from(path);
    std::fs::rename(made, &path).map_err(|error| Failure::new(FailClass::Worker, &error))?;
    Ok(Answered::from(Told::Mapped {
        report,
        run: RunAt::File(RawPath::from(path)),
    }))
}

fn segments(ask: &AskReduce, beside: Vec<RunBytes>) -> Result<Vec<Segment>, TaskError> {
    let mut beside = beside.into_iter();
    let segments = ask.inputs.iter().map(|input| {
        segment(input, ask.partition, &mut beside).map_err(|error| TaskError::BadRun {
            map: input.map,
            message: error.to_string(),
        })
    });
    segments.collect()
}

fn segment(
    input: &Input,
    partition: PartitionId,
    beside: &mut impl Iterator<Item = RunBytes>,
) -> Result<Segment, ReadRunError> {
    let head = SegmentHead {
        records: input.records,
        checksum: input.checksum,
        bytes: input.bytes,
    };
    let empty = || RunBytes::from(Vec::new());
    let (bytes, start) = match &input.at {
        InputAt::Nowhere => (empty(), 0),
        InputAt::File(path, start) => (RunBytes::open(path.as_path())?, *start),
        // If it is missing, the segment is found to be too short.
        InputAt::Beside => (beside.next().unwrap_or_else(empty), 0),
    };
    Segment::in_file(input.map, partition, head, bytes, start)
}
