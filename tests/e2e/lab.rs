//! The checks of the classic MapReduce lab (MIT 6.824), rebuilt: 8 books, 10 reducers, workers as processes.

use rustix::process::Signal;

use crate::cluster::{Cluster, Over};
use crate::oracle;
use crate::sandbox::{Sandbox, books, parts_of, rows_of, signal, wait_for};

const TEN: [&str; 2] = ["-r", "10"];

#[test]
fn word_count_of_the_books() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::start(&sandbox, Over::Unix, 3);
    sandbox.run(cluster.run_args("wordcount", books(), "out", &TEN));
    let rows = rows_of(&sandbox.work("out"));
    assert_eq!(rows, oracle::wordcount(&books()));
    assert_eq!(rows.len(), 22_107);
    let count = |row: &Vec<u8>| {
        let text = String::from_utf8(row.clone()).unwrap();
        text.split('\t').nth(1).unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(rows.iter().map(count).sum::<u64>(), 623_948);
}

#[test]
fn index_of_the_books() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::start(&sandbox, Over::Unix, 3);
    sandbox.run(cluster.run_args("index", books(), "out", &TEN));
    assert_eq!(
        rows_of(&sandbox.work("out")),
        oracle::index(&books(), books().to_str().unwrap())
    );
}

#[test]
fn maps_run_at_the_same_moment() {
    meet("lab-map-parallel");
}

#[test]
fn reduces_run_at_the_same_moment() {
    meet("lab-reduce-parallel");
}

fn meet(job: &str) {
    let sandbox = Sandbox::new();
    let cluster = Cluster::start(&sandbox, Over::Unix, 2);
    let trace = format!("trace={}", sandbox.trace().display());
    let more = [
        "-r",
        "10",
        "--format",
        "lines",
        "--split-size",
        "100KB",
        "-p",
        &trace,
        "-p",
        "meet=2",
    ];
    sandbox.run(cluster.run_args(job, books(), "out", &more));
    let files = oracle::files(&books()).len();
    let want: Vec<_> = (b'a'..=b'z')
        .map(|letter| format!("{}\t{files}", char::from(letter)).into_bytes())
        .collect();
    assert_eq!(rows_of(&sandbox.work("out")), want);
}

#[test]
fn each_task_runs_once_when_nothing_fails() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::start(&sandbox, Over::Unix, 3);
    let trace = format!("trace={}", sandbox.trace().display());
    let more = ["-r", "10", "--split-size", "100KB", "--json", "-p", &trace];
    let ended = sandbox.run(cluster.run_args("lab-slow", books(), "out", &more));
    assert_eq!(sandbox.signs("map").len(), 8, "each book was begun once");
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    let number = |name: &str| {
        report[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{name} in {report}"))
    };
    assert_eq!(
        number("attempts"),
        number("map_tasks") + number("reduce_tasks")
    );
    assert_eq!(rows_of(&sandbox.work("out")), oracle::wordcount(&books()));
}

#[test]
fn nobody_leaves_before_the_output_is_final() {
    let sandbox = Sandbox::new();
    let mut cluster = Cluster::start(&sandbox, Over::Unix, 3);
    let trace = format!("trace={}", sandbox.trace().display());
    let more = ["-r", "10", "-p", &trace];
    let mut client = sandbox.start(cluster.run_args("lab-early-exit", books(), "out", &more));
    wait_for("the late reduces", || {
        (!sandbox.signs("late").is_empty()).then_some(())
    });
    assert!(!client.ended(), "the client waits");
    assert!(!sandbox.work("out").exists(), "no output is visible yet");
    assert!(
        cluster.workers.iter_mut().all(|worker| !worker.ended()),
        "workers stay"
    );
    sandbox.go("go");
    assert!(client.wait().status.success());
    let at_the_end = rows_of(&sandbox.work("out"));
    assert_eq!(at_the_end.len(), 8);
    cluster.workers.clear();
    assert_eq!(rows_of(&sandbox.work("out")), at_the_end);
}

#[test]
fn workers_that_exit_or_stall_at_random_change_nothing() {
    let sandbox = Sandbox::new();
    let mut cluster = Cluster::start(&sandbox, Over::Unix, 3);
    let trace = format!("trace={}", sandbox.trace().display());
    let quiet_trace = tempfile::tempdir().unwrap();
    let quiet = format!("trace={}", quiet_trace.path().display());
    let books = books();
    let more = ["-r", "10", "--format", "files", "--split-size", "1", "-p"];
    sandbox.run(
        [
            "run",
            "lab-crash",
            books.to_str().unwrap(),
            "-o",
            "want",
            "-p",
            "most=0",
        ]
        .iter()
        .chain(&more)
        .chain(&[quiet.as_str()])
        .copied(),
    );
    let more: Vec<_> = more.iter().chain(&[trace.as_str()]).copied().collect();
    let mut client = sandbox.start(cluster.run_args("lab-crash", books, "out", &more));
    let mut continued = Vec::new();
    wait_for("the job to end in spite of crashes", || {
        for gone in 0..cluster.workers.len() {
            if cluster.workers[gone].ended() {
                cluster.workers.swap_remove(gone);
                cluster.add_worker(&sandbox);
            }
        }
        // A stalled worker is let go once the master has given a further one up; it then reports late.
        let stalls = sandbox.signs("stall");
        for pid in &stalls {
            let times = |pids: &[i32]| pids.iter().filter(|other| *other == pid).count();
            let given_up = client.said().matches("is lost").count() > continued.len();
            if given_up && times(&continued) < times(&stalls) {
                signal(*pid, Signal::CONT);
                continued.push(*pid);
            }
        }
        client.ended().then_some(())
    });
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(
        !sandbox.signs("exit").is_empty() || !sandbox.signs("stall").is_empty(),
        "something happened"
    );
    let parts = parts_of(&sandbox.work("out"));
    assert_eq!(parts.len(), 10);
    assert_eq!(parts, parts_of(&sandbox.work("want")));
}
