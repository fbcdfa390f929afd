//! Which partition a key belongs to.
//!
//! The hash is part of the run format and of what users may rely on: the same on every machine and in every
//! version. A partition is a *range* of hashes, so that whatever is ordered by hash is ordered by partition too. A job whose
//! part files follow each other in order has ranges of keys instead.
//!
//! Keys of up to 15 bytes, most keys by far, hash without a branch on their length and without a look at memory once they are
//! packed (`packed_key.rs`): two rounds of the widening multiplication that wyhash is made of
//! (<https://github.com/wangyi-fudan/wyhash>), on the two integers of the packed key. Longer keys hash by XXH3-64, with all bits of the lowest byte set.

use mapfold_terms::{Boundaries, PartitionId, Partitioning};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::merge::key_prefix;
use crate::packed_key::PackedKey;

/// Seed of the hash of long keys: the ASCII bytes `mapfold1`, read as a big-endian number.
pub const KEY_SEED: u64 = 0x6d61_7066_6f6c_6431;

/// What short keys are mixed with: the first 256 bits of the fraction of pi.
const PI: [u64; 4] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
];

/// The hash of an encoded key.
#[inline]
pub fn key_hash(key: &[u8]) -> u64 {
    match PackedKey::new(key) {
        Some(packed) => packed.hash(),
        None => long_key_hash(key),
    }
}

/// The hash of an encoded key that is too long to be packed. Its lowest byte is 0xFF, which no packed key has in that place, so
/// that a slot of a table can hold one or the other.
pub(crate) fn long_key_hash(key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, KEY_SEED) | 0xFF
}

/// The hash of a short key as two integers.
#[inline]
pub(crate) fn mix(high: u64, low: u64) -> u64 {
    let once = fold_multiply(high ^ PI[0], low ^ PI[1]);
    fold_multiply(once ^ PI[2], PI[3] ^ low)
}

/// Both halves of the product, one over the other.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves are what is wanted"
)]
fn fold_multiply(one: u64, two: u64) -> u64 {
    let product = u128::from(one) * u128::from(two);
    product as u64 ^ (product >> 64) as u64
}

/// The partition, of `partitions`, whose range of hashes holds `hash`.
#[inline]
pub fn partition_of_hash(hash: u64, partitions: u32) -> PartitionId {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a 64-bit fraction of a u32 is below that u32"
    )]
    PartitionId(((u128::from(hash) * u128::from(partitions)) >> 64) as u32)
}

/// The partition, of `partitions`, that owns `key`.
#[inline]
pub fn partition_of(key: &[u8], partitions: u32) -> PartitionId {
    partition_of_hash(key_hash(key), partitions)
}

/// Tells the partition of each key of an attempt.
#[derive(Clone, Debug)]
pub enum Partitioner {
    /// By hash, over so many partitions.
    Hash(u32),
    /// By ranges of keys.
    Ranges(Ranges),
}

impl Partitioner {
    /// One for `partitions` partitions.
    pub fn new(partitioning: &Partitioning, partitions: u32) -> Self {
        match partitioning {
            Partitioning::Hash => Self::Hash(partitions),
            Partitioning::Ranges(boundaries) => Self::Ranges(Ranges::new(boundaries, partitions)),
        }
    }

    /// The partition that owns `key`.
    #[inline]
    pub fn of(&self, key: &[u8]) -> PartitionId {
        match self {
            Self::Hash(partitions) => partition_of(key, *partitions),
            Self::Ranges(ranges) => ranges.of(key),
        }
    }
}

/// Boundaries, laid out for the search: the first eight bytes of each lie side by side and decide nearly always.
#[derive(Clone, Debug)]
pub struct Ranges {
    prefixes: Vec<u64>,
    boundaries: Vec<Box<[u8]>>,
}

impl Ranges {
    fn new(boundaries: &Boundaries, partitions: u32) -> Self {
        let inner = partitions.saturating_sub(1) as usize;
        let boundaries: Vec<Box<[u8]>> = boundaries.iter().take(inner).map(Box::from).collect();
        Self {
            prefixes: boundaries.iter().map(|one| key_prefix(one)).collect(),
            boundaries,
        }
    }

    /// The number of boundaries up to `key`.
    #[inline]
    fn of(&self, key: &[u8]) -> PartitionId {
        let prefix = key_prefix(key);
        let mut at = self.prefixes.partition_point(|one| *one < prefix);
        if self.prefixes.get(at) == Some(&prefix) {
            at += self.boundaries[at..].partition_point(|one| **one <= *key);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "there are fewer boundaries than partitions"
        )]
        PartitionId(at as u32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_range_of_a_key_begins_at_the_last_boundary_up_to_it(
            mut boundaries in vec(vec(prop_oneof![Just(0_u8), any::<u8>()], 0..12), 0..20),
            key in vec(prop_oneof![Just(0_u8), any::<u8>()], 0..12),
            pick in any::<proptest::sample::Index>(),
            partitions in 1..30_u32,
        ) {
            boundaries.sort();
            let list: Boundaries = boundaries.iter().map(Vec::as_slice).collect();
            let partitioner = Partitioner::new(&Partitioning::Ranges(list), partitions);
            boundaries.truncate(partitions as usize - 1);
            let mut keys = vec![key];
            if !boundaries.is_empty() {
                keys.push(pick.get(&boundaries).clone());
            }
            for key in keys {
                let want = boundaries.iter().filter(|one| **one <= key).count();
                prop_assert_eq!(partitioner.of(&key).0 as usize, want);
            }
        }
    }

    #[test]
    fn the_hash_is_the_one_that_others_compute() {
        // From the reference implementation of XXH3: the empty input, seed 0.
        assert_eq!(xxh3_64_with_seed(b"", 0), 0x2d06_8005_38d3_94c2);
    }

    #[test]
    fn partitions_of_known_keys_never_change() {
        for (key, hash, of_10) in [
            (&b""[..], 0x672a_b6f0_4c29_2279, 4),
            (b"a", 0x11dd_a2d4_6eb3_8433, 0),
            (b"the", 0xcd21_5246_6f24_2151, 8),
            (b"Alice", 0xbaf3_4b1e_224e_35ba, 7),
            (b"fifteen letters", 0x4f0f_97c2_87e3_36b5, 3),
            (
                b"a key of more than sixteen bytes",
                0x064a_424c_331d_85ff,
                0,
            ),
            (&[0xff; 300], 0x4f25_a5ed_470a_31ff, 3),
        ] {
            let got = (key_hash(key), partition_of(key, 10).0);
            assert_eq!(got, (hash, of_10), "{key:?}");
        }
    }

    #[test]
    fn a_partition_is_a_range_of_hashes() {
        for (hash, partitions, want) in [
            (0, 1, 0),
            (u64::MAX, 1, 0),
            (u64::MAX, u32::MAX, u32::MAX - 1),
            (u64::MAX / 2, 2, 0),
            (u64::MAX / 2 + 1, 2, 1),
        ] {
            assert_eq!(partition_of_hash(hash, partitions), PartitionId(want));
        }
    }

    #[track_caller]
    fn check_sizes(keys: impl Iterator<Item = Vec<u8>>) {
        let mut sizes = [0_u32; 10];
        for key in keys.take(10_000) {
            let PartitionId(partition) = partition_of(&key, 10);
            sizes[usize::try_from(partition).unwrap()] += 1;
        }
        assert!(
            sizes.iter().all(|size| (850..1150).contains(size)),
            "{sizes:?}"
        );
    }

    #[test]
    fn partitions_are_of_about_equal_size_however_keys_resemble_each_other() {
        check_sizes((0_u32..).map(|n| n.to_be_bytes().to_vec()));
        check_sizes((0_u64..).map(|n| n.to_be_bytes().to_vec()));
        check_sizes((0_u64..).map(|n| (n << 40).to_be_bytes().to_vec()));
        check_sizes((0_u64..).map(|n| n.to_string().into_bytes()));
        check_sizes((0_u64..).map(|n| format!("user-{n:010}").into_bytes()));
        check_sizes((0_u64..).map(|n| format!("{n:05}/2026-11").into_bytes()));
        check_sizes((0_u64..).map(|n| format!("a key that is longer: {n}").into_bytes()));
    }

    /// Each bit of a key decides half of the bits of its hash, whichever they are.
    #[test]
    fn each_bit_of_a_key_counts() {
        for bit in 0..15 * 8 {
            let mut flips = [0_u32; 64];
            for n in 0..500_u64 {
                let mut key = [n.to_be_bytes(), (n * n * n).to_be_bytes()].concat();
                key.truncate(15);
                let before = key_hash(&key);
                key[bit / 8] ^= 1 << (bit % 8);
                let changed = before ^ key_hash(&key);
                for (at, flips) in flips.iter_mut().enumerate() {
                    *flips += u32::from(changed >> at & 1 == 1);
                }
            }
            assert!(
                flips.iter().all(|flips| (125..375).contains(flips)),
                "bit {bit}: {flips:?}"
            );
        }
    }
}
