//! How long the attempts of one phase take that win.
//!
//! The median is read off a histogram whose buckets are an eighth of a power of two wide, so it costs the same for ten tasks and for
//! a million, and is wrong by an eighth at most.

use std::time::Duration;

/// Buckets to each doubling of the time, as a power of two.
const FINE_BITS: u32 = 3;
/// Up to 2^40 µs, twelve days; what takes longer is counted there.
const BUCKETS: usize = 40 << FINE_BITS;

/// Times of won attempts, and how much they had to do.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// By bucket; made when first needed.
    counts: Vec<u32>,
    won: u64,
    bytes: u128,
}

impl Pace {
    /// An attempt won `took` after it was ordered, with `bytes` to do.
    pub(crate) fn won(&mut self, took: Duration, bytes: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS];
        }
        self.counts[bucket(took)] += 1;
        self.won += 1;
        self.bytes += u128::from(bytes);
    }

    /// How long a new attempt at a task of `bytes` may take: the median, and for a task that is larger than the average (of those whose
    /// size is known) as many times that. `None` until one has won. Cost: the buckets.
    pub(crate) fn expected(&self, bytes: u64) -> Option<Duration> {
        let median = self.median()?;
        let average = self.bytes / u128::from(self.won);
        if average == 0 || u128::from(bytes) <= average {
            return Some(median);
        }
        let nanos = median.as_nanos().saturating_mul(u128::from(bytes)) / average;
        Some(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }

    fn median(&self) -> Option<Duration> {
        let mut left = self.won.div_ceil(2);
        let found = self.counts.iter().position(|count| {
            left = left.saturating_sub(u64::from(*count));
            left == 0
        });
        found.filter(|_| self.won > 0).map(middle)
    }
}

/// Which bucket a time falls into: as many as its power of two and the three bits below that tell.
fn bucket(took: Duration) -> usize {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    let power = micros.ilog2();
    let fine = match power.checked_sub(FINE_BITS) {
        Some(shift) => micros >> shift,
        None => micros << (FINE_BITS - power),
    };
    let fine = usize::try_from(fine).unwrap_or(0) - (1 << FINE_BITS);
    ((power as usize) << FINE_BITS | fine).min(BUCKETS - 1)
}

/// The middle of a bucket.
fn middle(bucket: usize) -> Duration {
    let (power, fine) = (bucket >> FINE_BITS, bucket & ((1 << FINE_BITS) - 1));
    // In sixteenths: the eighth, and half of one more.
    let sixteenths = ((1 << FINE_BITS | fine) as u64) * 2 + 1;
    Duration::from_nanos(((sixteenths << power) * 1000) >> (FINE_BITS + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_right_to_an_eighth() {
        for micros in [1, 2, 7, 8, 9, 100, 999, 12_345, 5_000_000, 3_600_000_000] {
            let mut pace = Pace::default();
            assert_eq!(pace.expected(0), None);
            let took = Duration::from_micros(micros);
            pace.won(took / 4, 0);
            pace.won(took, 0);
            pace.won(took, 0);
            pace.won(took * 100, 0);
            let got = pace.expected(0).unwrap();
            assert!(
                got >= took * 7 / 8 && got <= took * 5 / 4,
                "{got:?} for {took:?}"
            );
        }
        let mut pace = Pace::default();
        pace.won(Duration::MAX, 0);
        assert!(pace.expected(0).unwrap() > Duration::from_secs(600_000));
    }

    #[test]
    fn a_task_that_is_larger_than_the_average_may_take_longer() {
        let mut pace = Pace::default();
        pace.won(Duration::from_secs(8), 100);
        pace.won(Duration::from_secs(8), 300);
        let usual = pace.expected(0).unwrap();
        assert_eq!(pace.expected(200), Some(usual));
        assert_eq!(pace.expected(600), Some(usual * 3));
    }
}
