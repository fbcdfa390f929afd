//! Plugins on a cluster: sent once, fetched once by each worker, run in processes of their own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cluster::{Cluster, LEASE, Over};
use crate::line::Line;
use crate::oracle;
use crate::plugins::{about, constructor, library, plugin, refused, table};
use crate::sandbox::{Running, Sandbox, books, bytes_of, rows_of, signal, wait_for};

/// Starts a job of a plugin on a cluster.
fn start(
    sandbox: &Sandbox,
    cluster: &Cluster,
    plugin: &Path,
    output: &str,
    more: &[&str],
) -> Running {
    sandbox.start(cluster.run_args(plugin.to_str().unwrap(), books(), output, more))
}

/// The same file with another hash: what follows the sections of a library is not looked at.
fn other_version(sandbox: &Sandbox, of: &Path) -> PathBuf {
    let mut bytes = fs::read(of).unwrap();
    bytes.extend_from_slice(b"another version");
    let path = sandbox.work("libother.so");
    fs::write(&path, bytes).unwrap();
    path
}

/// How often a file has come to the worker from the master.
fn fetches(worker: &Running) -> usize {
    worker.said().matches("got a file of a job").count()
}

fn trace(sandbox: &Sandbox) -> String {
    format!("trace={}", sandbox.trace().display())
}

#[test]
fn a_plugin_is_sent_once_and_gives_the_same_folder_as_here() {
    let sandbox = Sandbox::new();
    let path = plugin("word_count");
    let common = ["-r", "3", "--split-size", "300KB"];
    let books = books();
    let here = [
        &["run", path.to_str().unwrap(), books.to_str().unwrap()][..],
        &["-o", "here", "-q"],
        &common,
    ]
    .concat();
    sandbox.run(here);
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 1);
    let address = cluster.address.clone();
    let two = ["worker", "--master", &address, "--slots", "2"];
    cluster.workers.push(sandbox.start(two));
    for (output, sent) in [("first", true), ("second", false)] {
        let ended = start(&sandbox, &cluster, &path, output, &common).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        let says = ended.stderr.contains("Sending libword_count.so (");
        assert_eq!(says, sent, "{}", ended.stderr);
        assert!(bytes_of(&sandbox.work(output)) == bytes_of(&sandbox.work("here")));
    }
    for worker in &cluster.workers {
        // One of them may have been too late for any task of the first job.
        assert!(fetches(worker) <= 1, "{}", worker.said());
    }
    assert!(cluster.workers.iter().any(|worker| fetches(worker) == 1));
    cluster.end();
    sandbox.assert_clean(&["first", "here", "second"]);
}

/// Side files go the same way; where they are on a machine changes nothing.
#[test]
fn side_files_go_along() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("stop.txt"), "the\nand\nof\n").unwrap();
    let path = plugin("bigrams");
    let common = ["-p", "stop_words=stop.txt", "-r", "2"];
    let books = books();
    let here = ["run", path.to_str().unwrap(), books.to_str().unwrap()];
    sandbox.run(here.iter().chain(&common).chain(&["-o", "here", "-q"]));
    let cluster = Cluster::start(&sandbox, Over::Tcp, 1);
    let job = cluster.run_args(path.to_str().unwrap(), books.clone(), "out", &common);
    let client = sandbox.start(job);
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("Sending stop_words (11 B)"),
        "{}",
        ended.stderr
    );
    assert!(bytes_of(&sandbox.work("out")) == bytes_of(&sandbox.work("here")));
    assert_eq!(fetches(&cluster.workers[0]), 2);
    // Another content is another file, and another result.
    fs::write(sandbox.work("stop.txt"), "a\n").unwrap();
    let ended = sandbox.start(cluster.run_args(path.to_str().unwrap(), books, "other", &common));
    let ended = ended.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains("Sending libbigrams"),
        "{}",
        ended.stderr
    );
    assert!(bytes_of(&sandbox.work("other")) != bytes_of(&sandbox.work("here")));
    cluster.end();
}

/// The plugin is kept beside the journal: a worker that joins the restarted master gets it there.
#[test]
fn a_restarted_master_still_has_the_plugin() {
    let sandbox = Sandbox::new();
    let mut cluster = Cluster::with_state(&sandbox, 1);
    let trace = trace(&sandbox);
    let more = [
        "--job",
        "lab-slow",
        "-r",
        "10",
        "--split-size",
        "100KB",
        "--no-backup",
    ];
    let more = [&more[..], &["-p", "hold_map=true", "-p", &trace]].concat();
    let client = start(&sandbox, &cluster, &plugin("lab"), "out", &more);
    wait_for("a map attempt", || {
        assert!(!client.said().contains("error:"), "{}", client.said());
        (!sandbox.signs("map").is_empty()).then_some(())
    });
    cluster.kill_master();
    cluster.restart_master(&sandbox);
    cluster.add_worker(&sandbox);
    // The second worker maps too: it has the plugin from the second start of the master.
    wait_for("the other worker's fetch", || {
        (fetches(&cluster.workers[1]) > 0).then_some(())
    });
    sandbox.go("go-map");
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(fetches(&cluster.workers[1]), 1);
    assert_eq!(rows_of(&sandbox.work("out")), oracle::wordcount(&books()));
    cluster.end();
    sandbox.assert_clean(&["out", "state"]);
}

#[test]
fn two_versions_of_a_plugin_run_side_by_side() {
    let sandbox = Sandbox::new();
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 0);
    let address = cluster.address.clone();
    let two = ["worker", "--master", &address, "--slots", "2"];
    cluster.workers.push(sandbox.start(two));
    let one = plugin("lab");
    let other = other_version(&sandbox, &one);
    let trace = trace(&sandbox);
    let common = ["--job", "lab-slow", "-p", &trace, "--no-backup"];
    let held = [&common[..], &["-p", "hold_map=true", "--split-size", "1GB"]].concat();
    let first = start(&sandbox, &cluster, &one, "one", &held);
    wait_for("a map attempt", || {
        (!sandbox.signs("map").is_empty()).then_some(())
    });
    let ended = start(&sandbox, &cluster, &other, "other", &common).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("Sending libother.so"),
        "{}",
        ended.stderr
    );
    sandbox.go("go-map");
    let ended = first.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let rows = rows_of(&sandbox.work("one"));
    assert_eq!(rows, oracle::wordcount(&books()));
    assert_eq!(rows_of(&sandbox.work("other")), rows);
    assert_eq!(fetches(&cluster.workers[0]), 2);
    let job = |output: &str| {
        let manifest = fs::read(sandbox.work(output).join("_SUCCESS")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        manifest["job"].as_str().unwrap().to_owned()
    };
    assert_ne!(job("one"), job("other"));
    cluster.end();
}

#[test]
fn a_worker_that_is_killed_in_a_plugins_task_is_replaced() {
    let sandbox = Sandbox::new();
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 3);
    let trace = trace(&sandbox);
    let more = ["--job", "lab-slow", "-r", "10", "--split-size", "100KB"];
    let more = [&more[..], &["-p", "hold_map=true", "-p", &trace]].concat();
    let client = start(&sandbox, &cluster, &plugin("lab"), "out", &more);
    wait_for("three map attempts", || {
        (sandbox.signs("map").len() >= 3).then_some(())
    });
    // Its children go with it.
    let children = sandbox.signs("map");
    signal(cluster.workers[0].pid(), rustix::process::Signal::KILL);
    wait_for("the child's end", || {
        let lives = |pid: &&i32| Path::new(&format!("/proc/{pid}/cwd")).exists();
        (children.iter().filter(lives).count() < 3).then_some(())
    });
    drop(cluster.workers.remove(0));
    sandbox.go("go-map");
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_undisturbed_rows(&sandbox);
    cluster.end();
}

fn assert_undisturbed_rows(sandbox: &Sandbox) {
    assert_eq!(rows_of(&sandbox.work("out")), oracle::wordcount(&books()));
}

/// The line to the master breaks again and again while the plugin is on its way.
#[test]
fn a_download_that_breaks_goes_on_where_it_was() {
    let sandbox = Sandbox::new();
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 0);
    let line = Line::to(&cluster.address);
    cluster.add_worker_at(&sandbox, &line.address, &[]);
    wait_for("the worker", || (line.connections() >= 2).then_some(()));
    let client = start(
        &sandbox,
        &cluster,
        &plugin("lab"),
        "out",
        &["--job", "lab-slow", "-p", &trace(&sandbox)],
    );
    for _ in 0..20 {
        let before = line.connections();
        line.cut();
        wait_for("a new connection", || {
            let done = line.connections() > before || client_is_done(&sandbox);
            done.then_some(())
        });
    }
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_undisturbed_rows(&sandbox);
    cluster.end();
}

fn client_is_done(sandbox: &Sandbox) -> bool {
    sandbox.work("out").exists()
}

/// A worker whose disk has no room for the plugin leaves the job to another, or fails it if there is none, and says why.
#[test]
fn a_worker_without_room_for_the_plugin_says_so() {
    let sandbox = Sandbox::new();
    let Some(disk) = sandbox.disk("disk", "size=256k") else {
        return;
    };
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 0);
    let address = cluster.address.clone();
    let folder = disk.path().to_str().unwrap().to_owned();
    cluster.add_worker_at(&sandbox, &address, &["--dir", &folder]);
    let path = plugin("word_count");
    let ended = start(&sandbox, &cluster, &path, "out", &[]).wait();
    assert_eq!(ended.status.code(), Some(5), "{}", ended.stderr);
    for text in [
        "cannot write the job's file libword_count.so to /",
        "No space left",
        "hint: free some space",
    ] {
        assert!(
            ended.stderr.contains(text),
            "no {text:?} in {}",
            ended.stderr
        );
    }
    assert!(!sandbox.work("out").exists());
    cluster.add_worker(&sandbox);
    let ended = start(&sandbox, &cluster, &path, "out", &[]).wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_undisturbed_rows(&sandbox);
    // The full disk is not kept full.
    wait_for("the file to go", || {
        let files = fs::read_dir(&folder).unwrap().count();
        (files <= 1).then_some(())
    });
    cluster.end();
}

#[test]
fn a_master_without_room_for_the_plugin_says_so() {
    let sandbox = Sandbox::new();
    let args = ["--lease", LEASE, "--files-max", "1MiB"];
    let cluster = Cluster::with_master(&sandbox, "127.0.0.1:0", 1, &args);
    let ended = start(&sandbox, &cluster, &plugin("word_count"), "out", &[]).wait();
    refused(
        &ended,
        &[
            "cannot send libword_count.so to the cluster",
            "256 KiB that the master takes for one job",
            "hint:",
        ],
    );
    cluster.end();
    let Some(disk) = sandbox.disk("disk", "size=1m") else {
        return;
    };
    let cluster = Cluster::with_state_in(&sandbox, &disk.path().join("state"), 1);
    let ended = start(&sandbox, &cluster, &plugin("word_count"), "out", &[]).wait();
    assert_eq!(ended.status.code(), Some(4), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("No space left on device"),
        "{}",
        ended.stderr
    );
    // It lives on, and takes other jobs.
    sandbox.run(cluster.run_args("wordcount", books(), "out", &[]));
    cluster.end();
}

/// What this machine can see of a plugin is seen before anything is sent.
#[test]
fn what_is_no_plugin_for_the_cluster_is_refused_before_it_is_sent() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::start(&sandbox, Over::Tcp, 1);
    let text = sandbox.work("text.so");
    fs::write(&text, "fn main() {}\n").unwrap();
    let elf = fs::read(plugin("word_count")).unwrap();
    let short = sandbox.work("short.so");
    fs::write(&short, &elf[..4096]).unwrap();
    let version = table("MFPLUGIN", 64, 2, &about("1", "vax"));
    let version = library(&sandbox, "version", &version, &[]);
    let crash = library(
        &sandbox,
        "crash",
        &constructor("std::process::abort()"),
        &[],
    );
    for (path, want) in [
        (text, "it is text"),
        (short, "short.so"),
        (
            version,
            "has plugin interface 2.0, and this Mapfold has 1.0",
        ),
        (crash, "was killed by signal 6 (SIGABRT)"),
    ] {
        let ended = start(&sandbox, &cluster, &path, "out", &[]).wait();
        refused(&ended, &[want]);
        assert!(!ended.stderr.contains("Sending"), "{}", ended.stderr);
    }
    let ended = start(
        &sandbox,
        &cluster,
        &plugin("word_count"),
        "out",
        &["-p", "letters=3"],
    )
    .wait();
    refused(&ended, &["has no parameter `letters`"]);
    cluster.end();
}
