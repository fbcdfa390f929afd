//! A job that is interrupted ends at once, wherever it runs and whatever it does, and leaves nothing.

use std::time::Duration;

use rustix::process::Signal;

use crate::cluster::{Cluster, Over};
use crate::isolate::assert_nobody_is_left;
use crate::plugins::{api_flags, library};
use crate::sandbox::{Running, Sandbox, books, parts_of, signal, wait_for};

/// Starts a word count that waits in `phase`, and waits until it does.
fn held(sandbox: &Sandbox, place: &[&str], phase: &str, output: &str) -> Running {
    let books = books();
    let trace = format!("trace={}", sandbox.trace().display());
    let hold = format!("hold_{phase}=true");
    let args = ["run", "lab-slow", books.to_str().unwrap(), "-o", output];
    let more = ["--split-size", "100KB", "-p", &hold, "-p", &trace];
    let before = sandbox.signs(phase).len();
    let client = sandbox.start(args.iter().chain(place).chain(&more));
    wait_for(phase, || {
        (sandbox.signs(phase).len() > before).then_some(())
    });
    client
}

/// The job never comes to an end by itself: it is not let go before the client has ended.
fn check(place: &[&str]) {
    for phase in ["map", "reduce"] {
        for (sent, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
            let sandbox = Sandbox::new();
            let client = held(&sandbox, place, phase, "out");
            signal(client.pid(), sent);
            let ended = client.wait();
            assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
            let pids = sandbox.signs(phase);
            wait_for("the processes of the job to end", || {
                pids.iter().all(|pid| has_ended(*pid)).then_some(())
            });
            sandbox.assert_clean(&[]);
        }
    }
}

/// Code that never looks up keeps its thread; what is waited for is told, and another signal ends the wait.
#[test]
fn code_that_does_not_look_up_is_left() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.work("in.txt"), "here it is\n").unwrap();
    let trace = format!("trace={}", sandbox.trace().display());
    let args = ["run", "lab-rogue", "in.txt", "-o", "out", "-p", "does=loop"];
    let client = sandbox.start(args.iter().chain(&["-p", &trace]));
    wait_for("the loop", || {
        (!sandbox.signs("deed").is_empty()).then_some(())
    });
    signal(client.pid(), Signal::INT);
    wait_for("what is waited for", || {
        let told = "for tasks that have not stopped yet";
        client.said().contains(told).then_some(())
    });
    signal(client.pid(), Signal::INT);
    let ended = client.wait();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
    assert!(!sandbox.work("out").exists());
}

const RANGES: &str = r#"
use mapfold_job::*;
mapfold_job::plugin!(Ranges);
params! {
    pub struct RangesParams {
        /// Folder for a sign.
        pub trace: String,
    }
}
struct Ranges(String);
impl Job for Ranges {
    type Params = RangesParams;
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "ranges";
    const SUMMARY: &'static str = "never comes back";
    const TOTAL_ORDER: bool = true;
    fn new(params: RangesParams) -> Result<Self, JobError> {
        Ok(Self(params.trace))
    }
    fn map(&self, _: &Record<'_>, _: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        std::fs::write(format!("{}/deed.{}.0", self.0, std::process::id()), "")?;
        loop {
            std::thread::yield_now();
        }
    }
    fn reduce(&self, _: &str, _: &mut Values<'_, Self>, _: &mut Rows<'_>) -> Result<(), JobError> {
        Ok(())
    }
}
"#;

/// Nothing runs yet but a look at the input.
#[test]
fn code_that_does_not_come_back_from_a_sample_is_left() {
    let sandbox = Sandbox::new();
    let plugin = library(&sandbox, "ranges", RANGES, &strs(&api_flags()));
    std::fs::write(sandbox.work("in.txt"), "here it is\n").unwrap();
    let trace = format!("trace={}", sandbox.trace().display());
    let plugin = plugin.to_str().unwrap();
    for place in [&[][..], &["--isolate"][..]] {
        let before = sandbox.signs("deed").len();
        let args = ["run", plugin, "in.txt", "-o", "out", "-r", "2"];
        let client = sandbox.start(args.iter().chain(&["-p", &trace]).chain(place));
        wait_for("the loop", || {
            (sandbox.signs("deed").len() > before).then_some(())
        });
        signal(client.pid(), Signal::INT);
        let ended = client.wait();
        assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
        assert!(!sandbox.work("out").exists());
    }
    assert_nobody_is_left(&sandbox);
}

fn strs(strings: &[String]) -> Vec<&str> {
    strings.iter().map(String::as_str).collect()
}

/// Whether a process is gone, or waits for nothing but its parent.
fn has_ended(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}

#[test]
fn in_one_process() {
    check(&["--slots", "2"]);
}

#[test]
fn with_local_workers() {
    check(&["--workers", "2"]);
}

const PLACES: [&[&str]; 3] = [
    &["--slots", "2"],
    &["--workers", "2"],
    &["--slots", "2", "--isolate"],
];

/// At moments from the first to beyond the last, whatever the job does just then: there is an output, whole, or none.
#[test]
fn at_any_moment() {
    for place in PLACES {
        for step in 0..10 {
            let sandbox = Sandbox::new();
            let books = books();
            let args = ["run", "wordcount", books.to_str().unwrap(), "-o", "out"];
            let more = ["--split-size", "100KB"];
            let client = sandbox.start(args.iter().chain(place).chain(&more));
            // Not waited for: one moment is as good as the other.
            std::thread::sleep(Duration::from_millis(step * step * 8));
            signal(client.pid(), Signal::INT);
            let ended = client.wait();
            assert_nobody_is_left(&sandbox);
            match ended.status.code() {
                Some(0) => {
                    sandbox.run(["verify", "out"]);
                    sandbox.assert_clean(&["out"]);
                }
                // Without a code: it had not begun to listen to signals.
                Some(130) | None => sandbox.assert_clean(&[]),
                _ => panic!("{:?}: {}", ended.status, ended.stderr),
            }
        }
    }
}

/// A job whose process is killed outright takes its other processes along; the next start removes what is left of it.
#[test]
fn by_sigkill() {
    for place in PLACES {
        let sandbox = Sandbox::new();
        let client = held(&sandbox, place, "map", "out");
        signal(client.pid(), Signal::KILL);
        drop(client.wait());
        assert_nobody_is_left(&sandbox);
        let books = books();
        sandbox.run(["run", "wordcount", books.to_str().unwrap(), "-o", "out"]);
        sandbox.assert_clean(&["out"]);
    }
}

/// The cluster goes on: the next job on it has its slots.
#[test]
fn on_a_cluster() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::start(&sandbox, Over::Unix, 2);
    for phase in ["map", "reduce"] {
        let client = held(&sandbox, &["--master", &cluster.address], phase, "out");
        signal(client.pid(), Signal::INT);
        let ended = client.wait();
        assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
        sandbox.go(&format!("go-{phase}"));
        let args = cluster.run_args("wordcount", books(), phase, &[]);
        sandbox.run(args);
    }
    assert_eq!(
        parts_of(&sandbox.work("map")),
        parts_of(&sandbox.work("reduce"))
    );
    cluster.end();
    sandbox.assert_clean(&["map", "reduce"]);
}

/// Both are accepted while the other is not there yet.
#[test]
fn of_two_jobs_for_one_output_one_wins() {
    let sandbox = Sandbox::new();
    let clients = [(); 2].map(|()| held(&sandbox, &["--slots", "2"], "reduce", "out"));
    sandbox.go("go-reduce");
    let mut ended = clients.map(Running::wait);
    ended.sort_by_key(|ended| ended.status.code());
    let [winner, loser] = &ended;
    assert!(winner.status.success(), "{}", winner.stderr);
    assert_ne!(loser.status.code(), Some(0));
    assert!(
        loser.stderr.contains("appeared while the job ran"),
        "{}",
        loser.stderr
    );
    sandbox.run(["verify", "out"]);
    sandbox.assert_clean(&["out"]);
}
