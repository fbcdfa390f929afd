//! Masters are killed at chosen moments and started again on their state folder; clients and workers notice nothing
//! but a pause.

use std::path::PathBuf;

use rustix::process::Signal;

use crate::cluster::{Cluster, start_master};
use crate::faults::{assert_undisturbed, number};
use crate::sandbox::{Running, Sandbox, books, signal, wait_for};

/// A cluster over TCP whose master keeps a journal, and a word count that waits at chosen places.
struct Scene {
    sandbox: Sandbox,
    cluster: Cluster,
    client: Running,
}

impl Scene {
    /// Three workers of one slot each; the job holds where `holds` say.
    fn new(holds: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let cluster = Cluster::with_state(&sandbox, 3);
        let trace = format!("trace={}", sandbox.trace().display());
        let mut more = vec!["-r", "10", "--split-size", "100KB", "--json", "--no-backup"];
        more.extend(["-p", &trace]);
        more.extend(holds.iter().flat_map(|hold| ["-p", hold]));
        let client = sandbox.start(cluster.run_args("lab-slow", books(), "out", &more));
        Self {
            sandbox,
            cluster,
            client,
        }
    }

    /// Waits until so many signs called `name` were left.
    fn wait_for_signs(&self, name: &str, count: usize) {
        wait_for(name, || {
            assert!(!self.client.said().contains("error:"));
            (self.sandbox.signs(name).len() >= count).then_some(())
        });
    }

    /// Waits for the first sign of the commit, in staging or after its rename: how far it is then differs from run to run.
    fn wait_for_commit(&self) {
        wait_for("the commit", || {
            let begun =
                |path: &PathBuf| path.join("output").exists() || path.join("part-00000").exists();
            let entries = std::fs::read_dir(self.sandbox.work("")).unwrap();
            let mut paths = entries.map(|entry| entry.unwrap().path());
            paths.any(|path| begun(&path)).then_some(())
        });
    }

    fn kill_master(&mut self) {
        self.cluster.kill_master();
    }

    fn restart_master(&mut self) {
        self.cluster.restart_master(&self.sandbox);
    }

    /// Lets the job end; its output must be that of an undisturbed run, and nothing else may be left. Gives the report.
    fn finish(self) -> serde_json::Value {
        self.sandbox.go("go-map");
        self.sandbox.go("go-reduce");
        let ended = self.client.wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_undisturbed(&self.sandbox.work("out"));
        self.cluster.end();
        self.sandbox.assert_clean(&["out", "state"]);
        serde_json::from_slice(&ended.stdout).unwrap()
    }
}

/// What ran when the master was killed ran on or ran again; nothing that was finished did.
fn assert_nothing_repeated(report: &serde_json::Value, kills: u64) {
    assert_eq!(number(report, "maps_rerun"), 0, "{report}");
    let tasks = number(report, "map_tasks") + number(report, "reduce_tasks");
    let running = 3 * kills;
    assert!(number(report, "attempts") <= tasks + running, "{report}");
}

#[test]
fn a_master_killed_while_workers_map() {
    let mut scene = Scene::new(&["hold_map=true"]);
    scene.wait_for_signs("map", 1);
    scene.kill_master();
    scene.restart_master();
    assert_nothing_repeated(&scene.finish(), 1);
}

#[test]
fn a_master_killed_while_workers_reduce() {
    let mut scene = Scene::new(&["hold_reduce=true"]);
    scene.wait_for_signs("reduce", 3);
    let maps = scene.sandbox.signs("map").len();
    scene.kill_master();
    scene.restart_master();
    // The trace must be read before the sandbox goes.
    let trace = scene.sandbox.trace();
    let count = || std::fs::read_dir(&trace).unwrap();
    let maps_now = count()
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("map.")
        })
        .count();
    assert_eq!((maps, maps_now), (8, 8));
    assert_nothing_repeated(&scene.finish(), 1);
}

#[test]
fn a_master_killed_twice_in_a_row_and_once_more_later() {
    let mut scene = Scene::new(&["hold_map=true", "hold_reduce=true"]);
    scene.wait_for_signs("map", 3);
    scene.kill_master();
    scene.restart_master();
    scene.kill_master();
    scene.restart_master();
    scene.sandbox.go("go-map");
    scene.wait_for_signs("reduce", 3);
    scene.kill_master();
    scene.restart_master();
    assert_nothing_repeated(&scene.finish(), 3);
}

/// Each phase twice in a row, the commit included: seven starts of one job.
#[test]
fn a_master_killed_twice_in_a_row_in_each_phase() {
    let mut scene = Scene::new(&["hold_map=true", "hold_reduce=true"]);
    let twice = |scene: &mut Scene| {
        for _ in 0..2 {
            scene.kill_master();
            scene.restart_master();
        }
    };
    scene.wait_for_signs("map", 3);
    twice(&mut scene);
    scene.sandbox.go("go-map");
    scene.wait_for_signs("reduce", 3);
    twice(&mut scene);
    scene.sandbox.go("go-reduce");
    scene.wait_for_commit();
    twice(&mut scene);
    assert_nothing_repeated(&scene.finish(), 6);
}

/// What only that worker had is made again when its lease would be over; nobody waits for it longer.
#[test]
fn a_master_and_a_worker_killed_at_once() {
    let mut scene = Scene::new(&["hold_reduce=true"]);
    scene.wait_for_signs("reduce", 3);
    signal(scene.cluster.workers[0].pid(), Signal::KILL);
    scene.kill_master();
    scene.restart_master();
    wait_for("its runs to be given up", || {
        let said = scene.client.said();
        said.contains("no worker has brought the runs")
            .then_some(())
    });
    let report = scene.finish();
    let rerun = number(&report, "maps_rerun");
    assert!(
        (1..number(&report, "map_tasks")).contains(&rerun),
        "{report}"
    );
    let tasks = number(&report, "map_tasks") + number(&report, "reduce_tasks");
    assert!(number(&report, "attempts") <= tasks + rerun + 3, "{report}");
}

#[test]
fn a_master_killed_in_its_commit() {
    let mut scene = Scene::new(&["hold_reduce=true"]);
    scene.wait_for_signs("reduce", 3);
    scene.sandbox.go("go-reduce");
    scene.wait_for_commit();
    scene.kill_master();
    scene.restart_master();
    assert_nothing_repeated(&scene.finish(), 1);
}

#[test]
fn a_client_is_told_soon_that_its_master_is_away_and_that_it_is_back() {
    let mut scene = Scene::new(&["hold_map=true"]);
    scene.wait_for_signs("map", 3);
    scene.kill_master();
    wait_for("the client to be told", || {
        scene
            .client
            .said()
            .contains("does not answer")
            .then_some(())
    });
    scene.restart_master();
    wait_for("the client to be told", || {
        scene.client.said().contains("answers again").then_some(())
    });
    scene.finish();
}

#[test]
fn one_master_a_state_folder() {
    let sandbox = Sandbox::new();
    let _first = Cluster::with_state(&sandbox, 0);
    let state = sandbox.work("state").to_str().unwrap().to_owned();
    let second = start_master(&sandbox, "127.0.0.1:0", &["--state".to_owned(), state]).wait();
    assert_eq!(second.status.code(), Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("in use"), "{}", second.stderr);
}
