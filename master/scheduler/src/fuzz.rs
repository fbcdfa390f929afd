//! Whatever the scheduler is told, in whatever order, its invariants hold and it does not panic: reports
//! from the wrong worker, of the wrong kind, about attempts that never were, jumps in time.

use std::collections::BTreeSet;
use std::time::Duration;

use mapfold_terms::{
    AttemptId, Digest, FailClass, FailReason, FetchCause, FetchFailure, JobId, MasterEpoch,
    Outcome, Progress, TaskId, Token, WorkerId,
};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::script::{failure, mapped, reduced};
use crate::{Action, CommitOutcome, Event, JobPlan, Moment, Scheduler, Settings, WorkerGone};

/// One thing to tell. Attempts are named by their place among those launched so far; beyond them are
/// attempts that never were.
#[derive(Clone, Debug)]
enum Told {
    Job {
        job: u64,
        maps: u32,
        reduces: u32,
    },
    CancelJob(u64),
    Commit {
        job: u64,
        done: bool,
    },
    Join {
        worker: u32,
        slots: u32,
    },
    Beat {
        worker: u32,
        holds: Vec<usize>,
    },
    BeatAll {
        worker: u32,
    },
    Gone(u32),
    Drain(u32),
    Ended {
        worker: Option<u32>,
        attempt: usize,
        how: How,
    },
    Wait {
        millis: u64,
    },
}

#[derive(Clone, Debug)]
enum How {
    Mapped(u128),
    Reduced,
    Failed(FailClass),
    NotFetched { map: usize, cause: FetchCause },
    Cancelled,
}

fn told() -> impl Strategy<Value = Told> {
    let worker = || 1..6_u32;
    let how = prop_oneof![
        4 => (1..4_u128).prop_map(How::Mapped),
        4 => Just(How::Reduced),
        1 => prop_oneof![Just(FailClass::Job), Just(FailClass::Worker), Just(FailClass::Space)].prop_map(How::Failed),
        2 => (0..40_usize, prop_oneof![
            Just(FetchCause::NotFound),
            Just(FetchCause::Corrupt),
            Just(FetchCause::Unreachable)
        ])
            .prop_map(|(map, cause)| How::NotFetched { map, cause }),
        1 => Just(How::Cancelled),
    ];
    prop_oneof![
        2 => (1..4_u64, 0..5_u32, 1..4_u32)
            .prop_map(|(job, maps, reduces)| Told::Job { job, maps, reduces }),
        1 => (1..4_u64).prop_map(Told::CancelJob),
        2 => (1..4_u64, any::<bool>()).prop_map(|(job, done)| Told::Commit { job, done }),
        3 => (worker(), 1..4_u32).prop_map(|(worker, slots)| Told::Join { worker, slots }),
        2 => (worker(), vec(0..40_usize, 0..4))
            .prop_map(|(worker, holds)| Told::Beat { worker, holds }),
        3 => worker().prop_map(|worker| Told::BeatAll { worker }),
        1 => worker().prop_map(Told::Gone),
        1 => worker().prop_map(Told::Drain),
        20 => (prop_oneof![9 => Just(None), 1 => worker().prop_map(Some)], 0..40_usize, how)
            .prop_map(|(worker, attempt, how)| Told::Ended { worker, attempt, how }),
        3 => (1..4_000_u64).prop_map(|millis| Told::Wait { millis }),
    ]
}

struct Shell {
    scheduler: Scheduler,
    now: Moment,
    launched: Vec<(AttemptId, WorkerId)>,
    commits: BTreeSet<JobId>,
    finished: BTreeSet<JobId>,
}

impl Shell {
    fn tell(&mut self, told: Told) {
        let event = match told {
            Told::Wait { millis } => {
                self.now.0 += Duration::from_millis(millis);
                self.scheduler.tick(self.now);
                return self.drain();
            }
            Told::Job { job, maps, reduces } => Event::JobPlanned {
                job: JobId(job),
                plan: JobPlan {
                    maps,
                    reduces,
                    max_attempts: 2,
                    skip_bad: 0,
                    backup: job != 2,
                    task_timeout: Duration::from_secs(if job == 3 { 0 } else { 3 }),
                },
            },
            Told::CancelJob(job) => Event::JobCancelled { job: JobId(job) },
            Told::Commit { job, done } => Event::CommitEnded {
                job: JobId(job),
                outcome: match done {
                    true => CommitOutcome::Done { root: [0; 32] },
                    false => CommitOutcome::Failed {
                        reason: FailReason::Output,
                        failure: failure(FailClass::Worker, "full"),
                    },
                },
            },
            Told::Join { worker, slots } => Event::WorkerJoined {
                worker: WorkerId(worker),
                slots,
                process: u128::from(worker % 3),
            },
            Told::Drain(worker) => Event::WorkerDrains {
                worker: WorkerId(worker),
            },
            Told::Beat { worker, holds } => Event::Heartbeat {
                worker: WorkerId(worker),
                holds: holds.iter().map(|place| self.attempt(*place).0).collect(),
                progress: holds.iter().map(|place| self.progress(*place)).collect(),
            },
            Told::BeatAll { worker } => Event::Heartbeat {
                worker: WorkerId(worker),
                holds: self.launched.iter().map(|(attempt, _)| *attempt).collect(),
                progress: Vec::new(),
            },
            Told::Gone(worker) => Event::WorkerGone {
                worker: WorkerId(worker),
                why: WorkerGone::Exited,
            },
            Told::Ended {
                worker,
                attempt,
                how,
            } => {
                let (attempt, on) = self.attempt(attempt);
                Event::AttemptEnded {
                    worker: worker.map_or(on, WorkerId),
                    attempt,
                    outcome: self.outcome(attempt, &how),
                }
            }
        };
        self.scheduler.handle(self.now, event);
        self.drain();
    }

    fn outcome(&self, attempt: AttemptId, how: &How) -> Outcome {
        match how {
            How::Mapped(digest) => mapped(Digest(*digest)),
            How::Reduced => {
                let inputs = self.scheduler.jobs.get(&attempt.job).map(|job| &job.inputs);
                reduced((0..).map_while(|map| Some((map, inputs?.digest(map)?))))
            }
            How::Failed(class) => Outcome::Failed(failure(*class, "bad")),
            How::NotFetched { map, cause } => {
                let (map, holder) = self.attempt(*map);
                Outcome::FetchFailed(FetchFailure {
                    map,
                    holder,
                    cause: *cause,
                    message: String::new(),
                })
            }
            How::Cancelled => Outcome::Cancelled,
        }
    }

    /// Some of it makes sense.
    fn progress(&self, place: usize) -> Progress {
        let (attempt, _) = self.attempt(place);
        let n = attempt.token.counter;
        Progress {
            attempt,
            records: 0,
            bytes: n % 7 * 50,
            bytes_total: n % 3 * 100,
            steps: n % 2,
        }
    }

    /// Counted from the last one launched.
    fn attempt(&self, place: usize) -> (AttemptId, WorkerId) {
        let never = AttemptId {
            token: Token {
                epoch: MasterEpoch(0),
                counter: 7,
            },
            job: JobId(1),
            task: TaskId::map(u32::MAX),
            number: 1,
        };
        let known = self.launched.iter().rev().nth(place).copied();
        known.unwrap_or((never, WorkerId(1)))
    }

    fn drain(&mut self) {
        while let Some(action) = self.scheduler.poll_action() {
            match action {
                Action::Launch { attempt, on } => self.launched.push((attempt, on)),
                Action::Commit { job, .. } => assert!(self.commits.insert(job), "{job} twice"),
                Action::Finish { job, .. } => assert!(self.finished.insert(job), "{job} twice"),
                _ => {}
            }
        }
        self.scheduler.check_invariants().unwrap();
    }
}

proptest! {
    #[test]
    fn any_events_in_any_order_keep_the_invariants(story in vec(told(), 1..120)) {
        let mut shell = Shell {
            scheduler: Scheduler::new(MasterEpoch(1), 1, Settings::default()),
            now: Moment::default(),
            launched: Vec::new(),
            commits: BTreeSet::new(),
            finished: BTreeSet::new(),
        };
        for told in story {
            shell.tell(told);
        }
    }
}
