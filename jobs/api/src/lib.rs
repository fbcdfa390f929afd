//! What authors of Mapfold jobs depend on.
//!
//! A job is a type that implements [`Job`]: `map` turns records into keys and values, an optional
//! combiner folds values of one key together, `reduce` turns each key and its values into rows.
//! ```
//! use mapfold_job::{Emitter, Fold, Job, JobError, NoParams, Record, Rows, Values};
//!
//! /// Counts words between blanks.
//! struct BlankWords;
//!
//! impl Job for BlankWords {
//!     type Params = NoParams;
//!     type Key = Vec<u8>;
//!     type Value = u64;
//!     const NAME: &'static str = "blank-words";
//!     const SUMMARY: &'static str = "count words between blanks";
//!     const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);
//!
//!     fn new(_: NoParams) -> Result<Self, JobError> {
//!         Ok(Self)
//!     }
//!
//!     fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
//!         for word in record.bytes.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
//!             out.emit(word, 1);
//!         }
//!         Ok(())
//!     }
//!
//!     fn reduce(
//!         &self,
//!         word: &[u8],
//!         counts: &mut Values<'_, Self>,
//!         rows: &mut Rows<'_>,
//!     ) -> Result<(), JobError> {
//!         let mut sum = 0;
//!         while let Some(n) = counts.next() {
//!             sum += n;
//!         }
//!         rows.row(word, sum);
//!         Ok(())
//!     }
//! }
//! ```
//!
//! All that happens per record is generic code compiled together with the job (the loops of a map and
//! a reduce attempt); the engine sees batches only, through [`Runner`]: "map this split into this run",
//! "reduce these runs into this part". A stock job, a plugin and a streaming job are three ways to get the
//! same object.

// Not `forbid`: the border to plugins is pointers.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod attempt;
mod attempt_error;
mod bad_records;
pub mod border;
mod budget;
mod catalog;
mod coded;
mod combine;
mod emitter;
mod guard;
mod job;
mod key;
mod key_order;
mod map_attempt;
mod notes;
mod output;
mod param;
mod partition;
mod reduce_attempt;
mod row;
mod runner;
mod sample;
mod sequential;
mod shown_key;
mod side_file;
mod sink;
mod spare;
mod spills;
mod state;
pub mod trial;
mod value;
mod values;

pub use attempt::{Attempt, FolderError};
pub use attempt_error::AttemptError;
pub use catalog::{BuildError, Catalog, JobTable, Maker};
pub use coded::Coded;
pub use emitter::Emitter;
pub use job::{Fold, Job, JobError, KeyRef, Partition, ValueOwned, ValueRef};
pub use key::{DecodeKeyError, Key, KeyPart};
pub use mapfold_data::input::{Block, CsvError, FieldError, Fields, Header, JsonError, Record};
pub use mapfold_terms::{
    AttemptId, Counters, Format, InputFile, JobId, JobInfo, ParamInfo, Piece, Split, TaskId,
    TaskKind,
};
pub use param::{NoParams, ParamError, ParamValue, Params};
pub use partition::spread;
pub use row::{Field, NamedRows, Rows};
pub use runner::{
    MapDone, MapTask, Monitor, ReduceDone, ReduceTask, Runner, SampleTask, SequentialDone,
    SequentialTask, TaskError, Unwatched,
};
pub use side_file::{NoText, SideFile};
pub use trial::Trial;
pub use value::{DecodeValueError, Value};
pub use values::Values;

/// The author's guide, whose examples are compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/plugins.md")]
mod guide {}

#[doc(hidden)]
pub mod macro_support {
    //! What the [`params!`](crate::params) macro expands to.
    pub use std::collections::BTreeMap;

    pub use crate::param::{named, take};
}
