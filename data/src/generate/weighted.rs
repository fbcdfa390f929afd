//! A random index by weight, in constant time: Walker's alias method as Vose builds it (IEEE TSE 17(9),
//! 1991), in integers, so that rounding is the same everywhere.

use super::random::Random;

/// Indices, each as likely as its weight.
#[derive(Debug)]
pub(super) struct Weighted(Vec<Slot>);

/// Slots are equally likely; each is shared by its own index and one other.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The share of its own index, in parts of 2^32.
    own: u32,
    other: u32,
}

impl Weighted {
    /// There is at least one weight; their sum, times their number, is below 2^64.
    pub(super) fn new(weights: &[u64]) -> Self {
        let total: u64 = weights.iter().sum();
        let count = weights.len() as u64;
        // In units in which a full slot holds `total`.
        let mut left: Vec<u64> = weights.iter().map(|weight| weight * count).collect();
        let mut slots: Vec<Slot> = (0..)
            .zip(weights)
            .map(|(other, _)| Slot {
                own: u32::MAX,
                other,
            })
            .collect();
        let (mut poor, mut rich): (Vec<u32>, Vec<u32>) = slots
            .iter()
            .map(|slot| slot.other)
            .partition(|&at| left[at as usize] < total);
        while let (Some(&giver), Some(taker)) = (rich.last(), poor.pop()) {
            let has = left[taker as usize];
            slots[taker as usize] = Slot {
                own: share(has, total),
                other: giver,
            };
            let rest = &mut left[giver as usize];
            *rest -= total - has;
            if *rest < total {
                rich.pop();
                poor.push(giver);
            }
        }
        Self(slots)
    }

    /// An index. Two numbers, no branch: the loads of several calls overlap.
    #[inline]
    pub(super) fn draw(&self, random: &mut Random) -> u32 {
        let number = random.next();
        let at = (((number >> 32) * self.0.len() as u64) >> 32) as u32;
        let slot = self.0[at as usize];
        if number & 0xffff_ffff < u64::from(slot.own) {
            at
        } else {
            slot.other
        }
    }
}

/// `part / whole` in parts of 2^32, for a part below the whole.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a fraction of 2^32 is below it"
)]
fn share(part: u64, whole: u64) -> u32 {
    ((u128::from(part) << 32) / u128::from(whole)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_as_frequent_as_their_weights() {
        const DRAWS: u64 = 100_000;
        let weights = [1, 0, 3, 6, 90];
        let weighted = Weighted::new(&weights);
        let mut random = Random::new(7, 0);
        let mut seen = [0_u64; 5];
        for _ in 0..DRAWS {
            seen[weighted.draw(&mut random) as usize] += 1;
        }
        for (seen, weight) in seen.into_iter().zip(weights) {
            let want = DRAWS * weight / 100;
            assert!(seen.abs_diff(want) <= want / 5, "{seen} of weight {weight}");
        }
    }
}
