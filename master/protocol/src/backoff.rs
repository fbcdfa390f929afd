//! How long to wait before the next try at a peer that was lost, or is not there yet.

use std::time::Duration;

/// Exponential back-off with full jitter: each wait is uniform between zero and a bound that doubles
/// (Brooker, "Exponential backoff and jitter", 2015). The first is jittered too, since all who lost a
/// peer notice at the same moment.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    tries: u32,
}

impl Backoff {
    /// Waits below `first`, then below twice as much, and so on up to `longest`.
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            tries: 0,
        }
    }

    /// The next wait. Without randomness it is the longest, which is safe.
    pub fn wait(&mut self) -> Duration {
        self.wait_at(getrandom::u64().unwrap_or(u64::MAX))
    }

    /// The peer proved to be well.
    pub const fn reset(&mut self) {
        self.tries = 0;
    }

    /// The next wait. `random` is uniform over all of `u64`.
    fn wait_at(&mut self, random: u64) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.tries.min(16));
        let bound = doubled.min(self.longest);
        self.tries = self.tries.saturating_add(1);
        let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
        let share = (u128::from(random) * u128::from(micros)) >> 64;
        Duration::from_micros(u64::try_from(share).unwrap_or(micros))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(200);
    const LONGEST: Duration = Duration::from_secs(2);

    #[test]
    fn waits_are_uniform_below_a_bound_that_doubles_up_to_a_limit() {
        let mut backoff = Backoff::new(FIRST, LONGEST);
        let longest: Vec<_> = (0..6)
            .map(|_| backoff.wait_at(u64::MAX).as_millis())
            .collect();
        assert_eq!(longest, [199, 399, 799, 1599, 1999, 1999]);
        assert_eq!(backoff.wait_at(0), Duration::ZERO);
        assert_eq!(backoff.wait_at(1 << 63), LONGEST / 2);
        backoff.reset();
        assert_eq!(backoff.wait_at(1 << 63), FIRST / 2);
    }

    #[test]
    fn many_tries_do_not_overflow() {
        let mut backoff = Backoff {
            tries: u32::MAX,
            ..Backoff::new(FIRST, LONGEST)
        };
        assert!(backoff.wait_at(u64::MAX) < LONGEST);
    }
}
