//! What a worker does when its line to the master breaks, or falls silent without breaking.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::cluster::{Cluster, LEASE, Over};
use crate::faults::{assert_undisturbed, number};
use crate::line::Line;
use crate::sandbox::{Running, Sandbox, books, signal, wait_for};

const MORE: [&str; 4] = ["-r", "10", "--split-size", "100KB"];

/// Two workers, each with a line of its own to the master, and a word count that waits where `hold` says.
struct Scene {
    sandbox: Sandbox,
    cluster: Cluster,
    lines: Vec<Line>,
    client: Running,
}

impl Scene {
    fn new(hold: &str) -> Self {
        Self::with_lease(hold, LEASE)
    }

    fn with_lease(hold: &str, lease: &str) -> Self {
        let sandbox = Sandbox::new();
        let mut cluster = Cluster::with_lease(&sandbox, Over::Tcp, 0, lease);
        let lines = [(); 2].map(|()| Line::to(&cluster.address));
        for line in &lines {
            cluster.add_worker_at(&sandbox, &line.address, &[]);
        }
        let trace = format!("trace={}", sandbox.trace().display());
        // An attempt that waits behind a silent line looks like a straggler: its backup would be taken for what comes after the lease.
        let more = ["--json", "--no-backup", "-p", hold, "-p", &trace];
        let more: Vec<&str> = MORE.into_iter().chain(more).collect();
        let client = sandbox.start(cluster.run_args("lab-slow", books(), "out", &more));
        let phase = hold.trim_start_matches("hold_").trim_end_matches("=true");
        wait_for("both workers to hold", || {
            (sandbox.signs(phase).len() == 2).then_some(())
        });
        Self {
            sandbox,
            cluster,
            lines: lines.into(),
            client,
        }
    }

    /// Lets the job end; its output must be that of an undisturbed run. Gives the number of workers that were lost.
    fn finish(self) -> u64 {
        self.sandbox.go("go-map");
        self.sandbox.go("go-reduce");
        let ended = self.client.wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        assert_undisturbed(&self.sandbox.work("out"));
        self.cluster.end();
        self.sandbox.assert_clean(&["out"]);
        number(
            &serde_json::from_slice(&ended.stdout).unwrap(),
            "workers_lost",
        )
    }
}

/// A worker connects again at once and goes on with what it holds: nobody is lost, nothing is done twice.
#[test]
fn connections_that_break_are_made_again() {
    let scene = Scene::new("hold_map=true");
    for _ in 0..5 {
        let before: Vec<_> = scene.lines.iter().map(Line::connections).collect();
        scene.lines.iter().for_each(Line::cut);
        wait_for("new connections", || {
            let mut lines = scene.lines.iter().zip(&before);
            lines
                .all(|(line, before)| line.connections() > *before)
                .then_some(())
        });
    }
    assert_eq!(scene.finish(), 0);
}

/// The line stands, but nothing comes: the lease tells. What the worker did is done by the other; when the line speaks again the
/// worker hears that it was given up, and joins anew.
#[test]
fn a_line_that_falls_silent_costs_the_worker() {
    let scene = Scene::new("hold_map=true");
    scene.lines[0].set_silent(true);
    wait_for("the worker to be given up", || {
        scene.client.said().contains("is lost").then_some(())
    });
    scene.lines[0].set_silent(false);
    assert_eq!(scene.finish(), 1);
}

/// Its part is written and its report is said to nobody, when it is stopped. Others do its task anew; just before they commit it goes on,
/// and what it had to say arrives.
#[test]
fn a_worker_stopped_between_its_part_and_its_report() {
    // It stops by itself when its lease is over: on a loaded machine its reduce must end before.
    let scene = Scene::with_lease("hold_reduce=true", "6s");
    let [late, other] = [0, 1].map(|worker: usize| scene.cluster.workers[worker].pid());
    let reduces_of = |pid| {
        let signs = scene.sandbox.signs("reduce");
        signs.into_iter().filter(|sign| *sign == pid).count()
    };
    scene.lines[0].set_silent(true);
    scene.sandbox.go("go-reduce");
    wait_for("all parts to be written", || {
        (parts_in(&scene.sandbox.work("")) == 10).then_some(())
    });
    signal(late, Signal::STOP);
    fs::remove_file(scene.sandbox.trace().join("go-reduce")).unwrap();
    let before = reduces_of(other);
    wait_for("its task to be done anew", || {
        (reduces_of(other) > before).then_some(())
    });
    signal(late, Signal::CONT);
    scene.lines[0].set_silent(false);
    wait_for("it to join again", || {
        let said = scene.cluster.workers[0].said();
        (said.matches("joined").count() >= 2).then_some(())
    });
    assert_eq!(scene.finish(), 1);
}

/// Part files in the staging folders of a working folder whose rows have been written, which is done at once, when there are no more.
fn parts_in(work: &Path) -> usize {
    let below = |folder: &Path| {
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.map(|entry| entry.unwrap().path())
    };
    let staged = below(work).flat_map(|staging| below(&staging).collect::<Vec<_>>());
    staged
        .filter(|part| part.to_string_lossy().contains("-part-"))
        .filter(|part| fs::metadata(part).is_ok_and(|part| part.len() > 0))
        .count()
}
