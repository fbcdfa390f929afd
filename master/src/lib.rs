//! Mapfold's master: plans splits, drives the scheduler, serves workers and clients, commits jobs.
//!
//! | module | holds |
//! | --- | --- |
//! | [`Master`], [`MasterHandle`] | a master that runs, for the process it runs in |
//! | `desk`, `inbox` | RPC handlers, and the messages they hand to the owner |
//! | `owner` | the one task that owns everything and drives the scheduler |
//! | `session`, `outbox` | one life of a worker, and its orders |
//! | `job`, `jobs`, `tally`, `notices`, `trim` | what is known of jobs while they run and when they ended |
//! | `planning`, `output`, `staging`, `commit`, `publish` | what a job does to the file system, before and after its tasks |
//! | `depot` | files that go with jobs: plugins, side files |
//! | `journal` | the file that a restarted master reads |
//! | `files` | the one way in which it does that |
//!
//! Decisions are the scheduler's; nothing here chooses a worker, counts a failure or expires a lease.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod clock;
mod commit;
mod depot;
mod desk;
mod files;
mod inbox;
mod job;
mod jobs;
mod journal;
mod master;
mod notices;
mod outbox;
mod output;
mod owner;
mod planning;
mod publish;
mod session;
mod settings;
mod staging;
mod tally;
#[cfg(test)]
mod tests;
mod trim;

pub use desk::MasterDesk;
pub use journal::JournalError;
pub use master::{Master, MasterHandle, ServeError};
pub use publish::{FinishedPart, Publication, PublishFailed};
pub use settings::Settings;
