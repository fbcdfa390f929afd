//! What the messages have in common: magic and version first, a checksum last, integers in between.

use xxhash_rust::xxh3::xxh3_64;

/// Any change of the messages is another version.
const VERSION: u16 = 1;

/// Why received bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The peer is something else.
    #[error("the peer does not speak the data protocol")]
    Magic,
    /// The peer is another version of us.
    #[error("the peer speaks version {0} of the data protocol, not {VERSION}")]
    Version(u16),
    /// Bits were flipped on the way.
    #[error("the message's checksum does not match")]
    Checksum,
    /// A field holds a value that has no meaning.
    #[error("the message's {0} has no meaning")]
    Field(&'static str),
}

/// Fills a message from the front; the last 8 bytes are its checksum.
pub(super) struct Put<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Put<N> {
    /// Starts with the magic and the version.
    pub(super) fn new(magic: [u8; 4]) -> Self {
        let mut out = Self {
            bytes: [0; N],
            len: 0,
        };
        out.put(&magic);
        out.put(&VERSION.to_le_bytes());
        out
    }

    pub(super) fn put(&mut self, part: &[u8]) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    /// A length of the bytes that follow, and four that fill the line.
    pub(super) fn length(&mut self, length: u32) {
        self.put(&length.to_le_bytes());
        self.put(&[0; 4]);
    }

    pub(super) fn seal(mut self) -> [u8; N] {
        assert_eq!(self.len, N - 8, "the layout fills the message");
        let sum = xxh3_64(&self.bytes[..N - 8]);
        self.put(&sum.to_le_bytes());
        self.bytes
    }
}

/// Takes a message apart from the front.
pub(super) struct Take<'a>(&'a [u8]);

impl<'a> Take<'a> {
    /// Checks what comes first and last. The magic and version are judged before the checksum, so that
    /// a peer of another version is told apart from a broken line.
    pub(super) fn open<const N: usize>(
        bytes: &'a [u8; N],
        magic: [u8; 4],
    ) -> Result<Self, WireError> {
        let (body, mut sum) = (&bytes[..N - 8], Take(&bytes[N - 8..]));
        let mut from = Take(body);
        if from.take() != magic {
            return Err(WireError::Magic);
        }
        match from.u16() {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        if sum.u64() != xxh3_64(body) {
            return Err(WireError::Checksum);
        }
        Ok(from)
    }

    /// A length, if it is not above `max`.
    pub(super) fn length(&mut self, max: u32) -> Result<u32, WireError> {
        let length = self.u32();
        let _zero: [u8; 4] = self.take();
        if length > max {
            return Err(WireError::Field("length"));
        }
        Ok(length)
    }

    pub(super) fn take<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self
            .0
            .split_first_chunk()
            .expect("the layout fits the message");
        self.0 = rest;
        *first
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}
