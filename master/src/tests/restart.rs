//! Masters that end at once, with their runtime, and are started again on the same state folder.

use mapfold_protocol::service::{ClientDesk, HeldRuns, Returning, WorkerDesk};
use mapfold_terms::{AttemptId, Digest, MasterEpoch, Order, Outcome, TaskKind, WorkerState};

use super::fake::{Act, Fake, hello, map_report};
use super::*;
use crate::JournalError;

fn settings() -> Settings {
    Settings::new(Bounds {
        // Longer than any test waits, on any machine.
        runs_awaited: Duration::from_secs(600),
        ..Bounds::default()
    })
}

/// Those of a master that does not wait long for runs.
fn impatient() -> Settings {
    Settings::new(Bounds {
        runs_awaited: Duration::from_millis(300),
        ..Bounds::default()
    })
}

/// One life of a master, which ends without a word.
fn life<T>(bench: &mut Option<Bench>, play: impl AsyncFnOnce(&Bench) -> T) -> T {
    life_with(settings(), bench, play)
}

fn life_with<T>(
    settings: Settings,
    bench: &mut Option<Bench>,
    play: impl AsyncFnOnce(&Bench) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let played = runtime.block_on(async {
        let bench = bench.get_or_insert_with(|| Bench::new().input("a.txt", 6));
        bench.master = Master::open(settings, &bench.path("state")).unwrap();
        play(bench).await
    });
    drop(runtime);
    played
}

/// What a worker has when its master dies.
struct Survivor {
    epoch: MasterEpoch,
    runs: Vec<(AttemptId, Digest)>,
    holds: Vec<AttemptId>,
}

/// Joins a new master with what another has left.
async fn returns(bench: &Bench, survivor: Survivor) -> Fake {
    let desk = bench.master.desk();
    let mut hello = hello("one", 2);
    hello.returning = Some(Returning {
        epoch: survivor.epoch,
        holds: survivor.holds,
    });
    let terms = desk.clone().join(context::current(), hello).await.unwrap();
    assert!(terms.epoch > survivor.epoch);
    let runs = HeldRuns(survivor.runs);
    let attached = desk.attach(context::current(), terms.worker, runs);
    attached.await.unwrap();
    Fake::of(&bench.master, terms)
}

/// Runs orders until `enough`; what is left of them is held.
async fn work_until(
    fake: &mut Fake,
    runs: &mut Vec<(AttemptId, Digest)>,
    enough: impl Fn(&[(AttemptId, Digest)]) -> bool,
) -> Vec<AttemptId> {
    let mut held = Vec::new();
    while !enough(runs) {
        for order in fake.poll().await.unwrap() {
            let (Order::Map { attempt, .. } | Order::Reduce { attempt, .. }) = order else {
                panic!("{order:?}");
            };
            if enough(runs) {
                held.push(attempt);
                continue;
            }
            let outcome = fake.run(&order).await;
            if let Outcome::Mapped(report) = &outcome {
                runs.push((attempt, report.run.digest));
            }
            fake.report(attempt, outcome).await.unwrap();
        }
    }
    held
}

#[test]
fn finished_work_survives_and_the_job_ends_for_whoever_asks() {
    let mut bench = None;
    let mut runs = Vec::new();
    let (spec, id, survivor) = life(&mut bench, async |bench| {
        let spec = bench.spec(2);
        let id = bench.submit(spec.clone()).await;
        let mut fake = Fake::join(&bench.master, "one", 2).await;
        let holds = work_until(&mut fake, &mut runs, |runs| runs.len() == 4).await;
        let epoch = fake.epoch();
        let survivor = Survivor { epoch, runs, holds };
        (spec, id, survivor)
    });
    let report = life(&mut bench, async |bench| {
        assert_eq!(bench.submit(spec.clone()).await, id);
        returns(bench, survivor).await.start(|_, _| Act::Run);
        bench.report(id).await
    });
    assert_succeeded(&report);
    assert_eq!(
        (report.maps_rerun, report.rollbacks, report.maps),
        (0, 0, 6)
    );
    // Whatever ran when the master died ran once more or went on; nothing that was finished did.
    assert!(report.attempts <= 8 + 2, "{}", report.attempts);
    let again = life(&mut bench, async |bench| {
        assert_eq!(bench.submit(spec).await, id);
        bench.report(id).await
    });
    assert_eq!(again, report);
    let bench = bench.unwrap();
    assert_eq!(bench.left(), ["out", "state"]);
}

#[test]
fn a_worker_that_is_to_leave_is_so_after_a_restart_too() {
    let mut bench = None;
    let mut hello = hello("one", 2);
    let epoch = life(&mut bench, async |bench| {
        let desk = bench.master.desk();
        let terms = desk.clone().join(context::current(), hello.clone());
        let terms = terms.await.unwrap();
        desk.drain_worker(context::current(), terms.worker)
            .await
            .unwrap();
        terms.epoch
    });
    // Under its new id, and when it has been lost and is back.
    let holds = Vec::new();
    hello.returning = Some(Returning { epoch, holds });
    for _ in 0..2 {
        life(&mut bench, async |bench| {
            let desk = bench.master.desk();
            for _ in 0..2 {
                let join = desk.clone().join(context::current(), hello.clone());
                let terms = join.await.unwrap();
                let of = Fake::of(&bench.master, terms);
                of.beat(&[]).await.unwrap();
                let workers = desk.clone().workers(context::current()).await.unwrap();
                assert_eq!(workers.len(), 1);
                assert_eq!(workers[0].state, WorkerState::Draining);
            }
        });
    }
}

#[test]
fn attempts_that_ran_are_adopted_and_runs_that_nobody_brings_are_made_again() {
    let mut bench = None;
    let (id, epoch, launched) = life(&mut bench, async |bench| {
        let id = bench.submit(bench.spec(1)).await;
        let mut fake = Fake::join(&bench.master, "one", 2).await;
        let mut runs = Vec::new();
        let held = work_until(&mut fake, &mut runs, |runs| runs.len() == 5).await;
        (id, fake.epoch(), (runs, held))
    });
    let (mut runs, mut held) = launched;
    let report = life_with(impatient(), &mut bench, async |bench| {
        // Its last order was on its way when the master died, if it was ordered at all.
        let (lost, _) = runs.pop().unwrap();
        assert_eq!(lost.task.kind, TaskKind::Map);
        let fake = returns(
            bench,
            Survivor {
                epoch,
                runs,
                holds: held.clone(),
            },
        )
        .await;
        for attempt in held.drain(..) {
            let outcome = Outcome::Mapped(map_report(attempt, 21));
            fake.report(attempt, outcome).await.unwrap();
        }
        fake.start(|_, _| Act::Run);
        bench.report(id).await
    });
    assert_succeeded(&report);
    assert_eq!(report.maps_rerun, 1);
}

#[test]
fn a_job_that_was_not_planned_yet_is_planned_and_one_that_was_cancelled_stays_so() {
    let mut bench = None;
    let (id, cancelled) = life(&mut bench, async |bench| {
        let id = bench.submit(bench.spec(1)).await;
        let mut other = bench.spec(1);
        other.output = RawPath::from(bench.path("other"));
        let cancelled = bench.submit(other).await;
        bench.cancel(cancelled).await;
        (id, cancelled)
    });
    let reports = life(&mut bench, async |bench| {
        let cancelled = bench.report(cancelled).await;
        let fake = Fake::join(&bench.master, "one", 2).await;
        fake.start(|_, _| Act::Run);
        (bench.report(id).await, cancelled)
    });
    assert_succeeded(&reports.0);
    assert_eq!(reports.1.end, JobEnd::Cancelled);
    assert_eq!(bench.unwrap().left(), ["out", "state"]);
}

#[test]
fn a_worker_that_this_master_declared_dead_brings_nothing() {
    let mut bench = None;
    life(&mut bench, async |bench| {
        let id = bench.submit(bench.spec(1)).await;
        let mut fake = Fake::join(&bench.master, "one", 2).await;
        let mut runs = Vec::new();
        work_until(&mut fake, &mut runs, |runs| runs.len() == 3).await;
        bench.master.worker_exited("one").await;
        let desk = bench.master.desk();
        let mut hello = hello("one", 2);
        hello.returning = Some(Returning {
            epoch: fake.epoch(),
            holds: Vec::new(),
        });
        let terms = desk.clone().join(context::current(), hello).await.unwrap();
        assert_eq!(terms.epoch, fake.epoch());
        assert!(terms.worker > fake.id);
        Fake::of(&bench.master, terms).start(|_, _| Act::Run);
        let report = bench.report(id).await;
        assert_succeeded(&report);
        assert_eq!(report.maps_rerun, 3);
    });
}

#[test]
fn one_master_a_state_folder() {
    let mut bench = None;
    life(&mut bench, async |bench| {
        let second = Master::open(settings(), &bench.path("state"));
        assert!(matches!(second, Err(JournalError::InUse { .. })));
    });
}

#[test]
fn an_output_is_committed_once_whenever_the_master_dies() {
    let mut bench = None;
    let id = life(&mut bench, async |bench| {
        let id = bench.submit(bench.spec(3)).await;
        let fake = Fake::join(&bench.master, "one", 2).await;
        fake.start(|_, _| Act::Run);
        // The commit may or may not have begun, or ended, when the master dies.
        let reduced = |status: &JobStatus| {
            status.reduce.done == 3 || matches!(status.state, JobState::Ended(_))
        };
        bench.until(id, reduced).await;
        id
    });
    let report = life(&mut bench, async |bench| bench.report(id).await);
    assert_succeeded(&report);
    assert_eq!(report.attempts, 9);
    assert_eq!(bench.unwrap().left(), ["out", "state"]);
}
