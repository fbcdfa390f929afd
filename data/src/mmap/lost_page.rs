//! A page of a mapped file that the disk does not give.
//!
//! Who touches one (a bad sector; a file that somebody has cut) gets SIGBUS, which ends the process: one bad sector would take the
//! worker along, with all its other work. So a handler puts a page of zeros there instead and notes that; the reader, which
//! asks after each block ([`Mapped::has_lost`](super::Mapped::has_lost)), then reports the run as damaged like any other. libwayland does the same for memory that is shared
//! with clients (`wl_shm_buffer_begin_access`).
//!
//! Only maps of ours are looked after; any other SIGBUS goes to whoever handled it before.

#[cfg(target_os = "linux")]
pub(super) use linux::Watched;
#[cfg(not(target_os = "linux"))]
pub(super) use nowhere::Watched;

#[cfg(target_os = "linux")]
mod linux {
    use std::mem::transmute;
    use std::ptr;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use libc::{c_int, c_void, siginfo_t};

    /// As many maps as a process may have (`vm.max_map_count`, unless it was raised). A map beyond them is not looked after.
    const MAPS_MAX: usize = 1 << 16;

    /// Addresses of the maps that are looked after. A handler may neither lock nor allocate, so it is an array of a fixed size.
    static MAPS: [Range; MAPS_MAX] = [const { Range::new() }; MAPS_MAX];

    /// Where the search for a place in [`MAPS`] begins.
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    /// What there was before the handler, and the size of a page.
    static BEFORE: OnceLock<(libc::sigaction, usize)> = OnceLock::new();

    /// Two addresses; both 0 if the place is free.
    struct Range {
        start: AtomicUsize,
        end: AtomicUsize,
        has_lost: AtomicBool,
    }

    impl Range {
        const fn new() -> Self {
            Self {
                start: AtomicUsize::new(0),
                end: AtomicUsize::new(0),
                has_lost: AtomicBool::new(false),
            }
        }

        fn holds(&self, address: usize) -> bool {
            // The end is set last and goes first.
            let end = self.end.load(Ordering::Acquire);
            address < end && self.start.load(Ordering::Acquire) <= address
        }
    }

    /// A map that is looked after as long as this lives.
    #[derive(Debug)]
    pub(in super::super) struct Watched {
        place: Option<usize>,
    }

    impl Watched {
        /// Looks after a map. It must not be unmapped before this is dropped.
        pub(in super::super) fn new(map: &[u8]) -> Self {
            handle();
            let range = map.as_ptr_range();
            let (start, end) = (range.start.addr(), range.end.addr());
            let first = NEXT.fetch_add(1, Ordering::Relaxed);
            let mut places = (0..MAPS_MAX).map(|step| first.wrapping_add(step) % MAPS_MAX);
            let place = places.find(|place| {
                let claimed = MAPS[*place].start.compare_exchange(
                    0,
                    start,
                    Ordering::AcqRel,
                    Ordering::Relaxed,
                );
                claimed.is_ok()
            });
            if let Some(place) = place {
                MAPS[place].has_lost.store(false, Ordering::Relaxed);
                MAPS[place].end.store(end, Ordering::Release);
            }
            Self { place }
        }

        /// Whether a page has been lost so far.
        pub(in super::super) fn has_lost(&self) -> bool {
            self.place
                .is_some_and(|place| MAPS[place].has_lost.load(Ordering::Acquire))
        }
    }

    impl Drop for Watched {
        fn drop(&mut self) {
            if let Some(place) = self.place {
                MAPS[place].end.store(0, Ordering::Release);
                MAPS[place].start.store(0, Ordering::Release);
            }
        }
    }

    /// Puts the handler in place, once a process.
    fn handle() {
        BEFORE.get_or_init(|| {
            // SAFETY: all fields of the C structure may be zero; `on_sigbus` has the signature that SA_SIGINFO wants.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                let mut before: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = on_sigbus as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(libc::SIGBUS, &raw const action, &raw mut before);
                (before, rustix::param::page_size())
            }
        });
    }

    extern "C" fn on_sigbus(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
        // A handler that runs before its own `sigaction` returned is not known yet; nothing of ours is mapped then.
        let Some((before, page)) = BEFORE.get() else {
            return;
        };
        // SAFETY: the kernel passes a valid structure, and SIGBUS has an address.
        let address = unsafe { (*info).si_addr() }.addr();
        match MAPS.iter().find(|map| map.holds(address)) {
            Some(map) => {
                // Before there are zeros: another thread may read them at once, and ask.
                map.has_lost.store(true, Ordering::Release);
                if !put_zeros(address / page * page, *page) {
                    pass_on(before, signal, info, context);
                }
            }
            None => pass_on(before, signal, info, context),
        }
    }

    /// Puts zeros over a page; whether that worked.
    fn put_zeros(page: usize, size: usize) -> bool {
        // SAFETY: the page belongs to a read-only map of ours, which is neither code nor anybody's own memory; a read of it has just
        // failed, so nobody has seen other bytes there.
        let put = unsafe {
            libc::mmap(
                ptr::with_exposed_provenance_mut(page),
                size,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        put != libc::MAP_FAILED
    }

    /// Has the signal handled as if there were no handler of ours.
    fn pass_on(
        before: &libc::sigaction,
        signal: c_int,
        info: *mut siginfo_t,
        context: *mut c_void,
    ) {
        // SAFETY: the address is that of a handler which somebody installed with these flags; what is restored was in place before.
        unsafe {
            match before.sa_sigaction {
                libc::SIG_DFL | libc::SIG_IGN => {
                    // The read is tried again and ends the process.
                    libc::sigaction(signal, before, ptr::null_mut());
                }
                handler if before.sa_flags & libc::SA_SIGINFO != 0 => {
                    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) =
                        transmute(handler);
                    handler(signal, info, context);
                }
                handler => {
                    let handler: extern "C" fn(c_int) = transmute(handler);
                    handler(signal);
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod nowhere {
    /// Nothing is looked after on this system: a lost page ends the process.
    #[derive(Debug)]
    pub(in super::super) struct Watched;

    impl Watched {
        pub(in super::super) fn new(_map: &[u8]) -> Self {
            Self
        }

        #[expect(clippy::unused_self, reason = "as where there is something to know")]
        pub(in super::super) fn has_lost(&self) -> bool {
            false
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write;

    use crate::mmap::Mapped;

    #[test]
    fn a_page_that_is_lost_reads_as_zeros() {
        let page = rustix::param::page_size();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; 3 * page]).unwrap();
        let maps: Vec<_> = (0..3).map(|_| Mapped::new(&file).unwrap()).collect();
        assert!(maps[0].as_slice().iter().all(|byte| *byte == 7));
        file.set_len(page as u64).unwrap();
        for map in &maps {
            assert!(!map.has_lost());
            let (kept, lost) = map.as_slice().split_at(page);
            assert!(kept.iter().all(|byte| *byte == 7));
            assert!(lost.iter().all(|byte| *byte == 0));
            assert!(map.has_lost());
        }
    }
}
