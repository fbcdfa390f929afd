//! The whole engine, as real processes on real text, judged by a sequential oracle.
//!
//! No test sleeps to let something happen: each waits for a condition, and gives up loudly.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bad_disk;
mod bag;
mod cancel;
mod chain;
mod clock;
mod cluster;
mod crash;
mod damage;
mod drain;
mod faults;
mod hadoop;
mod hoard;
mod inputs;
mod isolate;
mod join;
mod lab;
mod limits;
mod line;
mod memory;
mod network;
mod oracle;
mod outputs;
mod own_jobs;
mod packed;
mod partition;
mod plugins;
mod records;
mod recovery;
mod restart;
mod resume;
mod rogues;
mod rounds;
mod same_bytes;
mod sandbox;
mod ship;
mod side_files;
mod soak;
mod sort;
mod space;
mod stock;
mod stream;
mod tables;
mod tasks;
mod typed;
