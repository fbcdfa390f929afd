//! How long to wait before the next try to connect.

use std::time::Duration;

/// Bound of the first wait. Five hundred workers that lose their master at once come back spread
/// over this time, not in one instant.
const FIRST: Duration = Duration::from_millis(200);

/// Bound of every wait; well below a lease, so that a heartbeat gets several tries within one.
const LONGEST: Duration = Duration::from_secs(2);

/// Exponential back-off with full jitter: each wait is uniform between zero and a bound that doubles
/// (Brooker, "Exponential backoff and jitter", 2015).
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    tries: u32,
}

impl Backoff {
    /// The next wait. `random` is uniform over all of `u64`.
    pub(crate) fn next(&mut self, random: u64) -> Duration {
        let bound = FIRST.saturating_mul(1 << self.tries.min(16)).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        let share = (u128::from(random) * u128::from(micros)) >> 64;
        Duration::from_micros(u64::try_from(share).unwrap_or(micros))
    }

    /// The peer proved to be well.
    pub(crate) fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_uniform_below_a_bound_that_doubles_up_to_a_limit() {
        let mut backoff = Backoff::default();
        let longest: Vec<_> = (0..6).map(|_| backoff.next(u64::MAX).as_millis()).collect();
        assert_eq!(longest, [199, 399, 799, 1599, 1999, 1999]);
        assert_eq!(backoff.next(0), Duration::ZERO);
        assert_eq!(backoff.next(1 << 63), LONGEST / 2);
        backoff.reset();
        assert_eq!(backoff.next(1 << 63), FIRST / 2);
    }

    #[test]
    fn many_tries_do_not_overflow() {
        let mut backoff = Backoff { tries: u32::MAX };
        assert!(backoff.next(u64::MAX) < LONGEST);
    }
}
