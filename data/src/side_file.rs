//! Files beside the input that a job reads whole when it is made, such as a list of stop words.
//!
//! A side file is known by the BLAKE3 of its bytes, taken by whoever describes the job. Each process that makes the job reads the file into memory, hashes
//! what it has read, and refuses what is not the same. Length and time of modification would be quicker to compare, but a copy on another
//! machine has another time, and a write within the tick of a clock goes unseen; the bytes are read anyway, and hashing them takes less than that. They are
//! not mapped: a mapped file that shrinks ends the process, and one that is written to changes what was checked.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use mapfold_terms::{ByteSize, FailClass, FileId, JobFile, JobFileKind, ParamFile, RawPath};
use serde::{Deserialize, Serialize};

use crate::input::is_workers;

/// A longer side file is refused: every process that runs the job holds it in memory, beside `--memory`.
pub const SIDE_FILE_MAX: ByteSize = ByteSize::gib(1);

/// Why a side file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SideFileError {
    /// There is none.
    #[error("there is no file {path}")]
    Missing {
        /// The file.
        path: String,
    },
    /// It is a pipe or a device.
    #[error("{path} is no regular file")]
    Irregular {
        /// What was named.
        path: String,
    },
    /// It is longer than [`SIDE_FILE_MAX`].
    #[error("{path} is longer than the {SIDE_FILE_MAX} that a side file may have")]
    TooLong {
        /// The file.
        path: String,
    },
    /// It cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// The system's words.
        reason: String,
        /// Whether another worker, or this one later, may read it.
        elsewhere: bool,
    },
    /// It is not what the job was described with.
    #[error("{path} changed after the job was submitted")]
    Changed {
        /// The file.
        path: String,
    },
    /// It is a folder.
    #[error("{path} is a folder, and no file")]
    Folder {
        /// The folder.
        path: String,
    },
    /// Its path is empty.
    #[error("no file is named")]
    Unnamed,
}

/// Reads and hashes the file that is given for the parameter `name`. Errors name it as `path` does; the description has it absolute.
///
/// # Errors
/// See [`SideFileError`].
pub fn look(name: &str, path: &Path) -> Result<JobFile, SideFileError> {
    let bytes = read(path)?;
    let absolute = std::path::absolute(path).map_err(|error| unreadable(path, &error))?;
    Ok(JobFile {
        kind: JobFileKind::Side,
        name: name.to_owned(),
        bytes: ByteSize(bytes.len() as u64),
        id: id_of(&bytes),
        path: RawPath::from(absolute),
    })
}

/// Reads the bytes of a file that must be what its hash says.
///
/// # Errors
/// See [`SideFileError`].
pub fn read_known(file: &ParamFile) -> Result<Vec<u8>, SideFileError> {
    let bytes = read(Path::new(&file.path))?;
    if id_of(&bytes) != file.id {
        let path = file.path.clone();
        return Err(SideFileError::Changed { path });
    }
    Ok(bytes)
}

fn id_of(bytes: &[u8]) -> FileId {
    FileId(*blake3::hash(bytes).as_bytes())
}

/// Reads a whole file.
///
/// # Errors
/// See [`SideFileError`].
pub fn read(path: &Path) -> Result<Vec<u8>, SideFileError> {
    if path.as_os_str().is_empty() {
        return Err(SideFileError::Unnamed);
    }
    let name = || path.display().to_string();
    let unreadable = |error: io::Error| unreadable(path, &error);
    // Before it is opened: that of a pipe waits for a writer.
    let metadata = path.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(SideFileError::Folder { path: name() });
    }
    if !metadata.is_file() {
        return Err(SideFileError::Irregular { path: name() });
    }
    if metadata.len() > SIDE_FILE_MAX.bytes() {
        return Err(SideFileError::TooLong { path: name() });
    }
    let mut bytes = Vec::with_capacity(ByteSize(metadata.len()).as_usize());
    let file = File::open(path).map_err(unreadable)?;
    // It may grow meanwhile.
    let mut file = file.take(SIDE_FILE_MAX.bytes() + 1);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > SIDE_FILE_MAX.bytes() {
        return Err(SideFileError::TooLong { path: name() });
    }
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> SideFileError {
    let name = path.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            SideFileError::Missing { path: name }
        }
        _ => SideFileError::Unreadable {
            path: name,
            elsewhere: is_workers(error),
            reason: error.to_string(),
        },
    }
}

impl SideFileError {
    /// Whose fault it is where an attempt meets it: the input's, or that of a worker that cannot read it now.
    pub const fn class(&self) -> FailClass {
        match self {
            Self::Unreadable {
                elsewhere: true, ..
            } => FailClass::Worker,
            _ => FailClass::Input,
        }
    }

    /// What a person may do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Missing { .. } => {
                "a relative path is looked up in the folder in which `mapfold` is started"
            }
            Self::Folder { .. } => "name a file in it",
            Self::Unnamed => "write -p NAME=FILE",
            Self::Irregular { .. } => "write its contents to a file, and name that",
            Self::TooLong { .. } => {
                "make it a second input of the job, rather than a file that every process holds in memory"
            }
            Self::Unreadable { .. } => "whoever runs the job must be allowed to read the file",
            Self::Changed { .. } => {
                "run the job again once nothing writes to the file, or give it a copy"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_was_looked_at_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stop");
        fs::write(&path, "the\n").unwrap();
        let file = ParamFile::from(&look("stop", &path).unwrap());
        assert_eq!(read_known(&file), Ok(b"the\n".to_vec()));
        // The same length, perhaps at the same time.
        fs::write(&path, "and\n").unwrap();
        let changed = read_known(&file).unwrap_err();
        assert!(matches!(changed, SideFileError::Changed { .. }));
        assert_eq!(changed.class(), FailClass::Input);
        let copy = ParamFile {
            path: folder.path().join("copy").display().to_string(),
            ..file
        };
        assert!(matches!(
            read_known(&copy),
            Err(SideFileError::Missing { .. })
        ));
        fs::write(&copy.path, "the\n").unwrap();
        assert_eq!(read_known(&copy), Ok(b"the\n".to_vec()));
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            look("x", folder.path()),
            Err(SideFileError::Folder { .. })
        ));
        assert_eq!(look("x", Path::new("")), Err(SideFileError::Unnamed));
        assert!(matches!(
            look("x", &folder.path().join("none")),
            Err(SideFileError::Missing { .. })
        ));
        assert!(matches!(
            look("x", Path::new("/dev/zero")),
            Err(SideFileError::Irregular { .. })
        ));
        let long = folder.path().join("long");
        let file = File::create(&long).unwrap();
        file.set_len(SIDE_FILE_MAX.bytes() + 1).unwrap();
        assert!(matches!(read(&long), Err(SideFileError::TooLong { .. })));
    }
}
