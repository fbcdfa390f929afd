//! One slot of the fold table.

use std::cmp::Ordering;
use std::num::NonZeroU32;
use std::ops::Deref;

use crate::merge::key_prefix;
use crate::partition::key_hash;

/// A key and its accumulator. `Option<Slot<u64>>` has 32 bytes, two to a cache line.
#[derive(Debug)]
pub(super) struct Slot<A> {
    key: Key,
    pub(super) acc: A,
}

/// What a slot knows of its key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Up to 16 bytes: the first eight, big-endian, filled up with zeros. Else the offset in the arena.
    high: u64,
    /// Up to 16 bytes: the other eight. Else the hash.
    low: u64,
    /// Length and one, so that an `Option` needs no room of its own.
    len_and_one: NonZeroU32,
    /// The low half of the hash, which chooses the slot.
    low_half: u32,
}

/// A key that fits into a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InlineKey {
    high: u64,
    low: u64,
    len_and_one: NonZeroU32,
}

/// A key as bytes, wherever it was.
pub(super) enum KeyBytes<'a> {
    Inline([u8; INLINE_MAX], usize),
    Long(&'a [u8]),
}

const INLINE_MAX: usize = 16;

impl InlineKey {
    /// Reads the key as at most two integers that may overlap, since copying a number of bytes that is not
    /// known beforehand costs a call.
    #[inline]
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        let len = key.len();
        let (high, low) = match len {
            0 => (0, 0),
            1..4 => {
                let (first, middle, last) = (key[0], key[len / 2], key[len - 1]);
                // Bytes that are the same one land on the same place.
                let middle = u64::from(middle) << (56 - 8 * (len / 2));
                let last = u64::from(last) << (56 - 8 * (len - 1));
                (u64::from(first) << 56 | middle | last, 0)
            }
            4..8 => {
                let last = u64::from(u32::from_be_bytes(*key.last_chunk()?));
                let first = u64::from(u32::from_be_bytes(*key.first_chunk()?));
                (first << 32 | last << (64 - 8 * len), 0)
            }
            8 => (u64::from_be_bytes(*key.first_chunk()?), 0),
            9..=INLINE_MAX => {
                let last = u64::from_be_bytes(*key.last_chunk()?);
                let first = u64::from_be_bytes(*key.first_chunk()?);
                (first, last << (128 - 8 * len))
            }
            _ => return None,
        };
        Some(Self {
            high,
            low,
            len_and_one: len_and_one(len),
        })
    }
}

impl Key {
    #[inline]
    pub(super) fn inline(key: InlineKey, hash: u64) -> Self {
        Self {
            high: key.high,
            low: key.low,
            len_and_one: key.len_and_one,
            low_half: low_half(hash),
        }
    }

    pub(super) fn long(offset: usize, len: usize, hash: u64) -> Self {
        Self {
            high: offset as u64,
            low: hash,
            len_and_one: len_and_one(len),
            low_half: low_half(hash),
        }
    }
}

impl<A> Slot<A> {
    #[inline]
    pub(super) fn new(key: Key, acc: A) -> Self {
        Self { key, acc }
    }

    /// Whether it holds this key.
    #[inline]
    pub(super) fn is_inline(&self, key: InlineKey) -> bool {
        let own = self.key;
        own.high == key.high && own.low == key.low && own.len_and_one == key.len_and_one
    }

    /// Whether it holds this key, which has more than 16 bytes.
    #[inline]
    pub(super) fn is_long(&self, hash: u64, key: &[u8], arena: &[u8]) -> bool {
        self.key.low == hash && self.len() == key.len() && *self.key(arena) == *key
    }

    /// The key.
    #[inline]
    pub(super) fn key<'a>(&self, arena: &'a [u8]) -> KeyBytes<'a> {
        if self.len() > INLINE_MAX {
            return KeyBytes::Long(&arena[self.arena_offset()..][..self.len()]);
        }
        let both = u128::from(self.key.high) << 64 | u128::from(self.key.low);
        KeyBytes::Inline(both.to_be_bytes(), self.len())
    }

    /// The first eight bytes of the key as a number that orders as they do.
    #[inline]
    pub(super) fn prefix(&self, arena: &[u8]) -> u64 {
        if self.len() > INLINE_MAX {
            key_prefix(&self.key(arena))
        } else {
            self.key.high
        }
    }

    /// The whole hash of the key.
    #[inline]
    pub(super) fn hash(&self, arena: &[u8]) -> u64 {
        if self.len() > INLINE_MAX {
            self.key.low
        } else {
            key_hash(&self.key(arena))
        }
    }

    #[inline]
    pub(super) fn low_half(&self) -> u32 {
        self.key.low_half
    }

    /// As the keys compare as bytes.
    #[inline]
    pub(super) fn compare(&self, other: &Self, arena: &[u8]) -> Ordering {
        let (one, two) = (self.key, other.key);
        if self.len() <= INLINE_MAX && other.len() <= INLINE_MAX {
            // Zeros were filled in at the end, so what is a prefix of the other is equal to it up to the length.
            (one.high, one.low, one.len_and_one).cmp(&(two.high, two.low, two.len_and_one))
        } else {
            self.key(arena).cmp(&other.key(arena))
        }
    }

    #[inline]
    fn len(&self) -> usize {
        self.key.len_and_one.get() as usize - 1
    }

    fn arena_offset(&self) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it was a usize when it was stored"
        )]
        {
            self.key.high as usize
        }
    }
}

impl Deref for KeyBytes<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Inline(bytes, len) => &bytes[..*len],
            Self::Long(bytes) => bytes,
        }
    }
}

#[inline]
pub(super) fn low_half(hash: u64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the half is what is wanted"
    )]
    {
        hash as u32
    }
}

#[inline]
fn len_and_one(len: usize) -> NonZeroU32 {
    u32::try_from(len)
        .ok()
        .and_then(|len| NonZeroU32::MIN.checked_add(len))
        .expect("keys are shorter than 2^32 - 1 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_and_its_key_take_half_a_cache_line() {
        assert_eq!(size_of::<Option<Slot<u64>>>(), 32);
    }

    #[test]
    fn keys_of_every_inline_length_read_back() {
        let bytes: Vec<u8> = (1..).take(INLINE_MAX).collect();
        for len in 0..=INLINE_MAX {
            let key = &bytes[..len];
            let inline = InlineKey::new(key).unwrap();
            let slot = Slot::new(Key::inline(inline, key_hash(key)), ());
            assert_eq!(*slot.key(&[]), *key);
            assert_eq!(slot.hash(&[]), key_hash(key));
            assert_eq!(slot.prefix(&[]), key_prefix(key));
        }
        assert_eq!(InlineKey::new(&[0; INLINE_MAX + 1]), None);
    }
}
