//! The data plane's two fixed messages: a request for a piece of one partition of one run, and the
//! head of its reply.
//!
//! Laid out by hand, little-endian, and checksummed: a flipped bit in a request must not fetch another
//! partition, and TCP's own checksum lets one in 65,536 such flips pass. The reply's head repeats what
//! was asked, so a reply that belongs to another request is noticed.
//!
//! ```text
//! request  0 magic 4 | 4 version 2 | 6 want 2 | 8 secret 16 | 24 job 8 | 32 epoch 4 | 36 partition 4
//!          40 counter 8 | 48 offset 8 | 56 length 4 | 60 zero 4 | 64 xxh3 of bytes 0..64, 8     = 72
//! head     0 magic 4 | 4 version 2 | 6 status 1 | 7 form 1 | 8 epoch 4 | 12 partition 4 | 16 counter 8
//!          24 offset 8 | 32 length 4 | 36 zero 4 | 40 digest of the run 16 | 56 segment's records 8
//!          64 segment's checksum 8 | 72 segment's length 8 | 80 xxh3 of bytes 0..80, 8          = 88
//! ```
//! After the head come `length` bytes: of the segment from `offset` on, or of the run file's path.

mod head;
mod layout;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use head::{Form, HEAD_LEN, Head, PATH_MAX, Status};
pub(crate) use layout::WireError;
pub(crate) use request::{CHUNK_MAX, REQUEST_LEN, Request, Start, Want};
