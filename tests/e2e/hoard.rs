//! A job that keeps what it has until the end of an attempt, wherever its attempts are made.

use std::collections::BTreeMap;
use std::fs;

use crate::plugins::plugin;
use crate::sandbox::{Sandbox, bytes_of, rows_of};

fn lines() -> String {
    let line = |n: usize| match n % 100 {
        50 => format!("lost{n} panic\n"),
        _ => format!(
            "word{} word{} again\n",
            "a".repeat(n % 7),
            "b".repeat(n % 11)
        ),
    };
    (0..1000).map(line).collect()
}

fn want(text: &str) -> Vec<Vec<u8>> {
    let mut counts = BTreeMap::<&str, u64>::new();
    for line in text.lines().filter(|line| !line.contains("panic")) {
        for word in line.split(|letter: char| !letter.is_ascii_alphabetic()) {
            if !word.is_empty() {
                *counts.entry(word).or_default() += 1;
            }
        }
    }
    let rows = counts
        .iter()
        .map(|(word, count)| format!("{word}\t{count}").into_bytes());
    crate::sandbox::sorted(rows.collect())
}

/// Bad records are found by mapping each alone; then every attempt begins without what was kept.
#[test]
fn what_is_kept_to_the_end_gives_the_same_folder_wherever_the_job_runs() {
    let sandbox = Sandbox::new();
    let text = lines();
    fs::write(sandbox.work("in.txt"), &text).unwrap();
    let lab = plugin("lab");
    let linked = ["run", "lab-hoard"];
    let loaded = ["run", lab.to_str().unwrap(), "--job", "lab-hoard"];
    let common = [
        "in.txt",
        "-r",
        "3",
        "--split-size",
        "2000",
        "--skip-bad",
        "10",
        "-q",
    ];
    let mut folders = BTreeMap::<bool, BTreeMap<String, Vec<u8>>>::new();
    for (is_plugin, place) in [
        (false, &["--slots", "2"][..]),
        (false, &["--workers", "2"]),
        (false, &["--workers", "2", "--isolate"]),
        (true, &["--slots", "2", "--memory", "34MiB"]),
        (true, &["--workers", "2", "--isolate"]),
    ] {
        let job: &[&str] = if is_plugin { &loaded } else { &linked };
        let args = job.iter().chain(&common).chain(place).chain(&["-o", "out"]);
        sandbox.run(args);
        assert_eq!(rows_of(&sandbox.work("out")), want(&text), "{place:?}");
        let got = bytes_of(&sandbox.work("out"));
        let first = folders.entry(is_plugin).or_insert_with(|| got.clone());
        assert!(*first == got, "{place:?}");
        fs::remove_dir_all(sandbox.work("out")).unwrap();
    }
    let manifest: serde_json::Value = serde_json::from_slice(&folders[&false]["_SUCCESS"]).unwrap();
    assert_eq!(
        manifest["counters"]["ends"], manifest["splits"],
        "each map task ends once"
    );
}

#[test]
fn the_last_row_of_a_part_is_written_at_its_end() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), "a b c d e f g\na b\n").unwrap();
    let args = [
        "run",
        "lab-hoard",
        "in.txt",
        "-p",
        "last=true",
        "-r",
        "2",
        "-o",
        "out",
        "-q",
    ];
    sandbox.run(args);
    let mut different = 0;
    for part in ["part-00000", "part-00001"] {
        let rows = fs::read_to_string(sandbox.work("out").join(part)).unwrap();
        let last = rows.lines().last().unwrap().strip_prefix("(different)\t");
        let last: usize = last.unwrap().parse().unwrap();
        assert_eq!(last + 1, rows.lines().count());
        different += last;
    }
    assert_eq!(different, 7);
}

#[test]
fn an_end_that_fails_says_so() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), "a b c\n").unwrap();
    for more in [&[][..], &["--skip-bad", "5"]] {
        let args = ["run", "lab-hoard", "in.txt", "-p", "spoil=b", "-o", "out"];
        let ended = sandbox.start(args.iter().chain(more)).wait();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        for said in [
            "the end of the map attempt (`finish_map`) failed",
            "it met the word",
        ] {
            assert!(
                ended.stderr.contains(said),
                "no {said:?} in {}",
                ended.stderr
            );
        }
    }
}
