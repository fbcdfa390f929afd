//! One slot of the fold table.

use std::num::NonZeroU64;

use super::arena::Arena;
use crate::key_bytes::KeyBytes;
use crate::merge::key_prefix;
use crate::packed_key::PackedKey;

/// A key and its accumulator. `Option<Slot<u64>>` has 24 bytes.
///
/// ```text
///         a packed key          a longer one
/// high    its first integer     where it is in the arena
/// low     its second integer    its hash, whose lowest byte is 0xFF, which that of no packed key is
/// ```
#[derive(Debug)]
pub(super) struct Slot<A> {
    high: u64,
    low: NonZeroU64,
    pub(super) acc: A,
}

/// What tells a long key: a packed one has a smaller number in that byte, made of its length.
const LONG: u64 = 0xFF;

impl<A> Slot<A> {
    #[inline]
    pub(super) fn packed(key: PackedKey, acc: A) -> Self {
        Self {
            high: key.high(),
            low: key.low(),
            acc,
        }
    }

    pub(super) fn long(at: usize, hash: u64, acc: A) -> Self {
        Self {
            high: at as u64,
            low: NonZeroU64::MIN | hash,
            acc,
        }
    }

    /// Whether it holds this key.
    #[inline]
    pub(super) fn is_packed(&self, key: PackedKey) -> bool {
        self.high == key.high() && self.low == key.low()
    }

    /// Whether it holds this key, which is too long to be packed.
    #[inline]
    pub(super) fn is_long(&self, hash: u64, key: &[u8], arena: &Arena) -> bool {
        self.low.get() == hash && arena.key(self.arena_at()) == key
    }

    /// The key.
    #[inline]
    pub(super) fn key<'a>(&self, arena: &'a Arena) -> KeyBytes<'a> {
        if self.has_long_key() {
            arena.key(self.arena_at()).into()
        } else {
            PackedKey::from_parts(self.high, self.low).bytes().into()
        }
    }

    /// The first eight bytes of the key, as [`key_prefix`] has them.
    #[inline]
    pub(super) fn prefix(&self, arena: &Arena) -> u64 {
        if self.has_long_key() {
            key_prefix(arena.key(self.arena_at()))
        } else {
            self.high
        }
    }

    /// The hash of the key.
    #[inline]
    pub(super) fn hash(&self) -> u64 {
        if self.has_long_key() {
            self.low.get()
        } else {
            PackedKey::from_parts(self.high, self.low).hash()
        }
    }

    #[inline]
    fn has_long_key(&self) -> bool {
        self.low.get() & LONG == LONG
    }

    fn arena_at(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it was a usize when it was stored"
        )]
        {
            self.high as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_and_its_key_take_24_bytes() {
        assert_eq!(size_of::<Option<Slot<u64>>>(), 24);
    }
}
