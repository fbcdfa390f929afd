//! The program under test, run in a folder of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything takes on a loaded machine; reached only by a failing test.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a few inputs in `books`, and a temporary folder of its own.
pub(crate) struct Place {
    root: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        // Short, as the paths of Unix sockets below it must be.
        let root = tempfile::Builder::new()
            .prefix("mf")
            .tempdir_in("/tmp")
            .unwrap();
        fs::create_dir(root.path().join("books")).unwrap();
        fs::create_dir(root.path().join("tmp")).unwrap();
        fs::write(root.path().join("books/moby.txt"), "the whale\nthe sea\n").unwrap();
        Self { root }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn mapfold(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mapfold"));
        command
            .args(line.split_whitespace())
            .current_dir(self.root.path())
            .env("TMPDIR", self.path("tmp"))
            .env("NO_COLOR", "1")
            .env_remove("MAPFOLD_PROGRESS")
            .env_remove("MAPFOLD_LOG");
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.mapfold(line).stdin(Stdio::null()).output().unwrap()
    }

    /// What is left in the temporary folder.
    #[track_caller]
    pub(crate) fn assert_nothing_is_left(&self) {
        let left: Vec<_> = fs::read_dir(self.path("tmp"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(left, Vec::<PathBuf>::new());
    }
}

/// A process that is killed with the test.
pub(crate) struct Running {
    pub(crate) child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    pub(crate) stdout: BufReader<std::process::ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            stderr: BufReader::new(child.stderr.take().unwrap()),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    /// A master that listens at a free port, and its address.
    pub(crate) fn master(place: &Place) -> (Self, String) {
        let mut master = Self::start(&mut place.mapfold("master --listen 127.0.0.1:0 -q"));
        let mut address = String::new();
        master.stdout.read_line(&mut address).unwrap();
        (master, address.trim().to_owned())
    }

    /// Waits for a line on stderr that contains `text`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let mut seen = String::new();
        while !seen.contains(text) {
            let read = self.stderr.read_line(&mut seen).unwrap();
            assert!(read > 0, "it ended without saying {text:?}:\n{seen}");
        }
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the process has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The rows of all parts of an output folder, in the order of the parts.
pub(crate) fn rows(folder: &Path) -> String {
    let mut parts: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("part-")
        })
        .collect();
    parts.sort();
    parts
        .iter()
        .map(|part| fs::read_to_string(part).unwrap())
        .collect()
}
