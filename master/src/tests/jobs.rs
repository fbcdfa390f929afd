//! Jobs from submit to report.

use std::os::unix::fs::PermissionsExt;

use mapfold_data::manifest::Manifest;
use mapfold_protocol::service::POLL_MAX;
use mapfold_terms::{FailReason, NoticeKind, PartitionId, TaskId, TaskKind};
use tokio::time::Instant;

use super::fake::{Act, Fake};
use super::*;

#[tokio::test(start_paused = true)]
async fn a_job_runs_from_submit_to_report() {
    let bench = Bench::new().input("a.txt", 7).input("b.txt", 3);
    Fake::join(&bench.master, "one", 2)
        .await
        .start(|_, _| Act::Run);
    Fake::join(&bench.master, "two", 1)
        .await
        .start(|_, _| Act::Run);
    let job = bench.submit(bench.spec(6)).await;
    let report = bench.report(job).await;

    assert_succeeded(&report);
    assert_eq!((report.files, report.maps, report.reduces), (2, 10, 6));
    assert_eq!((report.records_in, report.records_mapped), (10, 50));
    assert_eq!(
        (report.records_shuffled, report.bytes_shuffled.0),
        (40, 500)
    );
    assert_eq!(report.bytes_in.0, 10 * 21);
    assert_eq!((report.rows, report.bytes_out.0), (6, 36));
    assert_eq!(report.bytes_spilled.0, 10 * 2 + 6 * 3);
    assert_eq!(report.bytes_remote.0, 42);
    assert_eq!((report.attempts, report.attempts_failed), (16, 0));
    assert!(report.time_lost.is_zero());
    assert_eq!(report.counters.0["tasks"], 16);
    let slowest: Vec<String> = report
        .slowest
        .iter()
        .map(|it| it.task.to_string())
        .collect();
    assert_eq!(
        slowest,
        ["m9", "m8", "m7", "m6", "m5", "r5", "r4", "r3", "r2", "r1"]
    );
    assert_eq!(report.slowest[0].about, "in/b.txt");
    assert_eq!(report.map_median, Duration::from_secs(4));
    assert_eq!(report.largest[0].0, PartitionId(5));
    assert_eq!(report.largest.len(), 5);

    assert_eq!(bench.left(), ["out"]);
    let manifest = Manifest::read(&bench.path("out")).unwrap();
    assert_eq!(manifest.parts.len(), 6);
    assert_eq!((manifest.splits, manifest.inputs.files), (10, 2));
    assert_eq!(
        (manifest.key.as_str(), manifest.value.as_str()),
        ("text", "u64")
    );
    assert_eq!(manifest.counters["tasks"], 16);
    assert!(matches!(report.end, JobEnd::Succeeded { root } if root == manifest.root.0));
    let part = fs::read_to_string(bench.path("out").join("part-00005")).unwrap();
    assert_eq!(part, "row\t5\n");
}

#[tokio::test(start_paused = true)]
async fn an_empty_folder_gives_empty_parts() {
    let bench = Bench::new();
    Fake::join(&bench.master, "one", 2)
        .await
        .start(|_, _| Act::Run);
    let report = bench.report(bench.submit(bench.spec(3)).await).await;
    assert_succeeded(&report);
    assert_eq!((report.files, report.maps, report.reduces), (0, 0, 3));
    assert_eq!(names(&bench.path("out")).len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_submit_that_is_repeated_is_the_same_job() {
    let bench = Bench::new().input("a.txt", 1);
    Fake::join(&bench.master, "one", 1)
        .await
        .start(|_, _| Act::Run);
    let spec = bench.spec(1);
    let job = bench.submit(spec.clone()).await;
    assert_eq!(bench.submit(spec.clone()).await, job);
    assert_succeeded(&bench.report(job).await);
    assert_eq!(bench.submit(spec).await, job);
    assert_ne!(bench.submit(bench.spec(1)).await, job);
}

#[tokio::test(start_paused = true)]
async fn what_can_be_refused_is_refused_before_anything_runs() {
    let bench = Bench::new().input("a.txt", 1);
    let mut worker = Fake::join(&bench.master, "one", 1).await;
    fs::create_dir(bench.path("out")).unwrap();
    let exists = bench.spec(1);
    let mut missing = bench.spec(1);
    missing.inputs[0].absolute = RawPath::from(bench.path("no"));
    missing.output = RawPath::from(bench.path("fresh"));
    let mut orphan = bench.spec(1);
    orphan.output = RawPath::from(bench.path("no/such/parent"));
    for (spec, reason, text) in [
        (exists, FailReason::Output, "exists"),
        (missing, FailReason::Input, "does not exist"),
        (orphan, FailReason::Output, "does not exist"),
    ] {
        let report = bench.report(bench.submit(spec).await).await;
        let (got, what) = failed(&report);
        assert_eq!(got, reason, "{what}");
        assert!(what.contains(text), "{what}");
        assert_eq!(report.attempts, 0);
    }
    assert_eq!(bench.left(), ["out"]);
    assert_eq!(worker.poll().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_may_not_be_written_is_refused() {
    // Root may write anywhere.
    if rustix::process::geteuid().is_root() {
        return;
    }
    let bench = Bench::new().input("a.txt", 1);
    let closed = bench.path("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    let mut spec = bench.spec(1);
    spec.output = RawPath::from(closed.join("out"));
    let report = bench.report(bench.submit(spec).await).await;
    assert_eq!(failed(&report).0, FailReason::Output);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_fails_too_often_fails_the_job_and_leaves_nothing() {
    let bench = Bench::new().input("a.txt", 3);
    let act = |task: TaskId, _| match task {
        TaskId {
            kind: TaskKind::Map,
            index: 1,
        } => Act::Fail,
        _ => Act::Run,
    };
    Fake::join(&bench.master, "one", 2).await.start(act);
    let job = bench.submit(bench.spec(1)).await;
    let report = bench.report(job).await;
    let (reason, what) = failed(&report);
    assert_eq!(reason, FailReason::TaskFailed);
    assert!(what.contains("m1") && what.contains("planted"), "{what}");
    assert_eq!(report.attempts_failed, 4);
    let retries = bench.watch(job, 0).await.unwrap().notices;
    assert_eq!(
        retries
            .iter()
            .filter(|it| it.kind == NoticeKind::Retry)
            .count(),
        3
    );
    assert!(bench.left().is_empty(), "{:?}", bench.left());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_job_leaves_nothing_and_its_worker_is_told() {
    let bench = Bench::new().input("a.txt", 2);
    let mut worker = Fake::join(&bench.master, "one", 2).await;
    let job = bench.submit(bench.spec(1)).await;
    let orders = worker.poll().await.unwrap();
    assert_eq!(orders.len(), 2);
    assert_eq!(bench.left().len(), 1, "a staging folder");
    bench.cancel(job).await;
    let report = bench.report(job).await;
    assert_eq!(report.end, JobEnd::Cancelled);
    assert!(bench.left().is_empty());
    let told = worker.poll().await.unwrap();
    assert!(
        told.contains(&mapfold_terms::Order::Forget(job)),
        "{told:?}"
    );
    // Cancelling what has ended changes nothing.
    bench.cancel(job).await;
    assert_eq!(bench.report(job).await, report);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_cancelled_while_it_is_planned_never_runs() {
    let bench = Bench::new().input("a.txt", 2);
    let job = bench.submit(bench.spec(1)).await;
    bench.cancel(job).await;
    assert_eq!(bench.report(job).await.end, JobEnd::Cancelled);
    assert!(bench.left().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_job_without_workers_fails_after_the_grace() {
    let grace = Duration::from_secs(3);
    let bench = Bench::with(Settings::new(Bounds {
        grace_without_workers: grace,
        ..Bounds::default()
    }))
    .input("a.txt", 1);
    let began = Instant::now();
    let report = bench.report(bench.submit(bench.spec(1)).await).await;
    assert_eq!(failed(&report).0, FailReason::NoWorkers);
    assert!(began.elapsed() >= grace && began.elapsed() < grace * 2);
    assert!(bench.left().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_watch_waits_for_news_and_no_longer_than_a_poll() {
    let bench = Bench::new().input("a.txt", 2);
    let mut worker = Fake::join(&bench.master, "one", 2).await;
    let job = bench.submit(bench.spec(1)).await;
    let orders = worker.poll().await.unwrap();
    let mut status = bench.until(job, |it| it.map.running == 2).await;
    assert_eq!(status.state, JobState::Running);
    assert_eq!((status.map.tasks, status.map.bytes_total), (2, 42));
    assert_eq!((status.workers, status.slots), (1, 2));

    // Nothing happens.
    let began = Instant::now();
    let same = bench.watch(job, status.version).await.unwrap();
    assert_eq!(same.version, status.version);
    assert_eq!(began.elapsed(), POLL_MAX);

    // Something does, while somebody waits.
    let attempts: Vec<_> = orders.iter().filter_map(attempt_of).collect();
    let began = Instant::now();
    let (news, beat) = tokio::join!(bench.watch(job, status.version), worker.beat(&attempts));
    beat.unwrap();
    status = news.unwrap();
    assert_eq!((status.map.records, status.map.bytes), (2, 20));
    assert!(began.elapsed() < Duration::from_millis(200));

    // The end is told at once.
    let began = Instant::now();
    let (end, ()) = tokio::join!(bench.watch(job, status.version), bench.cancel(job));
    assert!(end.unwrap().version > status.version);
    assert!(began.elapsed() < Duration::from_millis(200));
}

#[tokio::test(start_paused = true)]
async fn progress_wakes_a_watcher_ten_times_a_second_at_most() {
    let bench = Bench::new().input("a.txt", 1000);
    Fake::join(&bench.master, "one", 1)
        .await
        .start(|_, _| Act::Run);
    let job = bench.submit(bench.spec(1)).await;
    let (mut seen, mut woken) = (0, 0_u32);
    let began = Instant::now();
    loop {
        let status = bench.watch(job, seen).await.unwrap();
        if let JobState::Ended(report) = status.state {
            assert_eq!(report.attempts, 1001);
            break;
        }
        seen = status.version;
        woken += 1;
    }
    let most = began.elapsed().as_millis() / 100 + 8;
    assert!(u128::from(woken) <= most, "{woken} of {most}");
}

#[tokio::test(start_paused = true)]
async fn jobs_that_ended_are_remembered_up_to_a_bound() {
    let bench = Bench::with(Settings {
        jobs_remembered_max: 2,
        ..Settings::default()
    });
    Fake::join(&bench.master, "one", 1)
        .await
        .start(|_, _| Act::Run);
    let mut jobs = Vec::new();
    for number in 0..3 {
        let mut spec = bench.spec(1);
        spec.output = RawPath::from(bench.path(&format!("out{number}")));
        let job = bench.submit(spec).await;
        assert_succeeded(&bench.report(job).await);
        jobs.push(job);
    }
    assert_eq!(
        bench.watch(jobs[0], 0).await,
        Err(Refusal::UnknownJob(jobs[0]))
    );
    assert!(bench.watch(jobs[1], 0).await.is_ok());
}

fn attempt_of(order: &mapfold_terms::Order) -> Option<mapfold_terms::AttemptId> {
    match order {
        mapfold_terms::Order::Map { attempt, .. }
        | mapfold_terms::Order::Reduce { attempt, .. } => Some(*attempt),
        _ => None,
    }
}
