//! What the hardware and the kernel are told about our memory and files. Hints change speed, never contents.
#![expect(
    unsafe_code,
    reason = "hints take the address of memory of ours, or a call that nothing else binds"
)]

use std::fs::File;
use std::ops::Range;

/// Smaller memory gains nothing by huge pages, which have 2 MiB on most machines.
const HUGE_FROM_BYTES: usize = 4 << 20;

/// Begins to load the cache line where `items[at]` begins; nothing if there is no such item, or if the processor is one that we
/// have no such hint for.
#[inline]
pub(crate) fn prefetch<T>(items: &[T], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(item) = items.get(at) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE, which has the instruction, is part of x86-64; a prefetch reads nothing that a program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, at);
}

/// Asks the kernel for huge pages under an empty vector's memory, if there is much of it. Best effort. A large table that is probed at random
/// is a quarter faster with them: a page table entry covers 512 times as much.
pub(crate) fn prefer_huge_pages<T>(empty: &mut Vec<T>) {
    let memory = empty.spare_capacity_mut();
    let bytes = size_of_val(memory);
    if bytes < HUGE_FROM_BYTES {
        return;
    }
    #[cfg(target_os = "linux")]
    {
        let page = rustix::param::page_size();
        let start = memory.as_mut_ptr().addr();
        // Whole pages that hold nothing else.
        let first = start.next_multiple_of(page);
        let length = (start + bytes - first) / page * page;
        let address = memory.as_mut_ptr().cast::<u8>().wrapping_add(first - start);
        // SAFETY: the range is within memory that `empty` owns. The advice does not touch what is in it.
        let _ = unsafe {
            rustix::mm::madvise(address.cast(), length, rustix::mm::Advice::LinuxHugepage)
        };
    }
}

/// Asks the kernel to begin to write a range of a file to its disk, and does not wait for that. Best effort. Whoever fsyncs the
/// file in the end finds most of it done, by a disk that would have been idle meanwhile.
pub(crate) fn begin_writeback(file: &File, range: Range<u64>) {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd;
        let (Ok(start), Ok(length)) = (
            i64::try_from(range.start),
            i64::try_from(range.end - range.start),
        ) else {
            return;
        };
        // SAFETY: the descriptor is open as long as `file` is borrowed; the call has no pointers and changes no contents.
        let _ = unsafe {
            libc::sync_file_range(file.as_raw_fd(), start, length, libc::SYNC_FILE_RANGE_WRITE)
        };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, range);
}
