//! Code that no engine can catch, in a process of its own.

use std::fs;
use std::io::Write as _;

use crate::sandbox::{Ended, Sandbox, books, bytes_of, wait_for};

/// Runs the job that harms its process.
fn rogue(sandbox: &Sandbox, does: &str, most: &str, more: &[&str]) -> Ended {
    let text = "one two\nhere it is\nthree\n";
    rogue_on(sandbox, text, does, most, more)
}

/// The same on a text of one's own.
fn rogue_on(sandbox: &Sandbox, text: &str, does: &str, most: &str, more: &[&str]) -> Ended {
    let _ = fs::remove_dir_all(sandbox.trace());
    fs::create_dir(sandbox.trace()).unwrap();
    fs::write(sandbox.work("in.txt"), text).unwrap();
    let does = format!("does={does}");
    let trace = format!("trace={}", sandbox.trace().display());
    let most = format!("most={most}");
    let args = ["run", "lab-rogue", "in.txt", "-o", "out", "--isolate"];
    let params = ["-p", &does, "-p", &trace, "-p", &most];
    sandbox.start(args.iter().chain(&params).chain(more)).wait()
}

/// No process of this test's is left.
pub(crate) fn assert_nobody_is_left(sandbox: &Sandbox) {
    wait_for("all processes to end", || {
        let tmp = sandbox.tmp().display().to_string();
        let mut processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        let ours = processes.any(|entry| {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            String::from_utf8_lossy(&environment).contains(&tmp)
        });
        (!ours).then_some(())
    });
}

const DEEDS: [(&str, &str); 6] = [
    ("abort", "was killed by signal 6 (SIGABRT)"),
    ("exit", "ended with code 3"),
    ("segv", "was killed by signal 11 (SIGSEGV)"),
    ("hog", "memory allocation of"),
    ("recurse", "has overflowed its stack"),
    ("print", "a line that nobody asked for, 199999"),
];

#[test]
fn what_ends_a_process_fails_the_attempt_and_says_why() {
    let sandbox = Sandbox::new();
    for (does, said) in DEEDS {
        let more = ["--memory", "64MiB", "--slots", "1", "--max-attempts", "2"];
        let ended = rogue(&sandbox, does, "9", &more);
        assert_eq!(ended.status.code(), Some(1), "{does}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{does}: {}", ended.stderr);
        assert!(ended.stderr.len() < 10_000, "{does}: {}", ended.stderr);
        // Two attempts, and what it took to find the record.
        assert!(sandbox.signs("deed").len() >= 2, "{does}");
        let place = "at: in.txt, byte 8: \"here it is\" (record 2 of the map task)";
        assert!(ended.stderr.contains(place), "{does}: {}", ended.stderr);
        assert!(!sandbox.work("out").exists());
    }
    assert_nobody_is_left(&sandbox);
}

/// It cannot be read from the middle, so records of it are copied.
#[test]
fn the_record_in_a_packed_file_that_ends_a_process_is_told() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.trace()).unwrap();
    let mut lines: Vec<String> = (1..=4000).map(|n| format!("line {n}\n")).collect();
    lines[2499] = "here it is\n".to_owned();
    let file = fs::File::create(sandbox.work("in.txt.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packed.write_all(lines.concat().as_bytes()).unwrap();
    packed.finish().unwrap();
    let trace = format!("trace={}", sandbox.trace().display());
    let place = "at: in.txt.gz, byte 23883: \"here it is\" (record 2500 of the map task)";
    for more in [&["--isolate"][..], &["--workers", "2", "--isolate"]] {
        let job = ["run", "lab-rogue", "in.txt.gz", "-q"];
        let does = ["-p", "does=abort", "-p", &trace, "--max-attempts", "2"];
        let ended = sandbox.start(job.iter().chain(&does).chain(more)).wait();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(ended.stderr.contains(place), "{more:?}: {}", ended.stderr);
    }
    assert_nobody_is_left(&sandbox);
}

/// The worker lives on: the task's next attempt is in a new process, and its output is as if nothing had been.
#[test]
fn the_next_attempt_has_a_new_process() {
    let sandbox = Sandbox::new();
    for place in [&["--slots", "1"][..], &["--workers", "2"]] {
        for (does, _) in DEEDS {
            let more: Vec<&str> = ["--memory", "64MiB"].iter().chain(place).copied().collect();
            let ended = rogue(&sandbox, does, "1", &more);
            assert!(ended.status.success(), "{does}: {}", ended.stderr);
            let out = bytes_of(&sandbox.work("out"));
            let rows = b"here\t1\nis\t1\nit\t1\none\t1\nthree\t1\ntwo\t1\n";
            assert_eq!(out["part-00000"], rows);
            fs::remove_dir_all(sandbox.work("out")).unwrap();
        }
    }
    assert_nobody_is_left(&sandbox);
}

const TWO_SECONDS: [&str; 2] = ["--task-timeout", "2s"];

/// By whoever waits for it: the attempt fails, and its slot is free for the next.
#[test]
fn a_loop_without_end_is_ended_by_its_time() {
    let sandbox = Sandbox::new();
    let more = [&TWO_SECONDS[..], &["--slots", "1"]].concat();
    let ended = rogue(&sandbox, "loop", "1", &more);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(sandbox.signs("deed").len(), 1);
    assert_nobody_is_left(&sandbox);
}

#[test]
fn a_loop_without_end_is_told_with_its_record_and_its_stack() {
    let mut sandbox = Sandbox::new();
    for (place, asked) in [(["--slots", "1"], "0"), (["--workers", "2"], "1")] {
        sandbox.envs.retain(|(name, _)| *name != "RUST_BACKTRACE");
        sandbox.envs.push(("RUST_BACKTRACE", asked.into()));
        let more = [&TWO_SECONDS[..], &place].concat();
        let ended = rogue(&sandbox, "loop", "99", &more);
        let said = &ended.stderr;
        assert_eq!(ended.status.code(), Some(1), "{said}");
        for text in [
            "map task m0 fails on the same record each time (2 attempts)",
            "made no progress for 2 s and was killed",
            "`map` does not come back within 2 s from this record alone",
            "at: in.txt, byte 8: \"here it is\" (record 2 of the map task)",
            "hint: --task-timeout sets how long",
        ] {
            assert!(said.contains(text), "no {text:?} in {said}");
        }
        let stack = said.contains("rogue::stay") || said.contains(": stay\n");
        assert_eq!(stack, asked == "1", "{said}");
        assert!(!said.contains("tell_stack"), "{said}");
        assert!(!sandbox.work("out").exists());
    }
    assert_nobody_is_left(&sandbox);
}

/// As those that it fails on; both among each other.
#[test]
fn records_that_end_a_process_can_be_put_aside() {
    let sandbox = Sandbox::new();
    let text = "one two\nhere it is\nno words\nthree\nno words\nand here\n";
    for (does, said) in [
        (
            "abort",
            "the attempt's process was killed by signal 6 (SIGABRT)",
        ),
        (
            "loop",
            "the attempt's process made no progress for 2 s and was killed",
        ),
    ] {
        let run = |most, place: &[&str]| {
            let more = [&TWO_SECONDS[..], &["-r", "1", "--skip-bad", most], place].concat();
            rogue_on(&sandbox, text, does, "99", &more)
        };
        let mut outs = Vec::new();
        for place in [["--slots", "1"], ["--workers", "2"]] {
            let ended = run("4", &place);
            assert!(ended.status.success(), "{does}: {}", ended.stderr);
            outs.push(bytes_of(&sandbox.work("out")));
            fs::remove_dir_all(sandbox.work("out")).unwrap();
        }
        assert!(outs[0] == outs[1], "{does}");
        assert_eq!(outs[0]["part-00000"], b"one\t1\nthree\t1\ntwo\t1\n");
        let list = String::from_utf8(outs[0]["_skipped.jsonl"].clone()).unwrap();
        let list: Vec<&str> = list.lines().collect();
        assert_eq!(list.len(), 4, "{list:?}");
        for (line, text) in list.iter().zip([said, "not like", "not like", said]) {
            assert!(line.contains(text), "{does}: no {text:?} in {line}");
        }
        let ended = run("3", &["--slots", "1", "--max-attempts", "1"]);
        assert_eq!(ended.status.code(), Some(1), "{does}: {}", ended.stderr);
        let more = "`map` fails on 4 records so far, and 3 may be skipped";
        assert!(ended.stderr.contains(more), "{does}: {}", ended.stderr);
    }
    assert_nobody_is_left(&sandbox);
}

/// The key is that at which the first attempt ended: nothing is made again to find it.
#[test]
fn what_ends_a_process_in_reduce_is_told_with_its_key() {
    let mut sandbox = Sandbox::new();
    sandbox.envs.push(("RUST_BACKTRACE", "1".into()));
    let key = "it was reducing key `here` (key 1 of partition 0)";
    let end = "it was in `finish_reduce`, after 6 keys of partition 0";
    for (does, said, noted, stack) in [
        ("abort-reduce", "SIGABRT", key, true),
        ("exit-reduce", "ended with code 3", key, false),
        ("segv-reduce", "SIGSEGV", key, false),
        ("hog-reduce", "memory allocation of", key, false),
        ("recurse-reduce", "has overflowed its stack", key, false),
        (
            "loop-reduce",
            "made no progress for 2 s and was killed",
            key,
            true,
        ),
        ("abort-finish", "SIGABRT", end, true),
    ] {
        let limit = if does.starts_with("loop") {
            "2s"
        } else {
            "10m"
        };
        let more = ["--task-timeout", limit, "--memory", "64MiB", "--slots", "1"];
        let more = [&more[..], &["-r", "1", "--max-attempts", "1"]].concat();
        let ended = rogue(&sandbox, does, "0", &more);
        let told = &ended.stderr;
        assert_eq!(ended.status.code(), Some(1), "{does}: {told}");
        for text in ["reduce task r0", said, noted] {
            assert!(told.contains(text), "{does}: no {text:?} in {told}");
        }
        if stack {
            assert!(told.contains("rogue::Rogue"), "{does}: no stack in {told}");
            assert!(!told.contains("tell_"), "{does}: {told}");
        }
        assert!(!sandbox.work("out").exists());
    }
    assert_nobody_is_left(&sandbox);
}

/// On the way out of `map`, and on that into `reduce`.
#[test]
fn what_ends_a_process_in_a_combiner_is_told_so() {
    let sandbox = Sandbox::new();
    let together = "it is in the combiner, in `finish_map`, or in writing what was emitted";
    let ahead = "it was combining values of partition 0, ahead of `reduce`";
    let text = "one\nhere\nhere\n";
    for (split, said) in [("1MB", together), ("8", ahead)] {
        for does in ["abort-combine", "loop-combine"] {
            let limit = if does.starts_with("loop") {
                "2s"
            } else {
                "10m"
            };
            let more = ["--task-timeout", limit, "--split-size", split, "--slots"];
            let more = [&more[..], &["1", "-r", "1", "--max-attempts", "1"]].concat();
            let ended = rogue_on(&sandbox, text, does, "0", &more);
            let told = &ended.stderr;
            assert_eq!(ended.status.code(), Some(1), "{does}: {told}");
            assert!(told.contains(said), "{does}: no {said:?} in {told}");
        }
    }
    assert_nobody_is_left(&sandbox);
}

#[test]
fn the_same_folder_with_and_without() {
    let sandbox = Sandbox::new();
    let books = books();
    let books = books.to_str().unwrap();
    for job in ["wordcount", "sort", "index"] {
        let run = |out: &str, more: &[&str]| {
            let args = [
                "run",
                job,
                books,
                "-r",
                "3",
                "--split-size",
                "500KB",
                "-o",
                out,
            ];
            sandbox.run(args.iter().chain(more));
            bytes_of(&sandbox.work(out))
        };
        let want = run(&format!("{job}-want"), &[]);
        let one = run(&format!("{job}-one"), &["--isolate", "--slots", "2"]);
        let little = ["--isolate", "--slots", "2", "--memory", "34MiB"];
        let little = run(&format!("{job}-little"), &little);
        let three = run(&format!("{job}-three"), &["--isolate", "--workers", "3"]);
        assert!(one == want && little == want && three == want, "{job}");
    }
    assert_nobody_is_left(&sandbox);
}
