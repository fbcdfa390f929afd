//! A plugin's file, and the hash that it is known by.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use mapfold_terms::FileId;
use serde::{Deserialize, Serialize};

use super::OpenPluginError;
use super::elf::{HEAD_LEN, check};

/// A file that may be a plugin for this machine. None of its code has run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginFile {
    /// Absolute.
    pub path: PathBuf,
    /// Of its bytes when it was looked at.
    pub id: FileId,
    /// Their number.
    pub bytes: u64,
    stamp: Stamp,
}

/// What changes when a file does; much quicker to see than its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let seen = file.metadata()?;
        Ok(Self {
            device: seen.dev(),
            inode: seen.ino(),
            bytes: seen.len(),
            modified: (seen.mtime(), seen.mtime_nsec()),
            changed: (seen.ctime(), seen.ctime_nsec()),
        })
    }
}

impl PluginFile {
    /// Reads and hashes a file: under a millisecond a megabyte.
    ///
    /// # Errors
    /// It cannot be read, or is no shared library for this machine.
    pub fn look(path: &Path) -> Result<Self, OpenPluginError> {
        let cannot_read = |source| OpenPluginError::Read {
            path: path.to_owned(),
            source,
        };
        let path = std::path::absolute(path).map_err(cannot_read)?;
        let mut file = File::open(&path).map_err(cannot_read)?;
        let stamp = Stamp::of(&file).map_err(cannot_read)?;
        let mut head = Vec::with_capacity(HEAD_LEN);
        let mut first = (&mut file).take(HEAD_LEN as u64);
        first.read_to_end(&mut head).map_err(cannot_read)?;
        check(&head).map_err(|source| OpenPluginError::NoLibrary {
            path: path.clone(),
            source,
        })?;
        let mut hash = blake3::Hasher::new();
        hash.update(&head);
        hash.update_reader(&mut file).map_err(cannot_read)?;
        Ok(Self {
            bytes: hash.count(),
            id: FileId(hash.finalize().into()),
            path,
            stamp,
        })
    }

    /// Whether the file is still what was looked at.
    ///
    /// # Errors
    /// It is not, or cannot be read.
    pub(crate) fn check(&self) -> Result<(), OpenPluginError> {
        let file = File::open(&self.path).and_then(|file| Stamp::of(&file));
        if file.is_ok_and(|stamp| stamp == self.stamp) {
            return Ok(());
        }
        match Self::look(&self.path)?.id == self.id {
            true => Ok(()),
            false => Err(OpenPluginError::Changed {
                path: self.path.clone(),
            }),
        }
    }
}
