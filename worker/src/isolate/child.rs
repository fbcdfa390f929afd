//! A child process, seen from its slot.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process_group};

use super::last_words::LastWords;
use super::message::{self, News, SlotAsk};
use super::{IsolateSettings, LOOK_EVERY, whereabouts};

/// Messages of a child that wait to be taken; one that says more is held up.
const TOLD_MAX: usize = 16;
/// Bytes that are kept of a line that a child says on stderr.
const LINE_MAX: u64 = 512;

/// A child that serves attempts; killed with its process group when dropped.
#[derive(Debug)]
pub(super) struct SlotChild {
    child: Child,
    asks: UnixStream,
    told: Receiver<News>,
    last_words: Arc<Mutex<LastWords>>,
    stderr: Option<JoinHandle<()>>,
    killed: bool,
}

/// Whether a child may tell stacks, which takes it a second or two each.
#[derive(Clone, Copy)]
pub(super) enum Stacks {
    /// If this process was asked for them.
    IfAsked,
    /// Nobody would read them.
    No,
}

/// What came of waiting.
pub(super) enum Heard {
    News(News),
    /// Nothing yet.
    Nothing,
    /// It has ended.
    Ended,
}

impl SlotChild {
    /// Starts one. It ends with the thread that calls this.
    pub(super) fn start(settings: &IsolateSettings, stacks: Stacks) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let mut command = Command::new(&settings.program);
        if let Stacks::No = stacks {
            command.env("RUST_BACKTRACE", "0");
            command.env("RUST_LIB_BACKTRACE", "0");
        }
        let mut child = command
            .arg("slot")
            .args(["--parent", &std::process::id().to_string()])
            .args(["--data-max", &settings.data_max.bytes().to_string()])
            .args(
                settings
                    .plugins
                    .iter()
                    .flat_map(|file| [OsStr::new("--plugin"), file.as_os_str()]),
            )
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let last_words = Arc::default();
        let stderr = child.stderr.take().map(|stderr| {
            let words = Arc::clone(&last_words);
            thread::spawn(move || listen(stderr, &words))
        });
        let (sender, told) = sync_channel(TOLD_MAX);
        let mut from = ours.try_clone()?;
        thread::spawn(move || {
            while let Ok(Some(told)) = message::read(&mut from) {
                if sender.send(told).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            child,
            asks: ours,
            told,
            last_words,
            stderr,
            killed: false,
        })
    }

    pub(super) fn ask(&mut self, ask: &SlotAsk) -> io::Result<()> {
        message::write(&mut self.asks, ask)
    }

    /// Waits a little for news.
    pub(super) fn hear(&self) -> Heard {
        match self.told.recv_timeout(LOOK_EVERY) {
            Ok(news) => Heard::News(news),
            Err(RecvTimeoutError::Timeout) => Heard::Nothing,
            Err(RecvTimeoutError::Disconnected) => Heard::Ended,
        }
    }

    /// Asks where its attempt stands; whether an answer may come.
    pub(super) fn ask_where(&self) -> bool {
        self.pid().is_some_and(whereabouts::ask)
    }

    /// How a child that has hung up ended, and its last words.
    pub(super) fn post_mortem(mut self) -> (Option<ExitStatus>, LastWords) {
        // It may live on, having closed its end; what it began may too.
        self.kill();
        let status = self.child.wait().ok();
        if let Some(stderr) = self.stderr.take() {
            let _ = stderr.join();
        }
        let words = self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        (status, words.clone())
    }

    /// Kills it and all that it has started. Before it is waited for, as its id is its own until then.
    fn kill(&mut self) {
        if std::mem::replace(&mut self.killed, true) {
            return;
        }
        if let Some(group) = self.pid() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }
}

impl Drop for SlotChild {
    fn drop(&mut self) {
        self.kill();
        let _ = self.child.wait();
    }
}

/// Keeps the last lines; what is said beyond is read and dropped, however much it is.
fn listen(stderr: ChildStderr, words: &Mutex<LastWords>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    let mut continued = false;
    loop {
        line.clear();
        match stderr.by_ref().take(LINE_MAX).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        let text = String::from_utf8_lossy(&line);
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.add(text.trim_end(), continued);
        continued = !line.ends_with(b"\n");
    }
}

/// How a process ended: `was killed by signal 6 (SIGABRT)`, `ended with code 3`.
pub(super) fn told_end(status: Option<ExitStatus>) -> String {
    let Some(status) = status else {
        return "has ended".to_owned();
    };
    match (status.signal(), status.code()) {
        (Some(signal), _) => {
            let name = match signal {
                4 => " (SIGILL)",
                6 => " (SIGABRT)",
                7 => " (SIGBUS)",
                8 => " (SIGFPE)",
                9 => " (SIGKILL)",
                11 => " (SIGSEGV)",
                _ => "",
            };
            format!("was killed by signal {signal}{name}")
        }
        (None, Some(code)) => format!("ended with code {code}"),
        (None, None) => "has ended".to_owned(),
    }
}
