//! How many files and sockets this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as two sockets for each of thousands of workers and their runs take; more would only slow down what
/// closes them all.
const ENOUGH: u64 = 1 << 16;

/// Raises the limit of open files as far as this process may, to 65,536 at most, and returns what it
/// is then. Masters and workers do it when they start: the usual 1,024 is a few hundred workers.
pub fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.unwrap_or(u64::MAX);
    let want = maximum.unwrap_or(u64::MAX).min(ENOUGH);
    if current >= want {
        return current;
    }
    let raised = Rlimit {
        current: Some(want),
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => want,
        Err(error) => {
            tracing::warn!(%error, current, "cannot raise the limit of open files");
            current
        }
    }
}
