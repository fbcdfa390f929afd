//! The files below a folder.

use std::ffi::{OsStr, OsString};
use std::fs::{self, FileType};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use mapfold_terms::RawPath;
use walkdir::{DirEntry, WalkDir};

use super::DiscoverError;

/// A file before it has been opened.
pub(super) struct Found {
    pub(super) name: RawPath,
    pub(super) path: RawPath,
    pub(super) kind: FileType,
}

/// All files below the folder `base` that `takes` takes by their path relative to it. Looks only at files
/// and folders that `admits` admits by their depth below `base` (from 1) and name.
pub(super) fn walk(
    typed: &RawPath,
    base: &Path,
    admits: impl Fn(usize, &OsStr) -> bool,
    takes: impl Fn(&Path) -> bool,
) -> Result<Vec<Found>, DiscoverError> {
    let mut found = Vec::new();
    let admitted =
        |entry: &DirEntry| entry.depth() == 0 || admits(entry.depth(), entry.file_name());
    let entries = WalkDir::new(base).follow_links(true).into_iter();
    for entry in entries.filter_entry(admitted) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => {
                let below = entry.path().strip_prefix(base).unwrap_or(entry.path());
                if takes(below) {
                    found.push(Found {
                        name: join(typed, below),
                        path: entry.path().into(),
                        kind: entry.file_type(),
                    });
                }
            }
            Err(error) => {
                // A link that leads nowhere or in a circle is told of before it can be left out.
                let name = error.path().and_then(Path::file_name);
                if error.depth() == 0 || name.is_none_or(|name| admits(error.depth(), name)) {
                    return Err(walk_error(typed, base, error));
                }
            }
        }
    }
    Ok(found)
}

fn walk_error(typed: &RawPath, base: &Path, error: walkdir::Error) -> DiscoverError {
    let named = |path: &Path| join(typed, path.strip_prefix(base).unwrap_or(path));
    let path = error.path().unwrap_or(base);
    let name = named(path);
    if let Some(ancestor) = error.loop_ancestor() {
        let ancestor = named(ancestor);
        return DiscoverError::Loop { name, ancestor };
    }
    if leads_nowhere(path) {
        return DiscoverError::BrokenLink { name };
    }
    let source = error.into_io_error();
    DiscoverError::Unreadable {
        name,
        source: source.unwrap_or_else(|| io::ErrorKind::Other.into()),
    }
}

/// Whether folders and globs leave out entries of this name.
pub fn is_hidden(name: &OsStr) -> bool {
    matches!(name.as_bytes().first(), Some(b'_' | b'.'))
}

/// Whether `path` is a link to something that does not exist.
pub(super) fn leads_nowhere(path: &Path) -> bool {
    let target = fs::metadata(path);
    target.is_err_and(|error| error.kind() == io::ErrorKind::NotFound) && path.is_symlink()
}

/// `typed/below`, with no slash doubled.
pub(super) fn join(typed: &RawPath, below: &Path) -> RawPath {
    let mut name = typed.as_bytes().to_vec();
    if !name.is_empty() && !below.as_os_str().is_empty() {
        name.push(b'/');
    }
    name.extend(below.as_os_str().as_bytes());
    name.dedup_by(|a, b| (*a, *b) == (b'/', b'/'));
    PathBuf::from(OsString::from_vec(name)).into()
}
