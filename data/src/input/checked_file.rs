//! An input file that is opened only if it is the version that was planned.

use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use mapfold_terms::{Fingerprint, InputFile};
use rustix::fs::OFlags;

use super::ReadSplitError;

/// Opens `path` for reading. Never blocks, not even on a pipe.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
}

/// What identifies the version of a file.
///
/// File systems stamp times with the kernel's tick (1 to 10 ms), so a write of the same length in
/// the tick in which the file was planned goes unseen.
pub(super) fn fingerprint(metadata: &Metadata) -> Fingerprint {
    let ns = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
    Fingerprint {
        inode: metadata.ino(),
        len: metadata.len(),
        modified_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
        changed_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// A planned file, open.
pub(super) struct CheckedFile<'f> {
    file: File,
    planned: &'f InputFile,
}

impl<'f> CheckedFile<'f> {
    /// Opens the file and makes sure that it is the version that was planned.
    pub(super) fn open(planned: &'f InputFile) -> Result<Self, ReadSplitError> {
        let file = open(planned.path.as_path()).map_err(|source| ReadSplitError::Open {
            name: planned.name.clone(),
            source,
        })?;
        let checked = Self { file, planned };
        checked.verify()?;
        Ok(checked)
    }

    /// Makes sure that the file is still the version that was planned.
    pub(super) fn verify(&self) -> Result<(), ReadSplitError> {
        let metadata = self
            .file
            .metadata()
            .map_err(|source| self.read_error(0, source))?;
        match Change::between(&self.planned.fingerprint, &fingerprint(&metadata)) {
            None => Ok(()),
            Some(change) => Err(ReadSplitError::Changed {
                name: self.planned.name.clone(),
                change,
            }),
        }
    }

    /// Fills `buf` from `offset` on; the planned length must reach so far. A file that ends earlier
    /// has changed.
    pub(super) fn read_exact_at(
        &self,
        mut buf: &mut [u8],
        mut offset: u64,
    ) -> Result<(), ReadSplitError> {
        while !buf.is_empty() {
            match self.file.read_at(buf, offset) {
                Ok(0) => {
                    self.verify()?;
                    return Err(self.shrank(offset));
                }
                Ok(got) => {
                    buf = &mut buf[got..];
                    offset += got as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(self.read_error(offset, source)),
            }
        }
        Ok(())
    }

    /// Reads what is there, at most `buf`, for a decoder.
    pub(super) fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }

    /// The same open file, for a reader of its own.
    #[cfg(feature = "parquet")]
    pub(super) fn shared(&self) -> Result<File, ReadSplitError> {
        self.file
            .try_clone()
            .map_err(|source| self.read_error(0, source))
    }

    pub(super) fn planned(&self) -> &'f InputFile {
        self.planned
    }

    /// A read that failed although the file is the planned one.
    pub(super) fn read_error(&self, offset: u64, source: io::Error) -> ReadSplitError {
        ReadSplitError::Read {
            name: self.planned.name.clone(),
            offset,
            source,
        }
    }

    /// It ended at `offset` and then had its planned length again, with equal times.
    fn shrank(&self, offset: u64) -> ReadSplitError {
        ReadSplitError::Changed {
            name: self.planned.name.clone(),
            change: Change::Length {
                planned: self.planned.fingerprint.len,
                now: offset,
            },
        }
    }
}

/// How a file differs from the version that was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Another file has taken its name.
    Replaced,
    /// It grew or shrank.
    Length {
        /// Bytes when it was planned.
        planned: u64,
        /// Bytes now.
        now: u64,
    },
    /// It was written to.
    Written,
    /// Its attributes changed: it was removed, renamed or linked, or its owner or permissions changed.
    Attributes,
}

impl Change {
    /// What tells `now` from `planned`; the plainest difference, if there are several.
    pub(super) fn between(planned: &Fingerprint, now: &Fingerprint) -> Option<Self> {
        if planned.inode != now.inode {
            Some(Self::Replaced)
        } else if planned.len != now.len {
            Some(Self::Length {
                planned: planned.len,
                now: now.len,
            })
        } else if planned.modified_ns != now.modified_ns {
            Some(Self::Written)
        } else if planned.changed_ns != now.changed_ns {
            Some(Self::Attributes)
        } else {
            None
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced => write!(f, "another file has taken its name"),
            Self::Length { planned, now } if now > planned => {
                write!(f, "it grew from {planned} to {now} bytes")
            }
            Self::Length { planned, now } => write!(f, "it shrank from {planned} to {now} bytes"),
            Self::Written => write!(f, "it was written to"),
            Self::Attributes => write!(
                f,
                "it was removed, renamed or linked, or its owner or permissions changed"
            ),
        }
    }
}
