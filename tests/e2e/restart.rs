//! Masters are killed at chosen moments and started again on their state folder; clients and workers notice nothing
//! but a pause.

use std::path::PathBuf;

use rustix::process::Signal;

use crate::cluster::{LEASE, address_in};
use crate::faults::{number, undisturbed};
use crate::sandbox::{Running, Sandbox, books, parts_of, signal, wait_for};

/// A cluster over TCP whose master keeps a journal, and a word count that waits at chosen places.
struct Scene {
    sandbox: Sandbox,
    address: String,
    master: Running,
    workers: Vec<Running>,
    client: Running,
}

impl Scene {
    /// Three workers of one slot each; the job holds where `holds` say.
    fn new(holds: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let master = start_master(&sandbox, "127.0.0.1:0");
        let address = wait_for("the master to listen", || address_in(&master.said()));
        let worker = || sandbox.start(["worker", "--master", &address, "--slots", "1"]);
        let workers = (0..3).map(|_| worker()).collect();
        let books = books();
        let trace = format!("trace={}", sandbox.trace().display());
        let mut args = vec!["run", "lab-slow", books.to_str().unwrap(), "-o", "out"];
        args.extend(["-r", "10", "--split-size", "100KB", "--json", "--no-backup"]);
        args.extend(["--master", &address, "-p", &trace]);
        args.extend(holds.iter().flat_map(|hold| ["-p", hold]));
        let client = sandbox.start(args);
        Self {
            sandbox,
            address,
            master,
            workers,
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

    fn kill_master(&mut self) {
        signal(self.master.pid(), Signal::KILL);
        wait_for("the master to be gone", || {
            self.master.ended().then_some(())
        });
    }

    fn restart_master(&mut self) {
        self.master = start_master(&self.sandbox, &self.address);
    }

    /// Lets the job end; its output must be that of an undisturbed run. Gives the report.
    fn finish(self) -> serde_json::Value {
        self.sandbox.go("go-map");
        self.sandbox.go("go-reduce");
        let ended = self.client.wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_eq!(parts_of(&self.sandbox.work("out")), undisturbed());
        self.sandbox.run(["verify", "out"]);
        for process in self.workers.into_iter().chain([self.master]) {
            signal(process.pid(), Signal::TERM);
            process.wait();
        }
        self.sandbox.assert_clean(&["out", "state"]);
        serde_json::from_slice(&ended.stdout).unwrap()
    }
}

fn start_master(sandbox: &Sandbox, listen: &str) -> Running {
    let state = sandbox.work("state");
    let state = state.to_str().unwrap();
    sandbox.start([
        "master", "--listen", listen, "--lease", LEASE, "--state", state,
    ])
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

#[test]
fn a_master_killed_in_its_commit() {
    let mut scene = Scene::new(&["hold_reduce=true"]);
    scene.wait_for_signs("reduce", 3);
    scene.sandbox.go("go-reduce");
    // The first sign of the commit, in staging or after its rename: how far it is then differs from run to run.
    wait_for("the commit", || {
        let begun =
            |path: &PathBuf| path.join("output").exists() || path.join("part-00000").exists();
        let entries = std::fs::read_dir(scene.sandbox.work("")).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.any(|path| begun(&path)).then_some(())
    });
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
    let first = start_master(&sandbox, "127.0.0.1:0");
    wait_for("the master to listen", || address_in(&first.said()));
    let second = start_master(&sandbox, "127.0.0.1:0").wait();
    assert_eq!(second.status.code(), Some(2), "{}", second.stderr);
    assert!(second.stderr.contains("in use"), "{}", second.stderr);
}
