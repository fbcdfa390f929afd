//! A map attempt: one split into one run, which stays with the worker; or, of a job without reduce tasks, into one part, which waits in staging.

use mapfold_job::MapTask;
use mapfold_terms::{JobBrief, Outcome, PartitionId, Split};

use crate::attempt::{Site, ended_early, failed_here, is_moot, scratch_name};
use crate::attempts::Running;
use crate::life::Life;
use crate::staged::{self, StagedPart};

/// Runs it to the end.
pub(crate) fn attempt(
    site: &Site,
    life: &Life,
    running: &Running,
    brief: &JobBrief,
    split: &Split,
) -> Outcome {
    if is_moot(life, running) {
        return Outcome::Cancelled;
    }
    running.expect(split.bytes());
    let attempt = running.attempt();
    let runner = match life.runners.get(site, brief, running) {
        Ok(runner) => runner,
        Err(outcome) => return *outcome,
    };
    let scratch = site.scratch.scratch(&scratch_name(attempt));
    let partition = PartitionId(split.index);
    let part = match brief.reducers {
        0 => match StagedPart::new(brief, attempt, partition) {
            Ok(part) => Some(part),
            Err(outcome) => return *outcome,
        },
        _ => None,
    };
    let room = life.runs.reserve();
    let task = MapTask {
        attempt,
        split,
        maps: brief.maps,
        format: brief.format,
        partitions: brief.reducers,
        partitioning: &brief.partitioning,
        memory: site.memory,
        in_memory_max: room.size(),
        skip_bad: brief.skip_bad,
        left_out: &[],
        scratch: &scratch,
        part_codec: brief.parts,
        part_folder: brief.staging.as_path(),
    };
    let done = match runner.map(&task, running) {
        Ok(done) => done,
        Err(error) => return ended_early(error, |_, message| failed_here(&UnexpectedRun(message))),
    };
    if let (Some(part), Some(staged)) = (part, &done.report.staged) {
        part.keep();
        if is_moot(life, running) {
            staged::remove(brief, attempt, partition, staged);
            return Outcome::Cancelled;
        }
        return Outcome::Mapped(done.report);
    }
    if let Err(error) = life.runs.keep(attempt, done.run, room) {
        return failed_here(&error);
    }
    // Whoever cancels raises the flag before it takes runs out of the store, so one of the two sees the other.
    if is_moot(life, running) {
        life.runs.discard(attempt.token);
        return Outcome::Cancelled;
    }
    Outcome::Mapped(done.report)
}

/// A map attempt's own spill does not read back as it was written.
#[derive(Debug, thiserror::Error)]
#[error("a spill is damaged: {0}")]
struct UnexpectedRun(String);
