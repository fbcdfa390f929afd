//! What a run held, and what a reduce attempt consumed, as numbers that can be compared.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Digest of the records of a whole run, taken where its bytes are written.
/// Equal records in equal partitions give equal digests, whatever the attempt, memory budget or codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub u128);

/// The set of runs that a reduce attempt consumed: one entry a map task, in any order.
///
/// A commutative sum of mixed entries, so the master keeps the expected value in constant time per
/// event while map tasks are won, lost and won again. Two sets that differ collide with
/// probability about 2^-128 as long as nobody chooses the digests on purpose.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct InputsDigest(u128);

impl InputsDigest {
    /// Adds the run of map task `map`.
    pub fn add(&mut self, map: u32, run: Digest) {
        self.0 = self.0.wrapping_add(mix(map, run));
    }

    /// The sum, to be kept.
    pub const fn to_bits(self) -> u128 {
        self.0
    }

    /// A sum that was kept.
    pub const fn from_bits(bits: u128) -> Self {
        Self(bits)
    }

    /// Takes out a run that was added before.
    pub fn remove(&mut self, map: u32, run: Digest) {
        self.0 = self.0.wrapping_sub(mix(map, run));
    }
}

fn mix(map: u32, run: Digest) -> u128 {
    xxh3_128_with_seed(&run.0.to_le_bytes(), u64::from(map))
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for InputsDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_remove_undoes_add() {
        let (a, b, c) = (Digest(1), Digest(2), Digest(3));
        let mut one = InputsDigest::default();
        one.add(0, a);
        one.add(1, b);
        let mut two = InputsDigest::default();
        two.add(1, b);
        two.add(0, c);
        assert_ne!(one, two);
        two.remove(0, c);
        two.add(0, a);
        assert_eq!(one, two);
    }

    #[test]
    fn which_map_task_a_run_belongs_to_matters() {
        let mut one = InputsDigest::default();
        one.add(0, Digest(1));
        one.add(1, Digest(2));
        let mut two = InputsDigest::default();
        two.add(0, Digest(2));
        two.add(1, Digest(1));
        assert_ne!(one, two);
    }
}
