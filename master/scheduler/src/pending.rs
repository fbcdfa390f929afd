//! The queue of one phase: tasks that wait for a slot.
//!
//! Tasks that were never tried are a range, so a queue of a million costs nothing. Tasks that come
//! back are grouped by the workers they avoid: whether a group can go anywhere is decided once for all
//! its tasks, hence the cost of a choice grows with the number of distinct groups (few) and never with
//! the number of tasks. Tasks that come back go first: others may wait for them, and a job that is
//! going to fail does so early.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use mapfold_terms::WorkerId;

use crate::task::Avoid;
use crate::workers::Workers;

/// Tasks by index.
#[derive(Debug)]
pub(crate) struct Pending {
    fresh: Range<u32>,
    again: BTreeMap<Avoid, BTreeSet<u32>>,
}

/// A task and where it can go.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) index: u32,
    pub(crate) worker: WorkerId,
    group: Option<Avoid>,
}

impl Pending {
    /// All of `0..tasks`, never tried.
    pub(crate) fn new(tasks: u32) -> Self {
        Self {
            fresh: 0..tasks,
            again: BTreeMap::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.again.is_empty()
    }

    /// A task came back.
    pub(crate) fn push(&mut self, index: u32, avoid: Avoid) {
        let new = self.again.entry(avoid).or_default().insert(index);
        assert!(new, "task {index} was queued twice");
    }

    /// The next task for which a worker has a slot free, and that worker.
    pub(crate) fn choose(&self, workers: &Workers) -> Option<Choice> {
        if !workers.any_free() {
            // While short tasks wait at workers that is so at nearly each event, and there may be a group for each worker.
            return None;
        }
        for (avoid, tasks) in &self.again {
            if let (Some(worker), Some(&index)) = (workers.choose(avoid), tasks.first()) {
                let group = Some(avoid.clone());
                return Some(Choice {
                    index,
                    worker,
                    group,
                });
            }
        }
        if self.fresh.is_empty() {
            return None;
        }
        let worker = workers.choose(&Avoid::default())?;
        Some(Choice {
            index: self.fresh.start,
            worker,
            group: None,
        })
    }

    /// The next task that may wait for a slot at a worker that has none free, and that worker: one never tried, as others are
    /// waited for, while more than `least` of these are left.
    pub(crate) fn choose_ahead(&self, workers: &Workers, least: u32) -> Option<Choice> {
        if self.fresh.len() <= least as usize {
            return None;
        }
        Some(Choice {
            index: self.fresh.start,
            worker: workers.choose_ahead()?,
            group: None,
        })
    }

    /// Takes the chosen task out.
    pub(crate) fn take(&mut self, choice: &Choice) {
        let Some(avoid) = &choice.group else {
            assert_eq!(self.fresh.next(), Some(choice.index));
            return;
        };
        if let Some(tasks) = self.again.get_mut(avoid) {
            tasks.remove(&choice.index);
            if tasks.is_empty() {
                self.again.remove(avoid);
            }
        }
    }

    /// Takes out a task wherever it is. O(tasks never tried) in the worst case, O(log n) for the first of
    /// them.
    pub(crate) fn remove(&mut self, index: u32) {
        if self.fresh.contains(&index) {
            let before = self.fresh.start..index;
            if !before.is_empty() {
                self.again
                    .entry(Avoid::default())
                    .or_default()
                    .extend(before);
            }
            self.fresh.start = index + 1;
            return;
        }
        for tasks in self.again.values_mut() {
            tasks.remove(&index);
        }
        self.again.retain(|_, tasks| !tasks.is_empty());
    }

    /// The sets of workers that queued tasks avoid.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Avoid> {
        self.again.keys()
    }

    /// All queued tasks, in no useful order; O(n), for checks.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.again
            .values()
            .flatten()
            .copied()
            .chain(self.fresh.clone())
    }
}
