//! How long to wait before the next try: exponential growth with full jitter, so that many workers
//! that lost the same peer do not come back in step.

use std::time::Duration;

/// Delays for one series of tries.
#[derive(Debug)]
pub(crate) struct Backoff {
    base: Duration,
    cap: Duration,
    tries: u32,
}

impl Backoff {
    /// A series whose n-th delay is uniform in `0..min(cap, base * 2^n)`. The first one is jittered too:
    /// all who lost a peer notice at the same moment.
    pub(crate) const fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            tries: 0,
        }
    }

    /// The next delay.
    pub(crate) fn delay(&mut self) -> Duration {
        let limit = self
            .base
            .saturating_mul(1 << self.tries.min(20))
            .min(self.cap);
        self.tries = self.tries.saturating_add(1);
        limit.mul_f64(fraction())
    }
}

/// A random number in `0.0..1.0`; a half when the system has no randomness to give.
fn fraction() -> f64 {
    let mut bytes = [0_u8; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0),
        Err(_) => 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_below_their_growing_limit() {
        let (base, cap) = (Duration::from_millis(10), Duration::from_millis(100));
        let mut backoff = Backoff::new(base, cap);
        for tries in 0..100 {
            let limit = base.saturating_mul(1 << tries.min(10)).min(cap);
            assert!(backoff.delay() < limit, "try {tries}");
        }
    }
}
