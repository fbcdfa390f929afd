//! Random ranks by the law of Zipf and Mandelbrot: rank 0 is the most frequent.
//!
//! Neighbours in rank, rare ones most of all, are about as frequent as each other. So a group of them is drawn by weight, and
//! one of the group by chance. The tables stay in the first-level cache, where a weight for each of millions of ranks
//! costs a cache miss each time.

use super::random::Random;
use super::weighted::Weighted;

/// Ranks below so many are groups by themselves; then each group has so many less ranks than there are before it, which
/// differ in frequency by less than two percent.
const SINGLE: u32 = 64;

/// Ranks, each as likely as 1 / (rank + 2.7), to within one percent.
#[derive(Debug)]
pub(super) struct Ranks {
    groups: Weighted,
    spans: Vec<Span>,
}

/// The ranks of a group.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: u32,
    count: u32,
}

impl Ranks {
    /// The exponent is 1, since other powers are not the same on all machines. There is at least one rank.
    pub(super) fn zipf(count: u32) -> Self {
        /// Keeps five digits for the rarest of millions, and sums within 64 bits.
        const SCALE: u64 = 1 << 40;
        let (mut spans, mut weights) = (Vec::new(), Vec::new());
        let mut first = 0;
        while first < count {
            let last = (first + first / SINGLE).min(count - 1);
            let ranks = first..=last;
            weights.push(ranks.map(|rank| SCALE / (10 * u64::from(rank) + 27)).sum());
            spans.push(Span {
                first,
                count: last - first + 1,
            });
            first = last + 1;
        }
        Self {
            groups: Weighted::new(&weights),
            spans,
        }
    }

    /// A rank.
    #[inline]
    pub(super) fn draw(&self, random: &mut Random) -> u32 {
        let Span { first, count } = self.spans[self.groups.draw(random) as usize];
        first + random.below(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_as_frequent_as_the_law_has_it() {
        const DRAWS: u32 = 400_000;
        const COUNT: u32 = 10_000;
        let ranks = Ranks::zipf(COUNT);
        let mut random = Random::new(7, 0);
        let mut seen = vec![0_u32; COUNT as usize];
        for _ in 0..DRAWS {
            seen[ranks.draw(&mut random) as usize] += 1;
        }
        let weight = |rank: u32| 1.0 / (f64::from(rank) + 2.7);
        let all: f64 = (0..COUNT).map(weight).sum();
        for (from, to) in [
            (0, 1),
            (1, 2),
            (60, 80),
            (600, 700),
            (5_000, 5_100),
            (9_000, COUNT),
        ] {
            let want = (from..to).map(weight).sum::<f64>() / all * f64::from(DRAWS);
            let got: u32 = seen[from as usize..to as usize].iter().sum();
            let off = (f64::from(got) - want).abs();
            assert!(
                off < 5.0 * want.sqrt() + want / 100.0,
                "{from}..{to}: {got}, not {want}"
            );
        }
    }
}
