//! Where an attempt stands that does not come back, or that aborts, told by its own process.
//!
//! Only where processes are asked for backtraces. Before the slot kills a child that stands still, it sends a signal; the handler interrupts the attempt's
//! thread, and puts its stack into words there. For that it allocates and takes locks, which a handler must not: if the thread was inside the allocator, it
//! waits for itself. So the slot waits a while and no longer; the child is killed in any case. An abort (also that of an allocation that failed, or of a panic
//! that cannot unwind) is a signal, too; who waits for itself there is ended by an alarm. What overflows its stack aborts on a small one, on which no stack
//! can be put into words.

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

/// A stack takes a second or two to be put into words.
const ABORT_MAX_SECONDS: u32 = 5;

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
    on(libc::SIGQUIT, tell_stack, libc::SA_RESTART);
    on(libc::SIGABRT, tell_abort, libc::SA_RESETHAND);
    on(libc::SIGALRM, abort_now, 0);
}

fn on(signal: c_int, handler: extern "C" fn(c_int), flags: c_int) {
    // SAFETY: it is a C struct of numbers and a handler; all zeros are no flags, an empty mask and the default handler.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as usize;
    action.sa_flags = flags;
    // SAFETY: the action is valid and its handler lives as long as the process. What the handlers do that one must not can only keep
    // this process from going on, which is about to end.
    unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
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
    tell(teller);
}

/// The handler of an abort: when it returns, or aborts itself, the process ends as it would have without.
extern "C" fn tell_abort(_: c_int) {
    let Some(teller) = TELLER.get() else {
        return;
    };
    // SAFETY: asks for nothing and always succeeds.
    let is_ours = unsafe { libc::pthread_self() } == teller.thread;
    if is_ours && !is_on_small_stack() {
        // SAFETY: sets the process's alarm, which nobody else here does.
        unsafe { libc::alarm(ABORT_MAX_SECONDS) };
        tell(teller);
    }
}

/// The handler of the alarm, on whichever thread: the abort's own is held up.
extern "C" fn abort_now(_: c_int) {
    // SAFETY: takes no memory. An abort is not handled a second time.
    unsafe { libc::kill(libc::getpid(), libc::SIGABRT) };
}

/// Whether this is the stack that handlers have when the thread's own is full.
fn is_on_small_stack() -> bool {
    // SAFETY: it is a C struct of a pointer and numbers, for which zeros are values.
    let mut stack: libc::stack_t = unsafe { mem::zeroed() };
    // SAFETY: sets nothing, and `stack` can be written to.
    let asked = unsafe { libc::sigaltstack(ptr::null(), &raw mut stack) };
    asked != 0 || stack.ss_flags & libc::SS_ONSTACK != 0
}

/// In the frame of its handler.
#[inline(always)]
fn tell(teller: &Teller) {
    let stack = Backtrace::force_capture().to_string();
    (teller.tell)(below_us(&stack).to_owned());
}

/// A backtrace without the handler and the frame by which the system has called it.
fn below_us(stack: &str) -> &str {
    stack.find("   2: ").map_or(stack, |third| &stack[third..])
}
