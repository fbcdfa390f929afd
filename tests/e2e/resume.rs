//! `--resume`: the same command goes on where it was interrupted.

use std::fs;

use rustix::process::Signal;

use crate::sandbox::{Running, Sandbox, books, parts_of, signal, wait_for};

/// A list of commands, each a map task. Those at a gate wait there, so it is known which one runs.
struct Bag {
    sandbox: Sandbox,
}

impl Bag {
    const COMMANDS: usize = 12;
    const GATES: [usize; 2] = [4, 8];

    fn new() -> Self {
        let sandbox = Sandbox::new();
        let trace = sandbox.trace().display().to_string();
        let command = |n: usize| {
            let gate = match Self::GATES.contains(&n) {
                true => format!("until test -e {trace}/go.{n}; do sleep 0.01; done;"),
                false => String::new(),
            };
            format!("echo {n} >> {trace}/ran; {gate} echo result {n}\n")
        };
        let commands: String = (1..=Self::COMMANDS).map(command).collect();
        fs::write(sandbox.work("commands"), commands).unwrap();
        Self { sandbox }
    }

    fn start(&self, more: &[&str]) -> Running {
        let args =
            "stream commands --mapper sh --reducer NONE --format nline:1 --slots 1 -o out --resume";
        self.sandbox
            .start(args.split(' ').chain(more.iter().copied()))
    }

    /// How often a command was run.
    fn runs(&self, n: usize) -> usize {
        let ran = fs::read_to_string(self.sandbox.trace().join("ran")).unwrap_or_default();
        ran.lines().filter(|line| *line == n.to_string()).count()
    }

    fn interrupt_at(&self, gate: usize, how: Signal, more: &[&str]) -> String {
        let client = self.start(more);
        wait_for("the command at the gate", || {
            assert!(!client.said().contains("error:"), "{}", client.said());
            (self.runs(gate) > 0).then_some(())
        });
        signal(client.pid(), how);
        let ended = client.wait();
        assert!(!ended.status.success());
        assert!(self.sandbox.work(".out.resume").exists());
        self.sandbox.go(&format!("go.{gate}"));
        ended.stderr
    }
}

#[test]
fn commands_that_have_ended_are_not_run_again() {
    for more in [&[][..], &["--workers", "1"]] {
        let bag = Bag::new();
        bag.interrupt_at(4, Signal::KILL, more);
        let said = bag.interrupt_at(8, Signal::INT, more);
        assert!(
            said.contains("Resuming") && said.contains("Leaving"),
            "{said}"
        );
        let ended = bag.start(more).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        for n in 1..=Bag::COMMANDS {
            let runs = bag.runs(n);
            // What was reported as the master was killed may not be in its journal.
            let most = 1 + usize::from(matches!(n, 3 | 4 | 7 | 8));
            assert!(
                (1..=most).contains(&runs),
                "{n} was run {runs} times, {more:?}"
            );
        }
        let rows: Vec<u8> = parts_of(&bag.sandbox.work("out"))
            .into_values()
            .flatten()
            .collect();
        let want: String = (1..=Bag::COMMANDS)
            .map(|n| format!("result {n}\t\n"))
            .collect();
        assert_eq!(String::from_utf8(rows).unwrap(), want);
        bag.sandbox.assert_clean(&["commands", "out"]);
    }
}

#[test]
fn what_was_begun_is_only_gone_on_with_by_the_same_command() {
    let bag = Bag::new();
    bag.interrupt_at(4, Signal::TERM, &[]);
    let other = bag.start(&["--max-attempts", "7"]).wait();
    assert_eq!(other.status.code(), Some(2), "{}", other.stderr);
    assert!(
        other.stderr.contains(".out.resume is of another job"),
        "{}",
        other.stderr
    );
    fs::write(bag.sandbox.work("commands"), "echo other commands\n").unwrap();
    let changed = bag.start(&[]).wait();
    assert_eq!(changed.status.code(), Some(3), "{}", changed.stderr);
    assert!(changed.stderr.contains("commands"), "{}", changed.stderr);
    // It has ended, so there is nothing more to go on with.
    bag.sandbox.assert_clean(&["commands"]);
}

#[test]
fn a_job_with_reduce_tasks_leaves_the_same_bytes() {
    let sandbox = Sandbox::new();
    let books = books();
    let trace = sandbox.trace();
    let mapper = format!(
        "sh -c 'touch {0}/map.$$.x; until test -e {0}/go; do sleep 0.01; done; exec cat'",
        trace.display()
    );
    let args = [
        "stream",
        books.to_str().unwrap(),
        "--mapper",
        &mapper,
        "-r",
        "3",
        "--split-size",
        "300KB",
    ];
    let start = |more: &[&str]| sandbox.start(args.iter().chain(more).copied());
    let client = start(&["-o", "out", "--resume", "--workers", "2"]);
    wait_for("a program", || {
        (!sandbox.signs("map").is_empty()).then_some(())
    });
    signal(client.pid(), Signal::KILL);
    client.wait();
    sandbox.go("go");
    for (output, more) in [("out", &["--resume", "--workers", "2"][..]), ("plain", &[])] {
        let ended = start(&[&["-o", output], more].concat()).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
    }
    let [out, plain] = ["out", "plain"].map(|output| parts_of(&sandbox.work(output)));
    assert_eq!(out, plain);
    sandbox.assert_clean(&["out", "plain"]);
}
