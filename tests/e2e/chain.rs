//! Several jobs in a row, each on the rows of the one before.

use std::fs;

use rustix::process::Signal;

use crate::cluster::{Cluster, Over};
use crate::plugins::plugin;
use crate::sandbox::{Sandbox, books, bytes_of, parts_of, signal, wait_for};

/// In this process, in children of it, in worker processes, with little memory.
const PLACES: [&[&str]; 4] = [
    &["--slots", "2"],
    &["--slots", "2", "--isolate"],
    &["--workers", "2"],
    &["--slots", "2", "--memory", "34MiB"],
];

/// How many words occur once, twice, ...
const THEN: [&str; 7] = ["--then", "histogram", "-p", "column=2", "-r", "2", "-o"];

#[test]
fn a_chain_leaves_what_its_jobs_leave_one_after_another() {
    let sandbox = Sandbox::new();
    let books = books();
    let first = ["run", "wordcount", books.to_str().unwrap(), "-r", "3"];
    sandbox.run(first.iter().chain(&["-o", "words"]));
    sandbox.run([
        "run",
        "histogram",
        "words",
        "-p",
        "column=2",
        "-r",
        "2",
        "-o",
        "alone",
    ]);
    let want = parts_of(&sandbox.work("alone"));
    let mut folder = None;
    let mut check = |out: &str, more: &[&str]| {
        sandbox.run(first.iter().chain(more).chain(&THEN).chain(&[out]));
        let got = bytes_of(&sandbox.work(out));
        assert!(parts_of(&sandbox.work(out)) == want, "{more:?}");
        assert!(*folder.get_or_insert(got.clone()) == got, "{more:?}");
    };
    for (number, place) in PLACES.into_iter().enumerate() {
        check(&format!("out-{number}"), place);
    }
    for (over, out) in [(Over::Tcp, "tcp"), (Over::Unix, "unix")] {
        let cluster = Cluster::start(&sandbox, over, 2);
        check(out, &["--master", &cluster.address]);
        cluster.end();
    }
    let manifest = fs::read_to_string(sandbox.work("tcp/_SUCCESS")).unwrap();
    assert!(
        manifest.contains(r#""name": "wordcount/part-00002""#),
        "{manifest}"
    );
    let made = [
        "alone", "out-0", "out-1", "out-2", "out-3", "tcp", "unix", "words",
    ];
    sandbox.assert_clean(&made);
}

#[test]
fn a_chain_may_be_long_and_print_its_rows() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), "b a\nb c\n").unwrap();
    let args = [
        "run",
        "wordcount",
        "in.txt",
        "--then",
        "distinct",
        "--times",
        "3",
        "--then",
        "sort",
        "-p",
        "reverse=true",
    ];
    let ended = sandbox.run(args);
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "c\t1\nb\t2\na\t1\n");
    for want in [
        "job 1 of 5, wordcount",
        "job 4 of 5, distinct",
        "wordcount: 8 B in, 3 rows, 12 B out",
    ] {
        assert!(ended.stderr.contains(want), "no {want} in {}", ended.stderr);
    }
    let plugin = plugin("outputs");
    let plugin = plugin.to_str().unwrap();
    let aside = [
        "--then",
        plugin,
        "--job",
        "clean",
        "--then",
        "linecount",
        "--json",
        "-o",
        "out",
    ];
    let ended = sandbox.run(
        ["run", "distinct", "in.txt", "--workers", "2"]
            .iter()
            .chain(&aside),
    );
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(report["before"].as_array().unwrap().len(), 2);
    assert_eq!(report["before"][1]["named"]["malformed"]["rows"], 2);
    assert!(
        ended
            .stderr
            .contains("2 rows that clean has put into `malformed` are not kept"),
        "{}",
        ended.stderr
    );
    sandbox.assert_clean(&["in.txt", "out"]);
}

#[test]
fn a_failure_names_the_job_and_leaves_nothing() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), "good\nlost fail\n").unwrap();
    let run = |args: &str| sandbox.start(format!("run {args}").split(' ')).wait();
    for (args, code, want) in [
        (
            "distinct in.txt --then lab-sift --then lab-fussy -p blocks=odd -o out",
            2,
            "job 3 of 3, lab-fussy: job `lab-fussy`",
        ),
        (
            "distinct in.txt --then no-such -o out",
            2,
            "job 2 of 2, no-such: there is no job",
        ),
        (
            "lab-sift in.txt -o out --then distinct -o other",
            2,
            "named twice",
        ),
        (
            "lab-sift in.txt --then distinct -o out --then distinct",
            2,
            "only the last job",
        ),
        (
            "distinct in.txt --then lab-sift --workers 2 -o out",
            2,
            "--workers",
        ),
        ("distinct in.txt --then", 2, "JOB"),
    ] {
        let ended = run(args);
        assert_eq!(ended.status.code(), Some(code), "{args}: {}", ended.stderr);
        assert!(ended.stderr.contains(want), "{args}: {}", ended.stderr);
    }
    fs::write(sandbox.work("in.txt"), "good\nfail\n").unwrap();
    let ended = run("distinct in.txt --then lab-sift --then distinct -o out");
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let want = "job 2 of 3, lab-sift: job failed: map task m0";
    assert!(ended.stderr.contains(want), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("at: distinct/part-00000, byte 0"),
        "{}",
        ended.stderr
    );
    sandbox.assert_clean(&["in.txt"]);
}

#[test]
fn a_chain_that_is_cancelled_leaves_nothing() {
    let sandbox = Sandbox::new();
    let books = books();
    let trace = format!("trace={}", sandbox.trace().display());
    let args = [
        "run",
        "wordcount",
        books.to_str().unwrap(),
        "--workers",
        "2",
    ];
    let then = [
        "--then",
        "lab-slow",
        "-p",
        "hold_map=true",
        "-p",
        &trace,
        "-o",
        "out",
    ];
    let client = sandbox.start(args.iter().chain(&then));
    wait_for("the second job to map", || sandbox.signs("map").pop());
    signal(client.pid(), Signal::INT);
    sandbox.go("go-map");
    let ended = client.wait();
    assert_eq!(ended.status.code(), Some(130), "{}", ended.stderr);
    sandbox.assert_clean(&[]);
}
