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
//!
//! ```
//! use mapfold_data::input::{SplitReader, discover, plan};
//! use mapfold_terms::{ByteSize, Format, InputName};
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("a.txt"), "one\ntwo\r\nthree")?;
//! let input = InputName {
//!     typed: std::path::Path::new("books").into(),
//!     absolute: folder.path().into(),
//!     input: 0,
//!     format: None,
//! };
//!
//! let plan = plan(discover(&[input])?, Format::Lines, None, None)?;
//! let mut reader = SplitReader::new(&plan.splits[0], plan.format, ByteSize::mib(64));
//! while let Some(block) = reader.next_block()? {
//!     let lines: Vec<_> = block.records().map(|record| record.text()).collect();
//!     assert_eq!(lines, ["one", "two", "three"]);
//!     assert_eq!(block.file().name.display().to_string(), "books/a.txt");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod block;
mod checked_file;
mod codec;
mod discover;
mod failure;
mod fields;
mod glob;
mod header;
mod nearest;
mod packing;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(not(feature = "parquet"))]
#[path = "no_parquet.rs"]
mod parquet;
mod plan;
mod read_buffer;
mod reader;
mod source;
#[cfg(test)]
mod testing;
mod typed;
mod walk;

pub use block::{Block, Record, Records};
pub use checked_file::Change;
pub use discover::{DiscoverError, discover};
pub(crate) use failure::is_workers;
pub use failure::{CodecName, ReadSplitError};
pub use fields::{FieldError, Fields};
pub use header::Header;
pub use parquet::READS_PARQUET;
pub use plan::{
    PlanError, PlanOptions, REDUCERS_DEFAULT_MAX, REDUCERS_MAX, SPLITS_MAX, plan, plan_with,
    reducers_for, split_size_for,
};
pub use read_buffer::ReadBuffer;
pub use reader::SplitReader;
pub use typed::{CsvError, JsonError};
pub use walk::is_hidden;
