//! How fast a phase goes and how long it may still take.

use std::collections::VecDeque;
use std::time::Duration;

use mapfold_terms::ByteSize;

/// Bytes handled over time. The rate is that of the last seconds, so a stall shows soon.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    samples: VecDeque<(Duration, u64)>,
}

impl Meter {
    /// Long enough to smooth the steps in which tasks report, short enough to follow a change.
    const WINDOW: Duration = Duration::from_secs(8);
    /// A rate over less time than this is noise.
    const SPAN_MIN: Duration = Duration::from_millis(300);

    /// Notes that `bytes` were handled in all by the time `now`; both never decrease but for lost tasks.
    pub(crate) fn record(&mut self, now: Duration, bytes: u64) {
        self.samples.push_back((now, bytes));
        while self.samples.len() > 2 && self.samples[1].0 + Self::WINDOW < now {
            self.samples.pop_front();
        }
    }

    /// Bytes a second; `None` while too little is known, or if nothing moves.
    pub(crate) fn rate(&self) -> Option<f64> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let span = last.0.saturating_sub(first.0);
        let bytes = last.1.saturating_sub(first.1);
        (span >= Self::SPAN_MIN && bytes > 0).then(|| per_second(bytes, span))
    }

    /// The time that `bytes` more will take at the present rate.
    pub(crate) fn left(&self, bytes: u64) -> Option<Duration> {
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let seconds = bytes as f64 / self.rate()?;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

/// `301 MiB/s`.
pub(crate) fn show_rate(bytes_per_second: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rates are positive, and saturating is fine"
    )]
    let whole = bytes_per_second as u64;
    format!("{}/s", ByteSize(whole))
}

/// Bytes a second; zero for no time at all.
pub(crate) fn per_second(bytes: u64, time: Duration) -> f64 {
    if time.is_zero() {
        return 0.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let bytes = bytes as f64;
    bytes / time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut meter = Meter::default();
        assert_eq!(meter.rate(), None);
        for second in 0..20 {
            meter.record(Duration::from_secs(second), second * 100);
        }
        assert_eq!(meter.rate(), Some(100.0));
        assert_eq!(meter.left(1000), Some(Duration::from_secs(10)));
        for second in 20..40 {
            meter.record(Duration::from_secs(second), 1900);
        }
        assert_eq!(meter.rate(), None);
        assert_eq!(meter.left(1000), None);
    }

    #[test]
    fn rates_print_in_bytes_a_second() {
        assert_eq!(
            show_rate(per_second(301 << 21, Duration::from_secs(2))),
            "301 MiB/s"
        );
        assert_eq!(per_second(5, Duration::ZERO).to_string(), "0");
    }
}
