//! Scenarios as text: each line is an event and, after `->`, the actions it must cause.
//!
//! ```text
//! join w1 2               a worker with 2 slots; `join w1 2 7` says that it is process 7
//! drain w1                it is to leave
//! plan j1 2x1             a job of 2 map tasks and 1 reduce task; `2x1/3` with 3 attempts a task
//! mapped w1 m0.1 7        a report: a run of digest 7
//! reduced w1 r0.1         a report: consumed the runs that count; `reduced w1 r0.1 7 8` names digests
//! skipping w1 m0.1 7 2    the same, and 2 records were put aside; a job may put aside 2
//! failed w1 m0.1 job bad  a failure by the job's, worker's or input's fault
//! failed w1 m0.1 at 9 bad a failure by the job's fault on the record at byte 9
//! nofetch w1 r0.1 m0.1 w2 notfound
//! cancelled w1 m0.1       the worker says that it stopped an attempt
//! beat w1 m0.1 m1.1       a heartbeat and what it lists
//! beats w1                a heartbeat that lists all that runs or stops there
//! at w1 m0.1 30/100       a heartbeat that lists all, and that this one has done 30 of 100 bytes; at 0 it stands still
//!                         from the start; `=/100` that nothing was done since the last `at`
//! gone w1, left w1        the end of a worker
//! cancel j1, done j1, undone j1       the user's wish, the commit's end
//! wait 12000              milliseconds, ticking as a shell does; workers named after it beat meanwhile; what is asked
//!                         again and again counts once
//! gap 60000               milliseconds in which the master did not run
//! ```
//! Actions: `drains 7` (the process is to leave), `launch m0.1 w1`, `cancel`, `discard`, `won m0.1`, `lost m0`, `fence w1`, `commit r0.1`,
//! `end ok`, `end cancelled`, `end REASON: what: first failure`, and notices by kind: `(retry)`.
//! Attempts of other jobs than j1 are written `j2:m0.1`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use mapfold_terms::{
    AttemptId, ByteSize, Counters, Digest, FailClass, FailReason, Failure, FetchCause,
    FetchFailure, InputsDigest, JobId, MapReport, MasterEpoch, Outcome, PartSummary, Progress,
    RawPath, RecordAt, ReduceReport, RunSummary, Skipped, Staged, TaskKind, WorkerId,
};

use crate::{
    Action, CommitOutcome, Event, JobPlan, JobResult, Moment, Scheduler, Settings, WorkerGone,
};

/// Plays the lines; panics if one of them acts otherwise than it says.
#[track_caller]
pub(crate) fn check(script: &str) -> Script {
    check_with(Settings::default(), script)
}

/// The same with other bounds.
#[track_caller]
pub(crate) fn check_with(settings: Settings, script: &str) -> Script {
    let mut play = Script::new(settings);
    let mut same = true;
    for line in script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let (event, want) = line.split_once("->").unwrap_or((line, ""));
        let got = play.step(event.trim());
        let want: Vec<&str> = want
            .split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .collect();
        eprintln!("    {event} -> {}", got.join(", "));
        if got != want {
            eprintln!("    ^^^^ wanted: {}", want.join(", "));
            same = false;
        }
    }
    assert!(
        same,
        "the script acts otherwise than it says; it is printed above"
    );
    play
}

/// A scheduler and the names of what it has launched.
pub(crate) struct Script {
    pub(crate) scheduler: Scheduler,
    pub(crate) now: Moment,
    launched: BTreeMap<String, AttemptId>,
    /// Told by attempts that go on.
    steps: u64,
}

impl Script {
    fn new(settings: Settings) -> Self {
        Self {
            scheduler: Scheduler::new(MasterEpoch(1), 1, settings),
            now: Moment(Duration::from_secs(100)),
            launched: BTreeMap::new(),
            steps: 1,
        }
    }

    /// Plays one line; returns the actions in words.
    fn step(&mut self, line: &str) -> Vec<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[0] {
            "wait" => self.wait(millis(words[1]), &words[2..]),
            "gap" => {
                self.now.0 += millis(words[1]);
                self.scheduler.tick(self.now);
                self.drain()
            }
            _ => {
                let event = self.event(&words);
                self.scheduler.handle(self.now, event);
                self.drain()
            }
        }
    }

    /// Ticks at every deadline; the workers named beat every 500 ms.
    fn wait(&mut self, time: Duration, beating: &[&str]) -> Vec<String> {
        let end = self.now.0 + time;
        let mut acted = Vec::new();
        while self.now.0 < end {
            let beat = self.now.0 + Duration::from_millis(500);
            let due = self.scheduler.next_deadline().map_or(end, |due| due.0);
            self.now.0 = end
                .min(beat)
                .min(due.max(self.now.0 + Duration::from_millis(1)));
            self.scheduler.tick(self.now);
            acted.extend(self.drain());
            for worker in beating {
                acted.extend(self.step(&format!("beats {worker}")));
            }
        }
        acted.dedup();
        acted
    }

    fn event(&mut self, words: &[&str]) -> Event {
        match *words {
            ["join", worker, slots] => Event::WorkerJoined {
                worker: worker_id(worker),
                slots: slots.parse().unwrap(),
                process: 0,
            },
            ["join", worker, slots, process] => Event::WorkerJoined {
                worker: worker_id(worker),
                slots: slots.parse().unwrap(),
                process: process.parse().unwrap(),
            },
            ["drain", worker] => Event::WorkerDrains {
                worker: worker_id(worker),
            },
            ["plan", job, size] => Event::JobPlanned {
                job: job.parse().unwrap(),
                plan: plan(size),
            },
            ["cancel", job] => Event::JobCancelled {
                job: job.parse().unwrap(),
            },
            ["done", job] => Event::CommitEnded {
                job: job.parse().unwrap(),
                outcome: CommitOutcome::Done { root: [7; 32] },
            },
            ["undone", job] => Event::CommitEnded {
                job: job.parse().unwrap(),
                outcome: CommitOutcome::Failed {
                    reason: FailReason::Output,
                    failure: failure(FailClass::Worker, "disk full"),
                },
            },
            ["gone", worker] => gone(worker, WorkerGone::Exited),
            ["left", worker] => gone(worker, WorkerGone::Left),
            ["beat", worker, ref holds @ ..] => Event::Heartbeat {
                worker: worker_id(worker),
                holds: holds.iter().map(|name| self.attempt(name)).collect(),
                progress: Vec::new(),
            },
            ["beats", worker] => Event::Heartbeat {
                worker: worker_id(worker),
                holds: self.holds(worker_id(worker)),
                progress: Vec::new(),
            },
            ["at", worker, attempt, far] => {
                let (bytes, bytes_total) = far.split_once('/').unwrap();
                self.steps += u64::from(!matches!(bytes, "0" | "="));
                Event::Heartbeat {
                    worker: worker_id(worker),
                    holds: self.holds(worker_id(worker)),
                    progress: vec![Progress {
                        attempt: self.attempt(attempt),
                        records: 0,
                        bytes: bytes.parse().unwrap_or(0),
                        bytes_total: bytes_total.parse().unwrap(),
                        steps: if bytes == "0" { 1 } else { self.steps },
                    }],
                }
            }
            [kind, worker, attempt, ref rest @ ..] => {
                let attempt = self.attempt(attempt);
                Event::AttemptEnded {
                    worker: worker_id(worker),
                    attempt,
                    outcome: self.outcome(kind, attempt, rest),
                }
            }
            _ => panic!("what is {words:?}?"),
        }
    }

    fn outcome(&mut self, kind: &str, attempt: AttemptId, rest: &[&str]) -> Outcome {
        match (kind, rest) {
            ("mapped", [digest]) => mapped(Digest(digest.parse().unwrap())),
            ("skipping", [digest, count]) => {
                let mut outcome = mapped(Digest(digest.parse().unwrap()));
                if let Outcome::Mapped(report) = &mut outcome {
                    report.skipped = vec![skipped(); count.parse().unwrap()];
                }
                outcome
            }
            ("reduced", []) => {
                let inputs = self.scheduler.jobs.get(&attempt.job).map(|job| &job.inputs);
                reduced((0..).map_while(|map| Some((map, inputs?.digest(map)?))))
            }
            ("reduced", digests) => {
                let digests = digests.iter().map(|text| Digest(text.parse().unwrap()));
                reduced((0..).zip(digests))
            }
            ("failed", [class, text]) => {
                let class = match *class {
                    "job" => FailClass::Job,
                    "worker" => FailClass::Worker,
                    "space" => FailClass::Space,
                    "output" => FailClass::Output,
                    "input" => FailClass::Input,
                    other => panic!("what is a failure of {other}?"),
                };
                Outcome::Failed(failure(class, text))
            }
            ("failed", ["at", offset, text]) => Outcome::Failed(Failure {
                at: Some(RecordAt {
                    offset: offset.parse().unwrap(),
                    ..skipped().at()
                }),
                ..failure(FailClass::Job, text)
            }),
            ("nofetch", [map, holder, cause]) => Outcome::FetchFailed(FetchFailure {
                map: self.attempt(map),
                holder: worker_id(holder),
                cause: match *cause {
                    "notfound" => FetchCause::NotFound,
                    "corrupt" => FetchCause::Corrupt,
                    "unreachable" => FetchCause::Unreachable,
                    other => panic!("what is {other}?"),
                },
                message: "because".to_owned(),
            }),
            ("cancelled", []) => Outcome::Cancelled,
            other => panic!("what is {other:?}?"),
        }
    }

    /// Takes all actions, in words; checks the invariants.
    fn drain(&mut self) -> Vec<String> {
        let mut acted = Vec::new();
        while let Some(action) = self.scheduler.poll_action() {
            if let Action::Launch { attempt, .. } = action {
                let twice = self.launched.insert(name(attempt), attempt);
                assert_eq!(twice, None, "{attempt} was launched twice");
            }
            acted.push(words(&action));
        }
        self.scheduler.check_invariants().unwrap();
        acted
    }

    pub(crate) fn attempt(&self, name: &str) -> AttemptId {
        let known = self.launched.get(name);
        *known.unwrap_or_else(|| panic!("{name} was never launched"))
    }

    fn holds(&self, id: WorkerId) -> BTreeSet<AttemptId> {
        let worker = self.scheduler.workers.get(id).unwrap();
        worker
            .running
            .keys()
            .chain(worker.stopping.keys())
            .copied()
            .collect()
    }
}

/// A report of a map attempt that left a run.
pub(crate) fn mapped(digest: Digest) -> Outcome {
    Outcome::Mapped(map_report(digest, None))
}

/// A report of a map attempt that left a part.
pub(crate) fn mapped_to_part(digest: Digest) -> Outcome {
    Outcome::Mapped(map_report(digest, Some(staged())))
}

fn staged() -> Staged {
    Staged::of(PartSummary {
        rows: 0,
        bytes: 0,
        unpacked_bytes: 0,
        hash: [0; 32],
    })
}

fn map_report(digest: Digest, staged: Option<Staged>) -> MapReport {
    MapReport {
        records_in: 0,
        bytes_in: 0,
        records_out: 0,
        run: RunSummary {
            records: 0,
            bytes: 0,
            digest,
        },
        spilled: ByteSize(0),
        spills: 0,
        counters: Counters::default(),
        elapsed: Duration::ZERO,
        skipped: Vec::new(),
        staged,
    }
}

/// A report of a reduce attempt that consumed these runs.
pub(crate) fn reduced(runs: impl Iterator<Item = (u32, Digest)>) -> Outcome {
    let mut consumed = InputsDigest::default();
    let mut count = 0;
    for (map, digest) in runs {
        consumed.add(map, digest);
        count += 1;
    }
    Outcome::Reduced(ReduceReport {
        consumed,
        runs: count,
        records_in: 0,
        fetched: ByteSize(0),
        fetched_remote: ByteSize(0),
        groups: 0,
        staged: staged(),
        spilled: ByteSize(0),
        counters: Counters::default(),
        fetch_elapsed: Duration::ZERO,
        elapsed: Duration::ZERO,
    })
}

/// A failure with one line of text.
pub(crate) fn failure(class: FailClass, text: &str) -> Failure {
    Failure {
        class,
        chain: vec![text.to_owned()],
        at: None,
        hint: None,
        backtrace: None,
    }
}

/// A record that was put aside.
fn skipped() -> Skipped {
    Skipped {
        file: RawPath::from(Path::new("in")),
        offset: 9,
        record: 2,
        bytes: 1,
        excerpt: b"x".to_vec(),
        error: "bad".to_owned(),
    }
}

fn gone(worker: &str, why: WorkerGone) -> Event {
    let worker = worker_id(worker);
    Event::WorkerGone { worker, why }
}

fn worker_id(name: &str) -> WorkerId {
    WorkerId(name.strip_prefix('w').unwrap().parse().unwrap())
}

fn millis(text: &str) -> Duration {
    Duration::from_millis(text.parse().unwrap())
}

/// `2x1` or `2x1/3`.
fn plan(size: &str) -> JobPlan {
    let (size, max_attempts) = size.split_once('/').unwrap_or((size, "4"));
    let (maps, reduces) = size.split_once('x').unwrap();
    JobPlan {
        maps: maps.parse().unwrap(),
        reduces: reduces.parse().unwrap(),
        max_attempts: max_attempts.parse().unwrap(),
        skip_bad: 2,
        backup: true,
        task_timeout: Duration::from_secs(600),
    }
}

/// `m0.1`, or `j2:m0.1`.
fn name(attempt: AttemptId) -> String {
    match attempt.job {
        JobId(1) => attempt.to_string(),
        job => format!("{job}:{attempt}"),
    }
}

/// An action in words.
pub(crate) fn words(action: &Action) -> String {
    match action {
        Action::Launch { attempt, on } => format!("launch {} {on}", name(*attempt)),
        Action::Cancel { attempt, on } => format!("cancel {} {on}", name(*attempt)),
        Action::Discard { attempt, on } => format!("discard {} {on}", name(*attempt)),
        Action::Commit { parts, .. } => {
            let parts: Vec<String> = parts.iter().map(|part| name(*part)).collect();
            format!("commit {}", parts.join(" ")).trim_end().to_owned()
        }
        Action::Finish { result, .. } => match result {
            JobResult::Succeeded { .. } => "end ok".to_owned(),
            JobResult::Cancelled => "end cancelled".to_owned(),
            JobResult::Failed {
                what,
                reason,
                failure,
            } => {
                let first = failure
                    .as_ref()
                    .map(|f| format!(": {f}"))
                    .unwrap_or_default();
                format!("end {reason:?}: {what}{first}").replace(',', ";")
            }
        },
        Action::Found { attempt, at } => format!("found {} {at}", name(*attempt)),
        Action::Adopted { attempt, on } => format!("adopted {} {on}", name(*attempt)),
        Action::Dismiss { worker } => format!("dismiss {worker}"),
        Action::Drains { process } => format!("drains {process}"),
        Action::Fence { worker } => format!("fence {worker}"),
        Action::Notice { kind, .. } => format!("({kind:?})").to_lowercase(),
        Action::Won { by, task, job } => match by {
            Some((attempt, _)) => format!("won {}", name(*attempt)),
            None => {
                let kind = match task.kind {
                    TaskKind::Map => 'm',
                    TaskKind::Reduce => 'r',
                };
                let job = if job.0 == 1 {
                    String::new()
                } else {
                    format!("{job}:")
                };
                format!("lost {job}{kind}{}", task.index)
            }
        },
    }
}
