//! Disks that break under a running job: from one moment on nothing can be read, written or synced there any more, and what was not synced is gone.
//!
//! They are real ones: ext4 on a file, which the kernel is told to shut down without writing its log (`FS_IOC_SHUTDOWN`). To those who have
//! files there that is a disk that gives EIO; when it is mounted anew, it is one that has lost its power. Where a test may not do such things, it
//! says that it was skipped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cluster::{Cluster, Over};
use crate::faults::{assert_undisturbed, number};
use crate::sandbox::{Ended, Running, Sandbox, all_files, books, parts_of, skipped, wait_for};

const MORE: [&str; 4] = ["-r", "10", "--split-size", "100KB"];

/// Runs of several pages a partition, so that those of one are not read with those of the next.
const LARGE: [&str; 4] = ["-r", "10", "--split-size", "1MB"];

/// The least for one slot: nearly all runs are files.
const LITTLE: [&str; 2] = ["--memory", "27MiB"];

const EIO: &str = "Input/output error";

/// An ext4 of a few megabytes; unmounted when dropped.
struct BadDisk {
    image: PathBuf,
    path: PathBuf,
}

impl BadDisk {
    fn new(sandbox: &Sandbox) -> Option<Self> {
        let path = sandbox.trace().join("disk");
        let image = sandbox.trace().join("disk.image");
        File::create(&image).unwrap().set_len(24 << 20).unwrap();
        fs::create_dir(&path).unwrap();
        let disk = Self { image, path };
        let made = Command::new("mkfs.ext4")
            .arg("-qF")
            .arg(&disk.image)
            .output();
        if !(made.is_ok_and(|made| made.status.success()) && disk.mount()) {
            skipped("it needs mkfs.ext4, and the right to mount what that makes (run it as root)");
            return None;
        }
        fs::remove_dir(disk.path.join("lost+found")).unwrap();
        Some(disk)
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    fn mount(&self) -> bool {
        let paths = [&self.image, &self.path];
        let mounted = Command::new("mount")
            .args(["-o", "loop"])
            .args(paths)
            .output();
        mounted.is_ok_and(|done| done.status.success())
    }

    /// Everything there gives EIO from now on, and what was not synced is lost.
    #[expect(unsafe_code, reason = "ioctl(2), which has no safe face for this")]
    fn breaks(&self) {
        /// `_IOR('X', 125, u32)`, and its flag that leaves the log as it is.
        const SHUTDOWN: rustix::ioctl::Opcode = rustix::ioctl::opcode::read::<u32>(b'X', 125);
        const NO_LOG_FLUSH: u32 = 2;
        let folder = File::open(&self.path).unwrap();
        // SAFETY: this call of the kernel reads one u32 and writes nothing.
        let shutdown = unsafe { rustix::ioctl::Setter::<SHUTDOWN, u32>::new(NO_LOG_FLUSH) };
        // SAFETY: as above; the descriptor is open.
        unsafe { rustix::ioctl::ioctl(&folder, shutdown) }.unwrap();
    }

    /// Its blocks cannot be read either, not even through mapped files; it never comes back.
    fn breaks_for_good(&self) {
        self.forget_pages();
        let image = File::options().write(true).open(&self.image).unwrap();
        image.set_len(0).unwrap();
        self.breaks();
    }

    /// It is there again, with what had been synced. Nobody may have a file open there.
    fn comes_back(&self) {
        let gone = Command::new("umount").arg(&self.path).status();
        assert!(gone.unwrap().success());
        assert!(self.mount());
    }

    /// The files there, sockets aside.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = all_files(&self.path);
        files.retain(|path| path.is_file());
        files
    }

    /// Has the kernel forget what it remembers of the contents of the files there.
    fn forget_pages(&self) {
        for path in self.files() {
            let file = File::open(path).unwrap();
            file.sync_all().unwrap();
            let all = std::num::NonZero::new(u64::MAX >> 1);
            rustix::fs::fadvise(&file, 0, all, rustix::fs::Advice::DontNeed).unwrap();
        }
    }
}

impl Drop for BadDisk {
    fn drop(&mut self) {
        // Lazily: a process of a failed test may still be there.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

/// A word count of the books, many times over, that waits where `hold` says, on a cluster of one worker whose temporary folder is on the bad disk and
/// another.
struct Scene {
    sandbox: Sandbox,
    cluster: Cluster,
    client: Running,
}

impl Scene {
    fn new(sandbox: Sandbox, disk: &BadDisk, hold: &str) -> Self {
        let mut cluster = Cluster::start(&sandbox, Over::Unix, 0);
        let address = cluster.address.clone();
        for dir in [&["--dir", disk.path()][..], &[]] {
            let args: Vec<_> = LITTLE.iter().chain(dir).copied().collect();
            cluster.add_worker_at(&sandbox, &address, &args);
        }
        let trace = format!("trace={}", sandbox.trace().display());
        let more = ["--json", "--no-backup", "-p", hold, "-p", &trace];
        let args = ["run", "lab-slow", "-o", "out", "--master", &address].into_iter();
        let client = sandbox.start(args.chain(inputs()).chain(LARGE).chain(more));
        Self {
            sandbox,
            cluster,
            client,
        }
    }

    fn wait_for_signs(&self, name: &str, count: usize) {
        wait_for(name, || {
            (self.sandbox.signs(name).len() >= count).then_some(())
        });
    }

    /// Lets the job end, with the rows of an undisturbed one, and gives its report and what was said.
    fn finish(self) -> (serde_json::Value, String) {
        self.sandbox.go("go-map");
        self.sandbox.go("go-reduce");
        let ended = self.client.wait();
        assert!(ended.status.success(), "{}", ended.stderr);
        let plain = ["run", "wordcount", "-o", "want"].into_iter();
        self.sandbox.run(plain.chain(inputs()).chain(LARGE));
        let parts = |output| parts_of(&self.sandbox.work(output));
        assert!(parts("out") == parts("want"), "other rows");
        self.cluster.end();
        self.sandbox.assert_clean(&["out", "want"]);
        (serde_json::from_slice(&ended.stdout).unwrap(), ended.stderr)
    }
}

fn inputs<'a>() -> impl Iterator<Item = &'a str> {
    static BOOKS: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| books().to_str().unwrap().to_owned());
    std::iter::repeat_n(BOOKS.as_str(), 12)
}

#[test]
fn a_workers_disk_breaks_while_it_maps() {
    let sandbox = Sandbox::new();
    let Some(disk) = BadDisk::new(&sandbox) else {
        return;
    };
    let scene = Scene::new(sandbox, &disk, "hold_map=true");
    scene.wait_for_signs("map", 2);
    disk.breaks();
    let (report, said) = scene.finish();
    assert!(said.contains(EIO) && said.contains(disk.path()), "{said}");
    assert_eq!(number(&report, "workers_lost"), 0, "{report}");
}

/// What it has mapped is lost with it, and mapped again by the other.
#[test]
fn a_workers_disk_breaks_when_its_runs_are_to_be_read() {
    let sandbox = Sandbox::new();
    let Some(disk) = BadDisk::new(&sandbox) else {
        return;
    };
    let scene = Scene::new(sandbox, &disk, "hold_reduce=true");
    scene.wait_for_signs("reduce", 2);
    assert!(disk.files().len() > 5);
    disk.breaks_for_good();
    let (report, _) = scene.finish();
    assert!(number(&report, "maps_rerun") > 0, "{report}");
    assert_eq!(number(&report, "workers_lost"), 0, "{report}");
}

/// A word count in one process, held where `hold` says, whose disk breaks then.
fn alone(sandbox: &Sandbox, disk: &BadDisk, input: &str, output: &str, hold: &str) -> Ended {
    let trace = format!("trace={}", sandbox.trace().display());
    let flag = format!("hold_{hold}=true");
    let more = ["--slots", "1", "-p", &flag, "-p", &trace];
    let args = ["run", "lab-slow", input, "-o", output].into_iter();
    let client = sandbox.start(args.chain(MORE).chain(more));
    wait_for(hold, || sandbox.signs(hold).pop());
    disk.breaks();
    sandbox.go(&format!("go-{hold}"));
    client.wait()
}

fn fails(ended: &Ended, code: i32, words: &[&str]) {
    let said = &ended.stderr;
    assert_eq!(ended.status.code(), Some(code), "{said}");
    words
        .iter()
        .for_each(|word| assert!(said.contains(word), "no `{word}` in: {said}"));
}

/// There is nowhere else to write: the job fails, and says that it is the output which cannot be written.
#[test]
fn the_disk_of_the_output_breaks() {
    let sandbox = Sandbox::new();
    let Some(disk) = BadDisk::new(&sandbox) else {
        return;
    };
    let output = format!("{}/out", disk.path());
    let books = books();
    let ended = alone(&sandbox, &disk, books.to_str().unwrap(), &output, "reduce");
    fails(&ended, 4, &["cannot write", disk.path(), EIO]);
    disk.comes_back();
    assert!(!Path::new(&output).exists());
    sandbox.assert_clean(&[]);
}

#[test]
fn the_disk_of_the_input_breaks() {
    let sandbox = Sandbox::new();
    let Some(disk) = BadDisk::new(&sandbox) else {
        return;
    };
    let input = format!("{}/input.txt", disk.path());
    fs::copy(books().join("pg-sherlock_holmes.txt"), &input).unwrap();
    disk.forget_pages();
    let ended = alone(&sandbox, &disk, &input, "out", "map");
    fails(&ended, 3, &["input.txt", EIO]);
    sandbox.assert_clean(&[]);
}

/// A power cut of the master, again and again: it ends and says why; when the disk is there again, the next start goes on with all that was
/// told to anybody.
#[test]
fn the_disk_of_the_journal_loses_its_power() {
    let sandbox = Sandbox::new();
    let Some(disk) = BadDisk::new(&sandbox) else {
        return;
    };
    let state = Path::new(disk.path()).join("state");
    let mut cluster = Cluster::with_state_in(&sandbox, &state, 2);
    let trace = format!("trace={}", sandbox.trace().display());
    let more = ["--json", "--no-backup", "-p", "hold_map=true"];
    let more = more
        .into_iter()
        .chain(["-p", "hold_reduce=true", "-p", &trace]);
    let more: Vec<_> = MORE.into_iter().chain(more).collect();
    let client = sandbox.start(cluster.run_args("lab-slow", books(), "out", &more));
    let mut lose_power = |wake: &str| {
        disk.breaks();
        sandbox.go(wake);
        fails(
            &cluster.wait_for_master(),
            4,
            &["cannot keep its journal", EIO],
        );
        disk.comes_back();
        cluster.restart_master(&sandbox);
    };
    let wait_for_signs = |name: &str| {
        wait_for(name, || (sandbox.signs(name).len() >= 2).then_some(()));
    };
    wait_for_signs("map");
    lose_power("go-map");
    wait_for_signs("reduce");
    lose_power("go-reduce");
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    assert_undisturbed(&sandbox.work("out"));
    let report = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(number(&report, "maps_rerun"), 0, "{report}");
    cluster.end();
    sandbox.assert_clean(&["out"]);
}
