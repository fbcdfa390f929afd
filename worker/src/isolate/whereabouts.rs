//! Where an attempt stands that does not come back, told by its own process.
//!
//! Only where processes are asked for backtraces. Before the slot kills a child that stands still, it sends a signal; the handler interrupts the attempt's
//! thread, and puts its stack into words there. For that it allocates and takes locks, which a handler must not: if the thread was inside the allocator, it
//! waits for itself. So the slot waits a while and no longer; the child is killed in any case.

#![expect(unsafe_code, reason = "the handler of a signal is a C function")]

use std::backtrace::{Backtrace, BacktraceStatus};
use std::ffi::c_int;
use std::sync::OnceLock;
use std::{mem, ptr};

use rustix::process::{Pid, Signal, kill_process};

/// The thread that makes attempts, and how it is told.
struct Teller {
    thread: libc::pthread_t,
    tell: Box<dyn Fn(String) + Send + Sync>,
}

static TELLER: OnceLock<Teller> = OnceLock::new();

/// Whether this process, and those that it starts, were asked for backtraces.
fn is_wanted() -> bool {
    Backtrace::capture().status() == BacktraceStatus::Captured
}

/// Asks a child where its attempt stands; it must have begun one. Whether an answer may come.
pub(super) fn ask(child: Pid) -> bool {
    is_wanted() && kill_process(child, Signal::QUIT).is_ok()
}

/// From now on the calling thread, which makes the attempts of this process, tells its stack when it is asked to.
pub(super) fn answer(tell: impl Fn(String) + Send + Sync + 'static) {
    if !is_wanted() {
        return;
    }
    // SAFETY: asks for nothing and always succeeds.
    let thread = unsafe { libc::pthread_self() };
    let tell = Box::new(tell);
    if TELLER.set(Teller { thread, tell }).is_err() {
        return;
    }
    // SAFETY: it is a C struct of numbers and a handler; all zeros are no flags, an empty mask and the default handler.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = tell_stack as extern "C" fn(c_int) as usize;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: the action is valid and its handler lives as long as the process. What the handler does that one must not can only keep
    // this process from going on, which is about to be killed.
    unsafe { libc::sigaction(libc::SIGQUIT, &raw const action, ptr::null_mut()) };
}

/// The handler: on the thread that makes attempts, whichever the system has chosen.
extern "C" fn tell_stack(signal: c_int) {
    let Some(teller) = TELLER.get() else {
        return;
    };
    // SAFETY: asks for nothing and always succeeds.
    if unsafe { libc::pthread_self() } != teller.thread {
        // SAFETY: that thread lives as long as its process makes attempts.
        unsafe { libc::pthread_kill(teller.thread, signal) };
        return;
    }
    let stack = Backtrace::force_capture().to_string();
    (teller.tell)(below_us(&stack).to_owned());
}

/// A backtrace without the handler and the frame by which the system has called it.
fn below_us(stack: &str) -> &str {
    stack.find("   2: ").map_or(stack, |third| &stack[third..])
}
