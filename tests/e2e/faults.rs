//! Workers are killed and stopped at chosen moments; the output's bytes must not change, and the report must tell.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::Signal;

use crate::cluster::{Cluster, Over};
use crate::sandbox::{Running, Sandbox, books, bytes_of, parts_of, root_of, signal, wait_for};

/// A cluster on which a word count waits at chosen places.
pub(crate) struct Scene {
    pub(crate) sandbox: Sandbox,
    pub(crate) cluster: Cluster,
    client: Running,
}

impl Scene {
    /// Three workers of one slot each; the job holds where `hold` says.
    pub(crate) fn new(hold: &str) -> Self {
        let sandbox = Sandbox::new();
        let cluster = Cluster::start(&sandbox, Over::Unix, 3);
        Self::on(sandbox, cluster, hold)
    }

    /// The same on a cluster of one's own.
    pub(crate) fn on(sandbox: Sandbox, cluster: Cluster, hold: &str) -> Self {
        let trace = format!("trace={}", sandbox.trace().display());
        let more = [
            "-r",
            "10",
            "--split-size",
            "100KB",
            "--json",
            "-p",
            hold,
            "-p",
            &trace,
        ];
        let client = sandbox.start(cluster.run_args("lab-slow", books(), "out", &more));
        Self {
            sandbox,
            cluster,
            client,
        }
    }

    /// The first process that left a sign called `name` and is none of `others`.
    pub(crate) fn pid_at(&self, name: &str, others: &[i32]) -> i32 {
        wait_for(name, || {
            self.sandbox
                .signs(name)
                .into_iter()
                .find(|pid| !others.contains(pid))
        })
    }

    /// Waits until the client was told that a worker is lost.
    pub(crate) fn wait_until_lost(&self) {
        wait_for("a worker to be given up", || {
            self.client.said().contains("lost").then_some(())
        });
    }

    /// Lets the job end; its output must be that of an undisturbed run. Gives the report.
    pub(crate) fn finish(self) -> (Sandbox, Cluster, serde_json::Value) {
        self.sandbox.go("go-map");
        self.sandbox.go("go-reduce");
        let ended = self.client.wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_undisturbed(&self.sandbox.work("out"));
        let report = serde_json::from_slice(&ended.stdout).unwrap();
        (self.sandbox, self.cluster, report)
    }
}

/// What plain `wordcount` in one process leaves, which counts the same words.
struct Undisturbed {
    parts: BTreeMap<String, Vec<u8>>,
    root: String,
}

fn undisturbed() -> &'static Undisturbed {
    static ONCE: OnceLock<Undisturbed> = OnceLock::new();
    ONCE.get_or_init(|| {
        let sandbox = Sandbox::new();
        let books = books();
        let args = ["run", "wordcount", books.to_str().unwrap(), "-o", "out"];
        sandbox.run(
            args.into_iter()
                .chain(["-r", "10", "--split-size", "100KB"]),
        );
        let output = sandbox.work("out");
        let (parts, root) = (parts_of(&output), root_of(&output));
        assert_eq!(parts.len(), 10);
        Undisturbed { parts, root }
    })
}

/// Asserts that an output folder of the word count of the books is that of an undisturbed run: every part's bytes, the root hash in
/// the manifest, and what `mapfold verify` says of the two.
#[track_caller]
pub(crate) fn assert_undisturbed(output: &Path) {
    let want = undisturbed();
    let files = bytes_of(output);
    assert_eq!(files.len(), want.parts.len() + 1, "{:?}", files.keys());
    assert!(parts_of(output) == want.parts, "other parts");
    assert_eq!(root_of(output), want.root);
    Sandbox::new().run(["verify", output.to_str().unwrap()]);
}

pub(crate) fn number(report: &serde_json::Value, name: &str) -> u64 {
    report[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name} in {report}"))
}

#[test]
fn a_worker_killed_while_it_maps() {
    let scene = Scene::new("hold_map=true");
    signal(scene.pid_at("map", &[]), Signal::KILL);
    scene.wait_until_lost();
    let (sandbox, cluster, report) = scene.finish();
    assert_eq!(number(&report, "workers_lost"), 1);
    assert!(
        number(&report, "attempts")
            > number(&report, "map_tasks") + number(&report, "reduce_tasks")
    );
    cluster.end();
    sandbox.assert_clean(&["out"]);
}

#[test]
fn a_worker_killed_while_it_reduces() {
    let scene = Scene::new("hold_reduce=true");
    signal(scene.pid_at("reduce", &[]), Signal::KILL);
    scene.wait_until_lost();
    let (sandbox, cluster, report) = scene.finish();
    assert_eq!(number(&report, "workers_lost"), 1);
    assert!(
        number(&report, "maps_rerun") > 0,
        "its runs were needed by other reduces"
    );
    cluster.end();
    sandbox.assert_clean(&["out"]);
}

/// All maps are done; the worker that dies is one that holds runs which reduces still need.
#[test]
fn a_worker_killed_after_all_its_maps_are_finished() {
    let scene = Scene::new("hold_reduce=true");
    let busy = scene.pid_at("reduce", &[]);
    let holder = scene.pid_at("map", &[busy]);
    signal(holder, Signal::KILL);
    scene.wait_until_lost();
    let (sandbox, cluster, report) = scene.finish();
    assert_eq!(number(&report, "workers_lost"), 1);
    assert!(number(&report, "maps_rerun") > 0);
    cluster.end();
    sandbox.assert_clean(&["out"]);
}

#[test]
fn a_worker_stopped_past_its_lease_and_continued_while_the_job_runs() {
    let scene = Scene::new("hold_map=true");
    let stopped = scene.pid_at("map", &[]);
    signal(stopped, Signal::STOP);
    scene.wait_until_lost();
    signal(stopped, Signal::CONT);
    let (sandbox, cluster, report) = scene.finish();
    assert_eq!(number(&report, "workers_lost"), 1);
    cluster.end();
    sandbox.assert_clean(&["out"]);
}

#[test]
fn a_worker_stopped_past_its_lease_and_continued_after_the_job() {
    let scene = Scene::new("hold_reduce=true");
    let stopped = scene.pid_at("reduce", &[]);
    signal(stopped, Signal::STOP);
    scene.wait_until_lost();
    let (sandbox, mut cluster, _) = scene.finish();
    let before = bytes_of(&sandbox.work("out"));
    signal(stopped, Signal::CONT);
    wait_for("the worker to join again", || {
        let told = sandbox
            .run(["workers", "--master", &cluster.address])
            .stdout;
        let told = String::from_utf8(told).unwrap();
        let workers = told
            .lines()
            .filter(|line| line.trim_start().starts_with('w'))
            .count();
        (workers >= 3).then_some(())
    });
    assert!(cluster.workers.iter_mut().all(|worker| !worker.ended()));
    assert_eq!(bytes_of(&sandbox.work("out")), before);
    cluster.end();
    sandbox.assert_clean(&["out"]);
}

/// Kills all workers while they map.
fn kill_all(scene: &Scene) {
    let first = scene.pid_at("map", &[]);
    scene.pid_at("map", &[first]);
    let workers = scene.cluster.workers.iter();
    workers.for_each(|worker| signal(worker.pid(), Signal::KILL));
    wait_for("all to be given up", || {
        let said = scene.client.said();
        (said.matches("is lost").count() >= 3).then_some(())
    });
}

#[test]
fn all_workers_killed_and_another_joins() {
    let mut scene = Scene::new("hold_map=true");
    kill_all(&scene);
    scene.cluster.add_worker(&scene.sandbox);
    let (sandbox, cluster, report) = scene.finish();
    assert_eq!(number(&report, "workers_lost"), 3, "{report}");
    cluster.end();
    sandbox.assert_clean(&["out"]);
}

/// After the grace of half a minute the job fails, rather than wait for ever.
#[test]
fn all_workers_killed_and_none_joins() {
    let scene = Scene::new("hold_map=true");
    kill_all(&scene);
    let ended = scene.client.wait();
    assert_eq!(ended.status.code(), Some(7), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("no worker for 30"),
        "{}",
        ended.stderr
    );
    scene.cluster.end();
    scene.sandbox.assert_clean(&[]);
}

#[test]
fn workers_may_join_at_any_time() {
    let sandbox = Sandbox::new();
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 0);
    let client = sandbox.start(cluster.run_args(
        "wordcount",
        books(),
        "out",
        &["-r", "10", "--split-size", "100KB"],
    ));
    wait_for("the client to say that it waits", || {
        client
            .said()
            .to_lowercase()
            .contains("worker")
            .then_some(())
    });
    cluster.add_worker(&sandbox);
    cluster.add_worker(&sandbox);
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_undisturbed(&sandbox.work("out"));
}

/// The parent of local workers sees one of them end and says so: its work moves at once, not when its lease is over.
#[test]
fn a_local_worker_killed_while_it_maps() {
    let sandbox = Sandbox::new();
    let trace = format!("trace={}", sandbox.trace().display());
    let books = books();
    let args = [
        "run",
        "lab-slow",
        books.to_str().unwrap(),
        "-o",
        "out",
        "--workers",
        "3",
    ];
    let more = [
        "-r",
        "10",
        "--split-size",
        "100KB",
        "--json",
        "-p",
        "hold_map=true",
        "-p",
        &trace,
    ];
    let client = sandbox.start(args.into_iter().chain(more));
    let pid = wait_for("a map", || sandbox.signs("map").pop());
    signal(pid, Signal::KILL);
    wait_for("its end to be told", || {
        client.said().contains("has ended (signal: 9").then_some(())
    });
    sandbox.go("go-map");
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_undisturbed(&sandbox.work("out"));
    let report = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(number(&report, "workers_lost"), 1);
    sandbox.assert_clean(&["out"]);
}

/// It is stopped for less than its lease, so it is slow and not lost: a backup attempt overtakes it.
#[test]
fn a_worker_that_stands_still_within_its_lease_is_overtaken() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::with_lease(&sandbox, Over::Unix, 3, "10m");
    let scene = Scene::on(sandbox, cluster, "hold_map=true");
    let slow = scene.pid_at("map", &[]);
    signal(slow, Signal::STOP);
    scene.sandbox.go("go-map");
    scene.sandbox.go("go-reduce");
    wait_for("a backup attempt", || {
        scene.client.said().contains("far behind").then_some(())
    });
    let (sandbox, cluster, report) = scene.finish();
    assert_eq!(number(&report, "workers_lost"), 0);
    assert!(number(&report, "backups_won") >= 1, "{report}");
    signal(slow, Signal::CONT);
    cluster.end();
    sandbox.assert_clean(&["out"]);
}

/// In one process nothing can stop the thread: the job ends at once, and the process with it.
#[test]
fn code_that_never_comes_back_fails_the_job_after_the_time_out() {
    let sandbox = Sandbox::new();
    let (books, trace) = (books(), format!("trace={}", sandbox.trace().display()));
    let args = ["run", "lab-slow", books.to_str().unwrap(), "-o", "out"];
    let hold = ["-p", "hold_map=true", "-p", &trace, "--task-timeout", "1s"];
    let ended = sandbox.start(args.into_iter().chain(hold)).wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let said = &ended.stderr;
    assert!(said.contains("stands still"), "{said}");
    assert!(said.contains("no progress for 1 s"), "{said}");
    sandbox.assert_clean(&[]);
}
