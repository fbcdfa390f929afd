//! Mapfold's bytes: everything between an input file and a part file that needs no job's types.
//!
//! | module | holds |
//! | --- | --- |
//! | [`input`] | files to read, their splits, the records in them |
//! | [`partition`] | which reduce task owns a key |
//! | [`fold_table`], [`sort_buffer`] | what a map attempt emits, before it is a run |
//! | [`run`] | sorted records on disk or in memory, checked to the byte |
//! | [`merge`], [`fold_merge`] | many runs, or segments of runs, as one |
//! | [`scratch`] | where temporary files live, and how they vanish |
//! | [`shared_page`] | memory that outlives its process |
//! | [`side_file`] | files that a job reads when it is made |
//! | [`codec`] | packed streams, in and out |
//! | [`part`], [`manifest`] | part files, and what an output folder says of itself |
//! | [`heap`] | what the allocator does with freed memory |
//! | [`census`] | whether records are in order, and those of the input |
//! | [`generate`] | synthetic inputs |

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

pub mod census;
pub mod codec;
pub mod fold_merge;
pub mod fold_table;
pub mod generate;
pub mod heap;
mod hint;
pub mod input;
pub mod key_bytes;
pub mod manifest;
pub mod merge;
mod mmap;
mod packed_key;
pub mod part;
pub mod partition;
mod quota;
pub mod run;
pub mod scratch;
pub mod shared_page;
pub mod side_file;
pub mod sort_buffer;
mod storage;
