//! One task, and what went wrong with it.

use mapfold_terms::{AttemptId, Failure, WorkerId};

/// A map or reduce task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) state: TaskState,
    /// Attempts so far; the number of the last one.
    pub(crate) tries: u32,
    /// `None` for nearly all tasks.
    pub(crate) trouble: Option<Box<Trouble>>,
}

/// Where a task is. The transitions are drawn in [`crate::scheduler`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TaskState {
    /// In its phase's queue.
    Pending,
    /// A retry timer will queue it.
    Waiting,
    /// Tried by one attempt, or two: [`Task::RUNNING_MAX`]. Never empty.
    Running(Vec<AttemptId>),
    /// Done. A map task's run stays with `by`; a reduce task's part is staged.
    Won {
        /// The one attempt that counts.
        attempt: AttemptId,
        /// Who ran it.
        by: WorkerId,
    },
}

/// What went wrong with a task so far.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// Attempts that failed by the job's fault.
    pub(crate) failed: u32,
    /// The first of those failures, told where it happened.
    pub(crate) first: Option<Failure>,
    /// The last of them as it was reported.
    pub(crate) last: Option<Failure>,
    /// Attempts that failed by a worker's fault.
    pub(crate) faults: u32,
    /// Attempts that a worker stopped without being asked to.
    pub(crate) stops: u32,
    /// Workers on which it failed, or lost its run.
    pub(crate) avoid: Avoid,
    /// Times that a reduce attempt found its run gone while the holder lives.
    pub(crate) run_losses: u32,
}

impl Trouble {
    /// Whether the job's code failed as it did the time before: on the same record, with the same words.
    pub(crate) fn fails_alike(&self, failure: &Failure) -> bool {
        let last = self.last.as_ref().filter(|_| failure.at.is_some());
        last.is_some_and(|last| last.at == failure.at && words(last).eq(words(failure)))
    }
}

/// What was said, without what is another number each time: of a thread, a process, an address.
fn words(failure: &Failure) -> impl Iterator<Item = &str> {
    let lines = failure.chain.iter();
    let words = lines.flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric()));
    words.filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()))
}

/// Workers that a task avoids while there are others; sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Avoid(Vec<WorkerId>);

impl Task {
    /// The second is a backup attempt.
    pub(crate) const RUNNING_MAX: usize = 2;

    pub(crate) fn new() -> Self {
        Self {
            state: TaskState::Pending,
            tries: 0,
            trouble: None,
        }
    }

    /// Notes of what went wrong, made when first needed.
    pub(crate) fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    /// Workers that the task avoids.
    pub(crate) fn avoid(&self) -> Avoid {
        self.trouble
            .as_ref()
            .map(|trouble| trouble.avoid.clone())
            .unwrap_or_default()
    }
}

impl Avoid {
    pub(crate) fn add(&mut self, worker: WorkerId) {
        if let Err(place) = self.0.binary_search(&worker) {
            self.0.insert(place, worker);
        }
    }

    pub(crate) fn has(&self, worker: WorkerId) -> bool {
        self.0.binary_search(&worker).is_ok()
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(WorkerId) -> bool) {
        self.0.retain(|worker| keep(*worker));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = WorkerId> + '_ {
        self.0.iter().copied()
    }
}
