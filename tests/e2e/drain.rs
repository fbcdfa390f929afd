//! Workers leave without loss, two jobs share a cluster, the master is stopped for a while.

use rustix::process::Signal;

use crate::cluster::{Cluster, Over};
use crate::faults::{Scene, assert_undisturbed, number};
use crate::sandbox::{Sandbox, books, signal, wait_for};

impl Scene {
    /// What a command says of this scene's cluster.
    fn ask(&self, command: &str) -> String {
        let mut args: Vec<&str> = command.split(' ').collect();
        args.extend(["--master", &self.cluster.address]);
        String::from_utf8(self.sandbox.run(args).stdout).unwrap()
    }

    /// The id of the worker with this process id.
    fn worker_of(&self, pid: i32) -> String {
        let list = self.ask("workers");
        let line = list.lines().find(|line| line.contains(&format!(":{pid} ")));
        let id = line.and_then(|line| line.split_whitespace().next());
        id.unwrap_or_else(|| panic!("no {pid} in {list}"))
            .to_owned()
    }
}

#[test]
fn a_drained_worker_serves_its_runs_until_the_job_has_ended() {
    let scene = Scene::new("hold_reduce=true");
    let pid = scene.pid_at("reduce", &[]);
    let id = scene.worker_of(pid);
    scene.ask(&format!("drain {id}"));
    let list = scene.ask("workers");
    assert!(list.contains("draining"), "{list}");
    let jobs = scene.ask("jobs");
    assert!(
        jobs.contains("lab-slow") && jobs.contains("running"),
        "{jobs}"
    );
    let (sandbox, mut cluster, report) = scene.finish();
    assert_eq!(number(&report, "maps_rerun"), 0);
    assert_eq!(number(&report, "attempts_lost"), 0);
    let place = cluster.workers.iter().position(|it| it.pid() == pid);
    let ended = cluster.workers.remove(place.unwrap()).wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    cluster.end();
    sandbox.assert_clean(&["out"]);
}

#[test]
fn the_first_sigterm_drains_a_worker_and_the_second_ends_it() {
    let scene = Scene::new("hold_map=true");
    let first = scene.pid_at("map", &[]);
    let second = scene.pid_at("map", &[first]);
    for pid in [first, second] {
        signal(pid, Signal::TERM);
    }
    wait_for("two workers to drain", || {
        let list = scene.ask("workers");
        (list.matches("draining").count() == 2).then_some(())
    });
    signal(second, Signal::TERM);
    let (sandbox, mut cluster, report) = scene.finish();
    // Who was drained is no loss; who ended at once may be, with what it ran and what waited there.
    assert!(number(&report, "workers_lost") <= 1);
    for (pid, code) in [(first, 0), (second, 143)] {
        let place = cluster.workers.iter().position(|it| it.pid() == pid);
        let ended = cluster.workers.remove(place.unwrap()).wait();
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
    }
    cluster.end();
    sandbox.assert_clean(&["out"]);
}

#[test]
fn jobs_at_once_share_a_cluster_and_the_end_of_one_does_not_touch_the_others() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::start(&sandbox, Over::Unix, 2);
    let trace = format!("trace={}", sandbox.trace().display());
    let start = |output: &str, more: &[&str]| {
        let fixed = ["-r", "10", "--split-size", "100KB", "--json", "-p", &trace];
        let more: Vec<&str> = fixed.iter().chain(more).copied().collect();
        sandbox.start(cluster.run_args("lab-slow", books(), output, &more))
    };
    // All hold until all have begun, so they do run at once.
    let held = ["-p", "hold_map=true"];
    let jobs = ["one", "two"].map(|output| start(output, &held));
    let cancelled = start("three", &held);
    let list = wait_for("three jobs to run", || {
        let args = ["jobs", "--master", &cluster.address];
        let list = String::from_utf8(sandbox.run(args).stdout).unwrap();
        (list.matches(" running ").count() == 3).then_some(list)
    });
    signal(cancelled.pid(), Signal::INT);
    assert_eq!(cancelled.wait().status.code(), Some(130), "{list}");
    sandbox.go("go-map");
    for (job, output) in jobs.into_iter().zip(["one", "two"]) {
        let ended = job.wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_undisturbed(&sandbox.work(output));
    }
    cluster.end();
    sandbox.assert_clean(&["one", "two"]);
}

/// Longer than the lease, which a worker notices: it stops what it does. The master does not take its own absence for their silence.
#[test]
fn a_master_that_was_stopped_past_the_lease_loses_no_worker() {
    let scene = Scene::new("hold_map=true");
    let first = scene.pid_at("map", &[]);
    scene.pid_at("map", &[first]);
    signal(scene.cluster.master_pid(), Signal::STOP);
    wait_for("a worker's own lease to run out", || {
        let mut workers = scene.cluster.workers.iter();
        workers
            .any(|worker| worker.said().contains("the lease ran out"))
            .then_some(())
    });
    signal(scene.cluster.master_pid(), Signal::CONT);
    let (sandbox, cluster, report) = scene.finish();
    assert_eq!(number(&report, "workers_lost"), 0, "{report}");
    cluster.end();
    sandbox.assert_clean(&["out"]);
}
