//! A folder of a test's own, and `mapfold` started in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A wait for a condition gives up after this long. Generous: the machine may be loaded.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until `condition` gives a value.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The samples that ship with the repository.
pub(crate) fn samples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../data/samples")
        .canonicalize()
        .unwrap()
}

/// The 8 books.
pub(crate) fn books() -> PathBuf {
    samples().join("books")
}

/// Folders of one test: a working folder with outputs, a temporary folder for all its processes, and a
/// folder for the signs of lab jobs.
pub(crate) struct Sandbox {
    root: TempDir,
    /// What is in the environment of its processes beside the usual.
    pub(crate) envs: Vec<(&'static str, PathBuf)>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new()
            .prefix("mapfold-test-")
            .tempdir()
            .unwrap();
        for name in ["work", "tmp", "trace"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        Self {
            root,
            envs: Vec::new(),
        }
    }

    pub(crate) fn work(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    pub(crate) fn trace(&self) -> PathBuf {
        self.root.path().join("trace")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// A small disk of the test's own at `name`, with mount options such as `size=1m`; `None`, and a line that says so, where this user
    /// may not mount one.
    pub(crate) fn disk(&self, name: &str, options: &str) -> Option<Disk> {
        let path = self.root.path().join(name);
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "mapfold-test"])
            .arg(&path)
            .output();
        match mounted {
            Ok(done) if done.status.success() => Some(Disk { path }),
            _ => {
                fs::remove_dir(&path).unwrap();
                skipped("it needs the right to mount a small disk (run it as root)");
                None
            }
        }
    }

    /// `mapfold ARGS`, not started yet.
    pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mapfold-lab"));
        command
            .args(args)
            .current_dir(self.work(""))
            .env("TMPDIR", self.tmp())
            .env("NO_COLOR", "1")
            .envs(self.envs.iter().cloned())
            .env_remove("MAPFOLD_PROGRESS")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Starts `mapfold ARGS`.
    pub(crate) fn start<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Running {
        Running::new(self.command(args).spawn().unwrap())
    }

    /// Runs `mapfold ARGS` to its end; it must succeed.
    #[track_caller]
    pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Ended {
        let ended = self.start(args).wait();
        assert!(
            ended.status.success(),
            "{:?}\n{}",
            ended.status,
            ended.stderr
        );
        ended
    }

    /// Pids of the processes that left a sign called `name`, in no order.
    pub(crate) fn signs(&self, name: &str) -> Vec<i32> {
        let entries = fs::read_dir(self.trace()).unwrap();
        let pid = |entry: fs::DirEntry| {
            let file = entry.file_name().to_string_lossy().into_owned();
            let mut fields = file.split('.');
            (fields.next() == Some(name))
                .then(|| fields.next()?.parse().ok())
                .flatten()
        };
        entries.filter_map(|entry| pid(entry.unwrap())).collect()
    }

    /// Lets jobs go that wait for `name`.
    pub(crate) fn go(&self, name: &str) {
        fs::write(self.trace().join(name), "").unwrap();
    }

    /// Asserts that nothing but `outputs` is in the working folder and, after the next start, no file in the
    /// temporary folder.
    #[track_caller]
    pub(crate) fn assert_clean(&self, outputs: &[&str]) {
        self.run([
            "run",
            "linecount",
            books().to_str().unwrap(),
            "--workers",
            "1",
        ]);
        let mut left: Vec<_> = fs::read_dir(self.work(""))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        left.sort();
        assert_eq!(left, outputs, "the working folder");
        assert_eq!(
            all_files(&self.tmp()),
            [] as [PathBuf; 0],
            "the temporary folder"
        );
    }
}

/// Says on the terminal itself, past the test harness, that a test was left out, and why.
pub(crate) fn skipped(why: &str) {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr().lock(), "SKIPPED {name}: {why}");
}

/// A mounted tmpfs; unmounted when dropped.
pub(crate) struct Disk {
    path: PathBuf,
}

impl Disk {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Nothing may be written there from now on.
    pub(crate) fn make_read_only(&self) {
        let args = ["-o", "remount,ro"];
        let done = Command::new("mount").args(args).arg(&self.path).status();
        assert!(done.unwrap().success());
    }

    /// Takes all the room that is left; the file that does it.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.path.join("filler");
        let mut filler = fs::File::create(&path).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        path
    }

    /// Asserts that nothing but `names` is on it.
    #[track_caller]
    pub(crate) fn assert_holds(&self, names: &[&str]) {
        let entries = fs::read_dir(&self.path).unwrap();
        let names_of = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut found: Vec<_> = names_of.collect();
        found.sort();
        assert_eq!(found, names, "{}", self.path.display());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process of a failed test may still be there.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
        let _ = fs::remove_dir(&self.path);
    }
}

/// The files below a folder.
pub(crate) fn all_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(all_files(&path))
        } else {
            found.push(path)
        }
    }
    found
}

/// The files of an output folder, by name.
pub(crate) fn bytes_of(output: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries =
        fs::read_dir(output).unwrap_or_else(|error| panic!("{}: {error}", output.display()));
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().to_string_lossy().into_owned(),
                fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

/// The part files of an output folder, by name.
pub(crate) fn parts_of(output: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = bytes_of(output);
    files.retain(|name, _| name.starts_with("part-"));
    files
}

/// The root hash in the manifest of an output folder: the same for the same parts, whatever the job is called.
#[track_caller]
pub(crate) fn root_of(output: &Path) -> String {
    let manifest = fs::read(output.join("_SUCCESS")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    manifest["root"].as_str().unwrap().to_owned()
}

/// Rows in the order of their bytes.
pub(crate) fn sorted(mut rows: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    rows.sort();
    rows
}

/// All rows of an output folder, sorted.
pub(crate) fn rows_of(output: &Path) -> Vec<Vec<u8>> {
    let parts = parts_of(output);
    sorted(parts.values().flat_map(|bytes| lines(bytes)).collect())
}

/// The lines of some bytes, each of which must have its end.
pub(crate) fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    assert!(bytes.is_empty() || bytes.ends_with(b"\n"));
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(|line| line[..line.len() - 1].to_vec())
        .collect()
}

/// A started process whose output is being read; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<()>>,
    said: Arc<Mutex<String>>,
}

/// A process that ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Running {
    pub(crate) fn new(mut child: Child) -> Self {
        let mut out = child.stdout.take().unwrap();
        let err = child.stderr.take().unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&said);
        Self {
            child,
            stdout: Some(thread::spawn(move || {
                let mut bytes = Vec::new();
                out.read_to_end(&mut bytes).unwrap();
                bytes
            })),
            stderr: Some(thread::spawn(move || {
                for line in BufReader::new(err).split(b'\n') {
                    let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
                    *heard.lock().unwrap() += &(line + "\n");
                }
            })),
            said,
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// What it said on stderr so far.
    pub(crate) fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Whether it has ended.
    pub(crate) fn ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end; also tells the most memory that it occupied at once, in bytes.
    #[track_caller]
    pub(crate) fn wait_and_measure(mut self) -> (Ended, u64) {
        let (pid, mut most) = (self.pid(), 0);
        wait_for("the end of mapfold", || {
            most = peak(pid).unwrap_or(0).max(most);
            self.ended().then_some(())
        });
        (self.wait(), most)
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Ended {
        self.wait_here()
    }

    /// The same; once.
    #[track_caller]
    pub(crate) fn wait_here(&mut self) -> Ended {
        let said = Arc::clone(&self.said);
        let status = wait_for("the end of mapfold", || self.child.try_wait().unwrap());
        let stdout = self.stdout.take().unwrap().join().unwrap();
        self.stderr.take().unwrap().join().unwrap();
        let stderr = said.lock().unwrap().clone();
        Ended {
            status,
            stdout,
            stderr,
        }
    }
}

/// The most memory that a process has occupied so far; `None` once it has ended.
fn peak(pid: i32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

impl Drop for Running {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "process {} said:\n{}",
                self.child.id(),
                self.said.lock().unwrap()
            );
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}
