//! A key as bytes, wherever it was.

use std::ops::Deref;

use crate::packed_key::PackedBytes;

/// The bytes of a key that was packed, or that lies somewhere.
pub struct KeyBytes<'a>(Place<'a>);

enum Place<'a> {
    Packed(PackedBytes),
    Elsewhere(&'a [u8]),
}

impl KeyBytes<'_> {
    /// Sixteen bytes that begin with the key, if they are at hand: to copy as many bytes as the key has costs a call, to
    /// copy sixteen a few instructions.
    #[inline]
    pub(crate) fn sixteen(&self) -> Option<&[u8; 16]> {
        match &self.0 {
            Place::Packed(bytes) => Some(bytes.sixteen()),
            Place::Elsewhere(_) => None,
        }
    }
}

impl From<PackedBytes> for KeyBytes<'_> {
    #[inline]
    fn from(bytes: PackedBytes) -> Self {
        Self(Place::Packed(bytes))
    }
}

impl<'a> From<&'a [u8]> for KeyBytes<'a> {
    #[inline]
    fn from(bytes: &'a [u8]) -> Self {
        Self(Place::Elsewhere(bytes))
    }
}

impl Deref for KeyBytes<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Packed(bytes) => bytes,
            Place::Elsewhere(bytes) => bytes,
        }
    }
}
