//! Runs: the sorted records of one map attempt or of one spill, indexed by partition.
//!
//! One file per attempt, whatever the number of partitions; small ones stay in memory with the same bytes. A run is
//! written by one module and read by one, never changes once it is finished, and says for every byte whether it
//! is still what was written: damage is an error at the reader, never a wrong answer.
//!
//! Within a partition, records are in order of their keys. Runs of a job that folds are in order of (hash, key) instead, where
//! the hash is that of [`partition`](crate::partition): so they leave a hash table in one pass, and only what is left
//! after the last fold is sorted by key. `docs/decisions/runs.md` has the figures.
//!
//! # The format, version 3
//! All numbers are little-endian. Offsets count from the first byte of the run.
//! ```text
//! header     "MFRUN\0"  version u16  token: epoch u32, counter u64  partitions u32        24 bytes
//! blocks     each: payload length u32  records u32  checksum u64  payload                 16 bytes + payload
//!            of partition 0, then of partition 1, ...
//! index      for each partition that has records, in order:                               36 bytes each
//!            partition u32  offset u64  length u64  records u64  checksum u64
//! footer     index offset u64  index length u64  digest u128  checksum u64  "NURFM\0"  version u16     48 bytes
//!
//! payload    records: key length + 2 varint  value length varint  key  value
//!            or, if the key is that of the record before in the block: 0  value length varint  value
//!            or, if the value is too: 1  times varint, which counts all such records that follow each other in the block
//! varint     seven bits a byte, lowest first, the high bit on all but the last
//! ```
//! - **Blocks** hold records of one partition. A record that would take the payload beyond 64 KiB begins a new block, so
//!   a larger record has a block to itself, and where blocks end follows from the records alone.
//! - **Block checksum**: XXH3-64 of the payload; its seed is the XXH3-64 of (partition u32, ordinal of the block within
//!   its partition u64, payload length u32, records u32), so a block that was swapped, moved or cut is found out.
//! - **Partition checksum**: starts as 0; each block makes it the XXH3-64 of (itself u64, block checksum u64).
//! - **Digest**: XXH3-128 over (partition u32, records u64, checksum u64) of the index entries. It covers the
//!   records alone: not the attempt, nor the memory budget, nor where the run was written.
//! - **Footer checksum**: XXH3-64 of header, index and the footer up to the checksum.
//!
//! Deliberately absent: compression (measured, see `docs/decisions/runs.md`; the codec would get a field in the block header and a
//! new version, checksums would stay over what is unpacked), and a key index inside partitions (they are read whole).

mod bytes;
mod error;
mod index;
mod layout;
mod reader;
mod segment;
#[cfg(test)]
mod tests;
mod varint;
mod writer;

pub use bytes::{RunBytes, RunPlace};
pub use error::{Fault, ReadRunError, WriteRunError};
pub use layout::{RECORD_BYTES_MAX, VERSION as RUN_VERSION};
pub use reader::Run;
pub use segment::{Segment, SegmentCursor, SegmentHead};
pub use writer::RunWriter;
