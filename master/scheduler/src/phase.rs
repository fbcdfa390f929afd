//! The map tasks or the reduce tasks of one job.

use std::collections::BTreeMap;

use mapfold_terms::{AttemptId, WorkerId};

use crate::PhaseCounts;
use crate::pace::Pace;
use crate::pending::Pending;
use crate::task::{Task, TaskState};

/// Tasks of one kind. Every method costs O(log n) unless it says otherwise.
#[derive(Debug)]
pub(crate) struct Phase {
    pub(crate) tasks: Vec<Task>,
    pub(crate) pending: Pending,
    /// Attempts that run, and where; the tasks' states name the same ones.
    pub(crate) running: BTreeMap<AttemptId, WorkerId>,
    pub(crate) won: usize,
    pub(crate) pace: Pace,
}

impl Phase {
    /// All tasks pending; O(n).
    pub(crate) fn new(tasks: u32) -> Self {
        Self {
            tasks: (0..tasks).map(|_| Task::new()).collect(),
            pending: Pending::new(tasks),
            running: BTreeMap::new(),
            won: 0,
            pace: Pace::default(),
        }
    }

    pub(crate) fn all_won(&self) -> bool {
        self.won == self.tasks.len()
    }

    pub(crate) fn counts(&self) -> PhaseCounts {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        PhaseCounts {
            tasks: count(self.tasks.len()),
            won: count(self.won),
            running: count(self.running.len()),
        }
    }

    pub(crate) fn task(&mut self, index: u32) -> &mut Task {
        &mut self.tasks[index as usize]
    }

    /// The attempt that counts for the task, and who ran it. `None` also if there is no such task.
    pub(crate) fn winner(&self, index: u32) -> Option<(AttemptId, WorkerId)> {
        match self.tasks.get(index as usize)?.state {
            TaskState::Won { attempt, by } => Some((attempt, by)),
            _ => None,
        }
    }

    /// The winners by index; O(n).
    pub(crate) fn winners(&self) -> impl Iterator<Item = (AttemptId, WorkerId)> + '_ {
        self.tasks.iter().filter_map(|task| match task.state {
            TaskState::Won { attempt, by } => Some((attempt, by)),
            _ => None,
        })
    }

    /// Pending to running, or one more attempt at a task that runs.
    pub(crate) fn launch(&mut self, attempt: AttemptId, on: WorkerId) {
        let task = self.task(attempt.task.index);
        match &mut task.state {
            TaskState::Pending => task.state = TaskState::Running(vec![attempt]),
            TaskState::Running(attempts) => {
                attempts.push(attempt);
                assert!(
                    attempts.len() <= Task::RUNNING_MAX,
                    "{attempt} is one too many"
                );
            }
            other => panic!("{attempt} is launched at a task that is {other:?}"),
        }
        task.tries = attempt.number;
        self.running.insert(attempt, on);
    }

    /// Running to pending, unless another attempt runs at the task.
    pub(crate) fn requeue(&mut self, attempt: AttemptId) {
        if self.take_out(attempt) {
            self.queue(attempt.task.index);
        }
    }

    /// Running to waiting, unless another attempt runs at the task; then `false`.
    pub(crate) fn wait(&mut self, attempt: AttemptId) -> bool {
        let alone = self.take_out(attempt);
        if alone {
            self.task(attempt.task.index).state = TaskState::Waiting;
        }
        alone
    }

    /// Waiting, or no longer won, to pending.
    pub(crate) fn queue(&mut self, index: u32) {
        let task = &mut self.tasks[index as usize];
        if matches!(task.state, TaskState::Won { .. }) {
            self.won -= 1;
        }
        task.state = TaskState::Pending;
        self.pending.push(index, task.avoid());
    }

    /// Running to won. Returns the task's other attempts, which are superseded; they must be stopped.
    pub(crate) fn win(&mut self, attempt: AttemptId, by: WorkerId) -> Vec<(AttemptId, WorkerId)> {
        self.running.remove(&attempt);
        let state = TaskState::Won { attempt, by };
        let before = std::mem::replace(&mut self.task(attempt.task.index).state, state);
        let TaskState::Running(attempts) = before else {
            panic!("{attempt} wins a task that does not run: {before:?}");
        };
        self.won += 1;
        attempts
            .into_iter()
            .filter(|other| *other != attempt)
            .filter_map(|other| self.running.remove_entry(&other))
            .collect()
    }

    /// Pending to running, an attempt that was launched by an earlier start of the master. `false`, and
    /// nothing changes, if the task is not pending or does not exist.
    pub(crate) fn adopt(&mut self, attempt: AttemptId, on: WorkerId) -> bool {
        let index = attempt.task.index;
        let Some(task) = self.tasks.get_mut(index as usize) else {
            return false;
        };
        if task.state != TaskState::Pending {
            return false;
        }
        task.state = TaskState::Running(vec![attempt]);
        task.tries = task.tries.max(attempt.number);
        self.pending.remove(index);
        self.running.insert(attempt, on);
        true
    }

    /// To won, as the journal says.
    pub(crate) fn replay_win(&mut self, attempt: AttemptId, by: WorkerId) {
        let Some(task) = self.tasks.get_mut(attempt.task.index as usize) else {
            return;
        };
        let before = std::mem::replace(&mut task.state, TaskState::Won { attempt, by });
        task.tries = task.tries.max(attempt.number);
        if !matches!(before, TaskState::Won { .. }) {
            self.won += 1;
            self.pending.remove(attempt.task.index);
        }
    }

    /// The run of a winner is at another worker, or at the same under another id.
    pub(crate) fn moved(&mut self, index: u32, to: WorkerId) {
        if let TaskState::Won { by, .. } = &mut self.task(index).state {
            *by = to;
        }
    }

    /// Takes an attempt out; `true` if no other runs at its task, whose state the caller must set.
    fn take_out(&mut self, attempt: AttemptId) -> bool {
        self.running.remove(&attempt);
        match &mut self.task(attempt.task.index).state {
            TaskState::Running(attempts) => {
                attempts.retain(|other| *other != attempt);
                attempts.is_empty()
            }
            other => panic!("{attempt} ends at a task that does not run: {other:?}"),
        }
    }
}
