//! How an input is divided into map tasks.

use serde::{Deserialize, Serialize};

use crate::{Format, RawPath};

/// How a file is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Codec {
    /// As it is.
    #[default]
    Plain,
    /// gzip, any number of members; cannot be cut into splits.
    Gzip,
    /// Zstandard, any number of frames; not cut into splits.
    Zstd,
    /// LZ4's frame format, any number of frames; not cut into splits.
    Lz4,
    /// bzip2, any number of members; not cut into splits.
    Bzip2,
    /// zlib, what Hadoop calls deflate; not cut into splits.
    Deflate,
}

impl Codec {
    /// Every codec.
    pub const ALL: [Self; 6] = [
        Self::Plain,
        Self::Gzip,
        Self::Zstd,
        Self::Lz4,
        Self::Bzip2,
        Self::Deflate,
    ];

    /// What the names of files that are so packed end in; nothing for plain files.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Gzip => ".gz",
            Self::Zstd => ".zst",
            Self::Lz4 => ".lz4",
            Self::Bzip2 => ".bz2",
            Self::Deflate => ".deflate",
        }
    }

    /// What the name of one of our own files says.
    pub fn of_name(name: &str) -> Self {
        let mut packed = Self::ALL.into_iter().filter(|codec| *codec != Self::Plain);
        packed
            .find(|codec| name.ends_with(codec.extension()))
            .unwrap_or_default()
    }
}

/// What identifies one version of a file. A file whose fingerprint differs from the plan's has
/// changed, and the job fails. The device is left out, as one folder may be mounted under different
/// device numbers on different machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Inode number.
    pub inode: u64,
    /// Length in bytes.
    pub len: u64,
    /// Modification time, nanoseconds since 1970.
    pub modified_ns: i128,
    /// Time of the last change of content or attributes, nanoseconds since 1970.
    pub changed_ns: i128,
}

/// One file of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// The name rows and messages use: as typed, with what a folder or glob added.
    pub name: RawPath,
    /// Absolute path to open.
    pub path: RawPath,
    /// How it is packed.
    pub codec: Codec,
    /// The version that was planned.
    pub fingerprint: Fingerprint,
    /// Which of the job's inputs it belongs to ([`InputName::input`](crate::InputName::input)).
    #[serde(default)]
    pub input: u32,
    /// How it is cut into records, if not as the plan says ([`InputName::format`](crate::InputName::format)).
    #[serde(default)]
    pub format: Option<Format>,
}

impl InputFile {
    /// How it is cut into records, where others are cut by `rest`.
    pub fn format_or(&self, rest: Format) -> Format {
        self.format.unwrap_or(rest)
    }
}

/// A byte range of one file. A record belongs to the piece in which it begins.
/// A compressed file is always one piece, `0..len` of the packed bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The file, whole so that a worker needs nothing else.
    pub file: InputFile,
    /// First byte.
    pub start: u64,
    /// Byte after the last.
    pub end: u64,
}

/// What one map task reads: one piece of a large file, or many small files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Index of the map task.
    pub index: u32,
    /// In plan order; never empty.
    pub pieces: Vec<Piece>,
}

impl Split {
    /// Bytes of input, as stored.
    pub fn bytes(&self) -> u64 {
        self.pieces
            .iter()
            .map(|piece| piece.end - piece.start)
            .sum()
    }
}

/// All map tasks of a job. A function of the input alone (names, sizes, format, split size).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How files are cut into records that have no format of their own, and how rows that are records are written.
    pub format: Format,
    /// In input order; pieces tile every file. May be empty (an empty folder).
    pub splits: Vec<Split>,
    /// Number of files read, empty ones included.
    pub files: u64,
    /// Bytes of all files, as stored.
    pub bytes: u64,
    /// Number of reduce tasks; 0 if each split becomes a part.
    pub reducers: u32,
}
