//! The master's own time, which stands still while the master does.
//!
//! Leases are judged by this clock alone. If the owner task was held up (a stopped process, a paused
//! virtual machine, a starved machine), workers could not be heard meanwhile, so their silence proves
//! nothing: the time lost is taken out, and every lease is longer by it, once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mapfold_scheduler::Moment;
use tokio::time::Instant;

/// Counts from the start of the master; clones share the count.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    start: Instant,
    lost_ns: Arc<AtomicU64>,
}

impl Clock {
    /// Starts at zero.
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            lost_ns: Arc::default(),
        }
    }

    /// The present.
    pub(crate) fn now(&self) -> Moment {
        Moment(self.start.elapsed().saturating_sub(self.lost()))
    }

    /// When the clock will show `moment`, if no more time is lost until then.
    pub(crate) fn instant(&self, moment: Moment) -> Instant {
        self.start + moment.0 + self.lost()
    }

    /// Takes `lost` out of the count. The clock may so show an earlier time than before; whoever needs
    /// it to grow must see to that.
    pub(crate) fn forgive(&self, lost: Duration) {
        let lost = u64::try_from(lost.as_nanos()).unwrap_or(u64::MAX);
        self.lost_ns.fetch_add(lost, Ordering::Relaxed);
    }

    fn lost(&self) -> Duration {
        Duration::from_nanos(self.lost_ns.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lost_time_is_not_counted() {
        let clock = Clock::new();
        tokio::time::advance(Duration::from_secs(10)).await;
        clock.forgive(Duration::from_secs(7));
        assert_eq!(clock.now(), Moment(Duration::from_secs(3)));
        let later = clock.instant(Moment(Duration::from_secs(5)));
        assert_eq!(later - Instant::now(), Duration::from_secs(2));
    }
}
