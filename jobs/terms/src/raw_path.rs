//! File names as the operating system has them: bytes, not necessarily UTF-8.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A path that survives serialization whatever its bytes (serde refuses a `PathBuf` that is not UTF-8).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RawPath(#[serde(with = "serde_bytes")] Vec<u8>);

impl RawPath {
    /// The bytes of the path, no terminator.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The path, for use with the file system.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// For messages: bytes that are not UTF-8 show as replacement characters.
    pub fn display(&self) -> std::path::Display<'_> {
        self.as_path().display()
    }
}

impl AsRef<Path> for RawPath {
    fn as_ref(&self) -> &Path {
        self.as_path()
    }
}

impl From<&Path> for RawPath {
    fn from(path: &Path) -> Self {
        Self(path.as_os_str().as_bytes().to_vec())
    }
}

impl From<Vec<u8>> for RawPath {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<PathBuf> for RawPath {
    fn from(path: PathBuf) -> Self {
        Self(path.into_os_string().into_vec())
    }
}

impl fmt::Debug for RawPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_path().fmt(f)
    }
}
