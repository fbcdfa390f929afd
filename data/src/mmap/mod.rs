//! Files of our own, mapped into memory.
//!
//! A run is read once, front to back, by readers of which each wants a part of it. Mapped, it needs no buffer of
//! its own and no copy. Pages that were read count as this process's memory, so readers
//! [`release`](Mapped::release) what is behind them, and [`expect`](Mapped::expect) what is before them: the kernel reads nothing ahead of
//! its own accord, which would be as much as the disk's setting says for each of some dozens of readers, more than a limit on memory may leave
//! room for, so that what was read is dropped before it is used, and read again.
//!
//! A page that cannot be read is zeros to its readers ([`lost_page`]).
#![expect(
    unsafe_code,
    reason = "a mapped file is memory that others could change"
)]

mod lost_page;

use std::fs::File;
use std::io;
use std::ops::Range;

use lost_page::Watched;
use memmap2::{Advice, Mmap, UncheckedAdvice};

/// Memory is released in whole windows of this size: Linux maps up to so many bytes around each page that is touched (Documentation/filesystems/proc,
/// `fault_around_bytes`), or the whole folio of the page cache that it is in, which is as large as the `write` that made it. Who
/// writes what is mapped later writes in pieces of this size, at multiples of it: with writes of 1 MiB, a touch brought in 1 MiB.
pub(crate) const WINDOW: usize = 64 << 10;

/// An immutable file of ours as bytes.
#[derive(Debug)]
pub(crate) struct Mapped {
    /// Goes before the map does.
    watched: Watched,
    map: Mmap,
}

impl Mapped {
    /// Maps the whole of a file that nobody will write to again.
    pub(crate) fn new(file: &File) -> io::Result<Self> {
        // SAFETY: the bytes must not change while they are mapped. Callers pass finished runs, which the engine never
        // writes to again and which lie in a folder that no other user can enter (scratch.rs).
        let map = unsafe { Mmap::map(file) }?;
        // No reading ahead around a touch.
        let _ = map.advise(Advice::Random);
        Ok(Self {
            watched: Watched::new(&map),
            map,
        })
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.map
    }

    /// Whether a page could not be read, so that zeros were seen in its place.
    pub(crate) fn has_lost(&self) -> bool {
        self.watched.has_lost()
    }

    /// Begins to read `range` from the disk, if it is not in memory, and does not wait for that. Best effort.
    pub(crate) fn expect(&self, range: Range<usize>) {
        let end = range.end.min(self.map.len());
        let start = range.start / WINDOW * WINDOW;
        if start < end {
            let _ = self.map.advise_range(Advice::WillNeed, start, end - start);
        }
    }

    /// Gives back the memory of the windows that end in `range`. Their bytes stay valid: whoever touches
    /// them again gets them from the file. Best effort. A window that is only begun goes with the next range,
    /// so a reader that releases range after range leaves nothing behind: each time the window before is released again, since what
    /// the kernel mapped last may reach into it.
    pub(crate) fn release(&self, range: Range<usize>) {
        let start = (range.start / WINDOW).saturating_sub(1) * WINDOW;
        self.discard(start, range.end / WINDOW * WINDOW);
    }

    /// Gives back the memory of all windows that `range` touches and of those beside it: after a look at something that nobody
    /// looks at again soon.
    pub(crate) fn release_touched(&self, range: Range<usize>) {
        let start = (range.start / WINDOW).saturating_sub(1) * WINDOW;
        self.discard(start, (range.end / WINDOW).saturating_add(2) * WINDOW);
    }

    fn discard(&self, start: usize, end: usize) {
        let end = end.min(self.map.len());
        if start < end {
            // SAFETY: DONTNEED on a read-only mapping of a file discards nothing that is not in the file, so
            // slices of it keep their contents; that the file does not change is what `new` relies on too.
            let _ = unsafe {
                self.map
                    .unchecked_advise_range(UncheckedAdvice::DontNeed, start, end - start)
            };
        }
    }
}
