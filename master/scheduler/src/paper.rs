//! The shape of section 5 of the MapReduce paper (Dean and Ghemawat, OSDI 2004), as a simulation: the real scheduler, and machines that are
//! assumptions (`docs/paper-section-5.md` states them).
//!
//! `just paper` plays the three executions of a sort of 1 TB in full size and draws `docs/paper-section-5.svg`; a tenth of it is a test.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "seconds, shares and pixels of a drawing"
)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::fmt::Write as _;
use std::time::Duration;

use mapfold_terms::{AttemptId, Digest, JobId, MasterEpoch, Outcome, Progress, TaskKind, WorkerId};

use crate::script::{mapped, reduced};
use crate::{Action, CommitOutcome, Event, JobPlan, Moment, Scheduler, Settings, WorkerGone};

const JOB: JobId = JobId(1);
const MIB: f64 = 1048576.0;
/// Machines are there within the first minute.
const START_UP: f64 = 60.0;
/// Of a machine that is not slow, seconds: a map task reads 64 MiB and leaves as much; a reduce task fetches 250 MB, sorts, and writes two copies.
const MAP: f64 = 15.0;
const FETCH: f64 = 85.0;
const SORT: f64 = 20.0;
const WRITE: f64 = 105.0;
const BEAT_EVERY: f64 = 2.0;

/// One execution.
#[derive(Clone, Copy, Debug)]
struct Plot {
    name: &'static str,
    machines: u32,
    maps: u32,
    reduces: u32,
    backup: bool,
    /// When how many workers are killed. Their machines start others at once.
    killed: Option<(f64, u32)>,
}

/// What came of it.
#[derive(Debug, Default)]
struct Played {
    /// Seconds to the end.
    took: f64,
    backups: u64,
    maps_rerun: u64,
    attempts: u64,
    /// Bytes read, fetched and written, second by second.
    rates: [Vec<f64>; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Happens {
    Join(u32),
    Beat(WorkerId),
    Ends(AttemptId, WorkerId),
    /// A reduce attempt gets to a run that was lost.
    Misses(AttemptId, WorkerId, u32),
    Stopped(AttemptId, WorkerId),
    Kill(u32),
}

/// An attempt that runs.
#[derive(Clone, Copy, Debug)]
struct Work {
    on: WorkerId,
    since: f64,
    /// How long its first part takes (reading, or fetching), and all of it.
    first: f64,
    all: f64,
}

struct World {
    plot: Plot,
    scheduler: Scheduler,
    now: f64,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    happens: BTreeMap<u64, Happens>,
    running: BTreeMap<AttemptId, Work>,
    machine_of: BTreeMap<WorkerId, u32>,
    /// Which map tasks' runs a worker holds.
    held: BTreeMap<WorkerId, BTreeSet<u32>>,
    next_worker: u32,
    random: u64,
    sequence: u64,
    done: bool,
    played: Played,
}

fn moment(seconds: f64) -> Moment {
    Moment(Duration::from_secs_f64(seconds))
}

impl World {
    fn new(plot: Plot) -> Self {
        let mut world = Self {
            plot,
            scheduler: Scheduler::new(MasterEpoch(1), 1, Settings::default()),
            now: 0.0,
            queue: BinaryHeap::new(),
            happens: BTreeMap::new(),
            running: BTreeMap::new(),
            machine_of: BTreeMap::new(),
            held: BTreeMap::new(),
            next_worker: 1,
            random: 7,
            sequence: 0,
            done: false,
            played: Played::default(),
        };
        for machine in 0..plot.machines {
            let at = world.draw() * START_UP;
            world.at(at, Happens::Join(machine));
        }
        if let Some((at, count)) = plot.killed {
            world.at(at, Happens::Kill(count));
        }
        world
    }

    /// From 0 to 1 (splitmix64).
    fn draw(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        unit(self.random)
    }

    fn at(&mut self, seconds: f64, happens: Happens) {
        let number = self.sequence;
        self.sequence += 1;
        self.happens.insert(number, happens);
        self.queue.push(Reverse(((seconds * 1e6) as u64, number)));
    }

    fn play(mut self) -> Played {
        let plan = JobPlan {
            maps: self.plot.maps,
            reduces: self.plot.reduces,
            max_attempts: 4,
            skip_bad: 0,
            backup: self.plot.backup,
            task_timeout: Duration::from_secs(600),
        };
        self.handle(Event::JobPlanned { job: JOB, plan });
        while !self.done {
            let Some(Reverse((at, number))) = self.queue.pop() else {
                panic!("nothing happens at {} s", self.now);
            };
            self.now = self.now.max(at as f64 / 1e6);
            if let Some(due) = self.scheduler.next_deadline()
                && due <= moment(self.now)
            {
                self.scheduler.tick(moment(self.now));
                self.act();
            }
            let happens = self.happens.remove(&number).unwrap();
            self.happen(happens);
        }
        let stats = self.scheduler.stats(JOB).unwrap();
        self.played.backups = stats.backups;
        self.played.maps_rerun = stats.maps_rerun;
        self.played.attempts = stats.attempts;
        self.played.took = self.now;
        self.played
    }

    fn happen(&mut self, happens: Happens) {
        match happens {
            Happens::Join(machine) => {
                let worker = WorkerId(self.next_worker);
                self.next_worker += 1;
                self.machine_of.insert(worker, machine);
                let process = u128::from(worker.0);
                self.handle(Event::WorkerJoined {
                    worker,
                    slots: 1,
                    process,
                });
                self.at(self.now + BEAT_EVERY, Happens::Beat(worker));
            }
            Happens::Beat(worker) => self.beat(worker),
            Happens::Kill(count) => {
                let killed: Vec<WorkerId> = self
                    .machine_of
                    .keys()
                    .copied()
                    .take(count as usize)
                    .collect();
                killed.into_iter().for_each(|worker| self.kill(worker));
            }
            Happens::Ends(attempt, worker) => {
                if let Some(work) = self.running.remove(&attempt) {
                    self.trace(attempt, work, work.all);
                    let outcome = self.outcome(attempt);
                    if attempt.task.kind == TaskKind::Map {
                        self.held
                            .entry(worker)
                            .or_default()
                            .insert(attempt.task.index);
                    }
                    self.report(attempt, worker, outcome);
                }
            }
            Happens::Misses(attempt, worker, map) => {
                if let Some(work) = self.running.remove(&attempt) {
                    self.trace(attempt, work, self.now - work.since);
                    let lost = AttemptId {
                        task: mapfold_terms::TaskId::map(map),
                        number: 0,
                        ..attempt
                    };
                    let outcome = Outcome::FetchFailed(mapfold_terms::FetchFailure {
                        map: lost,
                        holder: worker,
                        cause: mapfold_terms::FetchCause::NotFound,
                        message: String::new(),
                    });
                    self.report(attempt, worker, outcome);
                }
            }
            Happens::Stopped(attempt, worker) => self.report(attempt, worker, Outcome::Cancelled),
        }
    }

    /// The process of a worker ends, with what it ran and held; its machine starts another.
    fn kill(&mut self, worker: WorkerId) {
        let machine = self.machine_of.remove(&worker).unwrap();
        let running: Vec<AttemptId> = self
            .running
            .iter()
            .filter(|(_, work)| work.on == worker)
            .map(|(attempt, _)| *attempt)
            .collect();
        for attempt in running {
            let work = self.running.remove(&attempt).unwrap();
            self.trace(attempt, work, self.now - work.since);
        }
        let lost = self.held.remove(&worker).unwrap_or_default();
        let fetching: Vec<(AttemptId, Work)> = self
            .running
            .iter()
            .filter(|(attempt, work)| {
                attempt.task.kind == TaskKind::Reduce && work.since + work.first > self.now
            })
            .map(|(attempt, work)| (*attempt, *work))
            .collect();
        for (attempt, work) in fetching {
            // Runs are fetched in the order of the map tasks.
            let gone = (self.now - work.since).max(0.0) / work.first;
            let place = (gone * f64::from(self.plot.maps)) as u32;
            if let Some(map) = lost.range(place..).next() {
                let share = f64::from(*map) / f64::from(self.plot.maps);
                let at = work.since + share * work.first;
                self.at(at, Happens::Misses(attempt, work.on, *map));
            }
        }
        let why = WorkerGone::Exited;
        self.handle(Event::WorkerGone { worker, why });
        self.at(self.now + 1.0, Happens::Join(machine));
    }

    fn beat(&mut self, worker: WorkerId) {
        if !self.machine_of.contains_key(&worker) {
            return;
        }
        let here = self.scheduler.workers.get(worker).unwrap();
        let holds: BTreeSet<AttemptId> = here
            .running
            .keys()
            .chain(here.stopping.keys())
            .copied()
            .collect();
        let progress = holds
            .iter()
            .filter_map(|attempt| Some(far(*attempt, self.running.get(attempt)?, self.now)))
            .collect();
        self.handle(Event::Heartbeat {
            worker,
            holds,
            progress,
        });
        self.at(self.now + BEAT_EVERY, Happens::Beat(worker));
    }

    fn report(&mut self, attempt: AttemptId, worker: WorkerId, outcome: Outcome) {
        self.handle(Event::AttemptEnded {
            worker,
            attempt,
            outcome,
        });
    }

    fn outcome(&self, attempt: AttemptId) -> Outcome {
        if attempt.task.kind == TaskKind::Map {
            let Outcome::Mapped(mut report) = mapped(Digest(u128::from(attempt.task.index))) else {
                unreachable!("that is what it makes");
            };
            report.elapsed = Duration::from_secs_f64(MAP);
            return Outcome::Mapped(report);
        }
        let Outcome::Reduced(mut report) = reduced(std::iter::empty()) else {
            unreachable!("that is what it makes");
        };
        report.consumed = self.scheduler.jobs[&JOB].inputs.expected();
        report.runs = self.plot.maps;
        Outcome::Reduced(report)
    }

    fn handle(&mut self, event: Event) {
        self.scheduler.handle(moment(self.now), event);
        self.act();
    }

    fn act(&mut self) {
        while let Some(action) = self.scheduler.poll_action() {
            match action {
                Action::Launch { attempt, on } => self.launch(attempt, on),
                Action::Cancel { attempt, on } => {
                    if let Some(work) = self.running.remove(&attempt) {
                        self.trace(attempt, work, self.now - work.since);
                        self.at(self.now + 0.1, Happens::Stopped(attempt, on));
                    }
                }
                Action::Commit { job, .. } => {
                    let outcome = CommitOutcome::Done { root: [0; 32] };
                    self.scheduler
                        .handle(moment(self.now), Event::CommitEnded { job, outcome });
                }
                Action::Finish { result, .. } => {
                    let ok = matches!(result, crate::JobResult::Succeeded { .. });
                    assert!(ok, "{result:?}");
                    self.done = true;
                }
                _ => {}
            }
        }
    }

    fn launch(&mut self, attempt: AttemptId, on: WorkerId) {
        self.played.attempts += 1;
        let pace = slowness(self.machine_of[&on]);
        let mut part = |mean: f64| mean * pace * (0.8 + 0.4 * self.draw());
        let (first, rest) = match attempt.task.kind {
            TaskKind::Map => (part(MAP), 0.0),
            TaskKind::Reduce => (part(FETCH), part(SORT) + part(WRITE)),
        };
        // The order's way.
        let since = self.now + 0.05;
        let all = first + rest;
        let work = Work {
            on,
            since,
            first,
            all,
        };
        self.running.insert(attempt, work);
        self.at(since + all, Happens::Ends(attempt, on));
    }

    /// Adds what an attempt moved in its first `ran` seconds to the rates.
    fn trace(&mut self, attempt: AttemptId, work: Work, ran: f64) {
        let mut spread = |which: usize, from: f64, to: f64, end: f64, bytes: f64| {
            let rate = bytes / (to - from).max(0.001);
            let (from, to) = (from, to.min(end));
            let mut at = from;
            while at < to {
                let second = at as usize;
                let until = ((second + 1) as f64).min(to);
                let bins = &mut self.played.rates[which];
                if bins.len() <= second {
                    bins.resize(second + 1, 0.0);
                }
                bins[second] += rate * (until - at);
                at = until;
            }
        };
        let end = work.since + ran;
        let first = work.since + work.first;
        match attempt.task.kind {
            TaskKind::Map => spread(0, work.since, first, end, 64.0 * MIB),
            TaskKind::Reduce => {
                spread(1, work.since, first, end, 250e6);
                let sorted = first + (work.all - work.first) * SORT / (SORT + WRITE);
                spread(2, sorted, work.since + work.all, end, 500e6);
            }
        }
    }
}

/// How far an attempt is: what a reduce attempt has to do is known once it has fetched.
fn far(attempt: AttemptId, work: &Work, now: f64) -> Progress {
    let gone = (now - work.since).max(0.0);
    let (bytes, bytes_total) = match attempt.task.kind {
        TaskKind::Map => (gone / work.first, 64_000_000),
        TaskKind::Reduce if gone < work.first => (0.0, 0),
        TaskKind::Reduce => ((gone - work.first) / (work.all - work.first), 250_000_000),
    };
    Progress {
        attempt,
        records: 0,
        bytes: (bytes.min(1.0) * f64::from(bytes_total)) as u64,
        bytes_total: u64::from(bytes_total as u32),
        steps: 1 + gone as u64,
    }
}

/// How many times as long a machine takes: 1.5 % of them take 2 to 5 times.
fn slowness(machine: u32) -> f64 {
    let drawn = unit(
        u64::from(machine)
            .wrapping_mul(0xd134_2543_de82_ef95)
            .wrapping_add(99),
    );
    if drawn < 0.985 {
        return 1.0;
    }
    2.0 + 3.0 * (drawn - 0.985) / 0.015
}

fn unit(seed: u64) -> f64 {
    let mut z = seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The three executions, at one of so many parts of the size.
fn plots(part: u32) -> [Plot; 3] {
    let normal = Plot {
        name: "normal execution",
        machines: 1764 / part,
        maps: 15_000 / part,
        reduces: 4_000 / part,
        backup: true,
        killed: None,
    };
    [
        normal,
        Plot {
            name: "no backup tasks",
            backup: false,
            ..normal
        },
        Plot {
            name: "200 workers killed",
            killed: Some((250.0, 200 / part)),
            ..normal
        },
    ]
}

#[test]
fn a_tenth_of_the_papers_sort_has_its_shape() {
    let [normal, alone, killed] = plots(10).map(|plot| World::new(plot).play());
    eprintln!(
        "{:.0} s, {:.0} s, {:.0} s",
        normal.took, alone.took, killed.took
    );
    assert!(normal.backups > 0 && alone.backups == 0);
    assert!(
        alone.took > normal.took * 1.2,
        "{} {}",
        alone.took,
        normal.took
    );
    assert!(killed.maps_rerun > 0);
    assert!(
        killed.took < normal.took * 1.3,
        "{} {}",
        killed.took,
        normal.took
    );
}

#[test]
#[ignore = "draws a figure of the documentation: `just paper`"]
fn the_papers_sort_is_drawn() {
    let plots = plots(1);
    let played = plots.map(|plot| World::new(plot).play());
    for (plot, it) in plots.iter().zip(&played) {
        eprintln!(
            "{}: {:.0} s ({:+.1} %), {} attempts, {} backups, {} map tasks again",
            plot.name,
            it.took,
            (it.took / played[0].took - 1.0) * 100.0,
            it.attempts,
            it.backups,
            it.maps_rerun
        );
    }
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/paper-section-5.svg"
    );
    std::fs::write(path, drawing(&plots, &played)).unwrap();
}

/// Three columns, one an execution, of three rates over time.
fn drawing(plots: &[Plot; 3], played: &[Played; 3]) -> String {
    const WIDE: f64 = 280.0;
    const HIGH: f64 = 110.0;
    const SECONDS: f64 = 1400.0;
    let rows = ["input", "shuffle", "output"];
    let most = |row: usize| {
        let all = played.iter().flat_map(|it| smooth(&it.rates[row]));
        all.fold(1.0, f64::max)
    };
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 460\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"1000\" height=\"460\" fill=\"white\"/>\n",
    );
    for (column, (plot, it)) in plots.iter().zip(played).enumerate() {
        let left = 60.0 + column as f64 * (WIDE + 30.0);
        let _ = writeln!(
            svg,
            "<text x=\"{left}\" y=\"24\" font-size=\"13\">{}: {:.0} s</text>",
            plot.name, it.took
        );
        for (row, name) in rows.iter().enumerate() {
            let top = 40.0 + row as f64 * (HIGH + 25.0);
            let bottom = top + HIGH;
            let most = most(row);
            let x = |second: f64| left + second / SECONDS * WIDE;
            let points: String = smooth(&it.rates[row])
                .enumerate()
                .map(|(n, rate)| {
                    format!(
                        "{:.1},{:.1} ",
                        x(n as f64 * 5.0),
                        bottom - rate / most * HIGH
                    )
                })
                .collect();
            let _ = writeln!(
                svg,
                "<rect x=\"{left}\" y=\"{top}\" width=\"{WIDE}\" height=\"{HIGH}\" fill=\"none\" stroke=\"#999\"/>\n\
                 <polyline points=\"{points}\" fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"1.2\"/>\n\
                 <line x1=\"{0:.1}\" y1=\"{top}\" x2=\"{0:.1}\" y2=\"{bottom}\" stroke=\"#c33\" stroke-dasharray=\"3 3\"/>",
                x(it.took)
            );
            if column == 0 {
                let _ = writeln!(
                    svg,
                    "<text x=\"{0}\" y=\"{1}\" text-anchor=\"end\">{2:.1}</text>\n<text x=\"{0}\" y=\"{3}\" text-anchor=\"end\">GB/s</text>\n\
                     <text x=\"{0}\" y=\"{4}\" text-anchor=\"end\">{name}</text>",
                    left - 6.0,
                    top + 10.0,
                    most / 1e9,
                    top + 24.0,
                    top + HIGH / 2.0 + 12.0
                );
            }
            if row == 2 {
                for second in [0, 500, 1000] {
                    let _ = writeln!(
                        svg,
                        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{second} s</text>",
                        x(f64::from(second)),
                        bottom + 16.0
                    );
                }
            }
        }
    }
    svg + "</svg>\n"
}

/// Means of five seconds.
fn smooth(rates: &[f64]) -> impl Iterator<Item = f64> + '_ {
    rates.chunks(5).map(|five| five.iter().sum::<f64>() / 5.0)
}
