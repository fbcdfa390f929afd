//! The cost of an event must not grow with the number of tasks.
//!
//! `MAPFOLD_TASKS=1000000 MAPFOLD_WORKERS=10000 cargo test --release -p mapfold-scheduler scale -- --nocapture`
//! measures a large job.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use mapfold_terms::{
    AttemptId, Digest, FailClass, JobId, MasterEpoch, Outcome, Progress, TaskKind, WorkerId,
};

use crate::script::{failure, mapped, reduced};
use crate::{Action, Event, JobPlan, Moment, Scheduler, Settings};

/// A job of `tasks` map tasks and a tenth as many reduce tasks on `workers` workers of 4 slots: every
/// tenth map task fails once, every hundredth event is a heartbeat, a worker dies now and then.
struct Scale {
    scheduler: Scheduler,
    now: Moment,
    events: u64,
    running: VecDeque<(AttemptId, WorkerId)>,
    dead: BTreeSet<WorkerId>,
    maps: u32,
    done: bool,
}

impl Scale {
    fn new(tasks: u32, workers: u32) -> Self {
        let mut scale = Self {
            scheduler: Scheduler::new(MasterEpoch(1), 1, Settings::default()),
            now: Moment::default(),
            events: 0,
            running: VecDeque::new(),
            dead: BTreeSet::new(),
            maps: tasks,
            done: false,
        };
        for worker in 1..=workers {
            let worker = WorkerId(worker);
            let process = u128::from(worker.0);
            scale.handle(Event::WorkerJoined {
                worker,
                slots: 4,
                process,
            });
        }
        scale
    }

    /// Plays the job to its commit; returns the time an event took, that of planning included.
    fn play(&mut self) -> Duration {
        let began = cpu_time();
        let plan = JobPlan {
            maps: self.maps,
            reduces: self.maps / 10,
            max_attempts: 4,
            skip_bad: 0,
            backup: true,
            task_timeout: Duration::from_secs(600),
        };
        let job = JobId(1);
        self.handle(Event::JobPlanned { job, plan });
        while let Some((attempt, worker)) = self.running.pop_front() {
            if self.events.is_multiple_of(100) {
                let holds = BTreeSet::from([attempt]);
                let progress = vec![Progress {
                    attempt,
                    records: 1,
                    bytes: 1,
                    bytes_total: 2,
                    steps: self.events,
                }];
                self.handle(Event::Heartbeat {
                    worker,
                    holds,
                    progress,
                });
            }
            if self.events % 20_000 == 7 {
                let why = crate::WorkerGone::Exited;
                self.dead.insert(worker);
                self.handle(Event::WorkerGone { worker, why });
            }
            if !self.dead.contains(&worker) {
                let outcome = self.outcome(attempt);
                self.handle(Event::AttemptEnded {
                    worker,
                    attempt,
                    outcome,
                });
            }
        }
        assert!(self.done, "the job did not come to its commit");
        (cpu_time() - began) / u32::try_from(self.events).unwrap()
    }

    fn outcome(&self, attempt: AttemptId) -> Outcome {
        let index = attempt.task.index;
        match attempt.task.kind {
            TaskKind::Map if attempt.number == 1 && index % 10 == 3 => {
                Outcome::Failed(failure(FailClass::Job, "bad"))
            }
            TaskKind::Map => mapped(Digest(u128::from(index))),
            TaskKind::Reduce => {
                // All reduce attempts consume the same runs; adding them up is not what is measured.
                let Outcome::Reduced(mut report) = reduced(std::iter::empty()) else {
                    unreachable!("that is what it makes");
                };
                report.consumed = self.scheduler.jobs[&JobId(1)].inputs.expected();
                report.runs = self.maps;
                Outcome::Reduced(report)
            }
        }
    }

    fn handle(&mut self, event: Event) {
        self.events += 1;
        self.now.0 += Duration::from_micros(10);
        self.scheduler.handle(self.now, event);
        while let Some(action) = self.scheduler.poll_action() {
            match action {
                Action::Launch { attempt, on } => self.running.push_back((attempt, on)),
                Action::Commit { .. } => self.done = true,
                _ => {}
            }
        }
    }
}

/// What this thread has had of a processor: other programs run on this machine too.
fn cpu_time() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos = told.split_whitespace().next().unwrap().parse().unwrap();
    Duration::from_nanos(nanos)
}

/// What the process occupies, in bytes.
fn resident() -> u64 {
    let told = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = told.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn from_env(name: &str, default: u32) -> u32 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn scale_does_not_make_events_dearer() {
    let large = from_env("MAPFOLD_TASKS", 100_000);
    let workers = from_env("MAPFOLD_WORKERS", 1_000);
    let small = large / 10;
    // The best of three: caches are shared.
    let best = |tasks| {
        (0..3)
            .map(|_| Scale::new(tasks, workers).play())
            .min()
            .unwrap()
    };
    let (few, many) = (best(small), best(large));
    eprintln!("{workers} workers: {few:?} an event with {small} map tasks, {many:?} with {large}");
    assert!(
        many < few * 5,
        "an event takes {many:?} with {large} tasks, {few:?} with {small}"
    );
}

/// Every structure that has an entry for each task, as it lies in memory. Sets of runs and queues come to it.
#[test]
fn scale_in_memory_is_a_few_words_a_task() {
    use crate::task::Task;
    let map = size_of::<Task>() + size_of::<Option<Digest>>();
    let reduce = size_of::<Task>()
        + size_of::<Option<mapfold_terms::InputsDigest>>()
        + size_of::<Option<u64>>();
    eprintln!("{map} bytes a map task, {reduce} a reduce task");
    assert!(map <= 128 && reduce <= 128, "{map}, {reduce}");
    // Other tests run in this process, so what it occupies is told and not judged.
    let before = resident();
    let mut scale = Scale::new(from_env("MAPFOLD_TASKS", 100_000), 1_000);
    scale.play();
    let grown = resident().saturating_sub(before);
    eprintln!(
        "{} bytes a task occupied once all are won",
        grown / u64::from(scale.maps)
    );
}
