//! The live workers: their slots, what runs there, what they hold.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use mapfold_terms::{AttemptId, JobId, TaskId, WorkerId};

use crate::task::Avoid;
use crate::{Moment, Settings};

/// All live workers, and the ids of the dead.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    live: BTreeMap<WorkerId, Worker>,
    dead: BTreeSet<WorkerId>,
    /// Live workers that can take an attempt: most free slots first, then lowest id.
    free: BTreeSet<(Reverse<u32>, WorkerId)>,
    /// Live workers without a free slot at which attempts may wait: most room first, then lowest id.
    room: BTreeSet<(Reverse<u32>, WorkerId)>,
    /// Attempts that may wait for each slot of a worker.
    ahead_per_slot: u32,
    /// Slots of all live workers.
    slots: u32,
    /// Live workers that can be used.
    usable: usize,
    /// Live workers that are excluded.
    excluded: usize,
    /// Live workers that are to leave.
    pub(crate) draining: BTreeSet<WorkerId>,
    /// How often a worker (second) could not reach a holder of runs (first), since it last had all it needed.
    pub(crate) complaints: BTreeMap<(WorkerId, WorkerId), u32>,
}

/// One live worker.
#[derive(Debug, Default)]
pub(crate) struct Worker {
    pub(crate) slots: u32,
    pub(crate) running: BTreeMap<AttemptId, Launched>,
    /// Attempts that were told to stop, and when; they hold their slot until the worker says that they
    /// ended or no longer lists them.
    pub(crate) stopping: BTreeMap<AttemptId, Moment>,
    /// Map tasks whose winning run it holds.
    pub(crate) held: BTreeMap<JobId, BTreeSet<u32>>,
    /// Orders in a row that it seems not to have taken.
    pub(crate) unconfirmed: u32,
    /// Attempts in a row that failed by its fault.
    pub(crate) faults: u32,
    /// Runs that reduce attempts found to be gone.
    pub(crate) run_losses: u32,
    /// Attempts that stood still and were told to stop; each has a slot until it does.
    pub(crate) stuck: BTreeSet<AttemptId>,
    /// Attempts that should not run, and may still.
    pub(crate) lingering: BTreeMap<AttemptId, Lingering>,
    /// Gets no attempts, after a fault of its own.
    pub(crate) resting: bool,
    /// Gets no attempts, as it does harm.
    pub(crate) excluded: bool,
    /// An attempt here had to have a backup, and none has won in good time since.
    pub(crate) slow: bool,
    /// Gets no attempts, as it is to leave.
    pub(crate) draining: bool,
    /// It was told to leave.
    pub(crate) dismissed: Option<Moment>,
    /// Tells its process, over all its lives.
    pub(crate) process: u128,
    /// When it was heard last.
    pub(crate) heard: Moment,
    /// For how long its attempts could be watched: the times between its beats, of which a long one counts as a short one.
    pub(crate) watched: Duration,
    /// Tasks that failed here and succeeded elsewhere, and how many it has won since the last of them.
    pub(crate) blamed: BTreeSet<(JobId, TaskId)>,
    pub(crate) won_since_blame: u32,
}

/// An attempt that was ordered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launched {
    pub(crate) at: Moment,
    /// A heartbeat has listed it.
    pub(crate) confirmed: bool,
    /// Bytes done, and to do in all, as told last; 0 while not known.
    pub(crate) bytes: u64,
    pub(crate) bytes_total: u64,
    /// Its steps as told last, and for how long its worker had been watched when they grew.
    pub(crate) steps: Option<u64>,
    pub(crate) stepped: Duration,
    /// It was told that it stands still.
    pub(crate) still_told: bool,
    /// It was started beside another attempt of its task.
    pub(crate) backup: bool,
}

/// An attempt that runs although it was told to stop, or that nobody knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lingering {
    /// Its steps as told last, and for how long its worker had been watched when they grew.
    pub(crate) steps: u64,
    pub(crate) stepped: Duration,
    /// After so long without a step its slot counts as lost.
    pub(crate) limit: Duration,
}

impl Launched {
    /// Ordered at `at`, of a worker that has been watched for so long.
    pub(crate) fn new(at: Moment, watched: Duration, backup: bool) -> Self {
        Self {
            at,
            confirmed: false,
            bytes: 0,
            bytes_total: 0,
            steps: None,
            stepped: watched,
            still_told: false,
            backup,
        }
    }
}

impl Worker {
    /// Whether it gets attempts, now or when it has done or rested enough.
    pub(crate) fn is_usable(&self) -> bool {
        !self.excluded && !self.draining && self.stuck.len() < self.slots as usize
    }

    /// Slots for new attempts.
    pub(crate) fn free(&self) -> u32 {
        if self.resting || self.excluded || self.draining {
            return 0;
        }
        self.slots.saturating_sub(self.busy())
    }

    /// Attempts that may come to wait there for a slot; 0 while slots are free.
    fn room(&self, ahead_per_slot: u32) -> u32 {
        if self.resting || self.excluded || self.draining || self.free() > 0 {
            return 0;
        }
        self.most(ahead_per_slot).saturating_sub(self.busy())
    }

    /// Attempts that it may have, those that wait included.
    pub(crate) fn most(&self, ahead_per_slot: u32) -> u32 {
        self.slots.saturating_mul(ahead_per_slot.saturating_add(1))
    }

    /// It was heard. Silence is not watched: attempts may have stood still just because the worker, or the way to it, did.
    pub(crate) fn hear(&mut self, now: Moment, settings: &Settings) {
        let gap = now.0.saturating_sub(self.heard.0);
        self.watched += if gap > settings.gap_max() {
            settings.watch_every()
        } else {
            gap
        };
        self.heard = now;
    }

    /// Slots taken, and attempts that wait for one.
    pub(crate) fn busy(&self) -> u32 {
        u32::try_from(self.running.len() + self.stopping.len()).unwrap_or(u32::MAX)
    }

    /// Forgets that it holds the run of a map task.
    pub(crate) fn drop_run(&mut self, job: JobId, map: u32) {
        if let Some(maps) = self.held.get_mut(&job) {
            maps.remove(&map);
            if maps.is_empty() {
                self.held.remove(&job);
            }
        }
    }
}

impl Workers {
    /// None yet; `ahead_per_slot` attempts may wait for each slot.
    pub(crate) fn new(ahead_per_slot: u32) -> Self {
        Self {
            ahead_per_slot,
            ..Self::default()
        }
    }

    /// Attempts that may wait at a worker for each of its slots.
    pub(crate) fn ahead_per_slot(&self) -> u32 {
        self.ahead_per_slot
    }

    /// A worker joined; `false` (and nothing changes) if the id was seen before.
    pub(crate) fn join(&mut self, id: WorkerId, slots: u32, process: u128, now: Moment) -> bool {
        if self.live.contains_key(&id) || self.dead.contains(&id) {
            return false;
        }
        let worker = Worker {
            slots: slots.max(1),
            process,
            heard: now,
            ..Worker::default()
        };
        self.free.insert((Reverse(worker.free()), id));
        self.slots = self.slots.saturating_add(worker.slots);
        self.usable += 1;
        self.live.insert(id, worker);
        true
    }

    /// Declares a worker dead, for ever; `None` if it is not alive.
    pub(crate) fn bury(&mut self, id: WorkerId) -> Option<Worker> {
        let worker = self.live.remove(&id)?;
        self.free.remove(&(Reverse(worker.free()), id));
        self.usable -= usize::from(worker.is_usable());
        self.excluded -= usize::from(worker.excluded);
        self.draining.remove(&id);
        self.complaints
            .retain(|(holder, reader), _| *holder != id && *reader != id);
        let room = worker.room(self.ahead_per_slot);
        self.room.remove(&(Reverse(room), id));
        self.slots = self
            .iter()
            .fold(0, |sum, (_, worker)| sum.saturating_add(worker.slots));
        self.dead.insert(id);
        Some(worker)
    }

    /// Changes a live worker and keeps the order of free ones. `None` if it is not alive.
    pub(crate) fn edit<T>(
        &mut self,
        id: WorkerId,
        change: impl FnOnce(&mut Worker) -> T,
    ) -> Option<T> {
        let worker = self.live.get_mut(&id)?;
        let ahead = self.ahead_per_slot;
        let before = (worker.free(), worker.room(ahead));
        let (usable, excluded) = (worker.is_usable(), worker.excluded);
        let result = change(worker);
        let after = (worker.free(), worker.room(ahead));
        self.usable -= usize::from(usable);
        self.usable += usize::from(worker.is_usable());
        self.excluded -= usize::from(excluded);
        self.excluded += usize::from(worker.excluded);
        reorder(&mut self.free, id, before.0, after.0);
        reorder(&mut self.room, id, before.1, after.1);
        Some(result)
    }

    /// The worker with most free slots that is not avoided. If every live worker is avoided, none is.
    pub(crate) fn choose(&self, avoid: &Avoid) -> Option<WorkerId> {
        let mut free = self.free.iter().map(|(_, id)| *id);
        if self.all_avoided(avoid) {
            return free.next();
        }
        free.find(|id| !avoid.has(*id))
    }

    /// For a backup: the worker with most free slots of those that are not avoided, even if that leaves none, nor slow, as far as
    /// the first few tell.
    pub(crate) fn choose_other(&self, avoid: &Avoid) -> Option<WorkerId> {
        /// The others are worse places at most by a slot.
        const LOOKED_AT_MAX: usize = 16;
        let free = self.free.iter().map(|(_, id)| *id);
        let mut free = free
            .filter(|id| !avoid.has(*id))
            .take(LOOKED_AT_MAX)
            .peekable();
        let first = free.peek().copied();
        let slow = |id: WorkerId| self.get(id).is_some_and(|worker| worker.slow);
        free.find(|id| !slow(*id)).or(first)
    }

    /// The worker with most room for attempts that wait, of those without a free slot.
    pub(crate) fn choose_ahead(&self) -> Option<WorkerId> {
        self.room.first().map(|(_, id)| *id)
    }

    /// Whether a task that avoids `avoid` may go to the worker.
    pub(crate) fn allowed(&self, avoid: &Avoid, id: WorkerId) -> bool {
        !avoid.has(id) || self.all_avoided(avoid)
    }

    /// Whether no worker is left that can be used and is not avoided.
    pub(crate) fn all_avoided(&self, avoid: &Avoid) -> bool {
        let usable = |id: &WorkerId| self.get(*id).is_some_and(Worker::is_usable);
        avoid.iter().filter(usable).count() == self.usable
    }

    /// Live workers that are excluded.
    pub(crate) fn excluded(&self) -> usize {
        self.excluded
    }

    /// Live workers that can be used.
    pub(crate) fn usable(&self) -> usize {
        self.usable
    }

    /// Whether any slot is free.
    pub(crate) fn any_free(&self) -> bool {
        !self.free.is_empty()
    }

    /// Whether any attempt could go anywhere.
    pub(crate) fn any_open(&self) -> bool {
        !self.free.is_empty() || !self.room.is_empty()
    }

    pub(crate) fn is_live(&self, id: WorkerId) -> bool {
        self.live.contains_key(&id)
    }

    pub(crate) fn get(&self, id: WorkerId) -> Option<&Worker> {
        self.live.get(&id)
    }

    /// Live workers, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (WorkerId, &Worker)> {
        self.live.iter().map(|(id, worker)| (*id, worker))
    }

    /// Slots of all live workers.
    pub(crate) fn slots(&self) -> u32 {
        self.slots
    }

    /// Number of live workers.
    pub(crate) fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether the orders of workers are what the workers say; O(n), for checks.
    pub(crate) fn order_is_exact(&self) -> bool {
        let exact = |of: &dyn Fn(&Worker) -> u32| {
            let places = self.iter().map(|(id, worker)| (Reverse(of(worker)), id));
            places
                .filter(|(Reverse(places), _)| *places > 0)
                .collect::<BTreeSet<_>>()
        };
        let usable = self.iter().filter(|(_, worker)| worker.is_usable());
        let draining = self.iter().filter(|(_, worker)| worker.draining);
        usable.count() == self.usable
            && draining.map(|(id, _)| id).eq(self.draining.iter().copied())
            && exact(&Worker::free) == self.free
            && exact(&|worker| worker.room(self.ahead_per_slot)) == self.room
    }
}

/// Moves a worker to where it belongs in an order by places; one without places is not in it.
fn reorder(order: &mut BTreeSet<(Reverse<u32>, WorkerId)>, id: WorkerId, before: u32, after: u32) {
    if before == after {
        return;
    }
    order.remove(&(Reverse(before), id));
    if after > 0 {
        order.insert((Reverse(after), id));
    }
}
