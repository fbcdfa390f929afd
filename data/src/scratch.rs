//! Temporary files that cannot be left behind.
//!
//! ```text
//! <base>/mapfold-<uid>/            mode 0700; ours or refused
//!     <pid>-<random>.lock          held with flock for the life of the process
//!     <pid>-<random>/              the process
//!         <attempt>/               one Scratch
//!             spill-0  spill-1 ...
//! ```
//! Nothing is created before the first file is, so a job that fits in memory touches no disk. What a
//! killed process leaves is removed by the next one that opens the same base: a folder whose lock can be
//! had belongs to nobody. The lock is taken before its folder exists and removed after it, so a folder
//! without a lock is dead too.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The temporary files of one process. Cheap to clone; removed with everything in it when the last clone,
/// and the last file made through it, is dropped.
#[derive(Clone, Debug)]
pub struct ScratchRoot {
    inner: Arc<()>,
}

/// The temporary files of one attempt. Cheap to clone; its folder goes when the last clone and the
/// last [`ScratchPath`] in it are dropped.
#[derive(Clone, Debug)]
pub struct Scratch {
    inner: Arc<()>,
}

/// A new temporary file, open for reading and writing.
#[derive(Debug)]
pub struct ScratchFile {
    /// The open file, empty.
    pub file: File,
    /// Its name, and the duty to delete it.
    pub path: ScratchPath,
}

/// The name of a temporary file, which is deleted when this is dropped.
#[derive(Debug)]
pub struct ScratchPath {
    path: PathBuf,
}

/// Why there is no temporary file.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The disk is full.
    #[error("no space left for temporary files at {}", path.display())]
    NoSpace {
        /// What was to be made.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// It cannot be made.
    #[error("cannot create {}", path.display())]
    Create {
        /// What was to be made.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The folder of this user is not safe to use.
    #[error("{} {why}: remove it, or choose another folder for temporary files", path.display())]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: UnsafeFolder,
    },
}

/// What makes a folder unfit for temporary files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsafeFolder {
    /// It is a symbolic link or a file.
    #[error("is not a folder")]
    NotAFolder,
    /// Another user made it.
    #[error("belongs to user {0}")]
    Owner(u32),
    /// Others may read or write it.
    #[error("is open to other users")]
    Mode,
}

impl ScratchRoot {
    /// Checks the folder of this user below `base`, if there is one, and removes what dead processes
    /// left there. Creates nothing.
    ///
    /// # Errors
    /// The folder exists and is not safe to use.
    pub fn open(base: &Path) -> Result<Self, ScratchError> {
        todo!()
    }

    /// A scratch folder called `name` (unique within the process: an attempt's token). Nothing is
    /// created yet.
    pub fn scratch(&self, name: &str) -> Scratch {
        todo!()
    }
}

impl Scratch {
    /// Creates an empty file, called `name` and a number. Creates the folders above it if this is the first.
    pub fn create(&self, name: &str) -> Result<ScratchFile, ScratchError> {
        todo!()
    }
}

impl ScratchPath {
    /// The file's path.
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

impl ScratchError {
    /// Whether the cause is a full disk.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }
}
