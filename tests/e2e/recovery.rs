//! How long it takes until what was lost is made up for.
//!
//! The tests hold what is measured against the lease, with much to spare: a loaded machine is slow, but not by a multiple of seconds. The
//! figures in `docs/benchmarks.md` are those of [`time_lost_to_a_killed_worker`].

use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::cluster::{Cluster, Over};
use crate::faults::{Scene, number};
use crate::line::Line;
use crate::sandbox::{Sandbox, bytes_of, root_of, samples, signal, wait_for};

/// Long enough that the machine's load is small beside it.
const LEASE: Duration = Duration::from_secs(4);

/// The work of a killed worker goes to others when its lease is over: not before, and soon after.
#[test]
fn a_killed_worker_is_noticed_when_its_lease_is_over() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::with_lease(&sandbox, Over::Unix, 3, "4s");
    let scene = Scene::on(sandbox, cluster, "hold_map=true");
    let victim = scene.pid_at("map", &[]);
    let killed = Instant::now();
    signal(victim, Signal::KILL);
    scene.wait_until_lost();
    let noticed = killed.elapsed();
    // It has beaten just before, or up to a fifth of the lease before.
    assert!(noticed > LEASE / 2, "{noticed:?}");
    assert!(noticed < LEASE * 3, "{noticed:?}");
    let (sandbox, cluster, report) = scene.finish();
    assert_eq!(number(&report, "workers_lost"), 1);
    let wasted = report["seconds"]["lost"].as_f64().unwrap();
    assert!(wasted > LEASE.as_secs_f64() / 2.0, "{report}");
    // What it ran, and the runs that it held; nothing of the others.
    let lost = number(&report, "attempts_lost") + number(&report, "maps_rerun");
    let tasks = number(&report, "map_tasks") + number(&report, "reduce_tasks");
    assert!(number(&report, "attempts") <= tasks + lost + 1, "{report}");
    cluster.end();
    sandbox.assert_clean(&["out"]);
}

/// At once, whatever the lease is: here it is so long that a worker which waited for it would be seen to.
#[test]
fn a_broken_connection_is_made_again_at_once() {
    const LONG: Duration = Duration::from_secs(60);
    let sandbox = Sandbox::new();
    let mut cluster = Cluster::with_lease(&sandbox, Over::Tcp, 0, "60s");
    let line = Line::to(&cluster.address);
    cluster.add_worker_at(&sandbox, &line.address, &[]);
    wait_for("the worker to connect", || {
        let said = cluster.workers[0].said();
        said.contains("joined").then_some(())
    });
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let before = line.connections();
        let cut = Instant::now();
        line.cut();
        wait_for("a new connection", || {
            (line.connections() > before).then_some(())
        });
        slowest = slowest.max(cut.elapsed());
    }
    assert!(slowest < LONG / 6, "{slowest:?}");
    cluster.end();
}

/// `MAPFOLD_RECOVERY_DATA=FOLDER cargo test -p mapfold-tests time_lost -- --ignored --nocapture`: a word count on eight workers, as it is, and
/// with one of them killed, and replaced, when a third and two thirds of the undisturbed time have passed.
#[test]
#[ignore = "a measurement, which wants large data and a quiet machine"]
fn time_lost_to_a_killed_worker() {
    let data = std::env::var_os("MAPFOLD_RECOVERY_DATA").map_or_else(samples, PathBuf::from);
    let sandbox = Sandbox::new();
    let mut cluster = Cluster::with_lease(&sandbox, Over::Unix, 8, "2s");
    let mut run = |output: &str, kill_after: Option<Duration>| {
        let more = ["--split-size", "2MiB", "-r", "16", "--json"];
        let started = Instant::now();
        let mut client = sandbox.start(cluster.run_args("wordcount", data.clone(), output, &more));
        if let Some(after) = kill_after {
            wait_for("the moment", || (started.elapsed() >= after).then_some(()));
            assert!(!client.ended(), "the job has ended before the kill");
            let victim = cluster.workers.swap_remove(0);
            signal(victim.pid(), Signal::KILL);
            cluster.add_worker(&sandbox);
        }
        let ended = client.wait();
        let took = started.elapsed();
        assert!(ended.status.success(), "{}", ended.stderr);
        let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
        let root = root_of(&sandbox.work(output));
        assert!(bytes_of(&sandbox.work(output)).len() == 17);
        std::fs::remove_dir_all(sandbox.work(output)).unwrap();
        (took, root, number(&report, "maps_rerun"))
    };
    let mut undisturbed: Vec<_> = (0..3).map(|_| run("plain", None)).collect();
    undisturbed.sort();
    let (plain, root, _) = undisturbed[1].clone();
    let times: Vec<_> = undisturbed.iter().map(|(took, ..)| took).collect();
    eprintln!("undisturbed {plain:.1?}, of {times:.1?}");
    for (what, part) in [("a third", 3.0), ("two thirds", 1.5)] {
        let (took, same, rerun) = run("killed", Some(plain.div_f64(part)));
        assert_eq!(same, root);
        eprintln!(
            "killed after {what}: {took:.1?}, {:+.1?} s, {rerun} maps again; lease and a tenth: {:.1?}",
            took.as_secs_f64() - plain.as_secs_f64(),
            Duration::from_secs(2) + plain.div_f64(10.0)
        );
    }
}
