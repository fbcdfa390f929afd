//! Wall clocks that jump, hours and a month, forward and back, while a job runs and its master is started again. Nothing that waits looks at
//! them: no lease runs out, nothing is done twice, and the bytes are the same.
//!
//! The other clock, which is the one that counts, does not jump but for a process that did not run; see `drain.rs` and `faults.rs` for
//! masters and workers that were stopped.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cluster::Cluster;
use crate::faults::{assert_undisturbed, number};
use crate::sandbox::{Sandbox, books, skipped, wait_for};

const HOUR: i64 = 3600;
const MONTH: i64 = 30 * 24 * HOUR;

/// A wall clock for the processes of a sandbox.
struct Clock {
    moved: File,
    path: PathBuf,
    shim: PathBuf,
}

impl Clock {
    /// `None`, and a line that says so, without a C compiler.
    fn new(folder: &Path) -> Option<Self> {
        let path = folder.join("clock");
        let shim = folder.join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("e2e/clock.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&shim, &source])
            .status();
        let Ok(built) = built else {
            skipped("it needs a C compiler (cc)");
            return None;
        };
        assert!(built.success());
        fs::write(&path, 0_i64.to_ne_bytes()).unwrap();
        let moved = File::options().write(true).open(&path).unwrap();
        Some(Self { moved, path, shim })
    }

    /// What every process must be started with.
    fn envs(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("LD_PRELOAD", self.shim.clone()),
            ("MAPFOLD_TEST_CLOCK", self.path.clone()),
        ]
    }

    /// Jumps for longer than it takes to give a silent worker up.
    fn jump_about(&self) {
        let began = Instant::now();
        let mut jumps = [HOUR, -HOUR, MONTH, -MONTH, 0].into_iter().cycle();
        wait_for("a lease to pass, and a half", || {
            jumps.next().into_iter().for_each(|jump| self.set(jump));
            (began.elapsed() > Duration::from_secs(4)).then_some(())
        });
    }

    /// Moves it by so many seconds from what it really is.
    fn set(&self, seconds: i64) {
        self.moved.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }
}

#[test]
fn wall_clocks_that_jump_cost_nothing() {
    let mut sandbox = Sandbox::new();
    let Some(clock) = Clock::new(&sandbox.trace()) else {
        return;
    };
    sandbox.envs = clock.envs();
    let mut cluster = Cluster::with_state(&sandbox, 3);
    let trace = format!("trace={}", sandbox.trace().display());
    let mut more = vec!["-r", "10", "--split-size", "100KB", "--json"];
    more.extend(["--no-backup", "-p", &trace]);
    more.extend(["-p", "hold_map=true", "-p", "hold_reduce=true"]);
    let client = sandbox.start(cluster.run_args("lab-slow", books(), "out", &more));
    let wait_for_signs = |name: &str| {
        wait_for(name, || (sandbox.signs(name).len() >= 3).then_some(()));
    };
    wait_for_signs("map");
    clock.jump_about();
    cluster.kill_master();
    clock.set(-2 * MONTH);
    cluster.restart_master(&sandbox);
    sandbox.go("go-map");
    wait_for_signs("reduce");
    clock.jump_about();
    sandbox.go("go-reduce");
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_undisturbed(&sandbox.work("out"));
    let report = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(number(&report, "workers_lost"), 0, "{report}");
    assert_eq!(number(&report, "maps_rerun"), 0, "{report}");
    let tasks = number(&report, "map_tasks") + number(&report, "reduce_tasks");
    // What ran when the master was killed may have run again.
    assert!(number(&report, "attempts") <= tasks + 3, "{report}");
    cluster.end();
    sandbox.assert_clean(&["out", "state"]);
}
