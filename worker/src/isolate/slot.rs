//! The child: makes attempts one after the other until its slot hangs up.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mapfold_data::run::{ReadRunError, RunBytes, Segment, SegmentHead};
use mapfold_data::scratch::Scratch;
use mapfold_job::{Catalog, MapTask, Monitor, ReduceTask, Runner, TaskError};
use mapfold_terms::{ByteSize, FailClass, Failure, PartitionId, RawPath, Split};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::message::{self, Ask, Input, Told, Work};

/// A job's code may recurse, as it may on a slot's thread.
const STACK_BYTES: usize = 8 << 20;

/// Why a child cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The limit of memory is refused.
    #[error("cannot limit the memory of this process")]
    Limit(#[source] io::Error),
    /// Standard input is no socket to a slot, or broke.
    #[error("cannot talk to the slot")]
    Talk(#[from] io::Error),
    /// A bug of ours.
    #[error("the thread for attempts has ended")]
    Ended,
}

/// Serves attempts that are asked for over standard input, a socket, until it is closed. The process may have `data_max` bytes of data
/// from then on.
///
/// # Errors
/// See [`SlotError`].
pub fn run_slot(catalog: Arc<dyn Catalog>, data_max: ByteSize) -> Result<(), SlotError> {
    let limit = Rlimit {
        current: Some(data_max.bytes()),
        maximum: Some(data_max.bytes()),
    };
    setrlimit(Resource::Data, limit).map_err(|error| SlotError::Limit(error.into()))?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // The job's code finds nothing to read there.
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?).map_err(io::Error::from)?;
    let serving = thread::Builder::new()
        .name("attempt".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || serve(&*catalog, socket))?;
    Ok(serving.join().map_err(|_| SlotError::Ended)??)
}

fn serve(catalog: &dyn Catalog, mut asks: UnixStream) -> io::Result<()> {
    let talk = Talk(Mutex::new(asks.try_clone()?));
    let mut ready: Option<Ready> = None;
    while let Some(ask) = message::read::<Ask>(&mut asks)? {
        let runner = match ready.take().filter(|ready| ready.is_for(&ask)) {
            Some(ready) => Ok(ready.runner),
            None => catalog.build(&ask.job, &ask.params),
        };
        let told = match runner {
            Ok(runner) => {
                let told = attempt(&*runner, &ask, &talk);
                ready = Some(Ready {
                    job: ask.job,
                    params: ask.params,
                    runner,
                });
                told.unwrap_or_else(told_error)
            }
            Err(error) => Told::Failed(Failure::new(FailClass::Job, &error)),
        };
        talk.say(&told)?;
    }
    Ok(())
}

/// The job of the last attempt: most are followed by one of the same job.
struct Ready {
    job: String,
    params: BTreeMap<String, String>,
    runner: Arc<dyn Runner>,
}

impl Ready {
    fn is_for(&self, ask: &Ask) -> bool {
        self.job == ask.job && self.params == ask.params
    }
}

fn attempt(runner: &dyn Runner, ask: &Ask, talk: &Talk) -> Result<Told, TaskError> {
    let scratch = Scratch::lent(ask.scratch.as_path().to_owned());
    match &ask.work {
        Work::Map {
            split,
            partitioning,
            skip_bad,
        } => {
            let task = MapTask {
                attempt: ask.attempt,
                split,
                format: ask.format,
                partitions: ask.partitions,
                partitioning,
                memory: ask.memory,
                in_memory_max: ByteSize(0),
                skip_bad: *skip_bad,
                scratch: &scratch,
            };
            let done = runner.map(&task, talk)?;
            let run = hand_over(&done.run, &scratch, split)?;
            Ok(Told::Mapped {
                report: done.report,
                run: RawPath::from(run),
            })
        }
        Work::Reduce {
            partition,
            inputs,
            part_codec,
            part_folder,
        } => {
            let inputs = inputs.iter().map(|input| {
                segment(input, *partition).map_err(|error| TaskError::BadRun {
                    map: input.map,
                    message: error.to_string(),
                })
            });
            let task = ReduceTask {
                attempt: ask.attempt,
                partition: *partition,
                format: ask.format,
                partitions: ask.partitions,
                inputs: inputs.collect::<Result<_, _>>()?,
                memory: ask.memory,
                scratch: &scratch,
                part_codec: *part_codec,
                part_folder: part_folder.as_path(),
            };
            let done = runner.reduce(task, talk)?;
            Ok(Told::Reduced {
                records_in: done.records_in,
                groups: done.groups,
                part: done.part,
                spilled: done.spilled,
                counters: done.counters,
            })
        }
    }
}

/// Gives the run's file another name, under which this process does not delete it.
fn hand_over(run: &RunBytes, scratch: &Scratch, split: &Split) -> Result<PathBuf, TaskError> {
    let ours = |error: &dyn std::error::Error| Failure::new(FailClass::Worker, error);
    let folder = scratch.folder().map_err(|error| ours(&error))?;
    let path = folder.join(format!("handed-{}", split.index));
    let renamed = match run.path() {
        Some(made) => std::fs::rename(made, &path),
        None => std::fs::write(&path, &**run),
    };
    renamed.map_err(|error| ours(&error))?;
    Ok(path)
}

fn segment(input: &Input, partition: PartitionId) -> Result<Segment, ReadRunError> {
    let head = SegmentHead {
        records: input.records,
        checksum: input.checksum,
        bytes: input.bytes,
    };
    let (bytes, start) = match &input.place {
        Some((path, start)) => (RunBytes::open(path.as_path())?, *start),
        None => (RunBytes::from(Vec::new()), 0),
    };
    Segment::in_file(input.map, partition, head, bytes, start)
}

fn told_error(error: TaskError) -> Told {
    match error {
        TaskError::Failed(failure) => Told::Failed(*failure),
        TaskError::BadRun { map, message } => Told::BadRun { map, message },
        TaskError::Cancelled => Told::Failed(Failure {
            class: FailClass::Worker,
            chain: vec!["cancelled".to_owned()],
            at: None,
            hint: None,
            backtrace: None,
        }),
    }
}

/// What the attempt says on its way. Whoever does not want it any more kills this process.
struct Talk(Mutex<UnixStream>);

impl Talk {
    fn say(&self, told: &Told) -> io::Result<()> {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        message::write(&mut *socket, told)
    }
}

impl Monitor for Talk {
    fn progress(&self, records: u64, bytes: u64) {
        // If the slot has gone, so has this process.
        let _ = self.say(&Told::Progress { records, bytes });
    }

    fn cancelled(&self) -> bool {
        false
    }
}
