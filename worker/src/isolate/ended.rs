//! The ways in which the process of an attempt ends for the job's code: by itself, or because it stood still for too long.

use std::time::Duration;

use mapfold_terms::{FailClass, Failure, roughly};

use super::child::{SlotChild, told_end};

/// A child that is to show whether some records kill it may be silent for so long, and all of them together may take so long.
const DIE_MAX: Duration = Duration::from_secs(10);
const SEARCH_MAX: Duration = Duration::from_secs(20);
/// One that is to show whether it stands still at a record has a quarter of the time that an attempt has, within these. Two of them are waited for;
/// their work before that record is bounded as well.
const STAND_SHARE: u32 = 4;
const STAND_LEAST: Duration = Duration::from_secs(2);
const STAND_MOST: Duration = Duration::from_secs(30);
/// An attempt has so much longer than `--task-timeout` says: a program of a streaming job has just that time, and is told of by its job, which knows
/// more of it. The master waits longer still.
const GRACE_SHARE: u32 = 16;
const GRACE_LEAST: Duration = Duration::from_millis(500);

/// The process of an attempt has ended.
pub(super) struct Ended {
    pub(super) failure: Failure,
    pub(super) how: How,
    /// Whether the job had been made.
    pub(super) begun: bool,
    /// It had done so many records for sure.
    pub(super) done: u64,
}

/// How it came to that.
#[derive(Clone, Copy)]
pub(super) enum How {
    /// The job's code has ended it.
    Died,
    /// The job's code did not come back, and it was killed.
    StoodStill {
        /// The time that it had.
        limit: Duration,
    },
}

impl How {
    /// How long a child may be silent that is to do it again.
    pub(super) fn trial_max(self) -> Duration {
        match self {
            Self::Died => DIE_MAX,
            Self::StoodStill { limit } => (limit / STAND_SHARE).clamp(STAND_LEAST, STAND_MOST),
        }
    }

    /// How long the children may take in all.
    pub(super) fn search_max(self) -> Duration {
        match self {
            Self::Died => SEARCH_MAX,
            Self::StoodStill { .. } => SEARCH_MAX + self.trial_max() * 4,
        }
    }
}

/// When a process of that limit is killed, if nothing was heard of it.
pub(super) fn killed_after(limit: Duration) -> Duration {
    limit + (limit / GRACE_SHARE).max(GRACE_LEAST)
}

/// The job's code has not come back.
pub(super) fn stood_still(limit: Duration, begun: bool) -> Failure {
    let mut chain = vec![format!(
        "the attempt's process made no progress for {} and was killed",
        roughly(limit)
    )];
    if !begun {
        chain.push("the job was not made yet".to_owned());
    }
    Failure {
        class: FailClass::Job,
        chain,
        at: None,
        hint: Some(
            "--task-timeout sets how long an attempt may stand still, 0 is for ever; a job that takes longer over a record or a key can say that it goes on (`out.attempt().progress()`)"
                .to_owned(),
        ),
        backtrace: None,
    }
}

/// The job's code has ended its process.
pub(super) fn died(child: SlotChild) -> Failure {
    let (status, words) = child.post_mortem();
    let mut chain = vec![format!("the attempt's process {}", told_end(status))];
    let lines: Vec<&str> = words.lines().collect();
    let starved = lines
        .iter()
        .any(|line| line.contains("memory allocation of"));
    match lines.as_slice() {
        [] => {}
        [line] => chain.push(format!("it said: {line}")),
        lines => chain.push(format!("it said last:\n{}", lines.join("\n"))),
    }
    Failure {
        class: FailClass::Job,
        chain,
        at: None,
        hint: starved.then(|| {
            "an attempt's process may have twice its share of --memory, and 256 MiB".to_owned()
        }),
        backtrace: words.into_stack(),
    }
}
