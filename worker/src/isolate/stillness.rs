//! How long a child has stood still.

use std::time::{Duration, Instant};

use super::child::{Heard, SlotChild};

/// A look counts for so much at most: a machine that slept, or a worker that was stopped, listened to nobody.
const LOOK_MAX: Duration = Duration::from_secs(1);

/// The time since something was last heard, as far as it was listened for.
#[derive(Debug)]
pub(super) struct Stillness {
    /// It is over after so long; never, if there is no such time.
    max: Option<Duration>,
    still: Duration,
    looked: Instant,
}

impl Stillness {
    /// Begins now.
    pub(super) fn new(max: Option<Duration>) -> Self {
        Self {
            max,
            still: Duration::ZERO,
            looked: Instant::now(),
        }
    }

    /// Listens to a child; news of it begin the time anew.
    pub(super) fn listen(&mut self, child: &SlotChild) -> Heard {
        let heard = child.hear();
        if matches!(heard, Heard::News(_)) {
            *self = Self::new(self.max);
        }
        heard
    }

    /// Looks at the clock, many times a second: whether it has lasted too long.
    pub(super) fn is_over(&mut self) -> bool {
        self.is_over_at(Instant::now())
    }

    fn is_over_at(&mut self, now: Instant) -> bool {
        self.still += now.duration_since(self.looked).min(LOOK_MAX);
        self.looked = now;
        self.max.is_some_and(|max| self.still > max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_nobody_listened_does_not_count() {
        let mut stillness = Stillness::new(Some(Duration::from_secs(3)));
        let mut now = stillness.looked;
        let mut after = |seconds: u64| {
            now += Duration::from_secs(seconds);
            stillness.is_over_at(now)
        };
        assert!(!after(1) && !after(3600) && !after(1) && after(1));
        let mut never = Stillness::new(None);
        assert!(!never.is_over_at(never.looked + Duration::from_secs(9)));
    }
}
