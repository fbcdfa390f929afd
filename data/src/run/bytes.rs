//! The bytes of a run, in memory or in a mapped file.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ReadRunError;
use crate::mmap::Mapped;
use crate::scratch::{ScratchFile, ScratchPath};

/// The bytes of a finished run, or of a segment of one. Cheap to clone. A file made by this process is deleted
/// when its last clone is dropped.
#[derive(Clone)]
pub struct RunBytes(Inner);

#[derive(Clone)]
enum Inner {
    Memory(Arc<dyn AsRef<[u8]> + Send + Sync>),
    File(Arc<RunFile>),
}

struct RunFile {
    mapped: Mapped,
    name: FileName,
}

enum FileName {
    Ours(ScratchPath),
    Foreign(PathBuf),
}

/// Where a run is, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunPlace {
    /// In this process, without a file.
    Memory,
    /// In a file.
    File(PathBuf),
    /// In this process; it came from the run of a map task.
    Fetched {
        /// Index of the map task.
        map: u32,
    },
}

impl RunBytes {
    /// Maps a finished temporary file of this process, which is deleted with the last clone.
    pub fn from_scratch(file: ScratchFile) -> Result<Self, ReadRunError> {
        let path = file.path.as_path().to_owned();
        Self::map_scratch(file).map_err(|source| ReadRunError::Io { path, source })
    }

    /// Maps the run file of another process on this machine; it is never deleted from here. The bytes
    /// stay readable when the owner deletes the file.
    pub fn open(path: &Path) -> Result<Self, ReadRunError> {
        let error = |source| ReadRunError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(error)?;
        Ok(Self(Inner::File(Arc::new(RunFile {
            mapped: Mapped::new(&file).map_err(error)?,
            name: FileName::Foreign(path.to_owned()),
        }))))
    }

    /// Bytes in memory that something else owns, which goes with the last clone.
    pub fn lent(owner: impl AsRef<[u8]> + Send + Sync + 'static) -> Self {
        Self(Inner::Memory(Arc::new(owner)))
    }

    pub(super) fn map_scratch(file: ScratchFile) -> io::Result<Self> {
        Ok(Self(Inner::File(Arc::new(RunFile {
            mapped: Mapped::new(&file.file)?,
            name: FileName::Ours(file.path),
        }))))
    }

    /// The file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Inner::Memory(_) => None,
            Inner::File(file) => Some(match &file.name {
                FileName::Ours(path) => path.as_path(),
                FileName::Foreign(path) => path,
            }),
        }
    }

    /// Whether the bytes occupy memory of this process.
    pub fn in_memory(&self) -> bool {
        matches!(self.0, Inner::Memory(_))
    }

    pub(super) fn place(&self) -> RunPlace {
        self.path()
            .map_or(RunPlace::Memory, |path| RunPlace::File(path.to_owned()))
    }

    /// Whether a part of them could not be read, so that zeros were seen in its place: ask after reading.
    pub(super) fn have_lost(&self) -> bool {
        match &self.0 {
            Inner::Memory(_) => false,
            Inner::File(file) => file.mapped.has_lost(),
        }
    }

    /// Begins to read a range from the disk, where the bytes are in a file and not in memory.
    pub(super) fn expect(&self, range: Range<usize>) {
        if let Inner::File(file) = &self.0 {
            file.mapped.expect(range);
        }
    }

    /// Gives back the memory of a range that has been read, where the bytes are also in a file; but for the end of it, if more
    /// is to be read there.
    pub(super) fn release(&self, range: Range<usize>) {
        if let Inner::File(file) = &self.0 {
            file.mapped.release(range);
        }
    }

    /// Gives back the memory around a range that has been read, where the bytes are also in a file. For a range that is a look at a
    /// large run, such as at its index: the kernel maps 64 KiB around each page that is touched, and a reduce attempt looks
    /// at every run there is.
    pub(super) fn release_touched(&self, range: Range<usize>) {
        if let Inner::File(file) = &self.0 {
            file.mapped.release_touched(range);
        }
    }
}

impl From<Vec<u8>> for RunBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::lent(bytes)
    }
}

impl Deref for RunBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Inner::Memory(owner) => (**owner).as_ref(),
            Inner::File(file) => file.mapped.as_slice(),
        }
    }
}

impl fmt::Debug for RunBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunBytes({} bytes)", self.len())
    }
}

impl fmt::Display for RunPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => write!(f, "a run in memory"),
            Self::File(path) => write!(f, "run {}", path.display()),
            Self::Fetched { map } => write!(f, "what was fetched of map task {map}"),
        }
    }
}
