//! The C interface between engine and plugin, version 1: one symbol, one table, six functions.
//!
//! ```text
//! mapfold_job_v1() -> Table
//!     about  list                        what the plugin is, which jobs it has: messages
//!     make -> job, attempt(job, ..)      called from any number of threads at once
//!     free_memory(job)  drop_job(job)
//! ```
//! - Only C types cross. Messages are JSON ([`Ask`](super::Ask), [`Told`](super::Told)) in a [`View`] or [`Lent`].
//! - Nothing that one side has allocated is freed by the other: each [`Lent`] goes back to who made it.
//! - Nothing unwinds across: each function catches panics and tells them as a message.
//! - The first four fields of the table never move. New functions go to its end, and raise `minor`; a table may be longer than the
//!   reader knows. Whatever else changes raises `major`, and the name of the symbol.
//!
//! A change of this file that is not meant as one is found by a test (`tests/border.rs`) and by the assertions at its end.
#![expect(unsafe_code, reason = "what crosses are pointers")]

use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use mapfold_data::run::{RunBytes, Segment};

use crate::Monitor;

/// The one symbol of a plugin: a [`GetTable`].
pub const SYMBOL: &CStr = c"mapfold_job_v1";

/// What a table begins with.
pub const MAGIC: u64 = u64::from_le_bytes(*b"MFPLUGIN");

/// Must be equal on both sides.
pub const MAJOR: u16 = 1;

/// The plugin's must be at least the engine's.
pub const MINOR: u16 = 0;

/// Gives the plugin's table, which lives as long as the process.
pub type GetTable = unsafe extern "C" fn() -> *const Table;

/// What a plugin can do. Its functions do not unwind, and none is null in a table of a version that has it.
#[repr(C)]
pub struct Table {
    /// [`MAGIC`].
    pub magic: u64,
    /// Bytes of this table.
    pub size: u32,
    /// [`MAJOR`].
    pub major: u16,
    /// [`MINOR`].
    pub minor: u16,
    /// Tells an [`About`](super::About). Runs no code of the author's.
    pub about: Option<unsafe extern "C" fn(answer: *mut Answer)>,
    /// Tells a list of [`JobInfo`](crate::JobInfo), or [`Told::Failed`](super::Told).
    pub list: Option<unsafe extern "C" fn(answer: *mut Answer)>,
    /// Makes the job of a [`MakeJob`](super::MakeJob). Null if there is none: the answer says why, or else
    /// what there is to know of it.
    pub make: Option<unsafe extern "C" fn(make: View<'_>, answer: *mut Answer) -> *mut c_void>,
    /// Does what an [`Ask`](super::Ask) asks, and tells what came of it. `beside` are its segments that are in memory; what the
    /// plugin takes of them it leaves [`Lent::NOTHING`] for.
    pub attempt: Option<
        unsafe extern "C" fn(
            job: *const c_void,
            ask: View<'_>,
            beside: *mut Lent,
            beside_count: usize,
            watch: *const Watch<'_>,
            answer: *mut Answer,
        ),
    >,
    /// Gives up what the job keeps for attempts to come.
    pub free_memory: Option<unsafe extern "C" fn(job: *const c_void)>,
    /// Ends a job. No attempt of it may run.
    pub drop_job: Option<unsafe extern "C" fn(job: *mut c_void)>,
}

/// What a function tells. Whoever calls passes one that is empty.
#[repr(C)]
pub struct Answer {
    /// JSON.
    pub message: Lent,
    /// The run of a map attempt, if it stayed in memory.
    pub run: Lent,
}

impl Answer {
    /// Nothing is told yet.
    pub const EMPTY: Self = Self {
        message: Lent::NOTHING,
        run: Lent::NOTHING,
    };
}

/// Bytes that can be read until the function returns that they were passed to.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct View<'a> {
    data: *const u8,
    len: usize,
    of: PhantomData<&'a [u8]>,
}

impl<'a> From<&'a [u8]> for View<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self {
            data: bytes.as_ptr(),
            len: bytes.len(),
            of: PhantomData,
        }
    }
}

impl<'a> View<'a> {
    /// The bytes.
    pub fn bytes(self) -> &'a [u8] {
        // SAFETY: it was made from a slice of this lifetime, here or on the other side, and is never changed.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

/// Bytes that one side has made and the other may keep for as long as it likes, on any thread. Dropping them gives them back to who made them.
#[repr(C)]
pub struct Lent {
    data: *const u8,
    len: usize,
    owner: *mut c_void,
    release: Option<unsafe extern "C" fn(owner: *mut c_void)>,
}

// SAFETY: it stands for a `Box` of one of the owners below, all of which are `Send` and `Sync`; the bytes do not change.
unsafe impl Send for Lent {}
// SAFETY: as above.
unsafe impl Sync for Lent {}

impl Lent {
    /// No bytes, and nobody's.
    pub const NOTHING: Self = Self {
        data: ptr::null(),
        len: 0,
        owner: ptr::null_mut(),
        release: None,
    };

    /// `bytes_of` must give the same bytes as long as the owner lives: private, so that only the owners below are lent.
    fn new<T: Send + Sync + 'static>(owner: T, bytes_of: fn(&T) -> &[u8]) -> Self {
        let owner = Box::new(owner);
        let bytes = bytes_of(&owner);
        Self {
            data: bytes.as_ptr(),
            len: bytes.len(),
            owner: Box::into_raw(owner).cast(),
            release: Some(release::<T>),
        }
    }

    /// Takes the bytes out, and leaves nothing.
    #[must_use]
    pub fn take(&mut self) -> Self {
        std::mem::replace(self, Self::NOTHING)
    }
}

unsafe extern "C" fn release<T>(owner: *mut c_void) {
    // SAFETY: `Lent::new::<T>` has put a box of a `T` there, and each is released once, by `drop`.
    let owner: Box<T> = unsafe { Box::from_raw(owner.cast()) };
    drop(owner);
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(release) = self.release.take() {
            // SAFETY: `release` and `owner` belong together since `Lent::new`, and `take` above makes sure that this is the only call.
            unsafe { release(self.owner) };
        }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: these are the bytes of the owner, which lives as long as this.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl From<Vec<u8>> for Lent {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes, Vec::as_slice)
    }
}

impl From<RunBytes> for Lent {
    fn from(run: RunBytes) -> Self {
        Self::new(run, |run| run)
    }
}

impl From<Segment> for Lent {
    fn from(segment: Segment) -> Self {
        Self::new(segment, Segment::bytes)
    }
}

/// The callbacks of an attempt ([`Monitor`]), which can be called on any thread until it ends.
#[repr(C)]
pub struct Watch<'a> {
    context: *const c_void,
    progress: unsafe extern "C" fn(context: *const c_void, records: u64, bytes: u64),
    cancelled: unsafe extern "C" fn(context: *const c_void) -> bool,
    of: PhantomData<&'a dyn Monitor>,
    status: unsafe extern "C" fn(context: *const c_void, text: View<'_>),
}

// SAFETY: it stands for a `&dyn Monitor`, which is `Sync`.
unsafe impl Sync for Watch<'_> {}

impl<'a> Watch<'a> {
    /// Calls of this come to the monitor.
    pub fn of(monitor: &'a &'a dyn Monitor) -> Self {
        Self {
            context: ptr::from_ref(monitor).cast(),
            progress,
            cancelled,
            of: PhantomData,
            status,
        }
    }
}

unsafe extern "C" fn progress(context: *const c_void, records: u64, bytes: u64) {
    // SAFETY: `Watch::of` has put it there, and it outlives the watch.
    let monitor = unsafe { *context.cast::<&dyn Monitor>() };
    // Progress that is lost harms nobody; a panic must not cross.
    let _ = catch_unwind(AssertUnwindSafe(|| monitor.progress(records, bytes)));
}

unsafe extern "C" fn cancelled(context: *const c_void) -> bool {
    // SAFETY: as in `progress`.
    let monitor = unsafe { *context.cast::<&dyn Monitor>() };
    catch_unwind(AssertUnwindSafe(|| monitor.cancelled())).unwrap_or(false)
}

unsafe extern "C" fn status(context: *const c_void, text: View<'_>) {
    // SAFETY: as in `progress`.
    let monitor = unsafe { *context.cast::<&dyn Monitor>() };
    let text = String::from_utf8_lossy(text.bytes());
    let _ = catch_unwind(AssertUnwindSafe(|| monitor.status(&text)));
}

impl Monitor for Watch<'_> {
    fn progress(&self, records: u64, bytes: u64) {
        // SAFETY: function and context belong together since `Watch::of`.
        unsafe { (self.progress)(self.context, records, bytes) }
    }

    fn cancelled(&self) -> bool {
        // SAFETY: as above.
        unsafe { (self.cancelled)(self.context) }
    }

    fn status(&self, text: &str) {
        // SAFETY: as above.
        unsafe { (self.status)(self.context, View::from(text.as_bytes())) }
    }
}

/// The layout, so that a change of it does not compile.
#[cfg(target_pointer_width = "64")]
const _: () = {
    use std::mem::{offset_of, size_of};
    assert!(size_of::<Table>() == 64 && size_of::<Answer>() == 64);
    assert!(size_of::<View<'_>>() == 16 && size_of::<Lent>() == 32 && size_of::<Watch<'_>>() == 32);
    assert!(offset_of!(Table, magic) == 0 && offset_of!(Table, size) == 8);
    assert!(offset_of!(Table, major) == 12 && offset_of!(Table, minor) == 14);
    assert!(offset_of!(Table, about) == 16 && offset_of!(Table, list) == 24);
    assert!(offset_of!(Table, make) == 32 && offset_of!(Table, attempt) == 40);
    assert!(offset_of!(Table, free_memory) == 48 && offset_of!(Table, drop_job) == 56);
    assert!(offset_of!(Answer, message) == 0 && offset_of!(Answer, run) == 32);
    assert!(offset_of!(View<'_>, data) == 0 && offset_of!(View<'_>, len) == 8);
    assert!(offset_of!(Lent, data) == 0 && offset_of!(Lent, len) == 8);
    assert!(offset_of!(Lent, owner) == 16 && offset_of!(Lent, release) == 24);
    assert!(offset_of!(Watch<'_>, context) == 0 && offset_of!(Watch<'_>, progress) == 8);
    assert!(offset_of!(Watch<'_>, cancelled) == 16 && offset_of!(Watch<'_>, status) == 24);
};

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn what_is_lent_can_be_read_and_goes_back_to_its_owner_once() {
        static DROPPED: AtomicU64 = AtomicU64::new(0);
        struct Owner(Vec<u8>);
        impl Drop for Owner {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Ordering::Relaxed);
            }
        }
        let mut lent = Lent::new(Owner(b"bytes".to_vec()), |owner| &owner.0);
        let taken = lent.take();
        assert_eq!((lent.as_ref(), taken.as_ref()), (&b""[..], &b"bytes"[..]));
        drop(lent);
        assert_eq!(DROPPED.load(Ordering::Relaxed), 0);
        std::thread::spawn(move || drop(taken)).join().unwrap();
        assert_eq!(DROPPED.load(Ordering::Relaxed), 1);
        assert_eq!(Lent::from(Vec::new()).as_ref(), b"");
    }

    #[test]
    fn a_view_has_the_bytes_of_its_slice() {
        assert_eq!(View::from(&b"abc"[..]).bytes(), b"abc");
        assert_eq!(View::from(&b""[..]).bytes(), b"");
    }

    /// Counts, and panics when asked whether to stop.
    struct Odd(AtomicU64);

    impl Monitor for Odd {
        fn progress(&self, records: u64, bytes: u64) {
            self.0.fetch_add(records + bytes, Ordering::Relaxed);
        }

        fn cancelled(&self) -> bool {
            panic!("it does not know")
        }
    }

    #[test]
    fn a_watch_reaches_the_monitor_and_lets_no_panic_through() {
        let odd = Odd(AtomicU64::new(0));
        let monitor: &dyn Monitor = &odd;
        let watch = Watch::of(&monitor);
        watch.progress(3, 4);
        watch.status("half way");
        assert!(!watch.cancelled());
        assert_eq!(odd.0.load(Ordering::Relaxed), 7);
    }
}
