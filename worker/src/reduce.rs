//! A reduce attempt: one partition of all runs into one part file, which waits in staging.
//!
//! It begins when every map task has a winner. If one has lost its run meanwhile, the attempt asks a few
//! times and then ends as one that could not fetch it: a slot must not wait for a map task that needs a
//! slot. The scheduler, which knows of the loss, sends the task again when its inputs are whole.

use std::thread;
use std::time::{Duration, Instant};

use mapfold_job::ReduceTask;
use mapfold_protocol::Backoff;
use mapfold_protocol::service::{Location, Refusal};
use mapfold_terms::{
    AttemptId, ByteSize, FailClass, Failure, FetchCause, FetchFailure, InputsDigest, JobBrief,
    Outcome, PartitionId, ReduceReport, TaskId, WorkerId,
};

use crate::attempt::{Site, ended_early, failed_here, is_moot, scratch_name};
use crate::attempts::Running;
use crate::fetch::FetchError;
use crate::gather::{Gathered, gather};
use crate::life::Life;
use crate::locate::LocateError;
use crate::staged::{self, StagedPart};

/// How often to ask for the winner of a map task that has none, and the delays between.
const ASK_MAX: u32 = 4;
const ASK_BASE: Duration = Duration::from_millis(20);
const ASK_CAP: Duration = Duration::from_millis(200);

/// The share of the attempt's memory that fetched segments may occupy: one part in so many. The rest is for
/// the merge.
const FETCH_SHARE: u64 = 4;

/// The run of one map task and who holds it.
pub(crate) struct Input {
    /// The map attempt that won.
    pub(crate) attempt: AttemptId,
    /// Where its run is.
    pub(crate) location: Location,
}

/// Runs it to the end.
pub(crate) fn attempt(
    site: &Site,
    life: &Life,
    running: &Running,
    brief: &JobBrief,
    partition: PartitionId,
) -> Outcome {
    let reduced = Reduce {
        site,
        life,
        running,
        brief,
        partition,
    }
    .run();
    match reduced {
        // A part that nobody will take is not left lying about.
        Ok(report) if is_moot(life, running) => {
            staged::remove(brief, running.attempt(), partition, &report.staged);
            Outcome::Cancelled
        }
        Ok(report) => Outcome::Reduced(report),
        Err(outcome) => *outcome,
    }
}

/// How an attempt ended that has nothing to report of its part.
type Early = Box<Outcome>;

struct Reduce<'a> {
    site: &'a Site,
    life: &'a Life,
    running: &'a Running,
    brief: &'a JobBrief,
    partition: PartitionId,
}

impl Reduce<'_> {
    fn run(&self) -> Result<ReduceReport, Early> {
        if is_moot(self.life, self.running) {
            return Err(Outcome::Cancelled.into());
        }
        let runners = &self.life.runners;
        let runner = runners.get(self.site, self.brief, self.running)?;
        let attempt = self.running.attempt();
        let scratch = self.site.scratch.scratch(&scratch_name(attempt));
        let fetch_started = Instant::now();
        let inputs = self.locate()?;
        let memory = self.site.memory.bytes();
        let gathered = gather(
            &self.life.fetcher,
            &inputs,
            self.partition,
            &scratch,
            ByteSize(memory / FETCH_SHARE),
            self.running,
        )
        .map_err(not_fetched)?;
        let Gathered {
            segments,
            bytes,
            remote,
            in_memory,
        } = gathered;
        let fetch_elapsed = fetch_started.elapsed();
        self.running.expect(bytes.bytes());
        let part = StagedPart::new(self.brief, attempt, self.partition)?;
        let task = ReduceTask {
            attempt,
            partition: self.partition,
            format: self.brief.format,
            maps: self.brief.maps,
            partitions: self.brief.reducers,
            inputs: segments,
            memory: ByteSize(memory - in_memory.bytes()),
            scratch: &scratch,
            part_codec: self.brief.parts,
            part_folder: self.brief.staging.as_path(),
            notes: None,
        };
        let done = runner
            .reduce(task, self.running)
            .map_err(|error| ended_early(error, |map, message| damaged(&inputs, map, message)))?;
        part.keep();
        let mut consumed = InputsDigest::default();
        for (map, input) in (0..).zip(&inputs) {
            consumed.add(map, input.location.digest);
        }
        Ok(ReduceReport {
            consumed,
            runs: self.brief.maps,
            records_in: done.records_in,
            fetched: bytes,
            fetched_remote: remote,
            groups: done.groups,
            staged: done.staged,
            spilled: done.spilled,
            counters: done.counters,
            fetch_elapsed,
            elapsed: self.running.elapsed(),
        })
    }

    /// The runs of all map tasks, in their order.
    fn locate(&self) -> Result<Vec<Input>, Early> {
        let mut inputs = Vec::with_capacity(self.brief.maps as usize);
        let mut backoff = Backoff::new(ASK_BASE, ASK_CAP);
        let mut asked_in_vain = 0;
        for next in 0..self.brief.maps {
            if (next as usize) < inputs.len() {
                continue;
            }
            while !self.page(next, &mut inputs)? {
                asked_in_vain += 1;
                if asked_in_vain == ASK_MAX {
                    return Err(self.no_winner(next).into());
                }
                thread::sleep(backoff.wait());
            }
        }
        Ok(inputs)
    }

    /// Map task `map` has no run at present.
    fn no_winner(&self, map: u32) -> Outcome {
        Outcome::FetchFailed(FetchFailure {
            // Names the task; the token is this attempt's own, so that it is no map attempt's.
            map: AttemptId {
                task: TaskId::map(map),
                number: 0,
                ..self.running.attempt()
            },
            holder: self.life.worker(),
            cause: FetchCause::NotFound,
            message: format!("map task m{map} has no run at present"),
        })
    }

    /// Adds what one page tells from map task `from` on; false if it tells nothing of that task.
    fn page(&self, from: u32, inputs: &mut Vec<Input>) -> Result<bool, Early> {
        let page = self.life.locator.page(self.brief.job, from, self.running);
        let page = page.map_err(|error| match error {
            LocateError::Cancelled => Outcome::Cancelled,
            // The job has ended; nobody waits for this attempt.
            LocateError::Refused(Refusal::UnknownJob(_)) => Outcome::Cancelled,
            LocateError::Refused(refusal) => failed_here(&refusal),
        })?;
        let room = self.brief.maps as usize - inputs.len();
        let before = inputs.len();
        for location in page.into_iter().take(room) {
            let Some(attempt) = location.attempt else {
                break;
            };
            inputs.push(Input { attempt, location });
        }
        Ok(inputs.len() > before)
    }
}

fn not_fetched(error: FetchError) -> Outcome {
    match error {
        FetchError::Cancelled => Outcome::Cancelled,
        FetchError::Run(failure) => Outcome::FetchFailed(failure),
        error => Outcome::Failed(Failure {
            hint: error.hint().map(str::to_owned),
            ..Failure::new(FailClass::Worker, &error)
        }),
    }
}

/// The run of map task `map` turned out to be damaged while it was merged.
fn damaged(inputs: &[Input], map: u32, message: String) -> Outcome {
    let Some(input) = inputs.get(map as usize) else {
        return failed_here(&NoSuchInput(map));
    };
    let holder: WorkerId = input.location.holder;
    Outcome::FetchFailed(FetchFailure {
        map: input.attempt,
        holder,
        cause: FetchCause::Corrupt,
        message,
    })
}

/// The job complains of a run that it was not given.
#[derive(Debug, thiserror::Error)]
#[error("the run of map task {0} is said to be damaged, and there is no such task")]
struct NoSuchInput(u32);
