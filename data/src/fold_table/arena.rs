//! Keys that are too long for a slot, one behind the other.
//!
//! ```text
//! length of the key u32, in native order   key
//! ```

const LEN_BYTES: usize = size_of::<u32>();

/// The long keys of a table.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    /// The most that was in it since its memory was last given back.
    kept: usize,
}

impl Arena {
    /// Adds a key; returns where it is.
    ///
    /// # Panics
    /// It has 2^32 bytes or more.
    pub(super) fn push(&mut self, key: &[u8]) -> usize {
        let at = self.bytes.len();
        let len = u32::try_from(key.len()).expect("keys are shorter than 2^32 bytes");
        self.bytes.extend_from_slice(&len.to_ne_bytes());
        self.bytes.extend_from_slice(key);
        at
    }

    /// The key at `at`.
    pub(super) fn key(&self, at: usize) -> &[u8] {
        let len = self.bytes[at..].first_chunk();
        let len = u32::from_ne_bytes(*len.expect("a key in the arena has a head"));
        &self.bytes[at + LEN_BYTES..][..len as usize]
    }

    /// Bytes of memory that it occupies.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len().max(self.kept)
    }

    /// Forgets all keys; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.kept = self.kept.max(self.bytes.len());
        self.bytes.clear();
    }

    /// Forgets all keys, and keeps at most `bytes` of memory.
    pub(super) fn clear_and_shrink(&mut self, bytes: usize) {
        self.bytes.clear();
        self.bytes.shrink_to(bytes);
        self.kept = self.kept.min(bytes);
    }
}
