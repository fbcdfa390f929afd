//! Time that counts: the shell's time without the stretches in which the master itself did not run.
//!
//! When the shell's loop was late, or the machine slept, heartbeats wait unread and every worker looks
//! silent. Such a gap is recognised, because the scheduler asks to be called at short intervals while
//! it waits for anything, and does not count towards leases or any other wait. A loop that is late
//! for ever still makes time pass, one interval a call, so nothing waits without bound.

use std::time::Duration;

use crate::{Moment, Settings};

/// Turns the shell's moments into moments that count.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    last_call: Moment,
    not_counted: Duration,
}

impl Clock {
    /// Takes note of a call at `now` (never goes back) and returns the moment that counts. `watching`:
    /// whether the scheduler had asked to be called again.
    pub(crate) fn advance(&mut self, now: Moment, watching: bool, settings: &Settings) -> Moment {
        let gap = now.0.saturating_sub(self.last_call.0);
        if watching && gap > settings.gap_max() {
            self.not_counted += gap - settings.watch_every();
        }
        self.last_call = self.last_call.max(now);
        self.counted()
    }

    /// The moment of the last call, as it counts.
    pub(crate) fn counted(&self) -> Moment {
        Moment(self.last_call.0 - self.not_counted)
    }

    /// When to call next if `first` is the next thing to expire.
    pub(crate) fn next_call(&self, first: Moment, settings: &Settings) -> Moment {
        let due = first.0 + self.not_counted;
        Moment(due.min(self.last_call.0 + settings.watch_every()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    #[test]
    fn a_gap_counts_as_one_interval_and_time_never_goes_back() {
        let settings = Settings::with_lease(Duration::from_secs(1));
        let mut clock = Clock::default();
        assert_eq!(clock.advance(at(10_000), false, &settings), at(10_000));
        assert_eq!(clock.advance(at(10_500), true, &settings), at(10_500));
        assert_eq!(clock.advance(at(20_500), true, &settings), at(10_750));
        assert_eq!(clock.advance(at(20_000), true, &settings), at(10_750));
        assert_eq!(clock.advance(at(20_600), true, &settings), at(10_850));
        assert_eq!(clock.next_call(at(10_900), &settings), at(20_650));
        assert_eq!(clock.next_call(at(99_900), &settings), at(20_850));
    }
}
