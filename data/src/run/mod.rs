//! Runs: the sorted records of one map attempt or of one spill, indexed by partition.

mod bytes;
mod error;
mod reader;
mod segment;
mod writer;

pub use bytes::{RunBytes, RunPlace};
pub use error::{Fault, ReadRunError, WriteRunError};
pub use reader::Run;
pub use segment::{Segment, SegmentCursor, SegmentHead};
pub use writer::RunWriter;

/// The longest record, key and value together.
pub const RECORD_BYTES_MAX: usize = 1 << 30;
