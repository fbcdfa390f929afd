//! Text for people.

use std::io::{self, Write as _};

/// Prints to stderr. If nobody reads it any more, work goes on all the same (`eprint!` would panic).
pub(crate) fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
