//! How often and for how long one fetch is tried, and how long it waits in between.

use std::thread;
use std::time::{Duration, Instant};

use mapfold_protocol::Backoff;

/// Tries in a row, none of which brought a byte, after which a holder is unreachable. With refused
/// connections that is below 0.4 s; with a silent holder four times [`STALL_MAX`](super::transfer::STALL_MAX).
const TRIES_MAX: u32 = 4;
const RETRY_BASE: Duration = Duration::from_millis(50);
const RETRY_CAP: Duration = Duration::from_millis(400);

/// How long a holder may say that it is busy, in a row. Being busy is never a reason to run its map tasks again.
pub(super) const BUSY_MAX: Duration = Duration::from_secs(30);

/// Failed tries since the last that brought something.
pub(super) struct Tries {
    failed: u32,
    busy_since: Option<Instant>,
    backoff: Backoff,
}

impl Tries {
    pub(super) const fn new() -> Self {
        Self {
            failed: 0,
            busy_since: None,
            backoff: Backoff::new(RETRY_BASE, RETRY_CAP),
        }
    }

    /// Waits before the next try; false if there have been enough.
    pub(super) fn again(&mut self) -> bool {
        self.failed += 1;
        if self.failed >= TRIES_MAX {
            return false;
        }
        thread::sleep(self.backoff.wait());
        true
    }

    /// The same after a holder said that it is busy.
    pub(super) fn again_busy(&mut self) -> bool {
        if self.busy_since.get_or_insert_with(Instant::now).elapsed() > BUSY_MAX {
            return false;
        }
        thread::sleep(self.backoff.wait());
        true
    }
}
