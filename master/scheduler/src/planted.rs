//! Bugs planted on purpose, one named switch each: they show that the simulation can find such bugs.
//! Only tests can switch them on; in every other build [`Scheduler::planted`] is a constant.

use crate::scheduler::Scheduler;

/// A bug that somebody could write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bug {
    /// A map report is taken from anybody at any time: late, repeated, of the dead.
    #[cfg(test)]
    AnyReportAccepted,
    /// Reduce tasks keep what they made of a run that was replaced by a different one.
    NoRollback,
    /// Reduce attempts that run meanwhile are not stopped by a roll-back.
    RollbackKeepsRunning,
    /// A reduce report is taken whatever it consumed.
    ConsumedNotCompared,
    /// A run that cannot be fetched stays the one that counts.
    FetchFailureKeepsRun,
    /// Heartbeats renew the lease and nothing else.
    NoReconciliation,
    /// Nothing is armed when the last worker dies.
    NoGrace,
    /// Reduce attempts keep their slots while they wait for a map task that waits for a slot.
    NoYield,
    /// The winner's report that comes twice looks like that of a run nobody needs.
    RepeatedReportDiscardsRun,
    /// The last worker that can be used is excluded, and nobody is ever tried again.
    LastWorkerExcluded,
    /// A worker that drains is never told to leave.
    NotDismissed,
    /// An attempt that stands still is waited for.
    NoTimeout,
    /// Attempts that were told to stop and never do are not counted.
    LingeringNotCounted,
    /// A restarted master has forgotten which workers are to leave.
    DrainsForgotten,
    /// A worker that dies keeps the map tasks it has won.
    DeadKeepRuns,
    /// A restarted master counts each map task that was won twice.
    ReplayWinsTwice,
    /// A restarted master keeps reduce tasks that were rolled back.
    ReplayWithoutRollback,
    /// A restarted master does not repeat the commit that was cut off.
    CommitForgotten,
    /// A restarted master waits for runs without a bound.
    RunsAwaitedForEver,
    /// A restarted master takes the epoch of the one before.
    #[cfg(test)]
    EpochReused,
    /// What was decided is told before the journal is synced.
    #[cfg(test)]
    ToldBeforeSync,
    /// Lost runs are not recorded.
    #[cfg(test)]
    LossNotRecorded,
    /// Time in which the master did not run counts as silence of its workers.
    GapsCount,
    /// A worker begins an attempt again when its order comes twice.
    #[cfg(test)]
    OrderTakenTwice,
    /// A worker reports once, whether it is heard or not.
    #[cfg(test)]
    ReportsNotRepeated,
    /// A worker writes the part where it is to be, rather than beside it.
    #[cfg(test)]
    PartsNotStaged,
}

impl Scheduler {
    /// Whether a test switched the bug on.
    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the test build reads its switches")]
    pub(crate) const fn planted(&self, _bug: Bug) -> bool {
        false
    }
}

#[cfg(test)]
mod switches {
    use mapfold_terms::{AttemptId, Outcome, TaskId, WorkerId};

    use super::Bug;
    use crate::job::JobState;
    use crate::scheduler::Scheduler;
    use crate::task::TaskState;

    impl Scheduler {
        /// Whether a test switched the bug on.
        pub(crate) fn planted(&self, bug: Bug) -> bool {
            self.planted.contains(&bug)
        }

        /// [`Bug::AnyReportAccepted`]: makes a late map report the winner.
        pub(crate) fn accept_anyway(
            &mut self,
            worker: WorkerId,
            attempt: AttemptId,
            outcome: &Outcome,
        ) -> bool {
            let Outcome::Mapped(report) = outcome else {
                return false;
            };
            let (id, index) = (attempt.job, attempt.task.index);
            let accept = self.planted(Bug::AnyReportAccepted)
                && self
                    .jobs
                    .get(&id)
                    .is_some_and(|job| job.state == JobState::Running);
            if !accept {
                return false;
            }
            let running: Vec<_> = self.jobs[&id]
                .maps
                .running
                .iter()
                .filter(|(other, _)| other.task == attempt.task)
                .map(|(other, on)| (*other, *on))
                .collect();
            for (other, on) in running {
                self.stop(other, on);
                self.requeue(other);
            }
            let job = self.jobs.get_mut(&id).unwrap();
            if let Some((_, holder)) = job.maps.winner(index) {
                self.workers
                    .edit(holder, |worker| worker.drop_run(id, index));
            } else {
                job.maps.pending.remove(index);
                job.maps.won += 1;
            }
            let task = job.maps.task(index);
            task.tries = task.tries.max(attempt.number);
            task.state = TaskState::Won {
                attempt,
                by: worker,
            };
            job.inputs.win(index, report.run.digest);
            self.workers.edit(worker, |worker| {
                worker.held.entry(id).or_default().insert(index)
            });
            self.tell_won(id, TaskId::map(index), Some((attempt, worker)));
            true
        }
    }
}
