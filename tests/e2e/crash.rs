//! The crash test of the classic lab, with shell scripts: programs that fail, hang, or take their worker along.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::sandbox::{Sandbox, books, lines, rows_of, sorted, wait_for};

/// Does its part of the mischief, each kind once a script, and is a word count otherwise. Files say who has done what: a folder can be made
/// but once.
const SCRIPT: &str = r#"#!/bin/sh
part=$1
if mkdir "$TRACE/$part.fails" 2>/dev/null; then echo "no luck" >&2; exit 7; fi
if mkdir "$TRACE/$part.half" 2>/dev/null; then echo half a row; kill -9 $$; fi
# Its parent is the guard, whose parent is the worker.
if mkdir "$TRACE/$part.kills" 2>/dev/null; then kill -9 "$(cut -d' ' -f4 "/proc/$PPID/stat")"; sleep 1000; fi
if mkdir "$TRACE/$part.hangs" 2>/dev/null; then sleep 1000; fi
case $part in
map) exec awk '{ gsub(/[^A-Za-z]+/, " "); for (i = 1; i <= NF; i++) print $i "\t1" }' ;;
reduce) exec awk 'BEGIN { FS = "\t" } $1 != k { if (n) print k "\t" n; k = $1; n = 0 } { n += $2 } END { if (n) print k "\t" n }' ;;
esac
"#;

#[test]
fn scripts_that_fail_hang_or_kill_their_workers_leave_the_same_rows() {
    let sandbox = Sandbox::new();
    let script = sandbox.work("count.sh");
    fs::write(&script, SCRIPT).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let trace = sandbox.trace();
    let env = format!("TRACE={}", trace.display());
    let books = books();
    let how = "--mapper './count.sh map' --reducer './count.sh reduce' -r 4 --split-size 300KB --workers 4 --slots 1 --task-timeout 2s -o out";
    let args = ["stream", books.to_str().unwrap(), "--env", &env];
    let how = shlex(how);
    let ended = sandbox
        .start(args.iter().copied().chain(how.iter().map(String::as_str)))
        .wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let done = |part: &str| {
        ["fails", "half", "kills", "hangs"]
            .map(|what| trace.join(format!("{part}.{what}")).exists())
    };
    assert_eq!(
        [done("map"), done("reduce")],
        [[true; 4]; 2],
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("Lost 2 workers"), "{}", ended.stderr);
    assert_eq!(rows_of(&sandbox.work("out")), words());
    wait_for("all programs to end", || (running(&env) == 0).then_some(()));
}

/// The same by other means.
fn words() -> Vec<Vec<u8>> {
    let script = "cat \"$0\"/* | tr -cs A-Za-z '\\n' | grep . | LC_ALL=C sort | uniq -c | awk '{ print $2 \"\\t\" $1 }'";
    let printed = std::process::Command::new("sh")
        .args(["-c", script])
        .arg(books())
        .output()
        .unwrap();
    sorted(lines(&printed.stdout))
}

/// Words, of which quotes make one.
fn shlex(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (number, piece) in text.split('\'').enumerate() {
        match number % 2 {
            0 => words.extend(piece.split_whitespace().map(str::to_owned)),
            _ => words.push(piece.to_owned()),
        }
    }
    words
}

/// How many processes have this in their environment.
fn running(env: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let has = |folder: fs::DirEntry| {
        let environ = fs::read(folder.path().join("environ")).unwrap_or_default();
        environ
            .split(|byte| *byte == 0)
            .any(|it| it == env.as_bytes())
    };
    processes
        .filter(|folder| folder.file_name().to_string_lossy().parse::<u32>().is_ok())
        .map(has)
        .filter(|it| *it)
        .count()
}
