//! Records one after the other, cut off at a size.

use std::io::{self, Write};

/// What is handed to the writer at once; fits the second-level cache.
const BATCH_BYTES: usize = 256 << 10;

/// An endless run of records.
pub(super) trait Records {
    /// Appends one record or more, whole, each with its line end.
    fn append(&mut self, out: &mut Vec<u8>);
}

/// Writes as many whole records as fit into `bytes`.
pub(super) fn write(
    mut records: impl Records,
    bytes: u64,
    out: &mut impl Write,
) -> io::Result<u64> {
    let mut left = bytes;
    let mut batch = Vec::with_capacity(BATCH_BYTES + BATCH_BYTES / 4);
    loop {
        batch.clear();
        while batch.len() < BATCH_BYTES {
            records.append(&mut batch);
        }
        let fits = usize::try_from(left).unwrap_or(usize::MAX);
        if batch.len() >= fits {
            let end = memchr::memrchr(b'\n', &batch[..fits]).map_or(0, |at| at + 1);
            out.write_all(&batch[..end])?;
            return Ok(bytes - left + end as u64);
        }
        out.write_all(&batch)?;
        left -= batch.len() as u64;
    }
}
