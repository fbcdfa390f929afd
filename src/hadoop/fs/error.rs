//! Why a path cannot be had, in the words of Hadoop.

use std::io;

use super::super::glob::{FolderError, GlobError};
use super::super::uri::{Located, UriError};

/// What is wrong with a path.
#[derive(Debug, thiserror::Error)]
pub(super) enum FsError {
    #[error("`{0}': No such file or directory")]
    NotFound(String),
    #[error("`{0}': Is a directory")]
    IsDirectory(String),
    #[error("`{0}': Is not a directory")]
    NotDirectory(String),
    #[error("`{0}': File exists")]
    Exists(String),
    #[error("`{0}': Directory is not empty")]
    NotEmpty(String),
    #[error("`{0}': is the source itself, or within it")]
    IntoItself(String),
    #[error("`{0}' is no mode: neither octal, such as 755, nor as in a+rX,o-w")]
    Mode(String),
    #[error("`{0}' is no number of copies")]
    Replication(String),
    #[error("`{path}': {source}")]
    Io { path: String, source: io::Error },
    #[error("cannot write to standard output: {0}")]
    Stdout(io::Error),
    #[error(transparent)]
    Uri(#[from] UriError),
    #[error(transparent)]
    Glob(#[from] GlobError),
}

impl From<FolderError> for FsError {
    fn from(error: FolderError) -> Self {
        Self::at(&error.folder)(error.source)
    }
}

impl FsError {
    /// An error at a path.
    pub(super) fn at(located: &Located) -> impl Fn(io::Error) -> Self {
        let path = located.typed.clone();
        move |source| match source.kind() {
            io::ErrorKind::NotFound => Self::NotFound(path.clone()),
            io::ErrorKind::AlreadyExists => Self::Exists(path.clone()),
            io::ErrorKind::IsADirectory => Self::IsDirectory(path.clone()),
            io::ErrorKind::NotADirectory => Self::NotDirectory(path.clone()),
            io::ErrorKind::DirectoryNotEmpty => Self::NotEmpty(path.clone()),
            _ => Self::Io {
                path: path.clone(),
                source,
            },
        }
    }

    /// Whether whoever read has gone.
    pub(super) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Stdout(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
