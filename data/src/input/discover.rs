//! From names as typed to the files they stand for.

use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use mapfold_terms::{InputFile, InputName, RawPath};

use super::checked_file::{fingerprint, open};
use super::codec::{self, Packing};
use super::failure::CodecName;
use super::glob::{Glob, is_glob};
use super::nearest::nearest;
use super::walk::{Found, is_hidden, join, leads_nowhere, walk};

/// Lists the files that `inputs` stand for, and refuses what could not be read.
///
/// The inputs keep their order; the files of a folder or a glob follow in the byte order of their names.
/// A folder stands for all files below it, links followed, except those whose name (or whose folder's
/// name) begins with `_` or `.`. What exists under exactly the name typed is never taken for a glob.
/// A file that is named twice is listed, and so read, twice.
///
/// Opens each file once: some microseconds each.
///
/// # Errors
/// See [`DiscoverError`].
pub fn discover(inputs: &[InputName]) -> Result<Vec<InputFile>, DiscoverError> {
    let mut files = Vec::new();
    for input in inputs {
        let mut found = expand(input)?;
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for file in found {
            files.push(examine(file, input)?);
        }
    }
    Ok(files)
}

/// The files that one input stands for, in no order.
fn expand(input: &InputName) -> Result<Vec<Found>, DiscoverError> {
    let path = input.absolute.as_path();
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            walk(&input.typed, path, |_, name| !is_hidden(name), |_| true)
        }
        Ok(metadata) => Ok(vec![Found {
            name: join(&input.typed, Path::new("")),
            path: input.absolute.clone(),
            kind: metadata.file_type(),
        }]),
        Err(_) if fs::symlink_metadata(path).is_err() && is_glob(&input.typed) => {
            expand_glob(input)
        }
        Err(error) => Err(absent(input, error)),
    }
}

fn expand_glob(input: &InputName) -> Result<Vec<Found>, DiscoverError> {
    let glob = Glob::new(input)?;
    if let Err(error) = fs::metadata(&glob.base) {
        return Err(absent(input, error));
    }
    let found = walk(
        &glob.typed_base,
        &glob.base,
        |depth, name| glob.admits(depth, name),
        |path| glob.takes(path),
    )?;
    if found.is_empty() {
        return Err(DiscoverError::NoMatch {
            name: input.typed.clone(),
        });
    }
    Ok(found)
}

/// An input that is not there.
fn absent(input: &InputName, source: io::Error) -> DiscoverError {
    let name = input.typed.clone();
    match source.kind() {
        _ if leads_nowhere(input.absolute.as_path()) => DiscoverError::BrokenLink { name },
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => DiscoverError::Missing {
            name,
            nearest: nearest(input),
        },
        _ => DiscoverError::Unreadable { name, source },
    }
}

/// Opens a file, to see that it can be read and how it is packed.
fn examine(found: Found, input: &InputName) -> Result<InputFile, DiscoverError> {
    let Found { name, path, kind } = found;
    let unreadable = |source| DiscoverError::Unreadable {
        name: name.clone(),
        source,
    };
    if !kind.is_file() {
        return Err(DiscoverError::Special {
            kind: kind_name(kind),
            name,
        });
    }
    let codec = match codec::by_name(name.as_path()) {
        Packing::Known(codec) => codec,
        Packing::Unknown { unpack } => return Err(DiscoverError::CannotUnpack { name, unpack }),
    };
    let file = open(path.as_path()).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !codec::begins_as(codec, &file).map_err(unreadable)? {
        return Err(DiscoverError::NotPacked {
            name,
            codec: CodecName(codec),
        });
    }
    Ok(InputFile {
        name,
        path,
        codec,
        fingerprint: fingerprint(&metadata),
        input: input.input,
        format: input.format,
    })
}

fn kind_name(kind: FileType) -> &'static str {
    if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

/// Why inputs are refused before anything runs.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// There is nothing of that name.
    #[error("input {} does not exist", name.display())]
    Missing {
        /// As typed.
        name: RawPath,
        /// A similar name that does exist, at least in part.
        nearest: Option<RawPath>,
    },
    /// A link leads to nothing.
    #[error("input {} is a link to something that does not exist", name.display())]
    BrokenLink {
        /// The link.
        name: RawPath,
    },
    /// A file or folder cannot be opened.
    #[error("cannot read input {}", name.display())]
    Unreadable {
        /// The file or folder.
        name: RawPath,
        /// Why.
        source: io::Error,
    },
    /// It is no regular file.
    #[error("input {} is {kind}, not a file or folder", name.display())]
    Special {
        /// The file.
        name: RawPath,
        /// What it is, with its article.
        kind: &'static str,
    },
    /// A link leads back to a folder that it is in.
    #[error("input {} is a link back to {}, in which it is", name.display(), ancestor.display())]
    Loop {
        /// The link.
        name: RawPath,
        /// Where it leads.
        ancestor: RawPath,
    },
    /// No file matches a pattern.
    #[error("no file matches input {}", name.display())]
    NoMatch {
        /// As typed.
        name: RawPath,
    },
    /// A pattern cannot be understood.
    #[error("input {} is not a valid pattern", name.display())]
    BadGlob {
        /// As typed.
        name: RawPath,
        /// Why.
        source: globset::Error,
    },
    /// A pattern is not UTF-8.
    #[error("input {} does not exist, and is no pattern as it is not UTF-8", name.display())]
    GlobNotText {
        /// As typed.
        name: RawPath,
    },
    /// The name of a file says that it is packed in a way that cannot be read.
    #[error("input {} is packed in a way that cannot be read", name.display())]
    CannotUnpack {
        /// The file.
        name: RawPath,
        /// The command that unpacks it.
        unpack: &'static str,
    },
    /// The name of a file says that it is packed, but its first bytes do not.
    #[error("input {} is named as a {codec} file, but does not begin as one", name.display())]
    NotPacked {
        /// The file.
        name: RawPath,
        /// How it should be packed.
        codec: CodecName,
    },
}

impl DiscoverError {
    /// What a person may do about it.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Missing { nearest, .. } => {
                format!("did you mean {}?", nearest.as_ref()?.display())
            }
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "the master and each worker must be allowed to read the input".to_owned()
            }
            Self::BrokenLink { .. } | Self::Unreadable { .. } => return None,
            Self::Special { .. } => {
                "pipe it in: with `-` as input, standard input is read".to_owned()
            }
            Self::Loop { .. } => "remove the link, or name the folders that are meant".to_owned(),
            Self::NoMatch { .. } => {
                "`*` stays within a folder, `**` does not; names that begin with _ or . match only patterns that do"
                    .to_owned()
            }
            Self::BadGlob { .. } | Self::GlobNotText { .. } => {
                "patterns know * ? ** [a-z] {a,b}, and \\ before a character that is meant as it is"
                    .to_owned()
            }
            Self::CannotUnpack { name, unpack } => format!(
                "gzip (.gz), Zstandard (.zst), LZ4 (.lz4), bzip2 (.bz2) and zlib (.deflate) are read; unpack it first, for example with `{unpack} {}`",
                name.display()
            ),
            Self::NotPacked { codec: CodecName(codec), .. } => format!(
                "rename it without {} if it is not packed",
                codec.extension()
            ),
        })
    }
}

#[cfg(test)]
mod tests;
