//! Processes that may open only a few files, and jobs of very many parts.

use std::process::Command;

use crate::sandbox::{Sandbox, books, bytes_of, rows_of};

/// A hundred input splits and fifty parts, with 64 descriptors a process: the output is the same.
fn check(place: &[&str]) {
    let sandbox = Sandbox::new();
    let books = books();
    let job = ["run", "wordcount", books.to_str().unwrap()];
    let more = ["-r", "50", "--split-size", "32KB", "-o"];
    sandbox.run(job.iter().chain(&more).chain(&["want"]));
    let mut command = sandbox.command(job.iter().chain(&more).chain(&["out"]).chain(place));
    let ended = limited(&mut command).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    assert_eq!(
        bytes_of(&sandbox.work("out")),
        bytes_of(&sandbox.work("want"))
    );
    sandbox.assert_clean(&["out", "want"]);
}

/// The same command under a limit that its children inherit.
fn limited(command: &mut Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"ulimit -n 64 && exec "$0" "$@""#]);
    shell.arg(command.get_program()).args(command.get_args());
    shell.current_dir(command.get_current_dir().unwrap());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// Most of them have no rows; each is a file all the same, and nothing is left beside them.
#[test]
fn thousands_of_partitions_of_a_tiny_job() {
    let sandbox = Sandbox::new();
    let books = books();
    let count = |parts: &str, output: &str| {
        let args = ["run", "wordcount", books.to_str().unwrap(), "-o", output];
        sandbox.start(args.into_iter().chain(["-r", parts])).wait()
    };
    for (parts, output) in [("1", "one"), ("2000", "many")] {
        let ended = count(parts, output);
        assert!(ended.status.success(), "{}", ended.stderr);
    }
    assert_eq!(bytes_of(&sandbox.work("many")).len(), 2001);
    assert_eq!(
        rows_of(&sandbox.work("many")),
        rows_of(&sandbox.work("one"))
    );
    let refused = count("100000", "out");
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        refused.stderr.contains("from 1 to 10000"),
        "{}",
        refused.stderr
    );
    sandbox.assert_clean(&["many", "one"]);
}

#[test]
fn one_process_needs_few_files() {
    check(&["--slots", "4"]);
}

#[test]
fn workers_need_few_files() {
    check(&["--workers", "3"]);
}

/// With little memory every run is a file.
#[test]
fn runs_on_disk_need_few_files() {
    check(&["--slots", "1", "--memory", "27MiB"]);
}
