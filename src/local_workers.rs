//! Worker processes on this machine for one job: this program again, joined over a Unix socket in a
//! private folder, gone when the job is.
//!
//! They end with this process however it ends: told by the master at the end of the job, killed when
//! [`LocalWorkers`] is dropped (an error, a panic, a signal), and killed by the kernel if this process
//! is killed itself ([`end_with_parent`]). They are in a process group each, so Ctrl-C on the terminal
//! reaches only this process, which then cancels the job in good order.

use std::env;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use mapfold_protocol::Address;
use mapfold_terms::ByteSize;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::resources::Resources;
use crate::worker::process_name;

/// What each worker gets.
#[derive(Clone, Debug)]
pub(crate) struct LocalWorkerSettings {
    /// Where the master listens.
    pub(crate) master: Address,
    /// A folder for each worker is made in this one.
    pub(crate) folder: PathBuf,
    pub(crate) resources: Resources,
    /// Bytes of temporary files, if there is a bound.
    pub(crate) temp_max: Option<ByteSize>,
    /// Whether attempts have processes of their own.
    pub(crate) isolate: bool,
    /// Where the job is, if not among the stock jobs.
    pub(crate) plugin: Option<PathBuf>,
    /// How much they log, as `-v` counts.
    pub(crate) verbose: u8,
}

/// Running worker processes; killed when dropped.
pub(crate) struct LocalWorkers {
    /// `None` once a child has ended and was reaped.
    children: Vec<Option<Child>>,
    lines: mpsc::Receiver<String>,
    died: tokio::signal::unix::Signal,
}

/// News of the workers.
pub(crate) enum News {
    /// A line that one of them wrote to stderr.
    Line(String),
    /// One has ended.
    Ended {
        number: usize,
        /// The name it joined the master with.
        name: String,
        status: ExitStatus,
    },
}

impl LocalWorkers {
    /// Lines that wait to be shown; a worker that writes more is held up.
    const LINES_MAX: usize = 64;
    /// After the job the workers have so long to end by themselves.
    const LEAVE_MAX: Duration = Duration::from_secs(2);

    /// Starts `count` processes. Call it from the main thread: the kernel kills a child when the
    /// *thread* that started it ends.
    pub(crate) fn start(count: u32, settings: &LocalWorkerSettings) -> io::Result<Self> {
        let died = signal(SignalKind::child())?;
        let (sender, lines) = mpsc::channel(Self::LINES_MAX);
        let mut workers = Self {
            children: Vec::new(),
            lines,
            died,
        };
        let program = env::current_exe()?;
        for number in 1..=count {
            let mut child = command(&program, number, settings).spawn()?;
            if let Some(stderr) = child.stderr.take() {
                tokio::spawn(forward(stderr.into(), number, sender.clone()));
            }
            workers.children.push(Some(child));
        }
        Ok(workers)
    }

    /// The next line or end. Cancel safe.
    pub(crate) async fn news(&mut self) -> News {
        loop {
            if let Some(news) = self.reap() {
                return news;
            }
            tokio::select! {
                Some(line) = self.lines.recv() => return News::Line(line),
                _ = self.died.recv() => {}
            }
        }
    }

    pub(crate) fn all_ended(&self) -> bool {
        self.children.iter().all(Option::is_none)
    }

    /// Waits until all have ended by themselves, for a while; the rest is killed.
    pub(crate) async fn leave(mut self) {
        let deadline = Instant::now() + Self::LEAVE_MAX;
        while !self.all_ended() {
            let left = deadline.saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, self.news()).await.is_err() {
                return;
            }
        }
    }

    fn reap(&mut self) -> Option<News> {
        for (index, slot) in self.children.iter_mut().enumerate() {
            let Some(child) = slot else { continue };
            if let Ok(Some(status)) = child.try_wait() {
                let name = process_name(child.id());
                *slot = None;
                return Some(News::Ended {
                    number: index + 1,
                    name,
                    status,
                });
            }
        }
        None
    }
}

impl Drop for LocalWorkers {
    fn drop(&mut self) {
        let mut children: Vec<Child> = self.children.iter_mut().filter_map(Option::take).collect();
        for child in &mut children {
            // It may have ended meanwhile.
            let _ = child.kill();
        }
        for child in &mut children {
            let _ = child.wait();
        }
    }
}

fn command(program: &Path, number: u32, settings: &LocalWorkerSettings) -> Command {
    let mut command = Command::new(program);
    command
        .arg("worker")
        .args(["--master", &settings.master.to_string()])
        .args(["--parent", &std::process::id().to_string()])
        .args(["--slots", &settings.resources.slots.to_string()])
        .args(["--memory", &settings.resources.memory.bytes().to_string()])
        .arg("--dir")
        .arg(settings.folder.join(format!("w{number}")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0);
    if let Some(max) = settings.temp_max {
        command.args(["--temp-max", &max.bytes().to_string()]);
    }
    if settings.isolate {
        command.arg("--isolate");
    }
    if let Some(plugin) = &settings.plugin {
        command.arg("--plugin").arg(plugin);
    }
    match settings.verbose {
        0 => command.arg("--quiet"),
        count => command.arg(format!("-{}", "v".repeat(count.into()))),
    };
    command
}

/// Passes a worker's stderr on, line by line.
async fn forward(stderr: OwnedFd, number: u32, lines: mpsc::Sender<String>) {
    let Ok(pipe) = pipe::Receiver::from_owned_fd(stderr) else {
        return;
    };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while let Ok(1..) = pipe.read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(&line);
        if lines
            .send(format!("worker {number}: {}", text.trim_end()))
            .await
            .is_err()
        {
            return;
        }
        line.clear();
    }
}

/// Called by a worker that was started by [`LocalWorkers`]: has the kernel kill it when the parent ends.
///
/// # Errors
/// The kernel refuses, or the parent has ended already.
pub(crate) fn end_with_parent(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // It may have ended just before; then somebody else is the parent now.
    let now = getppid().map(Pid::as_raw_nonzero);
    let same = now.is_some_and(|pid| u32::try_from(pid.get()) == Ok(parent));
    if same {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the parent process has ended",
        ))
    }
}
