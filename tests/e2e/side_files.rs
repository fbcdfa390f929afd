//! Files that every task of a job is given, wherever its tasks run.

use std::collections::HashSet;
use std::fs;

use crate::plugins::plugin;
use crate::sandbox::{Ended, Sandbox, books, bytes_of, rows_of};

const STOP_WORDS: &str = "the\nand\nof\nto\na\n";

/// What a reader of the books would count by hand.
fn want() -> Vec<Vec<u8>> {
    let stop_words: HashSet<&str> = STOP_WORDS.lines().collect();
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for file in crate::oracle::files(&books()) {
        for line in fs::read_to_string(file).unwrap().lines() {
            let line = line.to_lowercase();
            let words = line.split(|letter: char| !letter.is_alphanumeric());
            let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
            let counted = |pair: &&[&str]| !pair.iter().any(|word| stop_words.contains(word));
            for pair in words.windows(2).filter(counted) {
                *counts.entry(pair.join("\t")).or_default() += 1;
            }
        }
    }
    counts.retain(|_, count| *count >= 5);
    let rows = counts
        .iter()
        .map(|(pair, count)| format!("{pair}\t{count}").into_bytes());
    crate::sandbox::sorted(rows.collect())
}

fn run(sandbox: &Sandbox, list: &str, more: &[&str]) -> Ended {
    let (bigrams, books) = (plugin("bigrams"), books());
    let list = format!("stop_words={list}");
    let common = [
        "run",
        bigrams.to_str().unwrap(),
        books.to_str().unwrap(),
        "-p",
        &list,
        "-p",
        "count-min=05",
        "-r",
        "3",
        "--split-size",
        "300KB",
        "-q",
    ];
    sandbox.start(common.iter().chain(more)).wait()
}

#[test]
fn a_side_file_gives_the_same_folder_wherever_the_job_runs_and_the_file_lies() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("stop.txt"), STOP_WORDS).unwrap();
    fs::create_dir(sandbox.work("other")).unwrap();
    fs::write(sandbox.work("other/list"), STOP_WORDS).unwrap();
    let absolute = sandbox.work("other/list");
    let mut first = None;
    for (list, place) in [
        ("stop.txt", &["--slots", "2"][..]),
        // Typed, or left at its default; by one of its names, in some of its words.
        (
            "stop.txt",
            &["--slots", "2", "--isolate", "-p", "across=no"],
        ),
        ("other/list", &["--workers", "2", "-p", "across=false"]),
        (absolute.to_str().unwrap(), &["--workers", "2", "--isolate"]),
    ] {
        let ended = run(&sandbox, list, &[&["-o", "out"][..], place].concat());
        assert!(ended.status.success(), "{place:?}: {}", ended.stderr);
        assert_eq!(rows_of(&sandbox.work("out")), want(), "{place:?}");
        let got = bytes_of(&sandbox.work("out"));
        assert!(*first.get_or_insert(got.clone()) == got, "{place:?}");
        fs::remove_dir_all(sandbox.work("out")).unwrap();
    }
    let manifest: serde_json::Value = serde_json::from_slice(&first.unwrap()["_SUCCESS"]).unwrap();
    let content = manifest["params"]["stop_words"].as_str().unwrap();
    assert!(
        content.starts_with("blake3:") && content.len() == 7 + 64,
        "{content}"
    );
    assert!(
        manifest["counters"]["pairs with a stop word"]
            .as_u64()
            .unwrap()
            > 1000
    );
    sandbox.assert_clean(&["other", "stop.txt"]);
}

#[test]
fn a_side_file_that_is_missing_is_refused_before_anything_runs() {
    let sandbox = Sandbox::new();
    for place in [&[][..], &["--isolate"], &["--workers", "2"]] {
        let ended = run(&sandbox, "stop.txt", &[&["-o", "out"][..], place].concat());
        assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
        for said in [
            "job `bigrams` cannot use the file of parameter `stop_words`",
            "caused by: there is no file stop.txt",
            "hint: a relative path is looked up in the folder in which `mapfold` is started",
        ] {
            assert!(
                ended.stderr.contains(said),
                "no {said:?} in {}",
                ended.stderr
            );
        }
    }
    let folder = run(&sandbox, ".", &["-o", "out"]);
    assert!(
        folder.stderr.contains(". is a folder, and no file"),
        "{}",
        folder.stderr
    );
    for place in [&[][..], &["--isolate"]] {
        let none = run(&sandbox, "", &[&["-o", "out"][..], place].concat());
        let want = "job `bigrams`: parameter `stop_words` names no file";
        assert!(none.stderr.contains(want), "{}", none.stderr);
    }
    assert!(!sandbox.work("out").exists());
}

#[test]
fn tasks_as_processes_hold_the_side_file_against_the_plan() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("stop.txt"), STOP_WORDS).unwrap();
    let (bigrams, books) = (plugin("bigrams"), books());
    let (bigrams, books) = (bigrams.to_str().unwrap(), books.to_str().unwrap());
    let job = [
        bigrams,
        books,
        "-p",
        "stop_words=stop.txt",
        "-r",
        "2",
        "--split-size",
        "1GB",
    ];
    sandbox.run(["run"].iter().chain(&job).chain(&["-o", "run", "-q"]));
    sandbox.run(["plan"].iter().chain(&job).chain(&["-o", "plan.json"]));
    let task = |kind: &str, index: &str, folder: &str| {
        let args = [
            "task",
            kind,
            "--plan",
            "plan.json",
            "--index",
            index,
            folder,
            "shuffle",
        ];
        sandbox.start(args).wait()
    };
    for (kind, index, folder) in [
        ("map", "0", "--to"),
        ("reduce", "0", "--from"),
        ("reduce", "1", "--from"),
    ] {
        let ended = task(kind, index, folder);
        assert!(ended.status.success(), "{}", ended.stderr);
    }
    sandbox.run([
        "task",
        "commit",
        "--plan",
        "plan.json",
        "--from",
        "shuffle",
        "-o",
        "tasks",
    ]);
    assert_eq!(
        bytes_of(&sandbox.work("tasks")),
        bytes_of(&sandbox.work("run"))
    );
    fs::write(sandbox.work("stop.txt"), "the\n").unwrap();
    let args = [
        "task",
        "map",
        "--plan",
        "plan.json",
        "--index",
        "0",
        "--attempt",
        "2",
        "--to",
        "shuffle",
    ];
    let ended = sandbox.start(args).wait();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    assert!(
        ended
            .stderr
            .contains("stop.txt changed after the job was submitted"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_description_calls_it_a_file() {
    let sandbox = Sandbox::new();
    let described = sandbox.run(["describe", plugin("bigrams").to_str().unwrap()]);
    let described = String::from_utf8(described.stdout).unwrap();
    assert!(described.contains("stop_words=file"), "{described}");
}
