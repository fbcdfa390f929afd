//! Workers that come, go, fall silent and lose what they were told.

use mapfold_protocol::service::{POLL_MAX, Returning, WorkerDesk};
use mapfold_terms::{MasterEpoch, NoticeKind, Order};
use tokio::time::{Instant, sleep};

use super::fake::{Act, Fake, hello};
use super::*;

#[tokio::test(start_paused = true)]
async fn orders_of_a_poll_that_was_cut_come_again() {
    let bench = Bench::new().input("a.txt", 2);
    let mut worker = Fake::join(&bench.master, "one", 2).await;
    bench.submit(bench.spec(1)).await;
    let first = worker.clone().poll().await.unwrap();
    assert_eq!(first.len(), 2);
    // The answer never arrived: the next poll acknowledges what the one before did.
    assert_eq!(worker.poll().await.unwrap(), first);
    let Order::Map { attempt, .. } = first[0] else {
        panic!("{first:?}")
    };
    let outcome = worker.run(&first[0]).await;
    worker.report(attempt, outcome.clone()).await.unwrap();
    // A report that is repeated changes nothing either.
    worker.report(attempt, outcome).await.unwrap();
    let began = Instant::now();
    assert_eq!(worker.poll().await.unwrap(), []);
    assert_eq!(began.elapsed(), POLL_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_worker_goes_on_only_from_a_start_that_the_master_goes_on_from() {
    let mut settings = Settings::new(Bounds::default());
    settings.since = MasterEpoch(3);
    settings.earlier = vec![MasterEpoch(3), MasterEpoch(5)];
    settings.epoch = MasterEpoch(9);
    let bench = Bench::with(settings);
    // Of 4 and 7 another copy of its state folder may know; 9 has declared the worker dead.
    for (epoch, goes_on) in [(3, true), (4, false), (5, true), (7, false), (9, false)] {
        let mut hello = hello("one", 2);
        hello.returning = Some(Returning {
            epoch: MasterEpoch(epoch),
            holds: Vec::new(),
        });
        // An answer that was lost is given again.
        for _ in 0..2 {
            let desk = bench.master.desk();
            let terms = desk.join(context::current(), hello.clone()).await.unwrap();
            assert_eq!(terms.goes_on, goes_on, "{epoch}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_poll_answers_the_older_one() {
    let bench = Bench::new().input("a.txt", 1);
    let worker = Fake::join(&bench.master, "one", 1).await;
    let (mut older, mut newer) = (worker.clone(), worker);
    let older = tokio::spawn(async move { older.poll().await });
    tokio::task::yield_now().await;
    let newer = tokio::spawn(async move { newer.poll().await });
    let began = Instant::now();
    assert_eq!(older.await.unwrap().unwrap(), []);
    assert_eq!(began.elapsed(), Duration::ZERO);
    bench.submit(bench.spec(1)).await;
    assert_eq!(newer.await.unwrap().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_join_that_is_repeated_before_anything_else_is_the_same_worker() {
    let bench = Bench::new();
    let desk = bench.master.desk();
    let hello = hello("one", 2);
    let join = || desk.clone().join(context::current(), hello.clone());
    let first = join().await.unwrap();
    assert_eq!(join().await.unwrap(), first);
    // Once it has spoken, another join is another life, and the first is over.
    let poll = desk.clone().poll(context::current(), first.worker, 0).await;
    assert!(poll.is_ok());
    let second = join().await.unwrap();
    assert_ne!(second.worker, first.worker);
    let poll = desk.clone().poll(context::current(), first.worker, 0).await;
    assert_eq!(poll, Err(Refusal::UnknownWorker(first.worker)));
    assert_eq!(desk.workers(context::current()).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silent_worker_is_fenced_and_others_take_its_tasks() {
    let bench = Bench::new().input("a.txt", 4);
    let mut silent = Fake::join(&bench.master, "silent", 2).await;
    let job = bench.submit(bench.spec(2)).await;
    let orders = silent.poll().await.unwrap();
    let Order::Map { attempt, .. } = orders[0] else {
        panic!("{orders:?}")
    };
    let outcome = silent.run(&orders[0]).await;
    silent.report(attempt, outcome.clone()).await.unwrap();
    Fake::join(&bench.master, "good", 1)
        .await
        .start(|_, _| Act::Run);

    let report = bench.report(job).await;
    assert_succeeded(&report);
    assert_eq!((report.workers_lost, report.maps_rerun), (1, 1));
    assert_eq!((report.records_in, report.counters.0["tasks"]), (4, 6));
    let gone = Refusal::UnknownWorker(silent.id);
    assert_eq!(silent.poll().await, Err(gone.clone()));
    assert_eq!(silent.beat(&[attempt]).await, Err(gone.clone()));
    assert_eq!(silent.report(attempt, outcome).await, Err(gone.clone()));
    let located = silent
        .desk
        .clone()
        .locate(context::current(), silent.id, job, 0)
        .await;
    assert_eq!(located, Err(gone));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_polls_and_beats_outlives_its_lease() {
    let bench = Bench::new();
    let worker = Fake::join(&bench.master, "one", 1)
        .await
        .start(|_, _| Act::Run);
    sleep(Duration::from_secs(60)).await;
    assert!(!worker.is_finished());
    let desk = bench.master.desk();
    let workers = desk.workers(context::current()).await.unwrap();
    assert_eq!((workers[0].name.as_str(), workers[0].slots), ("one", 1));
    assert!(workers[0].silent <= Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn an_exit_that_was_seen_need_not_wait_for_the_lease() {
    let bench = Bench::new().input("a.txt", 2);
    let mut doomed = Fake::join(&bench.master, "doomed", 2).await;
    let job = bench.submit(bench.spec(1)).await;
    assert_eq!(doomed.poll().await.unwrap().len(), 2);
    Fake::join(&bench.master, "good", 1)
        .await
        .start(|_, _| Act::Run);
    let began = Instant::now();
    bench.master.worker_exited("doomed").await;
    assert_succeeded(&bench.report(job).await);
    assert!(began.elapsed() < Duration::from_secs(2));
    let notices = bench.watch(job, 0).await.unwrap().notices;
    assert!(
        notices
            .iter()
            .any(|it| it.kind == NoticeKind::Worker && it.text.contains("process ended")),
        "{notices:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn locations_come_in_pages_and_only_of_runs_that_count() {
    let bench = Bench::new().input("a.txt", 2100);
    let worker = Fake::join(&bench.master, "one", 4000).await;
    let job = bench.submit(bench.spec(1)).await;
    let mut runner = worker.clone();
    let mut orders = Vec::new();
    while orders.len() < 2100 {
        orders.extend(runner.poll().await.unwrap());
    }
    for order in &orders[1..] {
        let Order::Map { attempt, .. } = order else {
            panic!("{order:?}")
        };
        let outcome = worker.run(order).await;
        worker.report(*attempt, outcome).await.unwrap();
    }
    let locate = |from| {
        worker
            .desk
            .clone()
            .locate(context::current(), worker.id, job, from)
    };
    let first = locate(0).await.unwrap();
    assert_eq!(first.len(), mapfold_protocol::service::LOCATIONS_MAX);
    assert_eq!(first[0].attempt, None);
    assert_eq!((first[1].holder, first[1].bytes.0), (worker.id, 50));
    let rest = locate(u32::try_from(first.len()).unwrap()).await.unwrap();
    assert_eq!(first.len() + rest.len(), 2100);
    assert_eq!(locate(2100).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_says_too_much_of_itself_is_refused() {
    let bench = Bench::new();
    let join = bench
        .master
        .desk()
        .join(context::current(), hello(&"x".repeat(1000), 1));
    assert!(matches!(join.await, Err(Refusal::TooLong { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_cancels_jobs_and_stops_workers() {
    let bench = Bench::new().input("a.txt", 2);
    let worker = Fake::join(&bench.master, "one", 2)
        .await
        .start(|_, _| Act::Hang);
    let job = bench.submit(bench.spec(1)).await;
    bench.until(job, |it| it.map.running == 2).await;
    let ended = async { bench.report(job).await };
    let (report, ()) = tokio::join!(ended, bench.master.shutdown());
    assert_eq!(report.end, JobEnd::Cancelled);
    worker.await.unwrap();
    assert!(bench.left().is_empty());
    let refused = bench
        .master
        .desk()
        .submit(context::current(), bench.spec(1))
        .await;
    assert_eq!(refused, Err(Refusal::ShuttingDown));
    // Nothing is left to shut down.
    bench.master.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_a_while_for_workers_that_do_not_answer() {
    let bench = Bench::new();
    let _worker = Fake::join(&bench.master, "one", 2).await;
    let began = Instant::now();
    bench.master.shutdown().await;
    assert_eq!(began.elapsed(), Settings::default().farewell_max);
}
