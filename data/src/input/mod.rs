//! From what a user typed to the records that `map` sees.
//!
//! ```text
//! InputName --discover--> InputFile --plan--> Split --SplitReader--> Block --records--> Record
//!  (typed)                (one file,          (one map   (reads)     (whole records
//!                          fingerprinted)      task)                  in one buffer)
//! ```
//!
//! The first two steps run once, at the master, and refuse what can be refused before anything runs.
//! They look at the input and the options alone, never at the machine or the cluster: that is what
//! makes output reproducible. The reader runs in every map attempt. It never maps a file (a mapped
//! input that shrinks is SIGBUS) and never mixes two versions of one: fingerprints are compared when
//! a file is opened and again when a piece of it has been read.
//!
//! Names, contents and line ends are bytes; nothing here needs UTF-8.

mod block;
mod checked_file;
mod codec;
mod discover;
mod failure;
mod glob;
mod nearest;
mod packing;
mod plan;
mod read_buffer;
mod reader;
mod source;
#[cfg(test)]
mod testing;

pub use block::{Block, Record, Records};
pub use checked_file::Change;
pub use discover::{DiscoverError, discover};
pub use failure::{CodecName, ReadSplitError};
pub use plan::{PlanError, REDUCERS_MAX, SPLITS_MAX, plan, reducers_for, split_size_for};
pub use read_buffer::ReadBuffer;
pub use reader::SplitReader;
