//! Mapfold's worker: runs map and reduce attempts in its slots, keeps the runs they leave, serves them to
//! others and fetches theirs.
//!
//! ```text
//!            tokio, the caller's runtime          threads
//! master <-- poll for orders ------------------> slots: map, reduce   (rayon, one a slot)
//!        <-- report what ended <---------------- (attempts)
//!        <-- ask where runs are <--------------- (reduce)
//!        <-- beat ------------------------------ heartbeat            (own runtime, own connection)
//! others <-- their reducers' requests ---------- serve                (one a connection)
//!        <-- our reducers' requests ------------ fetch                (a few an attempt)
//! ```
//!
//! Three things are kept apart so that none can hold up another: orders and reports, signs of life,
//! and bulk. A broken connection aborts nothing; reports are repeated until they are acknowledged; an
//! attempt is executed at most once. A worker that the master no longer knows starts a new life with
//! nothing of the old one.

// Not `forbid`: a plugin is code behind pointers, and the handler of a signal a C function.
#![deny(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod attempt;
mod attempts;
mod desk;
mod fetch;
#[cfg(test)]
mod fixture;
mod gather;
mod heartbeat;
mod isolate;
mod job_files;
mod life;
mod locate;
mod machine;
mod map;
mod memory;
mod orders;
mod outcome;
mod plugin;
mod reattach;
mod reduce;
mod runners;
mod serve;
mod settings;
mod slots;
mod staged;
mod store;
mod stream;
mod wire;
mod worker;

pub use isolate::{IsolateSettings, Isolation, SlotError, data_max_for, run_slot};
pub use memory::{attempt_memory, memory_least, runs_memory};
pub use plugin::{
    NoLibrary, NoPluginJob, OpenPluginError, PluginCatalog, PluginFile, PluginJob, Probed, TryJob,
    probe,
};
pub use serve::ServeError;
pub use settings::{JobFilesAt, ServeAt, Settings};
pub use slots::STACK_BYTES;
pub use worker::{WorkerError, run};
