//! The buffer that input is read into, as a window that moves over a file.
//!
//! ```text
//!   buf   [ handed out | head .. tail: read, not handed out | free ...     ]
//!   file               ^ offset                             ^ end
//! ```
//!
//! It is one allocation of [`SIZE`] bytes, so that a block is still in the cache when the job reads it.
//! A record that does not fit makes it grow, up to the limit of the reader; the first block that
//! does without gives the memory back.

use std::ops::Range;

use mapfold_terms::ByteSize;

/// Small enough to stay in a core's second-level cache beside the job's own data, large enough that
/// the cost of a `read` is lost in that of its bytes.
const SIZE: ByteSize = ByteSize::kib(256);

/// Memory for a [`SplitReader`](super::SplitReader); a slot reuses it from split to split, because
/// fresh memory is expensive.
pub struct ReadBuffer {
    buf: Vec<u8>,
    head: usize,
    tail: usize,
    /// Offset in the (unpacked) file of the byte at `head`.
    offset: u64,
    /// What `buf` shrinks back to.
    size: usize,
}

impl ReadBuffer {
    /// A buffer of the usual size, 256 KiB.
    pub fn new() -> Self {
        Self::with_size(SIZE)
    }

    /// A buffer of `size`, but at least one byte. Blocks are about as large as the buffer.
    pub fn with_size(size: ByteSize) -> Self {
        let size = size.as_usize().max(1);
        Self {
            buf: vec![0; size],
            head: 0,
            tail: 0,
            offset: 0,
            size,
        }
    }

    /// Bytes that it holds unless a record needs more.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Empties the window and puts it at `offset` of a file.
    pub(super) fn seek(&mut self, offset: u64) {
        self.head = 0;
        self.tail = 0;
        self.offset = offset;
    }

    /// What has been read and not handed out.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buf[self.head..self.tail]
    }

    /// Number of bytes that have been read and not handed out.
    pub(super) fn len(&self) -> usize {
        self.tail - self.head
    }

    /// Offset in the file of the first of [`ReadBuffer::bytes`].
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Offset in the file after the last of [`ReadBuffer::bytes`].
    pub(super) fn end(&self) -> u64 {
        self.offset + self.len() as u64
    }

    /// Hands out the first `len` bytes. They stay where the returned range of [`ReadBuffer::taken`]
    /// says until there is asked for room.
    pub(super) fn take(&mut self, len: usize) -> Range<usize> {
        let taken = self.head..self.head + len;
        self.head += len;
        self.offset += len as u64;
        if self.tail <= self.size {
            self.shrink();
        }
        taken
    }

    /// Empties the window and gives back what it had grown by.
    pub(super) fn reset(&mut self) {
        self.seek(0);
        self.shrink();
    }

    fn shrink(&mut self) {
        if self.buf.len() > self.size {
            self.buf.truncate(self.size);
            self.buf.shrink_to_fit();
        }
    }

    /// What was handed out as `range`.
    pub(super) fn taken(&self, range: Range<usize>) -> &[u8] {
        &self.buf[range]
    }

    /// Room for so many bytes that there are `total` in the window; none if it holds them already.
    /// What is left in the window moves to the front.
    pub(super) fn room(&mut self, total: usize) -> &mut [u8] {
        if self.head > 0 {
            self.buf.copy_within(self.head..self.tail, 0);
            self.tail -= self.head;
            self.head = 0;
        }
        if self.buf.len() < total {
            self.buf.reserve_exact(total - self.buf.len());
            self.buf.resize(total, 0);
        }
        let end = total.max(self.tail);
        &mut self.buf[self.tail..end]
    }

    /// `len` bytes have been read into [`ReadBuffer::room`].
    pub(super) fn filled(&mut self, len: usize) {
        self.tail += len;
    }

    /// Bytes of memory held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.buf.capacity()
    }
}

impl Default for ReadBuffer {
    fn default() -> Self {
        Self::new()
    }
}
