//! A bag of commands: each line of a list is run by itself, and how it has ended is in the job log.

use std::fs;

use crate::sandbox::{Ended, Sandbox, parts_of};

/// Two that are fine, one that fails, one that fails once, one that is killed, and one that says things.
const COMMANDS: &str = "echo one; echo 1
echo so sad >&2; echo half; exit 3
mkdir tried || echo at last
kill -9 $$
printf 'a\\tb\\n' >&2; echo six
";

fn run(sandbox: &Sandbox, more: &[&str]) -> Ended {
    let args = "stream commands --mapper sh --reducer NONE --format nline:1 --max-attempts 2 -o out --job-log log";
    sandbox
        .start(args.split(' ').chain(more.iter().copied()))
        .wait()
}

/// The columns of the log.
fn log(sandbox: &Sandbox) -> Vec<Vec<String>> {
    let log = fs::read_to_string(sandbox.work("log")).unwrap();
    log.lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

#[test]
fn every_command_is_in_the_log_and_none_fails_the_others() {
    for more in [&["--slots", "2"][..], &["--workers", "2"]] {
        let sandbox = Sandbox::new();
        fs::write(sandbox.work("commands"), COMMANDS).unwrap();
        let ended = run(&sandbox, more);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("2 of 5 programs failed"),
            "{}",
            ended.stderr
        );
        let rows = log(&sandbox);
        assert_eq!(
            rows[0].join(" "),
            "Task Try Host Start Seconds Code Input Offset Command Stderr"
        );
        let told: Vec<String> = rows[1..]
            .iter()
            .map(|row| {
                [0, 1, 5, 6, 7, 8, 9]
                    .map(|column| row[column].as_str())
                    .join("|")
            })
            .collect();
        assert_eq!(
            told,
            [
                "1|1|0|commands|0|echo one; echo 1|",
                "2|2|3|commands|17|echo so sad >&2; echo half; exit 3|so sad",
                "3|1|0|commands|52|mkdir tried || echo at last|",
                "4|2|137|commands|80|kill -9 $$|",
                r"5|1|0|commands|91|printf 'a\\tb\\n' >&2; echo six|a\tb",
            ]
        );
        assert!(
            rows[1..]
                .iter()
                .all(|row| row[3].parse::<f64>().unwrap() > 1e9
                    && row[4].parse::<f64>().unwrap() < 600.0
                    && !row[2].is_empty())
        );
        let printed: Vec<u8> = parts_of(&sandbox.work("out"))
            .into_iter()
            .filter(|(name, _)| name.starts_with("part-"))
            .flat_map(|(_, rows)| rows)
            .collect();
        assert_eq!(
            String::from_utf8(printed).unwrap(),
            "one\t\n1\t\nhalf\t\nsix\t\n"
        );
        let ended = sandbox.run(["verify", "out"]);
        assert!(ended.status.success(), "{}", ended.stderr);
    }
}

#[test]
fn a_command_that_hangs_is_in_the_log_too() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("commands"), "echo one\necho two; sleep 1000\n").unwrap();
    let ended = run(&sandbox, &["--task-timeout", "3s"]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let rows = log(&sandbox);
    assert_eq!(rows[1][5], "0");
    assert_eq!(rows[2][..2].join("|"), "2|2");
    assert_eq!(rows[2][5], "137");
    assert!(rows[2][9].starts_with("killed: it has neither"), "{rows:?}");
}

#[test]
fn a_log_is_not_written_over() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("commands"), "true\nfalse\n").unwrap();
    fs::write(sandbox.work("log"), "mine").unwrap();
    let ended = run(&sandbox, &[]);
    assert_eq!(ended.status.code(), Some(4), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(sandbox.work("log")).unwrap(), "mine");
    assert!(!sandbox.work("out").exists());
    fs::write(sandbox.work("commands"), "true\ntrue\n").unwrap();
    let ended = run(&sandbox, &["--overwrite", "--resume"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(log(&sandbox).len(), 3);
    let args = "stream commands --mapper sh --reducer NONE -o other --job-log no-such/log";
    let ended = sandbox.start(args.split(' ')).wait();
    assert_eq!(ended.status.code(), Some(4), "{}", ended.stderr);
    assert!(!sandbox.work("other").exists());
    let args = "stream commands --mapper sh -o other --job-log other-log";
    let ended = sandbox.start(args.split(' ')).wait();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("--reducer NONE"), "{}", ended.stderr);
}
