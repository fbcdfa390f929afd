//! One job that has not ended.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mapfold_terms::{Digest, InputsDigest, TaskKind, Token};

use crate::inputs::Inputs;
use crate::pending::Choice;
use crate::phase::Phase;
use crate::straggler::Straggler;
use crate::workers::Workers;
use crate::{JobPlan, JobStats};

/// A job between planned and ended.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) state: JobState,
    pub(crate) max_attempts: u32,
    pub(crate) backup: bool,
    pub(crate) task_timeout: Duration,
    /// Attempts that should have a backup, as of the last look through.
    pub(crate) stragglers: BTreeSet<Straggler>,
    pub(crate) maps: Phase,
    pub(crate) reduces: Phase,
    pub(crate) inputs: Inputs,
    /// What the winner of each reduce task consumed.
    pub(crate) consumed: Vec<Option<InputsDigest>>,
    /// What tells the part of each reduce task's winner from another.
    pub(crate) parts: Vec<Option<Digest>>,
    pub(crate) stats: JobStats,
    /// The first token that was not yet issued when a map task last won or lost its run: attempts from it
    /// on saw the present winners only.
    pub(crate) winners_since: Token,
    /// Map tasks that were won before the master started anew and whose runs no worker has brought yet.
    pub(crate) awaited: BTreeSet<u32>,
    /// Map tasks won in a row that were short, up to now.
    pub(crate) short_maps: u32,
    /// Records that may be put aside.
    pub(crate) skip_bad: u32,
    /// How many the winner of each map task put aside, where it is any.
    pub(crate) skipped: BTreeMap<u32, u32>,
    /// Reduce reports that named other inputs than the winners'.
    pub(crate) mismatches: u32,
}

/// Where a job is. One that ended is gone, but for its stats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobState {
    /// Tasks run.
    Running,
    /// The shell puts the output in place.
    Committing {
        /// Somebody asked for its end meanwhile; a commit that succeeds wins over that.
        cancelled: bool,
    },
}

impl Job {
    /// O(tasks).
    pub(crate) fn new(plan: &JobPlan) -> Self {
        Self {
            state: JobState::Running,
            max_attempts: plan.max_attempts.max(1),
            backup: plan.backup,
            task_timeout: plan.task_timeout,
            stragglers: BTreeSet::new(),
            maps: Phase::new(plan.maps),
            reduces: Phase::new(plan.reduces),
            inputs: Inputs::new(plan.maps),
            consumed: vec![None; plan.reduces as usize],
            parts: vec![None; plan.reduces as usize],
            stats: JobStats::default(),
            winners_since: Token::NONE,
            awaited: BTreeSet::new(),
            short_maps: 0,
            skip_bad: plan.skip_bad,
            skipped: BTreeMap::new(),
            mismatches: 0,
        }
    }

    /// The winner of map task `index` put so many records aside. Returns how many are put aside in all, if these are more than
    /// may be.
    pub(crate) fn skip(&mut self, index: u32, skipped: usize) -> Option<u64> {
        match u32::try_from(skipped).unwrap_or(u32::MAX) {
            0 => self.skipped.remove(&index),
            some => self.skipped.insert(index, some),
        };
        self.skipped_too_many()
    }

    /// How many records the winners put aside, if these are more than may be.
    pub(crate) fn skipped_too_many(&self) -> Option<u64> {
        let all = self.skipped.values().copied().map(u64::from).sum();
        (all > u64::from(self.skip_bad)).then_some(all)
    }

    /// Whether map tasks leave parts: it has no reduce tasks, and nobody needs a run.
    pub(crate) fn is_map_only(&self) -> bool {
        self.reduces.tasks.is_empty()
    }

    /// The tasks that leave parts.
    pub(crate) fn last_phase(&self) -> &Phase {
        match self.is_map_only() {
            true => &self.maps,
            false => &self.reduces,
        }
    }

    /// Whether attempts of it run.
    pub(crate) fn is_busy(&self) -> bool {
        !self.maps.running.is_empty() || !self.reduces.running.is_empty()
    }

    pub(crate) fn phase(&self, kind: TaskKind) -> &Phase {
        match kind {
            TaskKind::Map => &self.maps,
            TaskKind::Reduce => &self.reduces,
        }
    }

    pub(crate) fn phase_mut(&mut self, kind: TaskKind) -> &mut Phase {
        match kind {
            TaskKind::Map => &mut self.maps,
            TaskKind::Reduce => &mut self.reduces,
        }
    }

    /// The next task to launch and where. Reduce tasks start only while every map task has a run that a
    /// worker holds.
    pub(crate) fn choose(&self, workers: &Workers) -> Option<(TaskKind, Choice)> {
        if self.state != JobState::Running {
            return None;
        }
        if let Some(choice) = self.maps.pending.choose(workers) {
            return Some((TaskKind::Map, choice));
        }
        if !self.maps.all_won() || !self.awaited.is_empty() {
            return None;
        }
        let choice = self.reduces.pending.choose(workers)?;
        Some((TaskKind::Reduce, choice))
    }
}
