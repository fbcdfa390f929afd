//! Ctrl-C and its kin while a job runs: the first asks for a clean end, a second soon after kills.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Problem;
use crate::exit::Exit;

/// The signals that end a command, caught from now on for the life of the process.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    last: Option<Instant>,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caught {
    /// End cleanly, then exit with this code.
    Once(Exit),
    /// End at once.
    Again(Exit),
}

impl Caught {
    /// The code of a command that a signal has ended.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Once(exit) | Self::Again(exit) => exit,
        }
    }
}

impl Signals {
    /// Two signals within this time mean that the user will not wait.
    pub(crate) const IMPATIENCE: Duration = Duration::from_secs(2);

    /// Must be called on a runtime that drives I/O.
    pub(crate) fn catch() -> Result<Self, Problem> {
        let catch = |kind| {
            signal(kind).map_err(|error| {
                Problem::new(Exit::Internal, "cannot catch signals").because(&error)
            })
        };
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            hangup: catch(SignalKind::hangup())?,
            last: None,
        })
    }

    /// The next signal. Cancel safe.
    pub(crate) async fn next(&mut self) -> Caught {
        let exit = tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.hangup.recv() => Exit::Terminated,
        };
        let now = Instant::now();
        let last = self.last.replace(now);
        match last {
            Some(last) if now.duration_since(last) <= Self::IMPATIENCE => Caught::Again(exit),
            _ => Caught::Once(exit),
        }
    }
}
