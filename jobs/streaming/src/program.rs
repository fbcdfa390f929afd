//! A running program: fed through its stdin, read from its stdout and stderr, on one thread.
//!
//! Whoever feeds it takes what it prints meanwhile, so no pipe can be full on both sides; a program that neither reads nor prints holds
//! up nobody but its attempt, which looks in between whether it was told to stop. A program that reads no further is fed no further: what its
//! exit code says, decides.

use std::collections::VecDeque;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::guard;
use crate::lines::Lines;
use crate::search::{self, NoProgram};

/// Bytes that a pipe may hold, and that are read or written at once. The system may grant less.
const PIPE_BYTES: usize = 1 << 20;
const READ_BYTES: usize = 256 << 10;
/// What any pipe holds.
const PIPE_LEAST: usize = 4096;
/// A part of a pipe that is little, and the times in which a program may add to it.
const LITTLE: usize = 32;
const GATHER: Duration = Duration::from_micros(500);
const GATHER_MAX: Duration = Duration::from_millis(4);
/// How often a program that does nothing is left to see whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Lines that are kept of what a program says on stderr, and bytes of each.
const LINES_MAX: usize = 40;
const LINE_MAX: usize = 1024;

/// Codes above are those of programs that a signal has killed: this and its number, as shells have it.
const SIGNALS: i32 = 128;

/// How to start a program.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// The program and its arguments.
    pub(crate) argv: Vec<OsString>,
    /// Its environment, in addition to this process's.
    pub(crate) env: Vec<(OsString, OsString)>,
    /// Its working folder.
    pub(crate) folder: PathBuf,
    /// How long it may give no sign of life while it is waited for; zero: for ever.
    pub(crate) silence_max: Duration,
    /// Whether it is killed after that and has then ended, rather than being of no use.
    pub(crate) silence_ends: bool,
}

/// A running program; killed with all that it has started when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
    /// What the smallest of them holds.
    pipe_bytes: usize,
    /// How long it is left alone next.
    pause: Duration,
    buffer: Vec<u8>,
    errors: Lines,
    last_words: VecDeque<String>,
    silence_max: Duration,
    silence_ends: bool,
    /// The silence that it was killed for.
    killed: Option<Duration>,
    /// When it gave the last sign of life, or waiting for one began.
    lived: Instant,
    ended: bool,
}

/// How a program has ended.
#[derive(Debug)]
pub(crate) struct Ending {
    /// Its code; 128 and the signal, if it was killed by one.
    pub(crate) code: i32,
    /// What it said last on stderr.
    pub(crate) last_words: Vec<String>,
}

/// Who takes what a program prints, and says whether to go on.
pub(crate) trait Listener {
    /// Why it wants no more.
    type Error: From<ProgramError>;

    /// A piece of stdout.
    ///
    /// # Errors
    /// Ends the feeding.
    fn printed(&mut self, piece: &[u8]) -> Result<(), Self::Error>;

    /// A line of stderr, without its end. Returns whether it is a sign of life: all that a program does is, but for talk.
    fn said(&mut self, line: &str) -> bool;

    /// A sign of life: it has read, printed or reported.
    fn lives(&mut self);

    /// Whether the attempt was told to stop.
    fn stopped(&self) -> bool;
}

/// Why a program is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProgramError {
    /// It could not be started.
    #[error("cannot start `{name}`")]
    Start {
        /// The program.
        name: String,
        /// Why not.
        source: io::Error,
    },
    /// There is none.
    #[error("cannot start `{name}`")]
    Missing {
        /// The program.
        name: String,
        /// What there is.
        source: NoProgram,
    },
    /// A pipe to or from it broke.
    #[error("cannot talk to `{name}`")]
    Pipe {
        /// The program.
        name: String,
        /// How.
        source: io::Error,
    },
    /// It ended with another code than 0. These are the words of Hadoop, which people and programs look for.
    #[error("subprocess failed with code {}{}{}", .0.code, signal(.0.code), words(&.0.last_words))]
    Failed(Ending),
    /// It has given no sign of life for too long.
    #[error("{}{}", silent(*silence), words(last_words))]
    Silent {
        /// For how long.
        silence: Duration,
        /// What it said last on stderr.
        last_words: Vec<String>,
    },
    /// The attempt was told to stop.
    #[error("stopped")]
    Stopped,
}

impl Program {
    /// Starts one.
    ///
    /// # Errors
    /// [`ProgramError::Start`].
    pub(crate) fn start(start: &Start) -> Result<Self, ProgramError> {
        let name = start.argv.first().map_or_else(String::new, |program| {
            program.to_string_lossy().into_owned()
        });
        let failed = |source| ProgramError::Start {
            name: name.clone(),
            source,
        };
        let [program, arguments @ ..] = start.argv.as_slice() else {
            return Err(failed(io::Error::new(
                ErrorKind::InvalidInput,
                "the command is empty",
            )));
        };
        look_for(program, start).map_err(|source| ProgramError::Missing {
            name: name.clone(),
            source,
        })?;
        let mut child = guard::command(program)
            .args(arguments)
            .envs(start.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&start.folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut program = Self {
            name: name.clone(),
            child,
            stdin,
            stdout,
            stderr,
            pipe_bytes: PIPE_BYTES,
            pause: GATHER,
            buffer: vec![0; READ_BYTES],
            errors: Lines::default(),
            last_words: VecDeque::new(),
            silence_max: start.silence_max,
            silence_ends: start.silence_ends,
            killed: None,
            lived: Instant::now(),
            ended: false,
        };
        program.make_ready().map_err(failed)?;
        Ok(program)
    }

    /// Pipes that do not block, and are as large as may be.
    fn make_ready(&mut self) -> io::Result<()> {
        let pipes = [
            self.stdin.as_ref().map(AsFd::as_fd),
            self.stdout.as_ref().map(AsFd::as_fd),
            self.stderr.as_ref().map(AsFd::as_fd),
        ];
        for pipe in pipes.into_iter().flatten() {
            rustix::io::ioctl_fionbio(pipe, true)?;
            self.pipe_bytes = self.pipe_bytes.min(enlarge(pipe));
        }
        Ok(())
    }

    /// Writes all of `bytes` to its stdin, unless it reads no further; `listener` hears what it prints meanwhile.
    ///
    /// # Errors
    /// As [`Listener`] says, or a broken pipe.
    pub(crate) fn feed<L: Listener>(
        &mut self,
        mut bytes: &[u8],
        listener: &mut L,
    ) -> Result<(), L::Error> {
        self.lived = Instant::now();
        while !bytes.is_empty() && self.stdin.is_some() {
            self.look_around(listener)?;
            let ready = self.wait(true)?;
            let mut moved = 0;
            if ready.stdin {
                let written = self.write(bytes)?;
                bytes = &bytes[written..];
                if written > 0 {
                    self.lives(listener);
                }
                moved += written;
            }
            moved += self.hear(&ready, listener)?;
            self.let_gather(moved);
        }
        Ok(())
    }

    /// Closes its stdin, and listens until it has ended.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub(crate) fn finish<L: Listener>(mut self, listener: &mut L) -> Result<Ending, L::Error> {
        drop(self.stdin.take());
        self.lived = Instant::now();
        while self.stdout.is_some() || self.stderr.is_some() {
            self.look_around(listener)?;
            let ready = self.wait(false)?;
            let moved = self.hear(&ready, listener)?;
            self.let_gather(moved);
        }
        let status = self.wait_for_end(listener)?;
        let errors = std::mem::take(&mut self.errors);
        let _ = errors.finish(|line| {
            self.keep(line, listener);
            Ok::<_, ProgramError>(())
        });
        if let Some(silence) = self.killed {
            let why = format!("killed: {}", silent(silence));
            self.last_words.push_back(why);
        }
        let signal = status.signal().map(|signal| SIGNALS + signal);
        Ok(Ending {
            code: status.code().or(signal).unwrap_or(-1),
            last_words: self.last_words.drain(..).collect(),
        })
    }

    /// It has closed its pipes, so it is about to end; if it does not, it is left to see whether to stop.
    fn wait_for_end<L: Listener>(&mut self, listener: &mut L) -> Result<ExitStatus, L::Error> {
        let mut pause = Duration::from_micros(50);
        loop {
            if let Some(status) = self.child.try_wait().map_err(|error| self.broken(error))? {
                self.ended = true;
                self.kill_group();
                return Ok(status);
            }
            self.look_around(listener)?;
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOOK_EVERY);
        }
    }

    /// Leaves a program alone for a moment after it has printed or read a little: one that writes each line by itself would else wake us as
    /// often. The longer it goes on like that, the longer the moment; its pipes have room for what it does meanwhile.
    fn let_gather(&mut self, moved: usize) {
        if moved == 0 || moved >= self.pipe_bytes / LITTLE {
            self.pause = GATHER;
            return;
        }
        std::thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(GATHER_MAX);
    }

    /// Whether there is a reason to wait no longer.
    fn look_around<L: Listener>(&mut self, listener: &mut L) -> Result<(), L::Error> {
        if listener.stopped() {
            return Err(ProgramError::Stopped.into());
        }
        let silence = self.lived.elapsed();
        if self.silence_max.is_zero() || silence < self.silence_max {
            return Ok(());
        }
        if self.silence_ends && self.killed.is_none() {
            self.kill_group();
            self.killed = Some(silence);
            // Its pipes end now, unless another process holds them that has left its group.
            self.lives(listener);
            return Ok(());
        }
        let last_words = self.last_words.drain(..).collect();
        Err(ProgramError::Silent {
            silence,
            last_words,
        }
        .into())
    }

    fn lives<L: Listener>(&mut self, listener: &mut L) {
        self.lived = Instant::now();
        listener.lives();
    }

    /// Waits until a pipe is ready, or it is time to look around.
    fn wait(&self, to_write: bool) -> Result<Ready, ProgramError> {
        let mut fds = Vec::with_capacity(3);
        let stdin = self.stdin.as_ref().filter(|_| to_write);
        if let Some(stdin) = stdin {
            fds.push(PollFd::new(stdin, PollFlags::OUT));
        }
        if let Some(stdout) = &self.stdout {
            fds.push(PollFd::new(stdout, PollFlags::IN));
        }
        if let Some(stderr) = &self.stderr {
            fds.push(PollFd::new(stderr, PollFlags::IN));
        }
        let timeout = Timespec::try_from(LOOK_EVERY).ok();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(self.broken(error.into())),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let mut next = |is_there: bool| is_there && ready.next().unwrap_or(false);
        Ok(Ready {
            stdin: next(stdin.is_some()),
            stdout: next(self.stdout.is_some()),
            stderr: next(self.stderr.is_some()),
        })
    }

    /// How many bytes it took; all, if it reads no further.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ProgramError> {
        let Some(stdin) = &mut self.stdin else {
            return Ok(bytes.len());
        };
        match stdin.write(bytes) {
            Ok(written) => Ok(written),
            Err(error) if is_for_later(&error) => Ok(0),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.stdin = None;
                Ok(bytes.len())
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    /// Takes what is there to be read; tells how many bytes that was.
    fn hear<L: Listener>(&mut self, ready: &Ready, listener: &mut L) -> Result<usize, L::Error> {
        let mut heard = 0;
        if ready.stdout
            && let Some(length) =
                read(&mut self.stdout, &mut self.buffer).map_err(|error| self.broken(error))?
        {
            heard += length;
            listener.printed(&self.buffer[..length])?;
            self.lives(listener);
        }
        if ready.stderr
            && let Some(length) =
                read(&mut self.stderr, &mut self.buffer).map_err(|error| self.broken(error))?
        {
            heard += length;
            let piece = std::mem::take(&mut self.buffer);
            let mut errors = std::mem::take(&mut self.errors);
            let _ = errors.push(&piece[..length], |line| {
                self.keep(line, listener);
                Ok::<_, ProgramError>(())
            });
            errors.shorten(LINE_MAX);
            (self.errors, self.buffer) = (errors, piece);
        }
        Ok(heard)
    }

    /// Tells a line of stderr, and keeps it for a while.
    fn keep<L: Listener>(&mut self, line: &[u8], listener: &mut L) {
        let text = String::from_utf8_lossy(&line[..line.len().min(LINE_MAX)]);
        if listener.said(&text) {
            self.lives(listener);
        }
        if self.last_words.len() == LINES_MAX {
            self.last_words.pop_front();
        }
        self.last_words.push_back(text.into_owned());
    }

    fn broken(&self, source: io::Error) -> ProgramError {
        ProgramError::Pipe {
            name: self.name.clone(),
            source,
        }
    }

    /// Kills whatever it has started and is still there.
    fn kill_group(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = pid {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn look_for(program: &OsStr, start: &Start) -> Result<PathBuf, NoProgram> {
    let is_path = |(name, _): &&(OsString, OsString)| name == "PATH";
    let search = start.env.iter().rfind(is_path);
    let search = search.map_or_else(|| env::var_os("PATH"), |(_, path)| Some(path.clone()));
    search::find(program, &start.folder, search.as_deref())
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.ended {
            self.kill_group();
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Which pipes can be used without waiting.
struct Ready {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

/// Makes a pipe hold [`PIPE_BYTES`], if it may; tells what it holds.
#[cfg(target_os = "linux")]
fn enlarge(pipe: BorrowedFd<'_>) -> usize {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
    rustix::pipe::fcntl_getpipe_size(pipe).unwrap_or(PIPE_LEAST)
}

/// Elsewhere a pipe is as large as it is.
#[cfg(not(target_os = "linux"))]
fn enlarge(_: BorrowedFd<'_>) -> usize {
    PIPE_LEAST
}

/// What there is; `None` if that is nothing yet, or the end, at which the pipe is closed.
fn read(pipe: &mut Option<impl Read>, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let Some(open) = pipe else {
        return Ok(None);
    };
    match open.read(buffer) {
        Ok(0) => {
            *pipe = None;
            Ok(None)
        }
        Ok(length) => Ok(Some(length)),
        Err(error) if is_for_later(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

fn signal(code: i32) -> String {
    match code - SIGNALS {
        signal @ 1..=64 => format!(" ({SIGNALS} and signal {signal}, which killed it)"),
        _ => String::new(),
    }
}

fn silent(silence: Duration) -> String {
    let time = seconds(silence);
    format!("it has neither read, printed nor reported for {time}")
}

fn seconds(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds => format!("{seconds} s"),
    }
}

/// The end of what it said: what is longer than a line of a failure may be is cut there, where the error stands.
fn words(last: &[String]) -> String {
    const BYTES_MAX: usize = 3 << 10;
    let mut room = BYTES_MAX;
    let fitting = last.iter().rev().take_while(|line| {
        let fits = line.len() < room;
        room = room.saturating_sub(line.len() + 1);
        fits
    });
    match &last[last.len() - fitting.count()..] {
        [] => ", and said nothing".to_owned(),
        lines => format!(". It said last:\n{}", lines.join("\n")),
    }
}

#[cfg(test)]
mod tests;
