//! The commit: a staged folder becomes the output by one rename.

use std::io;
use std::path::{Path, PathBuf};

/// What a commit left to say.
#[derive(Debug)]
pub struct Committed {
    /// The old output was exchanged but could not be removed: where it lies now, and why.
    pub leftover: Option<(PathBuf, io::Error)>,
}

/// Why a folder did not become the output.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The output exists, and was not to be overwritten.
    #[error("output {} already exists", output.display())]
    Exists {
        /// The output.
        output: PathBuf,
    },
    /// The output exists and is not a finished output folder (nor an empty one), so it is not overwritten.
    #[error("{} exists and is not an output folder of a finished job: it is not overwritten", output.display())]
    NotAnOutput {
        /// The output.
        output: PathBuf,
    },
    /// The folder that is to hold the output does not allow it.
    #[error("cannot write into {}", folder.display())]
    NotWritable {
        /// The folder above the output.
        folder: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// Staging and output are on different filesystems, so no rename can move one to the other.
    #[error("{} and {} are on different filesystems", staging.display(), output.display())]
    OtherFilesystem {
        /// The staged folder.
        staging: PathBuf,
        /// The output.
        output: PathBuf,
    },
    /// The filesystem cannot exchange two folders in one step.
    #[error("the filesystem of {} cannot exchange folders: remove the old output first", output.display())]
    NoExchange {
        /// The output.
        output: PathBuf,
    },
    /// Anything else.
    #[error("cannot commit {}", path.display())]
    Io {
        /// What failed.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Tells before a job runs what [`commit`] would refuse after it. Creates nothing.
pub fn check(output: &Path, overwrite: bool) -> Result<(), CommitError> {
    todo!()
}

/// Makes `staging` (a folder, whole, its files fsynced) appear as `output` in one step, durably. What exists
/// there is never replaced; with `overwrite` a finished output folder is exchanged and then removed.
///
/// Without `overwrite` it may be repeated after a crash: [`CommitError::Exists`] then means that somebody was first, and the
/// manifest tells whether that was us. With it, compare the manifests *before* repeating, or the old output comes back.
pub fn commit(staging: &Path, output: &Path, overwrite: bool) -> Result<Committed, CommitError> {
    todo!()
}
