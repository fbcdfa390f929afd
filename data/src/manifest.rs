//! The manifest: what an output folder says of itself.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use mapfold_terms::{InputFile, PartSummary, PartitionId};
use serde::{Deserialize, Serialize};

/// Name of the manifest's file in an output folder.
pub const MANIFEST_NAME: &str = "_SUCCESS";

/// Version of the manifest's layout.
pub const MANIFEST_VERSION: u32 = 1;

/// More input files than this are summed up rather than listed.
pub const INPUTS_LISTED_MAX: usize = 10_000;

/// What an output folder says of itself, as JSON. It holds no times, ids, worker counts or retries, so that the
/// same job gives the same bytes on every run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub manifest_version: u32,
    /// Version of the engine that made the output.
    pub engine: String,
    /// Name of the job in the catalog.
    pub job: String,
    /// Its parameters as typed.
    pub params: BTreeMap<String, String>,
    /// How inputs were cut into records.
    pub format: String,
    /// Size of a split in bytes.
    pub split_size: u64,
    /// Number of map tasks.
    pub splits: u64,
    /// Number of reduce tasks, and of parts.
    pub reducers: u32,
    /// Kinds of the key's columns, for example `text`.
    pub key: String,
    /// Kind of the value.
    pub value: String,
    /// What was read.
    pub inputs: Inputs,
    /// Counts that are the same on every run.
    pub counters: BTreeMap<String, u64>,
    /// The part files in order.
    pub parts: Vec<Part>,
    /// Over the parts; see [`root_hash`].
    pub root: B3,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Number of files.
    pub files: u64,
    /// Bytes of all files, as stored.
    pub bytes: u64,
    /// BLAKE3 over names and sizes of all files in order.
    pub list: B3,
    /// The files in order; absent if there are more than [`INPUTS_LISTED_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<Vec<InputEntry>>,
}

/// One input file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputEntry {
    /// As in rows; bytes that are not UTF-8 show as replacement characters.
    pub name: String,
    /// Length as stored.
    pub bytes: u64,
}

/// One part file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name in the folder.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Length.
    pub bytes: u64,
    /// BLAKE3 of its bytes.
    pub b3: B3,
}

/// A BLAKE3 hash; 64 hexadecimal digits in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct B3(pub [u8; 32]);

/// An output folder is as its manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The manifest.
    pub manifest: Manifest,
    /// Bytes of parts that were hashed.
    pub bytes: u64,
}

/// Why a manifest could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// There is none.
    #[error("{} has no {MANIFEST_NAME}: it is not an output folder, or not a finished one", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The file could not be read or written.
    #[error("cannot access {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not what Mapfold writes.
    #[error("{} is not a manifest", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Another version of Mapfold wrote it.
    #[error("{} has manifest version {got}; this engine reads version {MANIFEST_VERSION}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        got: u32,
    },
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
        /// Every difference, in order of name; not empty.
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

impl Inputs {
    /// Sums up the files of a plan.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a InputFile>) -> Self {
        todo!()
    }
}

impl Part {
    /// The entry of a finished part file.
    pub fn new(partition: PartitionId, summary: &PartSummary) -> Self {
        todo!()
    }
}

/// BLAKE3 over, for each part in order: length of its name (u32, little-endian), its name, its hash.
pub fn root_hash(parts: &[Part]) -> B3 {
    todo!()
}

impl Manifest {
    /// Writes it into `folder` and makes file and folder durable.
    pub fn write(&self, folder: &Path) -> Result<(), ManifestError> {
        todo!()
    }

    /// Reads that of an output folder.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        todo!()
    }
}

/// Reads and hashes every part of an output folder and names every difference from its manifest. Files whose names begin with `_`
/// or `.` are nobody's parts and are not looked at.
pub fn verify(folder: &Path) -> Result<Verified, VerifyError> {
    todo!()
}

fn join(differences: &[Difference]) -> String {
    let texts: Vec<_> = differences.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

impl From<B3> for String {
    fn from(hash: B3) -> Self {
        blake3::Hash::from_bytes(hash.0).to_hex().to_string()
    }
}

impl TryFrom<String> for B3 {
    type Error = blake3::HexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        blake3::Hash::from_hex(text).map(|hash| Self(*hash.as_bytes()))
    }
}
