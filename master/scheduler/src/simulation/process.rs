//! A worker process: runs attempts, keeps runs, beats, reports until it is heard.

use std::collections::{BTreeMap, BTreeSet};

use mapfold_terms::{
    AttemptId, FailClass, FetchCause, FetchFailure, MasterEpoch, Outcome, Progress, TaskKind,
    WorkerId,
};

use super::oracle::{Part, Run};
use super::world::{FAULTS_END, Message, Own, Reply, World};
use crate::Winner;
use crate::planted::Bug;
use crate::script::{failure, mapped, mapped_to_part, reduced};

const BEAT_EVERY: u64 = 75;
const RESEND_EVERY: u64 = 100;
/// The worker's own idea of its lease, counted from the sending of a heartbeat.
const LEASE: u64 = 300;
/// How long a fetch tries to reach a holder.
const FETCH_TIMEOUT: u64 = 50;

#[derive(Debug)]
pub(super) struct Process {
    pub(super) slots: u32,
    pub(super) down: bool,
    /// Grows with every crash and every rejoin: events of an earlier life are void.
    pub(super) life: u64,
    /// Grows with every crash: the next process is another one.
    crashes: u64,
    pub(super) stalled_until: u64,
    pub(super) cut_until: u64,
    /// The id it acts under.
    pub(super) id: Option<WorkerId>,
    /// The start of the master that gave it its id, or its last one.
    epoch: Option<MasterEpoch>,
    /// It brings its runs to another start of the master, which gave it this id.
    attaching: Option<(WorkerId, MasterEpoch)>,
    /// All ids it ever had, and the life each stands for.
    pub(super) life_of: BTreeMap<WorkerId, u64>,
    /// When the last order arrives, as orders keep their sequence.
    pub(super) orders_at: u64,
    heard_at: u64,
    running: BTreeMap<AttemptId, Work>,
    /// When what runs was begun, and when its present step will be done; never, of one whose code loops for ever.
    steps: BTreeMap<AttemptId, (u64, Option<u64>)>,
    /// Reports that were not answered yet.
    ended: BTreeMap<AttemptId, Outcome>,
    /// Attempts that it was ever told about: each is executed at most once.
    seen: BTreeSet<AttemptId>,
    runs: BTreeMap<AttemptId, Run>,
    damaged: BTreeSet<AttemptId>,
}

/// How far an attempt is.
#[derive(Debug)]
enum Work {
    Map,
    Reduce(Gather),
    /// A reduce attempt writes its part.
    Stage(Part),
}

/// A reduce attempt that takes one run after the other.
#[derive(Debug)]
struct Gather {
    left: Vec<u32>,
    located: BTreeMap<u32, Winner>,
    part: Part,
    /// How often it will still ask for a run that is not there; then it stops.
    patience: u32,
}

impl Process {
    pub(super) fn new(slots: u32) -> Self {
        Self {
            slots,
            down: false,
            life: 0,
            crashes: 0,
            stalled_until: 0,
            cut_until: 0,
            id: None,
            epoch: None,
            attaching: None,
            life_of: BTreeMap::new(),
            orders_at: 0,
            heard_at: 0,
            running: BTreeMap::new(),
            steps: BTreeMap::new(),
            ended: BTreeMap::new(),
            seen: BTreeSet::new(),
            runs: BTreeMap::new(),
            damaged: BTreeSet::new(),
        }
    }

    /// Ends the process with all it has; returns the id it had.
    pub(super) fn crash(&mut self) -> Option<WorkerId> {
        self.forget_all();
        self.stalled_until = 0;
        self.down = true;
        self.crashes += 1;
        self.id.take()
    }

    /// What tells it from others, in all its lives; it is the process at this place.
    pub(super) fn number(&self, place: usize) -> u128 {
        1 + place as u128 + 100 * u128::from(self.crashes)
    }

    /// The id under which it speaks.
    pub(super) fn speaks_as(&self) -> WorkerId {
        let attaching = self.attaching.map(|(id, _)| id);
        self.id.or(attaching).unwrap_or(WorkerId(0))
    }

    fn forget_all(&mut self) {
        self.life += 1;
        self.epoch = None;
        self.attaching = None;
        self.running.clear();
        self.steps.clear();
        self.ended.clear();
        self.seen.clear();
        self.runs.clear();
        self.damaged.clear();
    }

    /// It believes that it has heard nothing for longer than its lease.
    pub(super) fn jump_clock(&mut self) {
        self.heard_at = self.heard_at.saturating_sub(2 * LEASE);
    }

    pub(super) fn lose_run(&mut self, n: u64) {
        if let Some(run) = self.any_run(n) {
            self.runs.remove(&run);
        }
    }

    pub(super) fn lose_all_runs(&mut self) {
        self.runs.clear();
    }

    pub(super) fn damage_run(&mut self, n: u64) {
        if let Some(run) = self.any_run(n) {
            self.damaged.insert(run);
        }
    }

    fn any_run(&self, n: u64) -> Option<AttemptId> {
        let len = u64::try_from(self.runs.len()).unwrap().max(1);
        self.runs
            .keys()
            .nth(usize::try_from(n % len).unwrap())
            .copied()
    }

    /// Attempts whose code loops for ever.
    fn looping(&self) -> BTreeSet<AttemptId> {
        let loops = self.running.keys().filter(|it| self.loops(**it));
        loops.copied().collect()
    }

    fn loops(&self, attempt: AttemptId) -> bool {
        self.running.contains_key(&attempt) && matches!(self.steps.get(&attempt), Some((_, None)))
    }

    /// How far its attempts are: all but those that loop go on steadily.
    fn progress(&self, now: u64) -> Vec<Progress> {
        let of = |attempt: &AttemptId| {
            let (began, until) = self.steps.get(attempt).copied().unwrap_or((now, None));
            let bytes_total = until.map_or(1_000, |until| until.max(now) - began + 1);
            let gone = now - began;
            Progress {
                attempt: *attempt,
                records: 0,
                bytes: until.map_or(10, |_| gone),
                bytes_total,
                steps: until.map_or(1, |_| gone + 1),
            }
        };
        self.running.keys().map(of).collect()
    }

    fn holds(&self) -> BTreeSet<AttemptId> {
        self.running
            .keys()
            .chain(self.ended.keys())
            .copied()
            .collect()
    }
}

impl World {
    /// A process does what it planned to do.
    pub(super) fn act(&mut self, process: usize, own: Own) {
        match own {
            Own::Join => self.join(process),
            Own::Beat => self.beat(process),
            Own::Resend => {
                let state = &self.processes[process];
                let silent = self.scheduler.planted(Bug::ReportsNotRepeated);
                let heard = state.id.filter(|_| !silent);
                let ended = heard.map(|_| state.ended.clone());
                for (attempt, outcome) in ended.unwrap_or_default() {
                    self.send(
                        process,
                        &Message::Ended {
                            attempt,
                            outcome: Box::new(outcome),
                        },
                    );
                }
                self.own(process, Own::Resend, RESEND_EVERY);
            }
            Own::Step(attempt) => self.step(process, attempt),
        }
    }

    /// A process is told something.
    pub(super) fn told(&mut self, process: usize, reply: Reply) {
        let now = self.now;
        let state = &mut self.processes[process];
        match reply {
            Reply::Joined(id, epoch) => self.joined(process, id, epoch),
            Reply::AttachHeard(id) => {
                if let Some((_, epoch)) = state.attaching.take_if(|(new, _)| *new == id) {
                    state.id = Some(id);
                    state.epoch = Some(epoch);
                    state.heard_at = now;
                }
            }
            Reply::BeatHeard { sent } => state.heard_at = state.heard_at.max(sent),
            Reply::EndHeard(attempt) => {
                state.ended.remove(&attempt);
            }
            Reply::Refused(id) => {
                if state.speaks_as() == id {
                    (state.id, state.attaching) = (None, None);
                    let after = self.rng.range(1, 20);
                    self.own(process, Own::Join, after);
                }
            }
            Reply::Launch(attempt) => self.launch(process, attempt),
            Reply::Cancel(attempt) => {
                state.seen.insert(attempt);
                if !state.loops(attempt) && state.running.remove(&attempt).is_some() {
                    self.report(process, attempt, Outcome::Cancelled);
                }
            }
            Reply::Discard(attempt) => {
                state.runs.remove(&attempt);
            }
            Reply::Stop => self.leave(process),
            Reply::Forget(job) => {
                state
                    .seen
                    .extend(state.running.keys().filter(|a| a.job == job));
                let loops: BTreeSet<AttemptId> = state.looping();
                state
                    .running
                    .retain(|attempt, _| attempt.job != job || loops.contains(attempt));
                state.ended.retain(|attempt, _| attempt.job != job);
                state.runs.retain(|attempt, _| attempt.job != job);
            }
        }
    }

    /// Says that it is there: as a new worker, or as one that another start of the master may know.
    fn join(&mut self, process: usize) {
        let state = &mut self.processes[process];
        if state.id.is_some() {
            return;
        }
        if state.attaching.is_some() {
            let runs = state.runs.iter().map(|(run, held)| (*run, held.digest()));
            let runs = runs.collect();
            self.send(process, &Message::Attach(runs));
            return self.own(process, Own::Join, 100);
        }
        // Attempts that stopped for want of a master are nobody's business.
        state.ended.retain(|_, end| *end != Outcome::Cancelled);
        let returning = state.epoch.map(|epoch| (epoch, state.holds()));
        self.send(process, &Message::Join { returning });
        self.own(process, Own::Join, 200);
    }

    /// Answers to a join that was repeated name workers that never act; their leases run out.
    fn joined(&mut self, process: usize, id: WorkerId, epoch: MasterEpoch) {
        let now = self.now;
        let state = &mut self.processes[process];
        if state.id.is_some() || state.attaching.is_some() {
            return;
        }
        match state.epoch {
            None => {
                state.id = Some(id);
                state.epoch = Some(epoch);
                state.heard_at = now;
                self.own(process, Own::Beat, 1);
                self.own(process, Own::Resend, RESEND_EVERY);
            }
            // This very master has declared it dead: it drops everything and begins a new life.
            Some(before) if before == epoch => {
                state.forget_all();
                self.own(process, Own::Join, 1);
            }
            Some(_) => {
                state.attaching = Some((id, epoch));
                self.own(process, Own::Join, 1);
            }
        }
    }

    fn beat(&mut self, process: usize) {
        let state = &self.processes[process];
        if self.now - state.heard_at > LEASE {
            // Its lease ran out: it stops what it does, and goes on if the master has not given it up.
            let loops = state.looping();
            let stoppable = state.running.keys().filter(|it| !loops.contains(it));
            for attempt in stoppable.copied().collect::<Vec<_>>() {
                self.report(process, attempt, Outcome::Cancelled);
            }
        }
        let holds = self.processes[process].holds();
        let sent = self.now;
        if self.processes[process].id.is_some() {
            let progress = self.processes[process].progress(sent);
            let beat = Message::Beat {
                holds,
                progress,
                sent,
            };
            self.send(process, &beat);
        }
        self.own(process, Own::Beat, BEAT_EVERY);
    }

    fn launch(&mut self, process: usize, attempt: AttemptId) {
        let seen = !self.processes[process].seen.insert(attempt);
        if seen && !self.scheduler.planted(Bug::OrderTakenTwice) {
            return;
        }
        let begun = self.begun.entry(attempt).or_default();
        *begun += 1;
        if *begun > 1 && self.invariants {
            self.wrong = Some(format!("{attempt} was begun twice"));
        }
        let work = match attempt.task.kind {
            TaskKind::Map => Work::Map,
            TaskKind::Reduce => self.begin_reduce(attempt),
        };
        self.processes[process].running.insert(attempt, work);
        let straggles = self.rng.chance(3);
        let after = self.rng.range(10, if straggles { 1_500 } else { 250 });
        let now = self.now;
        if self.may_loop(process, attempt) {
            self.note(&format!("{attempt} loops"));
            self.looped.insert(attempt);
            self.processes[process].steps.insert(attempt, (now, None));
            return;
        }
        let step = (now, Some(now + after));
        self.processes[process].steps.insert(attempt, step);
        self.own(process, Own::Step(attempt), after);
    }

    /// Whether the code of an attempt never comes back: seldom, where there is a limit, and more seldom so that a process has no slot left.
    fn may_loop(&mut self, process: usize, attempt: AttemptId) -> bool {
        let state = &self.processes[process];
        let limit = self.jobs[&attempt.job].function.plan.task_timeout;
        let spares = state.slots > 1 && state.looping().is_empty();
        let once = self.looped.iter().all(|it| it.job != attempt.job);
        let may = self.now < FAULTS_END && !limit.is_zero() && once;
        may && self.rng.chance(2) && (spares || self.rng.chance(30))
    }

    fn begin_reduce(&mut self, attempt: AttemptId) -> Work {
        let maps = self.jobs[&attempt.job].function.plan.maps;
        let mut left: Vec<u32> = (0..maps).collect();
        for i in (1..left.len()).rev() {
            left.swap(i, self.rng.index(i + 1));
        }
        let mut located = BTreeMap::new();
        if self.rng.chance(50) && !self.master_down {
            let winner = |map| Some((map, self.scheduler.winner(attempt.job, map)?));
            located = (0..maps).filter_map(winner).collect();
        }
        Work::Reduce(Gather {
            left,
            located,
            part: Part::default(),
            patience: if self.rng.chance(50) { 5 } else { u32::MAX },
        })
    }

    /// An attempt does its next step.
    fn step(&mut self, process: usize, attempt: AttemptId) {
        let Some(work) = self.processes[process].running.remove(&attempt) else {
            return;
        };
        if let Some(outcome) = self.fails(attempt) {
            return self.report(process, attempt, outcome);
        }
        match work {
            Work::Map => {
                let time = self.begun[&attempt];
                let function = &self.jobs[&attempt.job].function;
                let run = function.map(attempt, time);
                let digest = run.digest();
                if function.plan.reduces == 0 {
                    self.staged
                        .insert(attempt, run.into_part(attempt.task.index));
                    return self.report(process, attempt, mapped_to_part(digest));
                }
                self.processes[process].runs.insert(attempt, run);
                self.report(process, attempt, mapped(digest));
            }
            Work::Reduce(gather) => self.fetch(process, attempt, gather),
            Work::Stage(part) => {
                let runs = part.0.iter().map(|(map, consumed)| (*map, consumed.digest));
                let outcome = reduced(runs);
                if self.scheduler.planted(Bug::PartsNotStaged) {
                    let place = (attempt.job, attempt.task);
                    self.shown.insert(place, part.clone());
                }
                self.staged.insert(attempt, part);
                self.report(process, attempt, outcome);
            }
        }
    }

    /// Takes one run, or finds out why it cannot.
    fn fetch(&mut self, process: usize, attempt: AttemptId, mut gather: Gather) {
        let mut after = self.rng.range(2, 40);
        let Some(&map) = gather.left.last() else {
            let stage = Work::Stage(gather.part);
            self.processes[process].running.insert(attempt, stage);
            return self.own(process, Own::Step(attempt), after);
        };
        let cut = self.master_down || self.now < self.processes[process].cut_until;
        let me = self.processes[process].id;
        let heard = !cut && me.is_some_and(|id| self.scheduler.is_live(id));
        if heard && !gather.located.contains_key(&map) {
            let winner = self.scheduler.winner(attempt.job, map);
            gather.located.extend(winner.map(|winner| (map, winner)));
            if winner.is_none() && gather.patience == 0 {
                return self.report(process, attempt, Outcome::Cancelled);
            }
            gather.patience -= u32::from(winner.is_none());
        }
        if let Some(winner) = gather.located.get(&map).copied() {
            match self.read_run(process, attempt, winner) {
                Ok(run) => {
                    gather.part.0.insert(map, run);
                    gather.left.pop();
                }
                Err(cause) => {
                    let current = self.scheduler.winner(attempt.job, map);
                    if cut || current == Some(winner) || self.rng.chance(50) {
                        let outcome = Outcome::FetchFailed(FetchFailure {
                            map: winner.attempt,
                            holder: winner.holder,
                            cause,
                            message: String::new(),
                        });
                        return self.report(process, attempt, outcome);
                    }
                    gather.located.remove(&map);
                    after += FETCH_TIMEOUT;
                }
            }
        }
        let work = Work::Reduce(gather);
        self.processes[process].running.insert(attempt, work);
        self.own(process, Own::Step(attempt), after);
    }

    fn read_run(
        &self,
        process: usize,
        attempt: AttemptId,
        winner: Winner,
    ) -> Result<super::oracle::Consumed, FetchCause> {
        let here = |p: &Process| p.life_of.get(&winner.holder) == Some(&p.life) && !p.down;
        let holder = self.processes.iter().position(here);
        let holder = holder.ok_or(FetchCause::Unreachable)?;
        let pair = (process.min(holder), process.max(holder));
        let cut = self
            .cut_pairs
            .get(&pair)
            .is_some_and(|until| self.now < *until);
        let state = &self.processes[holder];
        if holder != process && (cut || self.now < state.stalled_until) {
            return Err(FetchCause::Unreachable);
        }
        let run = state
            .runs
            .get(&winner.attempt)
            .ok_or(FetchCause::NotFound)?;
        if state.damaged.contains(&winner.attempt) {
            return Err(FetchCause::Corrupt);
        }
        Ok(run.partition(attempt.task.index))
    }

    /// While faults last, user code and workers fail now and then, fewer times than a job can bear.
    fn fails(&mut self, attempt: AttemptId) -> Option<Outcome> {
        if self.now > FAULTS_END || !self.rng.chance(2) {
            return None;
        }
        let failures = self
            .failures
            .entry((attempt.job, attempt.task))
            .or_default();
        *failures += 1;
        if *failures > 3 {
            return None;
        }
        Some(match self.rng.range(0, 4) {
            0 => Outcome::Failed(failure(FailClass::Space, "no space")),
            1 => Outcome::Cancelled,
            _ => Outcome::Failed(failure(FailClass::Job, "panicked")),
        })
    }

    /// An attempt has ended: reports it until that is heard.
    fn report(&mut self, process: usize, attempt: AttemptId, outcome: Outcome) {
        let state = &mut self.processes[process];
        state.running.remove(&attempt);
        state.ended.insert(attempt, outcome.clone());
        if state.id.is_some() {
            self.send(
                process,
                &Message::Ended {
                    attempt,
                    outcome: Box::new(outcome),
                },
            );
        }
    }
}
