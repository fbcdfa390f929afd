//! One run of a contender, measured from outside.
//!
//! The system counts (`wait4`): CPU time is that of the process and of all descendants that were waited for, as a shell
//! waits for its pipeline; the peak of memory is the largest of any one of these processes, not their sum, and never below
//! this program's own few MiB, which a process has for a moment before it becomes the program to be run.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use mapfold_terms::ByteSize;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use wait4::{ResUse, Wait4 as _};

use super::contender::{Contender, Kind, Traces};
use crate::error::Problem;
use crate::exit::Exit;
use crate::signals::Signals;

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial {
    pub(crate) wall: Duration,
    pub(crate) user: Duration,
    pub(crate) system: Duration,
    pub(crate) peak_memory: ByteSize,
}

impl Trial {
    /// User and system.
    pub(crate) fn cpu(&self) -> Duration {
        self.user + self.system
    }
}

/// How long a program that is told to end may take.
const END_MAX: Duration = Duration::from_secs(5);

/// Runs it to its end; a signal ends it and all that it started.
pub(crate) async fn trial(
    contender: &Contender,
    traces: &Traces,
    signals: &mut Signals,
) -> Result<Trial, Problem> {
    let command = contender.command(traces);
    let started = Instant::now();
    let child = command.and_then(|mut command| {
        // A group, so that a signal reaches what a shell has started.
        command.process_group(0).spawn()
    });
    let child = child.map_err(|error| {
        let what = format!("cannot start {}", contender.name);
        Problem::new(Exit::JobFailed, what).because(&error)
    })?;
    let group = Pid::from_child(&child);
    let mut ends = spawn_blocking(move || child.wait4().map(|used| (started.elapsed(), used)));
    let ended = tokio::select! {
        ended = &mut ends => ended,
        caught = signals.next() => {
            stop(group, ends).await;
            return Err(Problem::silent(caught.exit()));
        }
    };
    let (wall, ResUse { status, rusage }) = match ended {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => {
            return Err(Problem::new(Exit::Internal, "cannot wait for a program").because(&error));
        }
        Err(_) => return Err(Problem::bug()),
    };
    if !status.success() {
        return Err(failed(contender, status, &traces.stderr()));
    }
    Ok(Trial {
        wall,
        user: rusage.utime,
        system: rusage.stime,
        peak_memory: ByteSize(rusage.maxrss),
    })
}

/// Asks the group to end, then makes it.
async fn stop<T>(group: Pid, mut ends: JoinHandle<T>) {
    for signal in [Signal::TERM, Signal::KILL] {
        // It may have ended by itself.
        let _ = kill_process_group(group, signal);
        if timeout(END_MAX, &mut ends).await.is_ok() {
            return;
        }
    }
}

fn failed(contender: &Contender, status: ExitStatus, stderr: &Path) -> Problem {
    let what = match &contender.kind {
        Kind::Other(line) => format!("`{line}` failed"),
        _ => format!("`{}` failed", contender.typed),
    };
    let problem = Problem::new(Exit::JobFailed, what).cause(status.to_string());
    match tail(stderr) {
        Some(tail) => problem.cause(tail),
        None => problem,
    }
}

/// The last lines of what a program said.
fn tail(stderr: &Path) -> Option<String> {
    const BYTES_MAX: u64 = 2048;
    const LINES_MAX: usize = 10;
    let mut file = fs::File::open(stderr).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES_MAX)))
        .ok()?;
    let mut said = Vec::new();
    file.read_to_end(&mut said).ok()?;
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.trim_end().lines().collect();
    let last = lines[lines.len().saturating_sub(LINES_MAX)..].join("\n");
    (!last.is_empty()).then_some(last)
}
