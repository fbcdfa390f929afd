//! Holds an output folder against its manifest.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::{B3, Manifest, ManifestError, root_hash};

/// An output folder is as its manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The manifest.
    pub manifest: Manifest,
    /// Bytes of parts that were hashed.
    pub bytes: u64,
}

/// Why an output folder does not stand up to its manifest.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// There is no manifest to hold it against.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not what the manifest says.
    #[error("{} is not what its manifest says: {}", folder.display(), join(differences))]
    Differs {
        /// The folder.
        folder: PathBuf,
        /// Every difference: of parts in order, then of what else is there; not empty.
        differences: Vec<Difference>,
    },
}

/// One way in which an output folder differs from its manifest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// A part is not there.
    #[error("{0} is missing")]
    Missing(String),
    /// A file is there that the manifest does not list.
    #[error("{0} is not listed")]
    Extra(String),
    /// A part has another length.
    #[error("{name} has {got} bytes, not {want}")]
    Length {
        /// The part.
        name: String,
        /// As it is.
        got: u64,
        /// As listed.
        want: u64,
    },
    /// A part has the right length and other bytes.
    #[error("{name} has other contents")]
    Changed {
        /// The part.
        name: String,
    },
    /// The manifest's root hash is not that of its parts.
    #[error("the root hash is not that of the listed parts")]
    Root,
}

/// Reads and hashes every part of an output folder, and the records that were put aside, and names every difference from its manifest. Other
/// files whose names begin with `_` or `.` are nobody's parts and are not looked at.
pub fn verify(folder: &Path) -> Result<Verified, VerifyError> {
    let manifest = Manifest::read(folder)?;
    let mut extra = file_names(folder)?;
    let mut differences = Vec::new();
    let mut bytes = 0;
    let parts = manifest.files();
    let parts = parts.map(|part| (&part.name, part.bytes, part.b3));
    let skipped = manifest.skipped.iter();
    let skipped = skipped.map(|file| (&file.name, file.bytes, file.b3));
    for (name, want, b3) in parts.chain(skipped) {
        extra.remove(name);
        let path = folder.join(name);
        match hash_file(&path) {
            Ok(found) if found.bytes != want => differences.push(Difference::Length {
                name: name.clone(),
                got: found.bytes,
                want,
            }),
            Ok(found) if found.b3 != b3 => {
                differences.push(Difference::Changed { name: name.clone() });
            }
            Ok(found) => bytes += found.bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                differences.push(Difference::Missing(name.clone()));
            }
            Err(source) => return Err(VerifyError::Io { path, source }),
        }
    }
    differences.extend(extra.into_iter().map(Difference::Extra));
    if root_hash(manifest.files()) != manifest.root {
        differences.push(Difference::Root);
    }
    if differences.is_empty() {
        Ok(Verified { manifest, bytes })
    } else {
        Err(VerifyError::Differs {
            folder: folder.to_owned(),
            differences,
        })
    }
}

/// Names of all entries that count as output.
fn file_names(folder: &Path) -> Result<BTreeSet<String>, VerifyError> {
    let error = |source| VerifyError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let name = entry.map_err(error)?.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with(['_', '.']) {
            names.insert(name.into_owned());
        }
    }
    Ok(names)
}

struct Hashed {
    bytes: u64,
    b3: B3,
}

fn hash_file(path: &Path) -> io::Result<Hashed> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(Hashed {
        bytes: hasher.count(),
        b3: B3(*hasher.finalize().as_bytes()),
    })
}

fn join(differences: &[Difference]) -> String {
    let texts: Vec<_> = differences.iter().map(ToString::to_string).collect();
    texts.join("; ")
}
