//! What a worker does when its line to the master breaks, or falls silent without breaking.

use crate::cluster::{Cluster, Over};
use crate::line::Line;
use crate::sandbox::{Running, Sandbox, books, parts_of, wait_for};

const MORE: [&str; 4] = ["-r", "10", "--split-size", "100KB"];

/// Two workers, each with a line of its own to the master, and a word count that waits in `map`.
struct Scene {
    sandbox: Sandbox,
    cluster: Cluster,
    lines: Vec<Line>,
    client: Running,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let mut cluster = Cluster::start(&sandbox, Over::Tcp, 0);
        let lines = [(); 2].map(|()| Line::to(&cluster.address));
        for line in &lines {
            cluster.add_worker_at(&sandbox, &line.address, &[]);
        }
        let trace = format!("trace={}", sandbox.trace().display());
        let more = ["--json", "-p", "hold_map=true", "-p", &trace];
        let more: Vec<&str> = MORE.into_iter().chain(more).collect();
        let client = sandbox.start(cluster.run_args("lab-slow", books(), "out", &more));
        wait_for("both workers to map", || {
            (sandbox.signs("map").len() == 2).then_some(())
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
        let ended = self.client.wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        let books = books();
        let plain = ["run", "wordcount", books.to_str().unwrap(), "-o", "want"];
        self.sandbox.run(plain.into_iter().chain(MORE));
        assert_eq!(
            parts_of(&self.sandbox.work("out")),
            parts_of(&self.sandbox.work("want"))
        );
        self.cluster.end();
        self.sandbox.assert_clean(&["out", "want"]);
        let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
        report["workers_lost"].as_u64().unwrap()
    }
}

/// A worker connects again at once and goes on with what it holds: nobody is lost, nothing is done twice.
#[test]
fn connections_that_break_are_made_again() {
    let scene = Scene::new();
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
    let scene = Scene::new();
    scene.lines[0].set_silent(true);
    wait_for("the worker to be given up", || {
        scene.client.said().contains("is lost").then_some(())
    });
    scene.lines[0].set_silent(false);
    assert_eq!(scene.finish(), 1);
}
