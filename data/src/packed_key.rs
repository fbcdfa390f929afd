//! Short keys as two integers: compared, hashed and kept without a look at memory.

use std::num::NonZeroU64;
use std::ops::Deref;

use crate::partition::mix;

/// A key of at most [`PackedKey::LEN_MAX`] bytes. Orders as the bytes do.
///
/// ```text
/// high   bytes 0 to 7 of the key, the first one highest; zeros after its end
/// low    bytes 8 to 14 in the same way, and in the lowest byte twice the key's length and one
/// ```
/// So it is never zero, and an `Option` of it takes no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PackedKey {
    high: u64,
    low: NonZeroU64,
}

/// The bytes of a [`PackedKey`].
pub(crate) struct PackedBytes {
    bytes: [u8; 16],
    len: usize,
}

/// For each length, the bits of a key of that length, read as a big-endian number.
const MASKS: [u128; PackedKey::LEN_MAX + 1] = {
    let mut masks = [0; PackedKey::LEN_MAX + 1];
    let mut len = 1;
    while len <= PackedKey::LEN_MAX {
        masks[len] = masks[len - 1] | 0xFF << (128 - 8 * len);
        len += 1;
    }
    masks
};

impl PackedKey {
    /// Bytes of the longest key that can be packed.
    pub(crate) const LEN_MAX: usize = 15;

    /// Packs a key; `None` if it is too long.
    #[inline]
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let bits = bits_of(key)?;
        Some(Self::from_bits(bits, key.len()))
    }

    /// Packs a key that is most often a slice of `text`: sixteen bytes are read at once then, whatever the key's
    /// length, so no branch depends on it. Any other key is packed as well, only slower.
    #[inline]
    pub(crate) fn within(text: &[u8], key: &[u8]) -> Option<Self> {
        let mask = MASKS.get(key.len())?;
        // A key that is no part of `text` has an address outside it, unless it is empty and the mask zero.
        let at = key.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
        let sixteen = text.get(at..).and_then(<[u8]>::first_chunk::<16>);
        match sixteen {
            Some(sixteen) => Some(Self::from_bits(
                u128::from_be_bytes(*sixteen) & mask,
                key.len(),
            )),
            None => Self::beside(key),
        }
    }

    /// Packs a key that is no part of a text. Kept out of the loops in which almost all keys are.
    #[inline(never)]
    fn beside(key: &[u8]) -> Option<Self> {
        Self::new(key)
    }

    /// The key.
    #[inline]
    pub(crate) fn bytes(self) -> PackedBytes {
        PackedBytes {
            bytes: (u128::from(self.high) << 64 | u128::from(self.low.get())).to_be_bytes(),
            len: self.len(),
        }
    }

    /// Bytes of the key.
    #[inline]
    pub(crate) fn len(self) -> usize {
        let [.., twice_and_one] = self.low.get().to_be_bytes();
        usize::from(twice_and_one >> 1)
    }

    /// The key's hash; see [`key_hash`](crate::partition::key_hash).
    #[inline]
    pub(crate) fn hash(self) -> u64 {
        mix(self.high, self.low.get())
    }

    /// The first integer, which orders keys by their first eight bytes.
    #[inline]
    pub(crate) fn high(self) -> u64 {
        self.high
    }

    /// The second integer.
    #[inline]
    pub(crate) fn low(self) -> NonZeroU64 {
        self.low
    }

    /// From the two integers of a packed key.
    #[inline]
    pub(crate) fn from_parts(high: u64, low: NonZeroU64) -> Self {
        Self { high, low }
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are what is wanted"
    )]
    fn from_bits(bits: u128, len: usize) -> Self {
        Self {
            high: (bits >> 64) as u64,
            low: NonZeroU64::MIN | (bits as u64 | (len as u64) << 1),
        }
    }
}

impl PackedBytes {
    /// The key, and whatever follows it.
    #[inline]
    pub(crate) fn sixteen(&self) -> &[u8; 16] {
        &self.bytes
    }
}

impl Deref for PackedBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // At most 15, and known to be so.
        &self.bytes[..self.len & PackedKey::LEN_MAX]
    }
}

/// The key as a big-endian number of sixteen bytes, filled up with zeros; `None` if it is too long. Reads at most two
/// integers that may overlap, since copying a number of bytes that is not known beforehand costs a call.
#[inline]
fn bits_of(key: &[u8]) -> Option<u128> {
    let len = key.len();
    Some(match len {
        0 => 0,
        1..4 => {
            // Bytes that are the same one land on the same place.
            let at = |place: usize| u128::from(key[place]) << (120 - 8 * place);
            at(0) | at(len / 2) | at(len - 1)
        }
        4..8 => {
            let first = u128::from(u32::from_be_bytes(*key.first_chunk()?));
            let last = u128::from(u32::from_be_bytes(*key.last_chunk()?));
            first << 96 | last << (128 - 8 * len)
        }
        8..=PackedKey::LEN_MAX => {
            let first = u128::from(u64::from_be_bytes(*key.first_chunk()?));
            let last = u128::from(u64::from_be_bytes(*key.last_chunk()?));
            first << 64 | last << (128 - 8 * len)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_of_every_length_read_back() {
        let text: Vec<u8> = (1..=40).collect();
        for start in 0..text.len() {
            for end in start..=text.len() {
                let key = &text[start..end];
                let packed = PackedKey::new(key);
                assert_eq!(packed.is_some(), key.len() <= PackedKey::LEN_MAX);
                assert_eq!(PackedKey::within(&text, key), packed);
                assert_eq!(PackedKey::within(&[], key), packed);
                assert!(packed.is_none_or(|packed| *packed.bytes() == *key));
            }
        }
        assert_eq!(size_of::<Option<PackedKey>>(), 16);
    }

    #[test]
    fn a_key_beside_the_text_is_not_taken_from_it() {
        let text = [7; 64];
        for key in [&[1, 2, 3][..], b"", &[9; 15]] {
            assert_eq!(PackedKey::within(&text, key), PackedKey::new(key));
        }
    }

    proptest! {
        #[test]
        fn packed_keys_order_as_their_bytes(one in vec(0..3_u8, 0..16), two in vec(0..3_u8, 0..16)) {
            prop_assert_eq!(PackedKey::new(&one).cmp(&PackedKey::new(&two)), one.cmp(&two));
        }
    }
}
