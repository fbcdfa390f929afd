//! Attempts in processes of their own, so that a job's code that aborts, overflows its stack, eats all memory or never
//! comes back takes nothing with it but its process.
//!
//! ```text
//! slot thread --> IsolatedRunner --ask--> `mapfold slot` (a child that stays): reads the split, maps, spills, leaves the run as a file
//!                        ^-- progress, done, failed --'                        maps run files, merges, reduces, writes the part
//! ```
//! The border is the one between engine and job ([`Runner`](mapfold_job::Runner)): an attempt's splits, runs and reports cross it,
//! never a record, so the cost is a message each way and a file for each run. A child works in the scratch folder of its
//! attempt, which this process made and removes. It is killed with its process group when its attempt is cancelled or stands still for too long, and by the
//! kernel when this process ends. It serves attempt after attempt, of any job, until one of them kills it.

mod at_hand;
mod child;
mod children;
mod culprit;
mod ended;
mod last_words;
mod look;
mod message;
mod runner;
mod slot;
mod stillness;
mod whereabouts;

pub(crate) use children::no_file;
pub(crate) use look::{Looked, look_in_a_child};
pub use runner::Isolation;
pub use slot::{SlotError, run_slot};

use std::path::PathBuf;
use std::time::Duration;

use mapfold_terms::ByteSize;

/// How children are started.
#[derive(Clone, Debug)]
pub struct IsolateSettings {
    /// This program, whose command `slot` serves attempts by [`run_slot`].
    pub program: PathBuf,
    /// Bytes of data (heap, stacks, no mapped files) that each child may have.
    pub data_max: ByteSize,
    /// Files of plugins whose jobs they may be asked for.
    pub plugins: Vec<PathBuf>,
}

/// How often a waiting slot looks whether its attempt was cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A child may have this much data beyond twice its attempt's budget: a job's code has memory of its own, that no budget counts.
const DATA_BEYOND: ByteSize = ByteSize::mib(256);

/// The data that a child may have whose attempts have `memory` each.
pub fn data_max_for(memory: ByteSize) -> ByteSize {
    ByteSize(
        memory
            .bytes()
            .saturating_mul(2)
            .saturating_add(DATA_BEYOND.bytes()),
    )
}
