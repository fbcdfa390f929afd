//! The manifest: what an output folder says of itself.
//!
//! Part files, their hashes and what made them, in JSON that people can read. It holds no times, job ids, worker
//! counts or retries: the same job on the same input leaves the same folder, byte for byte, wherever it ran.

mod skipped;
#[cfg(test)]
mod tests;
mod verify;

pub use skipped::{SKIPPED_NAME, SkippedFile, quarantine};
pub use verify::{Difference, Verified, VerifyError, verify};

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use mapfold_terms::{
    Codec, Counters, InputFile, JobSpec, ParamFile, PartSummary, PartitionId, Staged,
};
use serde::{Deserialize, Serialize};

use crate::part::{named_part_name, part_name};

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
    /// Its parameters as typed; of a file that one of them names, what is in it: `blake3:HASH`.
    pub params: BTreeMap<String, String>,
    /// How inputs were cut into records that have no format of their own.
    pub format: String,
    /// Size of a split in bytes.
    pub split_size: u64,
    /// Number of map tasks.
    pub splits: u64,
    /// Number of reduce tasks, and of parts; 0 if there is a part for each split.
    pub reducers: u32,
    /// Kinds of the key's columns, for example `text`.
    pub key: String,
    /// Kind of the value.
    pub value: String,
    /// What was read.
    pub inputs: Inputs,
    /// Counts that are the same on every run.
    pub counters: BTreeMap<String, i64>,
    /// The same of counters that are in groups, by group; absent if there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counter_groups: BTreeMap<String, BTreeMap<String, i64>>,
    /// The records that were put aside; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkippedFile>,
    /// The part files in order.
    pub parts: Vec<Part>,
    /// The files of outputs that the job has named, by name, each in the order of the parts; absent if there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub named: BTreeMap<String, Vec<Part>>,
    /// Over all of these files; see [`root_hash`].
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
    /// BLAKE3 over, for each file in order: of one that is not of the job's first input, 0xffffffff and its input (u32 each, little-endian); of one
    /// with a format of its own, 0xfffffffe, the length of the format's name (u32) and its name; length of the file's name (u32), its name, its length (u64).
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
    /// Which of the job's inputs it belongs to, counted from 0; absent if that is the first.
    #[serde(default, skip_serializing_if = "is_first")]
    pub input: u32,
    /// How it was cut into records, if not by [`Manifest::format`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
const fn is_first(input: &u32) -> bool {
    *input == 0
}

/// One part file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its name in the folder; the extension says how it is packed.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Length, as stored.
    pub bytes: u64,
    /// Length of its rows; absent if it is not packed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpacked_bytes: Option<u64>,
    /// BLAKE3 of its bytes, as stored.
    pub b3: B3,
}

/// A BLAKE3 hash; 64 hexadecimal digits in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct B3(pub [u8; 32]);

/// Why a manifest could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// There is none.
    #[error("{} has no {MANIFEST_NAME}: it is not an output folder, or not a finished one", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
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

impl Inputs {
    /// Sums up the files of a plan.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a InputFile>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut listed = Vec::new();
        let mut inputs = Self {
            files: 0,
            bytes: 0,
            list: B3([0; 32]),
            listed: None,
        };
        for file in files {
            let (name, bytes) = (file.name.as_bytes(), file.fingerprint.len);
            if file.input > 0 {
                // No name is so long.
                hasher.update(&u32::MAX.to_le_bytes());
                hasher.update(&file.input.to_le_bytes());
            }
            let format = file.format.map(|format| format.to_string());
            if let Some(format) = &format {
                hasher.update(&(u32::MAX - 1).to_le_bytes());
                hash_name(&mut hasher, format.as_bytes());
            }
            hash_name(&mut hasher, name);
            hasher.update(&bytes.to_le_bytes());
            inputs.files += 1;
            inputs.bytes += bytes;
            if listed.len() <= INPUTS_LISTED_MAX {
                listed.push(InputEntry {
                    name: String::from_utf8_lossy(name).into_owned(),
                    bytes,
                    input: file.input,
                    format,
                });
            }
        }
        inputs.list = B3(*hasher.finalize().as_bytes());
        inputs.listed = (listed.len() <= INPUTS_LISTED_MAX).then_some(listed);
        inputs
    }
}

impl Part {
    /// The entry of a finished part file.
    pub fn new(partition: PartitionId, codec: Codec, summary: &PartSummary) -> Self {
        Self::called(part_name(partition, codec), codec, summary)
    }

    fn called(name: String, codec: Codec, summary: &PartSummary) -> Self {
        Self {
            name,
            rows: summary.rows,
            bytes: summary.bytes,
            unpacked_bytes: (codec != Codec::Plain).then_some(summary.unpacked_bytes),
            b3: B3(summary.hash),
        }
    }
}

/// The files of an output folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// The part files in order.
    pub parts: Vec<Part>,
    /// Those of named outputs, each in the order of the parts.
    pub named: BTreeMap<String, Vec<Part>>,
    /// Parts without a row are left out.
    lazy_parts: bool,
}

impl Listed {
    /// Nothing yet. A part without a row will be left out, if the job wants that.
    pub fn new(lazy_parts: bool) -> Self {
        Self {
            lazy_parts,
            ..Self::default()
        }
    }

    /// Adds what one attempt has staged, which is the part `partition`; returns the names of these files, and what was told of them.
    pub fn add(
        &mut self,
        partition: PartitionId,
        codec: Codec,
        staged: &Staged,
    ) -> Vec<(String, PartSummary)> {
        let mut files = Vec::with_capacity(1 + staged.named.len());
        if staged.part.rows > 0 || !self.lazy_parts {
            let part = Part::new(partition, codec, &staged.part);
            files.push((part.name.clone(), staged.part));
            self.parts.push(part);
        }
        for (name, summary) in &staged.named {
            let file = named_part_name(name, partition, codec);
            files.push((file.clone(), *summary));
            let of_name = self.named.entry(name.clone()).or_default();
            of_name.push(Part::called(file, codec, summary));
        }
        files
    }
}

impl Manifest {
    /// All files of rows: the parts, then those of named outputs by name.
    pub fn files(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().chain(self.named.values().flatten())
    }
}

/// BLAKE3 over, for each file in order: length of its name (u32, little-endian), its name, its hash.
pub fn root_hash<'a>(parts: impl IntoIterator<Item = &'a Part>) -> B3 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hash_name(&mut hasher, part.name.as_bytes());
        hasher.update(&part.b3.0);
    }
    B3(*hasher.finalize().as_bytes())
}

/// Its length goes first, so that no two lists of names look alike.
fn hash_name(hasher: &mut blake3::Hasher, name: &[u8]) {
    let length = u32::try_from(name.len()).unwrap_or(u32::MAX);
    hasher.update(&length.to_le_bytes());
    hasher.update(name);
}

impl Inputs {
    /// As in the manifest.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("all its keys are texts")
    }

    /// What [`Inputs::to_json`] wrote; `None` if it is not that.
    pub fn from_json(json: &str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }
}

/// What a manifest is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The job as it was submitted.
    pub spec: &'a JobSpec,
    /// Size of a split in bytes.
    pub split_size: u64,
    /// Number of map tasks.
    pub splits: u64,
    /// Number of reduce tasks.
    pub reducers: u32,
    /// What was read.
    pub inputs: Inputs,
    /// Counts that are the same on every run.
    pub counters: Counters,
    /// The records that were put aside, if there are any.
    pub skipped: Option<SkippedFile>,
    /// The files of rows.
    pub listed: Listed,
}

impl Manifest {
    /// The manifest of an output folder that this engine makes.
    pub fn of(facts: Facts<'_>) -> Self {
        let spec = facts.spec;
        let Listed { parts, named, .. } = facts.listed;
        Self {
            manifest_version: MANIFEST_VERSION,
            engine: concat!("mapfold ", env!("CARGO_PKG_VERSION")).to_owned(),
            job: spec.job.clone(),
            params: content_of(&spec.params),
            format: spec.format.to_string(),
            split_size: facts.split_size,
            splits: facts.splits,
            reducers: facts.reducers,
            key: spec.row_key.clone(),
            value: spec.row_value.clone(),
            inputs: facts.inputs,
            counters: facts.counters.alone(),
            counter_groups: facts.counters.groups(),
            skipped: facts.skipped,
            root: root_hash(parts.iter().chain(named.values().flatten())),
            parts,
            named,
        }
    }

    /// The bytes of its file. The committer writes them, as part of the steps that make an output durable.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("all its keys are texts");
        json.push(b'\n');
        json
    }

    /// Reads that of an output folder.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join(MANIFEST_NAME);
        let json = match std::fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = folder.to_owned();
                return Err(ManifestError::Missing { folder });
            }
            Err(source) => return Err(ManifestError::Io { path, source }),
        };
        parse(&path, &json)
    }
}

/// Parameters without what depends on where files are.
fn content_of(params: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let content = |value: &String| ParamFile::content_of(value).to_owned();
    params
        .iter()
        .map(|(name, value)| (name.clone(), content(value)))
        .collect()
}

/// The version is looked at first, so that another one is not called malformed.
fn parse(path: &Path, json: &[u8]) -> Result<Manifest, ManifestError> {
    #[derive(Deserialize)]
    struct Versioned {
        manifest_version: u32,
    }
    let malformed = |source| ManifestError::Malformed {
        path: path.to_owned(),
        source,
    };
    let Versioned { manifest_version } = serde_json::from_slice(json).map_err(malformed)?;
    if manifest_version != MANIFEST_VERSION {
        return Err(ManifestError::Version {
            path: path.to_owned(),
            got: manifest_version,
        });
    }
    serde_json::from_slice(json).map_err(malformed)
}

impl B3 {
    /// Of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
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
