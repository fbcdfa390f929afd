//! Processes that may open only a few files.

use std::process::Command;

use crate::sandbox::{Sandbox, books, bytes_of};

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
    check(&["--slots", "1", "--memory", "23MiB"]);
}
