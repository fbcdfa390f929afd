//! Which partition a key belongs to.
//!
//! The hash is part of the run format and of what users may rely on: XXH3-64 of the encoded key with
//! the seed [`KEY_SEED`], on every machine and in every version. A partition is a *range* of hashes,
//! so that whatever is ordered by hash is ordered by partition too.

use mapfold_terms::PartitionId;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Seed of the key hash: the ASCII bytes `mapfold1`, read as a big-endian number.
pub const KEY_SEED: u64 = 0x6d61_7066_6f6c_6431;

/// The hash of an encoded key.
#[inline]
pub fn key_hash(key: &[u8]) -> u64 {
    xxh3_64_with_seed(key, KEY_SEED)
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
