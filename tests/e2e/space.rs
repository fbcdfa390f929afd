//! Disks that are full, read-only, or too small from the start, in each of the places where something is written.
//!
//! The disks are real ones, a few hundred KiB of tmpfs that the test mounts; where it may not, it says that it was skipped.

use crate::cluster::{Cluster, Over};
use crate::faults::{assert_undisturbed, number};
use crate::sandbox::{Disk, Ended, Running, Sandbox, books, bytes_of, wait_for};

const MORE: [&str; 4] = ["-r", "10", "--split-size", "100KB"];

/// The least for one slot: nearly all runs are files.
const LITTLE: [&str; 2] = ["--memory", "27MiB"];

/// A word count of the books, over and over, on a cluster of one worker with room and one that has little: `cramped` are its arguments.
struct Scene {
    sandbox: Sandbox,
    cluster: Cluster,
    inputs: Vec<String>,
}

impl Scene {
    fn new(cramped: &[&str]) -> Self {
        let sandbox = Sandbox::new();
        let mut cluster = Cluster::start(&sandbox, Over::Unix, 0);
        let address = cluster.address.clone();
        for more in [cramped, &[]] {
            let args: Vec<_> = LITTLE.iter().chain(more).copied().collect();
            cluster.add_worker_at(&sandbox, &address, &args);
        }
        Self {
            sandbox,
            cluster,
            inputs: vec![books().to_str().unwrap().to_owned(); 4],
        }
    }

    /// The job succeeds, by the worker that has room, with the same bytes as ever; what the other lacks is told with `words`.
    fn check(self, words: &[&str]) {
        let inputs = self.inputs.iter().map(String::as_str);
        let plain = ["run", "index", "-o", "want"].into_iter().chain(MORE);
        self.sandbox.run(plain.chain(inputs.clone()));
        let args = ["run", "index", "-o", "out", "--json", "--master"].into_iter();
        let args = args.chain([self.cluster.address.as_str()]).chain(MORE);
        let ended = self.sandbox.run(args.chain(inputs));
        let said = &ended.stderr;
        words
            .iter()
            .for_each(|word| assert!(said.contains(word), "no `{word}` in: {said}"));
        let bytes = |output| bytes_of(&self.sandbox.work(output));
        assert!(bytes("out") == bytes("want"));
        let report = serde_json::from_slice(&ended.stdout).unwrap();
        assert_eq!(number(&report, "workers_lost"), 0, "{report}");
        self.cluster.end();
        self.sandbox.assert_clean(&["out", "want"]);
    }
}

/// A job that fails: with this code and these words, and nothing is left but `outputs`.
fn fails(ended: &Ended, code: i32, words: &[&str]) {
    let said = &ended.stderr;
    assert_eq!(ended.status.code(), Some(code), "{said}");
    words
        .iter()
        .for_each(|word| assert!(said.contains(word), "no `{word}` in: {said}"));
}

fn dir(disk: &Disk) -> [&str; 2] {
    ["--dir", disk.path().to_str().unwrap()]
}

#[test]
fn a_worker_whose_temporary_folder_fills_up_while_it_maps() {
    let sandbox = Sandbox::new();
    let Some(disk) = sandbox.disk("small", "size=300k") else {
        return;
    };
    let path = disk.path().to_str().unwrap().to_owned();
    Scene::new(&dir(&disk)).check(&["no space left", &path, "No space left on device"]);
    disk.assert_holds(&[]);
}

/// What it reads from the memory of another worker has no room in its own, and none on its disk.
#[test]
fn a_worker_whose_temporary_folder_is_full_when_it_reduces() {
    let sandbox = Sandbox::new();
    let Some(disk) = sandbox.disk("small", "size=64k") else {
        return;
    };
    let mut cluster = Cluster::start(&sandbox, Over::Unix, 1);
    let trace = format!("trace={}", sandbox.trace().display());
    let inputs = vec![books().to_str().unwrap().to_owned(); 8];
    let args = ["run", "lab-slow", "-o", "out", "-r", "3", "--no-backup"].into_iter();
    let more = [
        "--split-size",
        "50KB",
        "-p",
        "hold_reduce=true",
        "-p",
        &trace,
    ];
    let args = args.chain(more).chain(["--master", &cluster.address]);
    let client = sandbox.start(args.chain(inputs.iter().map(String::as_str)));
    wait_for("the first reduce", || sandbox.signs("reduce").pop());
    let cramped: Vec<_> = LITTLE.into_iter().chain(dir(&disk)).collect();
    let address = cluster.address.clone();
    cluster.add_worker_at(&sandbox, &address, &cramped);
    wait_for("its disk to be full", || {
        let said = client.said();
        said.contains("No space left on device").then_some(())
    });
    sandbox.go("go-reduce");
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stderr.contains(disk.path().to_str().unwrap()));
    let plain = ["run", "wordcount", "-o", "want", "-r", "3"].into_iter();
    let plain = plain.chain(["--split-size", "50KB"]);
    sandbox.run(plain.chain(inputs.iter().map(String::as_str)));
    assert_eq!(
        crate::sandbox::root_of(&sandbox.work("out")),
        crate::sandbox::root_of(&sandbox.work("want"))
    );
    cluster.end();
    sandbox.assert_clean(&["out", "want"]);
    disk.assert_holds(&[]);
}

/// Runs `index` of the books in one process with little memory, as `change` has it.
fn alone(sandbox: &Sandbox, output: &str, more: &[&str], tmp: Option<&Disk>) -> Ended {
    let books = books();
    let args = ["run", "index", books.to_str().unwrap(), "-o", output].into_iter();
    let args = args.chain(["--slots", "1"]).chain(LITTLE).chain(MORE);
    let mut command = sandbox.command(args.chain(more.iter().copied()));
    if let Some(disk) = tmp {
        command.env("TMPDIR", disk.path());
    }
    Running::new(command.spawn().unwrap()).wait()
}

#[test]
fn a_full_temporary_folder_and_nowhere_else_to_try() {
    let sandbox = Sandbox::new();
    let Some(disk) = sandbox.disk("small", "size=300k") else {
        return;
    };
    let path = disk.path().to_str().unwrap();
    let ended = alone(&sandbox, "out", &[], Some(&disk));
    fails(&ended, 5, &[path, "No space left on device", "TMPDIR"]);
    disk.assert_holds(&[]);
    sandbox.assert_clean(&[]);
}

#[test]
fn no_more_files_can_be_made_in_the_temporary_folder() {
    let sandbox = Sandbox::new();
    let Some(disk) = sandbox.disk("small", "size=64m,nr_inodes=6") else {
        return;
    };
    let path = disk.path().to_str().unwrap().to_owned();
    Scene::new(&dir(&disk)).check(&["no space left", &path, "No space left on device"]);
    disk.assert_holds(&[]);
}

#[test]
fn a_temporary_folder_that_cannot_be_written() {
    let sandbox = Sandbox::new();
    let Some(disk) = sandbox.disk("small", "size=1m") else {
        return;
    };
    let path = disk.path().to_str().unwrap().to_owned();
    let scene = Scene::new(&dir(&disk));
    wait_for("its worker to join", || {
        let said = scene.cluster.workers[0].said();
        said.contains("joined").then_some(())
    });
    disk.make_read_only();
    scene.check(&["cannot create", &path, "Read-only file system"]);
}

#[test]
fn a_bound_on_temporary_files_sends_the_work_elsewhere() {
    Scene::new(&["--temp-max", "300KB"]).check(&["no space left", "--temp-max"]);
}

/// The same of attempts that have processes of their own.
#[test]
fn a_bound_on_temporary_files_of_isolated_attempts() {
    Scene::new(&["--temp-max", "100KB", "--isolate"]).check(&["no space left", "--temp-max"]);
}

#[test]
fn a_bound_on_temporary_files_and_nowhere_else_to_try() {
    let sandbox = Sandbox::new();
    let ended = alone(&sandbox, "out", &["--temp-max", "300KB"], None);
    fails(&ended, 5, &["--temp-max", "allow more", "no space left"]);
    let enough = alone(&sandbox, "out", &["--temp-max", "1GiB"], None);
    assert!(enough.status.success(), "{}", enough.stderr);
    sandbox.assert_clean(&["out"]);
}

#[test]
fn the_output_has_no_room_while_the_job_runs() {
    let sandbox = Sandbox::new();
    let Some(disk) = sandbox.disk("small", "size=200k") else {
        return;
    };
    let output = disk.path().join("out");
    let output = output.to_str().unwrap();
    let ended = alone(&sandbox, output, &[], None);
    let path = disk.path().to_str().unwrap();
    let words = ["no space left to write", path, "where the output is to be"];
    fails(&ended, 5, &words);
    disk.assert_holds(&[]);
    sandbox.assert_clean(&[]);
}

#[test]
fn the_output_folder_cannot_be_written() {
    let sandbox = Sandbox::new();
    let Some(disk) = sandbox.disk("small", "size=1m") else {
        return;
    };
    disk.make_read_only();
    let output = disk.path().join("out");
    let output = output.to_str().unwrap();
    let ended = alone(&sandbox, output, &[], None);
    fails(
        &ended,
        4,
        &[output, "cannot be made", "Read-only file system"],
    );
    sandbox.assert_clean(&[]);
}

/// What is sure is refused, before anything is written: sort leaves as much as it reads.
#[test]
fn what_cannot_fit_is_refused_before_it_starts() {
    let sandbox = Sandbox::new();
    let Some(disk) = sandbox.disk("small", "size=1m,nr_inodes=30") else {
        return;
    };
    let books = books();
    let run = |job: &str, output: &str, more: &[&str]| {
        let args = ["run", job, books.to_str().unwrap(), "-o", output].into_iter();
        sandbox.start(args.chain(more.iter().copied())).wait()
    };
    let output = disk.path().join("out");
    let output = output.to_str().unwrap();
    fails(
        &run("sort", output, &[]),
        5,
        &["no room for the rows", "are free"],
    );
    let parts = ["-r", "27"];
    fails(
        &run("wordcount", output, &parts),
        5,
        &["no room for 27 part files"],
    );
    disk.assert_holds(&[]);
    // A word count of the same input has room, and packed rows may have.
    assert!(run("wordcount", output, &["-r", "2"]).status.success());
    std::fs::remove_dir_all(output).unwrap();
    fails(
        &run("sort", output, &["--compress", "zstd", "-r", "2"]),
        5,
        &["no space left"],
    );
    let bound = ["--temp-max", "10KB", "--memory", "27MiB", "--slots", "1"];
    let what = "--temp-max 9.77 KiB is too little for this job";
    fails(&run("sort", "out", &bound), 5, &[what]);
    sandbox.assert_clean(&[]);
}

/// The master says why it ends; what it has told anybody is on disk, and the next start goes on from there.
#[test]
fn the_disk_of_the_journal_is_full() {
    let sandbox = Sandbox::new();
    let Some(disk) = sandbox.disk("state", "size=200k") else {
        return;
    };
    let mut cluster = Cluster::with_state_in(&sandbox, disk.path(), 2);
    let trace = format!("trace={}", sandbox.trace().display());
    let more = ["--json", "-p", "hold_map=true", "-p", &trace];
    let more: Vec<_> = MORE.into_iter().chain(more).collect();
    let client = sandbox.start(cluster.run_args("lab-slow", books(), "out", &more));
    wait_for("both workers to map", || {
        (sandbox.signs("map").len() == 2).then_some(())
    });
    let filler = disk.fill();
    sandbox.go("go-map");
    let full = [
        "cannot keep its journal",
        "No space left",
        "the same --state",
    ];
    fails(&cluster.wait_for_master(), 5, &full);
    cluster.restart_master(&sandbox);
    fails(&cluster.wait_for_master(), 5, &full);
    std::fs::remove_file(filler).unwrap();
    cluster.restart_master(&sandbox);
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_undisturbed(&sandbox.work("out"));
    let report = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(number(&report, "maps_rerun"), 0, "{report}");
    cluster.end();
    disk.assert_holds(&["journal", "lock"]);
    sandbox.assert_clean(&["out"]);
}
