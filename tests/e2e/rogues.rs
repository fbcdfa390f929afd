//! What a plugin does to its process on a cluster: it costs an attempt and no worker, and is told with the record at which it was done.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::{Cluster, Over};
use crate::plugins::{api_flags, library};
use crate::sandbox::{Ended, Running, Sandbox, bytes_of, lines, parts_of, wait_for};

const ROGUE: &str = r#"
use mapfold_job::*;
mapfold_job::plugin!(Rogue);
params! {
    pub struct RogueParams {
        /// What it does at the record that begins with `here`.
        pub does: String = "nothing".to_owned(),
        /// Whether it does so in `reduce`.
        pub in_reduce: bool = false,
    }
}
struct Rogue(RogueParams);
impl Job for Rogue {
    type Params = RogueParams;
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "rogue";
    const SUMMARY: &'static str = "counts lines, or not";
    fn new(params: RogueParams) -> Result<Self, JobError> {
        Ok(Self(params))
    }
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if record.bytes.starts_with(b"here") && !self.0.in_reduce {
            harm(&self.0.does)?;
        }
        out.emit(&record.text(), 1);
        Ok(())
    }
    fn reduce(&self, line: &str, ns: &mut Values<'_, Self>, rows: &mut Rows<'_>) -> Result<(), JobError> {
        if line.starts_with("here") && self.0.in_reduce {
            harm(&self.0.does)?;
        }
        rows.row(line, ns.owned().sum::<u64>());
        Ok(())
    }
}
fn harm(does: &str) -> Result<(), JobError> {
    match does {
        "panic" => panic!("it does not like it here"),
        "utf8" => drop(std::str::from_utf8(b"a \xff")?),
        "abort" => std::process::abort(),
        "exit" => std::process::exit(3),
        "recurse" => drop(std::hint::black_box(deep(1))),
        "hog" => {
            let mut hoard: Vec<Vec<u8>> = Vec::new();
            loop {
                hoard.push(vec![1; 16 << 20]);
                std::hint::black_box(&hoard);
            }
        }
        "loop" => loop {
            std::thread::yield_now();
        },
        _ => {}
    }
    Ok(())
}
fn deep(n: u64) -> u64 {
    let frame = std::hint::black_box([n; 64]);
    if frame[0] == u64::MAX { 0 } else { deep(n + 1).wrapping_add(frame[63]) }
}
#[used]
#[unsafe(link_section = ".init_array")]
static AT_ONCE: extern "C" fn() = at_once;
extern "C" fn at_once() {
    if std::env::var_os("MAPFOLD_TEST_REFUSE").is_some() {
        std::process::abort()
    }
}
"#;

fn rogue(sandbox: &Sandbox, name: &str, more: &[&str]) -> PathBuf {
    let flags = api_flags();
    let flags: Vec<&str> = flags
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    library(sandbox, name, ROGUE, &flags)
}

/// Four thousand lines, one of which it does not like.
fn input(sandbox: &Sandbox) -> PathBuf {
    let mut text: Vec<String> = (1..=4000).map(|n| format!("line {n}\n")).collect();
    text[2499] = "here it is\n".to_owned();
    fs::write(sandbox.work("in.txt"), text.concat()).unwrap();
    "in.txt".into()
}

/// Where the line is.
const PLACE: &str = "at: in.txt, byte 23883: \"here it is\" (record 2500 of the map task)";

/// A worker whose environment asks for backtraces.
fn add_worker(sandbox: &Sandbox, cluster: &mut Cluster, variable: &str) {
    let args = [
        "worker",
        "--master",
        &cluster.address,
        "--slots",
        "1",
        "--memory",
        "64MiB",
    ];
    let mut command = sandbox.command(args);
    command.env(variable, "1");
    cluster.workers.push(Running::new(command.spawn().unwrap()));
}

fn run(sandbox: &Sandbox, cluster: &Cluster, plugin: &Path, does: &str, more: &[&str]) -> Ended {
    let does = format!("does={does}");
    let more = [&["-p", &does, "-r", "1", "--max-attempts", "2"], more].concat();
    let output = "out";
    let _ = fs::remove_dir_all(sandbox.work(output));
    let args = cluster.run_args(plugin.to_str().unwrap(), "in.txt".into(), output, &more);
    sandbox.start(args).wait()
}

#[test]
fn whatever_a_plugin_does_the_worker_lives_and_the_record_is_told() {
    let sandbox = Sandbox::new();
    let plugin = rogue(&sandbox, "rogue", &[]);
    let input = input(&sandbox);
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 0);
    add_worker(&sandbox, &mut cluster, "RUST_BACKTRACE");
    for (does, said) in [
        ("panic", "it does not like it here"),
        ("utf8", "invalid utf-8 sequence"),
        ("abort", "was killed by signal 6 (SIGABRT)"),
        ("exit", "ended with code 3"),
        ("recurse", "has overflowed its stack"),
        ("hog", "memory allocation of"),
        ("loop", "made no progress for 2 s and was killed"),
    ] {
        let limit = ["--task-timeout", if does == "loop" { "2s" } else { "10m" }];
        let ended = run(&sandbox, &cluster, &plugin, does, &limit);
        assert_eq!(ended.status.code(), Some(1), "{does}: {}", ended.stderr);
        for text in [said, PLACE] {
            assert!(
                ended.stderr.contains(text),
                "{does}: no {text:?} in {}",
                ended.stderr
            );
        }
        if ["panic", "loop"].contains(&does) {
            assert!(
                ended.stderr.contains("rogue::harm"),
                "no backtrace in {}",
                ended.stderr
            );
        }
        if does == "panic" {
            let capsules = fs::read_dir(sandbox.work(".mapfold/failed")).unwrap();
            let capsule = capsules.map(|entry| entry.unwrap().path()).next().unwrap();
            let replayed = sandbox.start(["replay", capsule.to_str().unwrap()]).wait();
            assert_eq!(replayed.status.code(), Some(1), "{}", replayed.stderr);
            let like = "fails, as it did before";
            assert!(replayed.stderr.contains(like), "{}", replayed.stderr);
        }
        assert!(!sandbox.work("out").exists());
    }
    for does in ["abort", "panic"] {
        let ended = run(&sandbox, &cluster, &plugin, does, &["--skip-bad", "1"]);
        assert!(ended.status.success(), "{does}: {}", ended.stderr);
        let rows = lines(&parts_of(&sandbox.work("out"))["part-00000"]).len();
        assert_eq!(rows, 3999, "{does}");
    }
    // The same worker, with all its slots.
    let ended = run(&sandbox, &cluster, &plugin, "nothing", &[]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let rows = lines(&parts_of(&sandbox.work("out"))["part-00000"]).len();
    assert_eq!(rows, 4000);
    let worker = &mut cluster.workers[0];
    assert!(!worker.ended(), "{}", worker.said());
    assert_eq!(worker.said().matches("got a file of a job").count(), 1);
    drop(input);
    cluster.end();
}

/// Without reduce tasks, and with rows in two files at the time.
const ROGUE_MAP: &str = r#"
use mapfold_job::*;
mapfold_job::plugin!(RogueMap);
struct RogueMap;
impl Job for RogueMap {
    map_only!();
    type Params = NoParams;
    const NAME: &'static str = "rogue-map";
    const SUMMARY: &'static str = "copies lines, or not";
    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if record.bytes.starts_with(b"here") {
            std::process::abort();
        }
        out.rows().record(record.bytes);
        out.rows().to("copy").record(record.bytes);
        Ok(())
    }
}
"#;

#[test]
fn rows_of_a_process_that_ended_are_written_again_without_the_record() {
    let sandbox = Sandbox::new();
    let flags = api_flags();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let plugin = library(&sandbox, "rogue_map", ROGUE_MAP, &flags);
    input(&sandbox);
    let plugin = plugin.to_str().unwrap();
    let args = ["run", plugin, "in.txt", "-o", "out", "--isolate"];
    sandbox.run(args.iter().chain(&["--skip-bad", "1", "--slots", "1"]));
    for part in ["part-00000", "copy-00000"] {
        let rows = lines(&bytes_of(&sandbox.work("out"))[part]).len();
        assert_eq!(rows, 3999, "{part}");
    }
}

/// At the first of four thousand keys.
#[test]
fn whatever_a_plugin_does_in_reduce_the_key_is_told() {
    let sandbox = Sandbox::new();
    let plugin = rogue(&sandbox, "rogue", &[]);
    input(&sandbox);
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 0);
    add_worker(&sandbox, &mut cluster, "RUST_BACKTRACE");
    for (does, said, stack) in [
        ("panic", "it does not like it here", true),
        ("utf8", "invalid utf-8 sequence", false),
        ("abort", "was killed by signal 6 (SIGABRT)", true),
        ("exit", "ended with code 3", false),
        ("recurse", "has overflowed its stack", false),
        ("hog", "memory allocation of", false),
        ("loop", "made no progress for 2 s and was killed", true),
    ] {
        let limit = ["--task-timeout", if does == "loop" { "2s" } else { "10m" }];
        let more = [&limit[..], &["-p", "in_reduce=true"]].concat();
        let ended = run(&sandbox, &cluster, &plugin, does, &more);
        assert_eq!(ended.status.code(), Some(1), "{does}: {}", ended.stderr);
        let key = " key `here it is` (key 1 of partition 0)";
        for text in ["reduce task r0", said, key] {
            assert!(
                ended.stderr.contains(text),
                "{does}: no {text:?} in {}",
                ended.stderr
            );
        }
        let told = ended.stderr.contains("rogue::harm");
        assert!(told || !stack, "{does}: no stack in {}", ended.stderr);
    }
    let worker = &mut cluster.workers[0];
    assert!(!worker.ended(), "{}", worker.said());
    cluster.end();
}

/// It might have said 0.
#[test]
fn a_plugin_that_calls_exit_fails_the_process_that_it_is_in() {
    let sandbox = Sandbox::new();
    let plugin = rogue(&sandbox, "rogue", &[]);
    input(&sandbox);
    for in_reduce in ["in_reduce=true", "in_reduce=false"] {
        let plugin = plugin.to_str().unwrap();
        let args = [
            "run",
            plugin,
            "in.txt",
            "-o",
            "out",
            "-p",
            "does=exit",
            "-p",
            in_reduce,
        ];
        let ended = sandbox.start(args).wait();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
        let said = "error: the job's code ended this process: it called `exit`\n";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(!sandbox.work("out").exists());
    }
}

#[test]
fn a_plugin_that_aborts_on_a_panic_runs_on_a_cluster() {
    let sandbox = Sandbox::new();
    let plugin = rogue(&sandbox, "aborts", &["-Cpanic=abort"]);
    input(&sandbox);
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 0);
    add_worker(&sandbox, &mut cluster, "NONE");
    let ended = run(&sandbox, &cluster, &plugin, "panic", &[]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for text in ["SIGABRT", PLACE] {
        assert!(
            ended.stderr.contains(text),
            "no {text:?} in {}",
            ended.stderr
        );
    }
    let ended = run(&sandbox, &cluster, &plugin, "nothing", &[]);
    assert!(ended.status.success(), "{}", ended.stderr);
    cluster.end();
}

/// As where the C library is too old, or the processor another.
#[test]
fn a_worker_that_cannot_open_a_plugin_says_why_and_the_job_goes_elsewhere() {
    let sandbox = Sandbox::new();
    let plugin = rogue(&sandbox, "refuses", &[]);
    input(&sandbox);
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 0);
    add_worker(&sandbox, &mut cluster, "MAPFOLD_TEST_REFUSE");
    let ended = run(&sandbox, &cluster, &plugin, "nothing", &[]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for text in [
        "could not be run by any worker",
        "opening ",
        "was killed by signal 6 (SIGABRT)",
    ] {
        assert!(
            ended.stderr.contains(text),
            "no {text:?} in {}",
            ended.stderr
        );
    }
    add_worker(&sandbox, &mut cluster, "NONE");
    wait_for("the second worker", || {
        cluster.workers[1].said().contains("joined").then_some(())
    });
    let ended = run(&sandbox, &cluster, &plugin, "nothing", &[]);
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(cluster.workers.iter_mut().all(|worker| !worker.ended()));
    cluster.end();
}
