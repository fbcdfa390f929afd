//! Mapfold's decisions: which attempt runs where, what happens when one ends or a worker falls
//! silent, and when a job may commit.
//!
//! A sans-IO state machine: events in, actions out. It holds no sockets and reads no clock, so a test
//! can play a day of failures in a millisecond. The shell that drives it is the master.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod assign;
mod check;
mod clock;
mod drain;
mod ended;
mod event;
mod exclusion;
#[cfg(test)]
mod fuzz;
mod inputs;
mod job;
mod life;
mod loss;
mod pace;
#[cfg(test)]
mod paper;
mod pending;
mod phase;
mod planted;
mod recovery;
mod rollback;
#[cfg(test)]
mod scale;
#[cfg(test)]
mod scenarios;
mod scheduler;
#[cfg(test)]
mod script;
mod settings;
#[cfg(test)]
mod simulation;
mod stats;
mod straggler;
mod task;
mod timers;
mod workers;

pub use event::{Action, CommitOutcome, Event, JobPlan, JobResult, Moment, WorkerGone};
pub use scheduler::Scheduler;
pub use settings::Settings;
pub use stats::{JobStats, LiveWorker, PhaseCounts, Winner};
