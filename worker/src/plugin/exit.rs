//! A plugin that ends the process which it runs in, by `exit`.
//!
//! Its code decides then with which code the process ends: with 0, as if the job had succeeded. So each thread notes when it is in a plugin, and the handler that
//! `exit` calls, on the thread that called it, says what happened and ends the process as a failure. Not where an attempt has a process of its
//! own: its code is told by whoever started it. Threads that a plugin starts are not seen.
#![expect(unsafe_code, reason = "`atexit` and `_exit` are C functions")]

use std::cell::Cell;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

const SAID: &str = "error: the job's code ended this process: it called `exit`
       hint: with --isolate that ends no more than an attempt, and the record is told
";

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the code with which this process ends is looked at by a process of ours.
static TOLD_BY_PARENT: AtomicBool = AtomicBool::new(false);

/// From now on `exit` in a plugin ends this process as it says.
pub(crate) fn told_by_parent() {
    TOLD_BY_PARENT.store(true, Ordering::Relaxed);
}

/// The calling thread is in a plugin while this lives.
pub(super) struct Inside(());

impl Inside {
    pub(super) fn begin() -> Self {
        static REGISTERED: Once = Once::new();
        REGISTERED.call_once(|| {
            // SAFETY: the handler takes nothing and lives as long as the process. If there is no room for it, `exit` is as it was.
            unsafe { libc::atexit(tell) };
        });
        INSIDE.set(true);
        Self(())
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(false);
    }
}

extern "C" fn tell() {
    if TOLD_BY_PARENT.load(Ordering::Relaxed) || !INSIDE.try_with(Cell::get).unwrap_or(false) {
        return;
    }
    let _ = rustix::io::write(rustix::stdio::stderr(), SAID.as_bytes());
    // SAFETY: ends the process at once; what it leaves behind it would have left with `exit`.
    unsafe { libc::_exit(1) }
}
