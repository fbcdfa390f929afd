//! Panics of a job's functions, caught and told with message and place.
//!
//! Rust reports a panic's place only to the process-wide hook. Ours notes it for threads that are inside
//! [`catch`] and keeps quiet there; on other threads it calls the hook that was set before.
//!
//! Only the calls of a job's functions are inside. A panic of the engine around them goes to the hook as ever;
//! whoever runs the attempt must survive it.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use mapfold_terms::{FailClass, Failure};

use crate::{AttemptError, JobError};

/// A panic that was caught.
#[derive(Debug)]
pub(crate) struct Panicked {
    message: String,
    place: Option<Place>,
    /// What it could not do, if that was said by [`naming`].
    what: Option<String>,
}

/// Where a panic began.
#[derive(Debug)]
struct Place {
    line: Option<String>,
    /// Captured only where the process was asked for backtraces.
    backtrace: Backtrace,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.place.as_ref().and_then(|place| place.line.as_ref());
        match line {
            Some(line) => write!(f, "panicked at {line}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

impl std::error::Error for Panicked {}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static NO_BACKTRACES: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
    static WHAT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `body`; a panic in it becomes an error. What `body` borrowed may be half changed then: give
/// the attempt up.
pub(crate) fn catch<T>(body: impl FnOnce() -> T) -> Result<T, Panicked> {
    static HOOK: Once = Once::new();
    HOOK.call_once(set_hook);
    let outer = INSIDE.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    INSIDE.set(outer);
    result.map_err(|payload| Panicked {
        message: payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "(no message)".to_owned()),
        place: PLACE.take(),
        what: WHAT.take(),
    })
}

/// Runs `body`; if it panics, `what` says what could not be done, to whoever catches it. Costs nothing if it does not.
#[inline]
pub(crate) fn naming<T>(what: impl FnOnce() -> String, body: impl FnOnce() -> T) -> T {
    let unwound = Unwound(Some(what));
    let result = body();
    std::mem::forget(unwound);
    result
}

/// Dropped only by a panic.
struct Unwound<F: FnOnce() -> String>(Option<F>);

impl<F: FnOnce() -> String> Drop for Unwound<F> {
    #[cold]
    fn drop(&mut self) {
        WHAT.set(self.0.take().map(|what| what()));
    }
}

/// Runs `body`, in which many panics are expected: a backtrace takes milliseconds to put into words.
pub(crate) fn without_backtraces<T>(body: impl FnOnce() -> T) -> T {
    let outer = NO_BACKTRACES.replace(true);
    let result = body();
    NO_BACKTRACES.set(outer);
    result
}

impl Panicked {
    /// As a failure of the job.
    pub(crate) fn failure(&self) -> Failure {
        let backtrace = self.place.as_ref().map(|place| &place.backtrace);
        let mut failure = Failure::new(FailClass::Job, self);
        failure.chain.splice(0..0, self.what.clone());
        failure.backtrace = backtrace
            .filter(|trace| trace.status() == BacktraceStatus::Captured)
            .map(ToString::to_string);
        failure
    }
}

/// How a job's function failed, if it did: with an error of its own or a panic.
pub(crate) fn failure(result: Result<Result<(), JobError>, Panicked>) -> Option<Failed> {
    match result {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(Failed::with(&error)),
        Err(panic) => Some(Failed {
            failure: panic.failure(),
            is_of_attempt: false,
        }),
    }
}

/// A failure of a job's function.
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// Whether it is told as it is: an [`AttemptError`].
    pub(crate) is_of_attempt: bool,
}

impl Failed {
    pub(crate) fn with(error: &JobError) -> Self {
        Self {
            failure: Failure::new(FailClass::Job, error.as_ref()),
            is_of_attempt: error.is::<AttemptError>(),
        }
    }

    /// With the words that say where it was, unless it says so itself.
    pub(crate) fn at(self, place: impl FnOnce() -> String) -> Failure {
        let mut failure = self.failure;
        if !self.is_of_attempt {
            failure.chain.insert(0, place());
        }
        failure
    }
}

fn set_hook() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // One that ends the process is told at once: nobody is left to tell it later.
        if INSIDE.get() && cfg!(panic = "unwind") {
            PLACE.set(Some(Place {
                line: info.location().map(ToString::to_string),
                backtrace: match NO_BACKTRACES.get() {
                    true => Backtrace::disabled(),
                    false => Backtrace::capture(),
                },
            }));
        } else {
            previous(info);
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_message_and_place() {
        let index = std::hint::black_box(3);
        let caught = catch(|| [1, 2, 3][index]).unwrap_err().failure();
        let asked = Backtrace::capture().status() == BacktraceStatus::Captured;
        assert_eq!(caught.backtrace.is_some(), asked);
        let caught = caught.to_string();
        assert!(
            caught.starts_with("panicked at jobs/api/src/guard.rs:"),
            "{caught}"
        );
        assert!(
            caught.ends_with("the len is 3 but the index is 3"),
            "{caught}"
        );
        assert!(matches!(catch(|| 5), Ok(5)));
    }

    #[test]
    fn what_was_to_be_done_is_told_of_a_panic_and_of_no_later_one() {
        let told = |body: fn()| catch(body).unwrap_err().failure().chain;
        let named = told(|| naming(|| "cannot".to_owned(), || panic!("it is late")));
        assert!(named[0] == "cannot" && named[1].ends_with("it is late"));
        let after = told(|| {
            naming(|| "could".to_owned(), || ());
            panic!("it is later")
        });
        assert!(after.len() == 1 && after[0].ends_with("it is later"));
    }
}
