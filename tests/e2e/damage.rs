//! Runs that are damaged on the disk of the worker that holds them. The map tasks are run again, and no byte of the
//! output changes.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::cluster::{Cluster, Over};
use crate::sandbox::{Sandbox, books, parts_of, wait_for};

const MORE: [&str; 4] = ["-r", "10", "--split-size", "100KB"];

/// Has every run that is a file damaged when all maps are done and the reduces have begun.
fn check(damage: impl Fn(&Path), runs_again: bool) {
    let sandbox = Sandbox::new();
    let books = books();
    let books = books.to_str().unwrap();
    // Often enough that not all runs stay in the memory of the workers.
    let inputs = [books; 4];
    let plain = ["run", "wordcount", "-o", "want"].into_iter();
    sandbox.run(plain.chain(inputs).chain(MORE));
    let want = parts_of(&sandbox.work("want"));

    let mut cluster = Cluster::start(&sandbox, Over::Unix, 0);
    for _ in 0..2 {
        let address = cluster.address.clone();
        cluster.add_worker_at(&sandbox, &address, &["--memory", "27MiB"]);
    }
    let trace = format!("trace={}", sandbox.trace().display());
    let more = ["--json", "-p", "hold_reduce=true", "-p", &trace];
    let args = ["run", "lab-slow", "-o", "out", "--master", &cluster.address].into_iter();
    let client = sandbox.start(args.chain(inputs).chain(MORE).chain(more));
    wait_for("two reduces", || {
        (sandbox.signs("reduce").len() >= 2).then_some(())
    });
    let runs = runs_in(&sandbox.tmp());
    assert!(runs.len() > 20, "{} runs are files", runs.len());
    runs.iter().for_each(|run| damage(run));
    sandbox.go("go-reduce");
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_eq!(parts_of(&sandbox.work("out")), want);
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(report["workers_lost"], 0);
    assert_eq!(
        report["maps_rerun"].as_u64() > Some(0),
        runs_again,
        "{report}"
    );
    cluster.end();
    sandbox.assert_clean(&["out", "want"]);
}

/// The run files below a temporary folder.
fn runs_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let runs = entries.flat_map(|path| {
        if path.is_dir() {
            runs_in(&path)
        } else {
            vec![path]
        }
    });
    runs.filter(|path| fs::metadata(path).unwrap().len() > 1000)
        .collect()
}

#[test]
fn flipped_bytes_cost_the_map_tasks_of_the_runs() {
    let flip = |run: &Path| {
        let file = File::options().read(true).write(true).open(run).unwrap();
        let len = file.metadata().unwrap().len();
        for at in (24..len - 150).step_by(700) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ 1], at).unwrap();
        }
    };
    check(flip, true);
}

/// To a reader that has mapped the file, the same as a disk that does not give a part of it.
#[test]
fn files_that_are_cut_cost_the_map_tasks_of_the_runs() {
    let cut = |run: &Path| {
        let file = File::options().write(true).open(run).unwrap();
        let len = file.metadata().unwrap().len();
        file.set_len(len / 2).unwrap();
    };
    check(cut, true);
}

/// Whoever holds a run has it open.
#[test]
fn files_that_are_removed_cost_nothing() {
    check(|run| fs::remove_file(run).unwrap(), false);
}
