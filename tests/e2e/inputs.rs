//! Inputs that are taken away or written to while a job reads them, and inputs of extreme shapes.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use crate::sandbox::{Ended, Sandbox, books, wait_for};

/// Runs a word count of a file that `change` does something to while the first of its splits is mapped.
fn run_while(change: impl FnOnce(&Path)) -> (Sandbox, Ended) {
    let sandbox = Sandbox::new();
    // Not in the working folder, where nothing but outputs may be in the end.
    let input = sandbox.trace().join("input.txt");
    let text = fs::read(books().join("pg-sherlock_holmes.txt")).unwrap();
    fs::write(&input, text).unwrap();
    let trace = format!("trace={}", sandbox.trace().display());
    let client = sandbox.start([
        "run",
        "lab-slow",
        input.to_str().unwrap(),
        "-o",
        "out",
        "--slots",
        "1",
        "--split-size",
        "100KB",
        "-p",
        "hold_map=true",
        "-p",
        &trace,
    ]);
    wait_for("a map", || sandbox.signs("map").pop());
    change(&input);
    sandbox.go("go-map");
    (sandbox, client.wait())
}

/// The job must fail, say what happened to which file, and leave nothing.
#[track_caller]
fn check(change: impl FnOnce(&Path), says: &str) {
    let (sandbox, ended) = run_while(change);
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    let said = &ended.stderr;
    assert!(
        said.contains("input.txt changed while the job ran") && said.contains(says),
        "{said}"
    );
    sandbox.assert_clean(&[]);
}

#[test]
fn an_input_that_is_removed_fails_the_job() {
    check(|input| fs::remove_file(input).unwrap(), "it was removed");
}

#[test]
fn an_input_that_is_cut_fails_the_job() {
    let cut = |input: &Path| {
        let file = File::options().write(true).open(input).unwrap();
        file.set_len(10_000).unwrap();
    };
    check(cut, "it shrank from");
}

#[test]
fn an_input_that_grows_fails_the_job() {
    let append = |input: &Path| {
        let mut file = File::options().append(true).open(input).unwrap();
        file.write_all(b"more words\n").unwrap();
    };
    check(append, "it grew from");
}

#[test]
fn an_input_that_is_written_to_fails_the_job() {
    let write = |input: &Path| {
        let mut file = File::options().write(true).open(input).unwrap();
        file.seek(SeekFrom::Start(300_000)).unwrap();
        file.write_all(b"other words").unwrap();
    };
    check(write, "it was written to");
}

#[test]
fn a_hundred_thousand_tiny_files_are_a_few_splits() {
    const FILES: u32 = 100_000;
    let sandbox = Sandbox::new();
    let folder = sandbox.trace().join("tiny");
    fs::create_dir(&folder).unwrap();
    for number in 0..FILES {
        let word = char::from(b'a' + (number % 26) as u8);
        fs::write(folder.join(number.to_string()), format!("{word} all\n")).unwrap();
    }
    let ended = sandbox.run([
        "run",
        "wordcount",
        folder.to_str().unwrap(),
        "--json",
        "-o",
        "out",
    ]);
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert!(report["map_tasks"].as_u64().unwrap() < 100, "{report}");
    let rows = fs::read_to_string(sandbox.work("out/part-00000")).unwrap();
    assert!(rows.contains(&format!("all\t{FILES}\n")), "{rows}");
    assert_eq!(rows.lines().count(), 27);
}

/// A file that is one line of a gigabyte; it has a hole instead of bytes, so it costs no disk.
#[test]
fn a_line_of_a_gigabyte_is_refused_by_name_and_in_bounded_memory() {
    let sandbox = Sandbox::new();
    let input = sandbox.trace().join("line.txt");
    File::create(&input).unwrap().set_len(1 << 30).unwrap();
    let client = sandbox.start([
        "run",
        "linecount",
        input.to_str().unwrap(),
        "-o",
        "out",
        "--slots",
        "2",
        "--memory",
        "64MiB",
    ]);
    let (ended, most) = client.wait_and_measure();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    let said = &ended.stderr;
    assert!(
        said.contains("line.txt, byte 0") && said.contains("hint:"),
        "{said}"
    );
    // A record of 64 MiB is taken whatever the budget, and what was read of it is what there is beside the process.
    assert!(most < 128 << 20, "{most} bytes");
    sandbox.assert_clean(&[]);
}
