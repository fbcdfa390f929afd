//! The master's own time, on the runtime's monotonic clock.

use mapfold_scheduler::Moment;
use tokio::time::Instant;

/// Counts from the start of the master.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts at zero.
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// The present.
    pub(crate) fn now(self) -> Moment {
        Moment(self.start.elapsed())
    }

    /// When the clock will show `moment`.
    pub(crate) fn instant(self, moment: Moment) -> Instant {
        self.start + moment.0
    }
}
