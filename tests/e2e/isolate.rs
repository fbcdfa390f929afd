//! Code that no engine can catch, in a process of its own.

use std::fs;

use crate::sandbox::{Ended, Sandbox, books, bytes_of, wait_for};

/// Runs the job that harms its process.
fn rogue(sandbox: &Sandbox, does: &str, most: &str, more: &[&str]) -> Ended {
    let _ = fs::remove_dir_all(sandbox.trace());
    fs::create_dir(sandbox.trace()).unwrap();
    fs::write(sandbox.work("in.txt"), "one two\nhere it is\nthree\n").unwrap();
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

#[test]
fn a_loop_without_end_in_reduce_is_ended_as_well() {
    let sandbox = Sandbox::new();
    let more = ["--slots", "1", "--max-attempts", "2"];
    let ended = rogue(
        &sandbox,
        "loop-reduce",
        "0",
        &[&TWO_SECONDS[..], &more].concat(),
    );
    let said = &ended.stderr;
    assert_eq!(ended.status.code(), Some(1), "{said}");
    for text in ["reduce task r0", "made no progress for 2 s and was killed"] {
        assert!(said.contains(text), "no {text:?} in {said}");
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
