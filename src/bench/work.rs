//! What the engine itself says of a run: the figures of `mapfold run --json` that a measurement needs.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What was done in one run. Sizes are bytes, times seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) map_tasks: u64,
    pub(crate) reduce_tasks: u64,
    pub(crate) records_in: u64,
    pub(crate) records_mapped: u64,
    pub(crate) records_shuffled: u64,
    pub(crate) bytes_shuffled: u64,
    pub(crate) bytes_remote: u64,
    pub(crate) bytes_spilled: u64,
    pub(crate) groups: u64,
    pub(crate) bytes_out: u64,
    pub(crate) seconds: Phases,
}

/// How long each phase took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Phases {
    pub(crate) plan: f64,
    pub(crate) map: f64,
    pub(crate) reduce: f64,
    pub(crate) commit: f64,
}

impl Work {
    /// From what `mapfold run --json` printed.
    pub(crate) fn read(stdout: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(stdout).ok()?).ok()
    }
}
