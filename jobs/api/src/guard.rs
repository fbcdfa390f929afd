//! Panics of a job's functions, caught and told with message and place.
//!
//! Rust reports a panic's place only to the process-wide hook. Ours notes it for threads that are inside
//! [`catch`] and keeps quiet there; on other threads it calls the hook that was set before.
//!
//! Only the calls of a job's functions are inside. A panic of the engine around them goes to the hook as ever;
//! whoever runs the attempt must survive it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// A panic that was caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Panicked {
    message: String,
    place: Option<String>,
}

impl fmt::Display for Panicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => write!(f, "panicked at {place}: {}", self.message),
            None => write!(f, "panicked: {}", self.message),
        }
    }
}

impl std::error::Error for Panicked {}

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
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
    })
}

fn set_hook() {
    let previous = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if INSIDE.get() {
            PLACE.set(info.location().map(ToString::to_string));
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
        let caught = catch(|| [1, 2, 3][index]).unwrap_err().to_string();
        assert!(
            caught.starts_with("panicked at jobs/api/src/guard.rs:"),
            "{caught}"
        );
        assert!(
            caught.ends_with("the len is 3 but the index is 3"),
            "{caught}"
        );
        assert_eq!(catch(|| 5), Ok(5));
    }
}
