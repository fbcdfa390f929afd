//! Mapfold's master: plans splits, drives the scheduler, serves workers and clients, commits jobs.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod commit;
mod files;
mod staging;
