//! What a map task that ran again to another digest undoes.

use mapfold_terms::{AttemptId, FailReason, NoticeKind, TaskKind};

use crate::job::JobState;
use crate::planted::Bug;
use crate::scheduler::Scheduler;

impl Scheduler {
    /// A map task was won again with another digest: whatever consumed, or may be consuming, its earlier
    /// run starts again.
    pub(crate) fn roll_back(&mut self, cause: AttemptId) {
        let id = cause.job;
        let rollbacks_max = self.settings.rollbacks_max;
        let Some(job) = self.jobs.get_mut(&id) else {
            return;
        };
        assert_eq!(job.state, JobState::Running, "{id} is rolled back too late");
        let won: Vec<AttemptId> = job.reduces.winners().map(|(part, _)| part).collect();
        for attempt in &won {
            job.reduces.queue(attempt.task.index);
            job.consumed[attempt.task.index as usize] = None;
        }
        let running = job.reduces.running.len();
        if !won.is_empty() {
            job.stats.rollbacks += 1;
        }
        let spent = job.stats.rollbacks > rollbacks_max;
        for attempt in &won {
            self.tell_won(id, attempt.task, None);
        }
        if !self.planted(Bug::RollbackKeepsRunning) {
            self.stop_running(id, TaskKind::Reduce);
        }
        if won.len() + running == 0 {
            return;
        }
        let text = format!(
            "{cause} left other records than the earlier attempt: {} finished and {running} running \
             reduce tasks start again",
            won.len()
        );
        if spent {
            let what = format!(
                "the job is not deterministic, and was rolled back {rollbacks_max} times already: {text}"
            );
            return self.fail_job(id, what, FailReason::Rollbacks, None);
        }
        self.notice(Some(id), NoticeKind::Rollback, text);
    }
}
