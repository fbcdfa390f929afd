//! What the winning attempts of a job did, and how far its running ones are.
//!
//! Every sum is over the tasks' winners, so it is the same on every run of a job, however often tasks
//! were tried or lost. The scheduler decides who wins; this only keeps what winners reported. Of a map
//! task whose run was lost the report is kept until another wins: a job commits without waiting for
//! that if all its reduce tasks had consumed the run before.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use mapfold_scheduler::JobStats;
use mapfold_terms::{
    AttemptId, AttemptStatus, ByteSize, Counters, FailClass, FailedAttempt, Failure, JobEnd,
    JobReport, MapReport, PartitionId, PhaseStatus, Plan, Progress, ReduceReport, RunSummary,
    Skipped, Staged, TaskId, TaskKind, TaskTiming, WorkerId,
};
use tokio::time::Instant;

use crate::trim::trim_tight;

/// Tasks and partitions that a report names.
const NAMED_MAX: usize = 5;

/// Named outputs that a report tells of; the manifest has all.
const OUTPUTS_MAX: usize = 64;

/// One task's winner and what it reported.
#[derive(Debug)]
struct Win<R> {
    attempt: AttemptId,
    worker: WorkerId,
    report: R,
    /// Whether it was lost, and nobody has won since.
    lost: bool,
}

/// What an attempt that ended well reported, until the scheduler says whether it won.
#[derive(Clone, Debug)]
pub(crate) enum Reported {
    /// A map attempt.
    Mapped(MapReport),
    /// A reduce attempt.
    Reduced(ReduceReport),
}

/// An attempt that was ordered and has not ended.
#[derive(Debug)]
struct Running {
    on: WorkerId,
    since: Instant,
    records: u64,
    bytes: u64,
    /// The last status.
    said: String,
}

/// All of one job.
#[derive(Debug)]
pub(crate) struct Tally {
    maps: Vec<Option<Win<MapReport>>>,
    reduces: Vec<Option<Win<ReduceReport>>>,
    map_sum: Sum,
    reduce_sum: Sum,
    running: BTreeMap<AttemptId, Running>,
    /// Which attempt had news of itself last.
    said_last: Option<AttemptId>,
    /// The report that the scheduler is judging, and what its attempt took.
    reported: Option<(AttemptId, Reported, Duration)>,
    /// Of slots, in attempts that came to nothing.
    time_lost: Duration,
    /// The first that failed by the job's fault, and the last.
    failed: Vec<FailedAttempt>,
    times: Times,
}

impl<R> Win<R> {
    fn new(attempt: AttemptId, worker: WorkerId, report: R) -> Self {
        Self {
            attempt,
            worker,
            report,
            lost: false,
        }
    }

    /// What is to be taken out of the sums, if the task had a winner.
    fn lose(win: &mut Option<Self>) -> Option<&R> {
        let win = win.as_mut().filter(|win| !win.lost)?;
        win.lost = true;
        Some(&win.report)
    }
}

/// Sums over one phase's winners, kept up to date because each status shows them. They wrap, so that a
/// worker that counts nonsense harms nothing but the display.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    won: u32,
    records: u64,
    bytes: u64,
    /// Of the runs that map winners left.
    run_bytes: u64,
}

/// What a report adds to the sums of its phase.
trait Counted {
    /// Records, bytes, bytes of runs.
    fn counted(&self) -> (u64, u64, u64);
}

impl Counted for MapReport {
    fn counted(&self) -> (u64, u64, u64) {
        (self.records_in, self.bytes_in, self.run.bytes)
    }
}

impl Counted for ReduceReport {
    fn counted(&self) -> (u64, u64, u64) {
        (self.records_in, self.fetched.bytes(), 0)
    }
}

impl Sum {
    fn add(&mut self, report: &impl Counted) {
        let (records, bytes, run_bytes) = report.counted();
        self.won += 1;
        self.records = self.records.wrapping_add(records);
        self.bytes = self.bytes.wrapping_add(bytes);
        self.run_bytes = self.run_bytes.wrapping_add(run_bytes);
    }

    fn subtract(&mut self, report: &impl Counted) {
        let (records, bytes, run_bytes) = report.counted();
        self.won -= 1;
        self.records = self.records.wrapping_sub(records);
        self.bytes = self.bytes.wrapping_sub(bytes);
        self.run_bytes = self.run_bytes.wrapping_sub(run_bytes);
    }

    fn status(self, tasks: u32, bytes_total: u64) -> PhaseStatus {
        PhaseStatus {
            tasks,
            done: self.won,
            running: 0,
            records: self.records,
            bytes: self.bytes,
            bytes_total,
        }
    }
}

/// When things happened first or last.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    first_order: Option<Instant>,
    maps_done: Option<Instant>,
    reduces_done: Option<Instant>,
}

impl Tally {
    /// Nothing has happened yet.
    pub(crate) fn new(maps: usize, reduces: usize) -> Self {
        Self {
            maps: std::iter::repeat_with(|| None).take(maps).collect(),
            reduces: std::iter::repeat_with(|| None).take(reduces).collect(),
            map_sum: Sum::default(),
            reduce_sum: Sum::default(),
            running: BTreeMap::new(),
            said_last: None,
            reported: None,
            time_lost: Duration::ZERO,
            failed: Vec::new(),
            times: Times::default(),
        }
    }

    /// An attempt was ordered.
    pub(crate) fn launched(&mut self, attempt: AttemptId, on: WorkerId, now: Instant) {
        self.times.first_order.get_or_insert(now);
        if self.maps.is_empty() {
            self.times.maps_done.get_or_insert(now);
        }
        let running = Running {
            on,
            since: now,
            records: 0,
            bytes: 0,
            said: String::new(),
        };
        self.running.insert(attempt, running);
    }

    /// An attempt no longer runs, as far as the master cares.
    pub(crate) fn stopped(&mut self, attempt: AttemptId) {
        if let Some(stopped) = self.running.remove(&attempt) {
            self.time_lost += stopped.since.elapsed();
        }
    }

    /// All attempts of a worker no longer run.
    pub(crate) fn worker_gone(&mut self, worker: WorkerId) {
        let gone = self
            .running
            .extract_if(.., |_, running| running.on == worker);
        self.time_lost += gone
            .map(|(_, running)| running.since.elapsed())
            .sum::<Duration>();
    }

    /// A running attempt has come this far. Returns whether that is news.
    pub(crate) fn progressed(&mut self, worker: WorkerId, progress: &Progress) -> bool {
        match self.running.get_mut(&progress.attempt) {
            Some(running) if running.on == worker => {
                let before = (running.records, running.bytes);
                running.records = running.records.max(progress.records);
                running.bytes = running.bytes.max(progress.bytes);
                before != (running.records, running.bytes)
            }
            _ => false,
        }
    }

    /// A running attempt says this of itself. Returns whether that is news.
    pub(crate) fn said(&mut self, worker: WorkerId, said: &AttemptStatus) -> bool {
        let end = said.text.floor_char_boundary(AttemptStatus::TEXT_MAX);
        match self.running.get_mut(&said.attempt) {
            Some(running) if running.on == worker && running.said != said.text[..end] => {
                running.said = said.text[..end].to_owned();
                self.said_last = Some(said.attempt);
                true
            }
            _ => false,
        }
    }

    /// The newest status, if its attempt still runs.
    pub(crate) fn newest_said(&self) -> Option<AttemptStatus> {
        let attempt = self.said_last?;
        let text = self.running.get(&attempt)?.said.clone();
        Some(AttemptStatus { attempt, text })
    }

    /// An attempt reports its end; if it ended well, whether it wins is told by [`Tally::won`] before the
    /// next report, or never.
    pub(crate) fn judged(
        &mut self,
        worker: WorkerId,
        attempt: AttemptId,
        reported: Option<Reported>,
    ) {
        if let Some((_, _, took)) = self.reported.take() {
            self.time_lost += took;
        }
        let ours = self.running.get(&attempt).is_some_and(|it| it.on == worker);
        let ended = ours.then(|| self.running.remove(&attempt)).flatten();
        let took = ended.map_or(Duration::ZERO, |it| it.since.elapsed());
        match reported {
            Some(reported) => self.reported = Some((attempt, reported, took)),
            None => self.time_lost += took,
        }
    }

    /// A running attempt ends with a failure; to be told before [`Tally::judged`].
    pub(crate) fn failed(&mut self, worker: WorkerId, attempt: AttemptId, failure: &Failure) {
        let ours = self.running.get(&attempt).is_some_and(|it| it.on == worker);
        if ours && failure.class == FailClass::Job {
            // The newest is always there: it is the one that fails the job, if it fails.
            self.failed.truncate(FailedAttempt::MAX - 1);
            self.failed.push(FailedAttempt {
                attempt,
                worker,
                failure: trim_tight(failure.clone()),
            });
        }
    }

    /// The scheduler made `attempt`, which has just reported, the winner of its task.
    pub(crate) fn won(&mut self, attempt: AttemptId, worker: WorkerId, now: Instant) {
        let place = attempt.task.index as usize;
        match self.reported.take() {
            Some((of, Reported::Mapped(report), _)) if of == attempt && place < self.maps.len() => {
                self.map_sum.add(&report);
                if self.map_sum.won as usize == self.maps.len() {
                    self.times.maps_done = Some(now);
                    if self.reduces.is_empty() {
                        self.times.reduces_done = Some(now);
                    }
                }
                self.maps[place] = Some(Win::new(attempt, worker, report));
            }
            Some((of, Reported::Reduced(report), _))
                if of == attempt && place < self.reduces.len() =>
            {
                self.reduce_sum.add(&report);
                if self.reduce_sum.won as usize == self.reduces.len() {
                    self.times.reduces_done = Some(now);
                }
                self.reduces[place] = Some(Win::new(attempt, worker, report));
            }
            _ => tracing::error!(%attempt, "a task was won without a report"),
        }
    }

    /// A task was won before the master started anew. The order of calls is that of events then: a map task that is won with other
    /// records than before rolls back the reduce tasks.
    pub(crate) fn restore(&mut self, attempt: AttemptId, worker: WorkerId, reported: Reported) {
        let now = Instant::now();
        if let Reported::Mapped(report) = &reported {
            let before = self.maps.get(attempt.task.index as usize);
            let before = before.and_then(|win| Some(win.as_ref()?.report.run.digest));
            if before.is_some_and(|digest| digest != report.run.digest) {
                let reduces = 0..length(&self.reduces);
                reduces.for_each(|index| self.lost(TaskId::reduce(index)));
            }
        }
        self.lost(attempt.task);
        self.time_lost = Duration::ZERO;
        self.times.first_order.get_or_insert(now);
        self.reported = Some((attempt, reported, Duration::ZERO));
        self.won(attempt, worker, now);
    }

    /// The winner of a map task: who ran it, and what it reported.
    pub(crate) fn map_win(&self, map: usize) -> Option<(WorkerId, &MapReport)> {
        let win = self.maps.get(map)?.as_ref()?;
        Some((win.worker, &win.report))
    }

    /// The same of a reduce task.
    pub(crate) fn reduce_win(&self, reduce: usize) -> Option<(WorkerId, &ReduceReport)> {
        let win = self.reduces.get(reduce)?.as_ref()?;
        Some((win.worker, &win.report))
    }

    /// The run of a winner is at this worker.
    pub(crate) fn moved(&mut self, attempt: AttemptId, at: WorkerId) {
        let win = self.maps.get_mut(attempt.task.index as usize);
        if let Some(win) = win.and_then(Option::as_mut)
            && win.attempt == attempt
        {
            win.worker = at;
        }
    }

    /// The task has no winner any more.
    pub(crate) fn lost(&mut self, task: TaskId) {
        let place = task.index as usize;
        match task.kind {
            TaskKind::Map => {
                if let Some(report) = self.maps.get_mut(place).and_then(Win::lose) {
                    self.map_sum.subtract(report);
                    self.time_lost += report.elapsed;
                }
            }
            TaskKind::Reduce => {
                if let Some(report) = self.reduces.get_mut(place).and_then(Win::lose) {
                    self.reduce_sum.subtract(report);
                    self.time_lost += report.elapsed;
                }
            }
        }
    }

    /// The run of map task `map`, if it has a winner: the attempt, who holds it, and what it holds.
    pub(crate) fn run(&self, map: usize) -> Option<(AttemptId, WorkerId, RunSummary)> {
        let win = self.maps.get(map)?.as_ref().filter(|win| !win.lost)?;
        Some((win.attempt, win.worker, win.report.run))
    }

    /// What a task that leaves a part has staged, if it has a winner: a reduce task, or, where there are none, a map task.
    pub(crate) fn staged(&self, index: usize) -> Option<(AttemptId, &Staged)> {
        if self.reduces.is_empty() {
            let win = self.maps.get(index)?.as_ref().filter(|win| !win.lost)?;
            return Some((win.attempt, win.report.staged.as_ref()?));
        }
        let win = self.reduces.get(index)?.as_ref().filter(|win| !win.lost)?;
        Some((win.attempt, &win.report.staged))
    }

    /// All that was staged.
    fn all_staged(&self) -> impl Iterator<Item = &Staged> {
        let maps = self.map_reports().filter_map(|it| it.staged.as_ref());
        maps.chain(self.reduce_reports().map(|it| &it.staged))
    }

    /// The records that were put aside, in the order of the input.
    pub(crate) fn skipped(&self) -> impl Iterator<Item = &Skipped> {
        self.map_reports().flat_map(|report| &report.skipped)
    }

    /// The job's own counters over all winners.
    pub(crate) fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        self.map_reports()
            .for_each(|report| counters.merge(&report.counters));
        self.reduce_reports()
            .for_each(|report| counters.merge(&report.counters));
        counters
    }

    /// Both phases as a status shows them. Cost: the running attempts.
    pub(crate) fn phases(&self, plan: &Plan) -> (PhaseStatus, PhaseStatus) {
        let mut map = self.map_sum.status(length(&self.maps), plan.bytes);
        let mut reduce = self.reduce_sum.status(length(&self.reduces), 0);
        if map.done == map.tasks {
            reduce.bytes_total = self.map_sum.run_bytes;
        }
        for (attempt, running) in &self.running {
            let phase = match attempt.task.kind {
                TaskKind::Map => &mut map,
                TaskKind::Reduce => &mut reduce,
            };
            phase.running += 1;
            phase.records = phase.records.wrapping_add(running.records);
            phase.bytes = phase.bytes.wrapping_add(running.bytes);
        }
        (map, reduce)
    }

    /// What the last report to be judged took, if nobody said that it won.
    fn unjudged(&self) -> Duration {
        self.reported.as_ref().map_or(Duration::ZERO, |it| it.2)
    }

    /// What attempts have taken that run to no end, as the job ends.
    fn still_running(&self, now: Instant) -> Duration {
        self.running.values().map(|it| now - it.since).sum()
    }

    /// The report of the job, which ends now.
    pub(crate) fn report(
        &self,
        plan: &Plan,
        stats: JobStats,
        end: JobEnd,
        accepted: Instant,
        now: Instant,
    ) -> JobReport {
        let maps = |field: fn(&MapReport) -> u64| sum(self.map_reports().map(field));
        let reduces = |field: fn(&ReduceReport) -> u64| sum(self.reduce_reports().map(field));
        let spilled_maps = maps(|it| it.spilled.bytes());
        let spilled_reduces = reduces(|it| it.spilled.bytes());
        let Times {
            first_order,
            maps_done,
            reduces_done,
        } = self.times;
        JobReport {
            end,
            elapsed: now - accepted,
            plan_elapsed: first_order.unwrap_or(now) - accepted,
            map_elapsed: between(first_order, maps_done.or(Some(now))),
            reduce_elapsed: between(maps_done, reduces_done.or(Some(now))),
            commit_elapsed: between(reduces_done, Some(now)),
            files: plan.files,
            maps: length(&self.maps),
            reduces: length(&self.reduces),
            records_in: maps(|it| it.records_in),
            bytes_in: ByteSize(maps(|it| it.bytes_in)),
            records_mapped: maps(|it| it.records_out),
            records_shuffled: maps(|it| it.run.records),
            bytes_shuffled: ByteSize(maps(|it| it.run.bytes)),
            bytes_remote: ByteSize(reduces(|it| it.fetched_remote.bytes())),
            bytes_spilled: ByteSize(spilled_maps.wrapping_add(spilled_reduces)),
            groups: reduces(|it| it.groups),
            rows: sum(self.all_staged().map(|it| it.part.rows)),
            bytes_out: ByteSize(sum(self.all_staged().map(|it| it.part.bytes))),
            named: self.named(),
            attempts: stats.attempts,
            attempts_failed: stats.attempts_failed,
            attempts_lost: stats.attempts_lost,
            maps_rerun: stats.maps_rerun,
            time_lost: self.time_lost + self.unjudged() + self.still_running(now),
            stale_reports: stats.stale_reports,
            rollbacks: stats.rollbacks,
            workers_lost: stats.workers_lost,
            backups: stats.backups,
            backups_won: stats.backups_won,
            differing: stats.differing.iter().flatten().copied().collect(),
            slowest: self.slowest(plan),
            map_median: median(self.map_reports().map(|it| it.elapsed).collect()),
            reduce_median: median(self.reduce_reports().map(|it| it.elapsed).collect()),
            largest: self.largest(),
            counters: self.counters(),
            skipped: self.skipped().count() as u64,
            failed: self.failed.clone(),
        }
    }

    /// Rows and bytes of the first few named outputs.
    fn named(&self) -> BTreeMap<String, (u64, ByteSize)> {
        let mut named: BTreeMap<String, (u64, ByteSize)> = BTreeMap::new();
        for (name, part) in self.all_staged().flat_map(|it| &it.named) {
            let (rows, bytes) = named.entry(name.clone()).or_default();
            *rows = rows.wrapping_add(part.rows);
            bytes.0 = bytes.0.wrapping_add(part.bytes);
        }
        named.into_iter().take(OUTPUTS_MAX).collect()
    }

    fn map_reports(&self) -> impl Iterator<Item = &MapReport> {
        self.maps.iter().flatten().map(|win| &win.report)
    }

    fn reduce_reports(&self) -> impl Iterator<Item = &ReduceReport> {
        self.reduces.iter().flatten().map(|win| &win.report)
    }

    /// Map tasks first, each kind slowest first.
    fn slowest(&self, plan: &Plan) -> Vec<TaskTiming> {
        let maps = self.maps.iter().flatten().map(|win| TaskTiming {
            task: win.attempt.task,
            worker: win.worker,
            elapsed: win.report.elapsed,
            bytes: ByteSize(win.report.bytes_in),
            about: String::new(),
        });
        let reduces = self.reduces.iter().flatten().map(|win| TaskTiming {
            task: win.attempt.task,
            worker: win.worker,
            elapsed: win.report.elapsed,
            bytes: win.report.fetched,
            about: String::new(),
        });
        let mut slowest = top(maps.collect(), |timing| timing.elapsed);
        for timing in &mut slowest {
            timing.about = about(plan, timing.task.index);
        }
        slowest.extend(top(reduces.collect(), |timing| timing.elapsed));
        slowest
    }

    fn largest(&self) -> Vec<(PartitionId, ByteSize)> {
        let sizes = self
            .reduces
            .iter()
            .flatten()
            .map(|win| (PartitionId(win.attempt.task.index), win.report.fetched));
        top(sizes.collect(), |(_, bytes)| *bytes)
    }
}

/// The name of the first file of a split.
fn about(plan: &Plan, map: u32) -> String {
    let split = plan.splits.get(map as usize);
    split
        .and_then(|split| split.pieces.first())
        .map_or_else(String::new, |piece| piece.file.name.display().to_string())
}

/// The few items with the largest measure, largest first; of equals those that came first.
fn top<T, M: Ord>(mut items: Vec<T>, measure: impl Fn(&T) -> M) -> Vec<T> {
    items.sort_by_key(|item| Reverse(measure(item)));
    items.truncate(NAMED_MAX);
    items
}

fn sum(items: impl Iterator<Item = u64>) -> u64 {
    items.fold(0, u64::wrapping_add)
}

/// The lower of the two middles where there are two; zero where there is nothing.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    let middle = times.len().saturating_sub(1) / 2;
    times.get(middle).copied().unwrap_or_default()
}

/// Zero unless both are known.
fn between(from: Option<Instant>, to: Option<Instant>) -> Duration {
    match (from, to) {
        (Some(from), Some(to)) => to.saturating_duration_since(from),
        _ => Duration::ZERO,
    }
}

fn length<T>(tasks: &[T]) -> u32 {
    u32::try_from(tasks.len()).expect("a plan has at most 2^32 tasks of a kind")
}

#[cfg(test)]
mod tests;
