//! What can be asked of the scheduler without changing it.

use mapfold_terms::{AttemptId, Digest, TaskId, WorkerId};

/// Counts of one phase of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PhaseCounts {
    /// Tasks in all.
    pub tasks: u32,
    /// Tasks that have a winner now.
    pub won: u32,
    /// Attempts that run now.
    pub running: u32,
}

/// What has happened to a job so far; sums over its whole life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobStats {
    /// Attempts started.
    pub attempts: u64,
    /// Attempts that failed by the job's fault.
    pub attempts_failed: u64,
    /// Attempts that ended in another way than by winning or failing: lost, cancelled, without a run
    /// to fetch, or failed by the worker's fault.
    pub attempts_lost: u64,
    /// Won map tasks that went back to pending because their run was lost.
    pub maps_rerun: u64,
    /// Reports about this job that changed nothing.
    pub stale_reports: u64,
    /// Times that won reduce tasks were rolled back.
    pub rollbacks: u32,
    /// Workers that died while the job ran.
    pub workers_lost: u32,
    /// Backup attempts started.
    pub backups: u64,
    /// Backup attempts that won.
    pub backups_won: u64,
    /// The first tasks of which two attempts left different results.
    pub differing: [Option<TaskId>; 5],
}

impl JobStats {
    /// Two attempts of the task differ; `false` if there is nothing new in that, or no room for it.
    pub(crate) fn note_differing(&mut self, task: TaskId) -> bool {
        if self.differing.contains(&Some(task)) {
            return false;
        }
        let room = self.differing.iter_mut().find(|place| place.is_none());
        room.map(|place| *place = Some(task)).is_some()
    }
}

/// The attempt whose run counts for a map task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Winner {
    /// The attempt.
    pub attempt: AttemptId,
    /// Who holds the run.
    pub holder: WorkerId,
    /// What the run holds.
    pub digest: Digest,
}

/// A live worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveWorker {
    /// Its id.
    pub worker: WorkerId,
    /// Attempts it can run at once.
    pub slots: u32,
    /// Attempts that it runs, those that were told to stop included.
    pub running: u32,
    /// It gets no attempts and is to leave.
    pub draining: bool,
    /// It gets no attempts for a while, as it did harm.
    pub excluded: bool,
}
