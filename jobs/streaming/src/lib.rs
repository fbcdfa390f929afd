//! Jobs whose map and reduce are programs, in the protocol of Hadoop Streaming.
//!
//! ```text
//! lines of a split --> mapper --> key TAB value --> [combiner] --> sorted and shuffled --> reducer --> rows
//! ```
//! One program for each attempt; sorting, partitioning and merging are the engine's. What is here is the third way, beside stock jobs and plugins, to
//! make a [`Job`](mapfold_job::Job).

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod aggregate;
pub mod argv;
mod conf;
mod ear;
mod environment;
mod feed;
mod fields;
mod gathered;
pub mod guard;
pub mod ids;
mod input;
mod java_number;
mod job;
pub mod job_log;
mod key_spec;
mod kind;
mod lines;
mod map_only;
mod mapper;
mod order;
mod pairs;
mod params;
mod partitioner;
mod program;
mod reporter;
mod role;
mod row;
mod running;
pub mod search;
mod typed_bytes;
mod unpack;
mod unpacked;
mod workdir;
mod xml;

pub use conf::{Conf, Fed, Form, KeyClass, PartitionBy, Printed, Records, Reducer, Shipped};
pub use job::Streaming;
pub use map_only::StreamingMap;
pub use params::StreamingParams;
