//! What can go wrong while a split is read, and whose fault it is.

use std::io;

use mapfold_terms::{ByteSize, Codec, FailClass, Failure, RawPath, RecordAt};
use rustix::io::Errno;

use super::{Change, FieldError};

/// Why a split cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadSplitError {
    /// The file cannot be opened.
    #[error("cannot open input {}", name.display())]
    Open {
        /// The file's name as in rows.
        name: RawPath,
        /// Why.
        source: io::Error,
    },
    /// The file is open, but a read failed.
    #[error("cannot read input {} at byte {offset}", name.display())]
    Read {
        /// The file's name as in rows.
        name: RawPath,
        /// Where, in the bytes as stored.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The file is not the version that was planned.
    #[error("input {} changed while the job ran: {change}", name.display())]
    Changed {
        /// The file's name as in rows.
        name: RawPath,
        /// How it differs.
        change: Change,
    },
    /// A record is longer than the reader may hold.
    #[error("the record at byte {offset} of {} is longer than {limit}", name.display())]
    RecordTooLong {
        /// The file's name as in rows.
        name: RawPath,
        /// Where the record begins, in unpacked bytes.
        offset: u64,
        /// The longest allowed.
        limit: ByteSize,
        /// Its first bytes; see [`RecordAt::excerpt`].
        excerpt: Vec<u8>,
    },
    /// A packed file does not hold a whole number of fixed-length records.
    #[error(
        "{} ends with {got} bytes at byte {offset}, which is no whole record of {want} bytes",
        name.display()
    )]
    PartialRecord {
        /// The file's name as in rows.
        name: RawPath,
        /// Where the last record begins, in unpacked bytes.
        offset: u64,
        /// Bytes that are left there.
        got: u64,
        /// Bytes of a record.
        want: u64,
    },
    /// The first line of a file is no header.
    #[error("the first line of {} does not name columns", name.display())]
    Header {
        /// The file's name as in rows.
        name: RawPath,
        /// What is wrong with it.
        source: FieldError,
    },
    /// A packed file cannot be unpacked.
    #[error("{codec} data of {} is corrupt near byte {packed_offset}", name.display())]
    Corrupt {
        /// The file's name as in rows.
        name: RawPath,
        /// How it is packed.
        codec: CodecName,
        /// How far the packed bytes had been read.
        packed_offset: u64,
        /// What the decoder says.
        source: io::Error,
    },
    /// This program was built without what reads Parquet.
    #[error("cannot read {}: Parquet was left out when this program or plugin was built", name.display())]
    NoParquet {
        /// The file's name as in rows.
        name: RawPath,
    },
    /// A Parquet file cannot be read.
    #[error("cannot read {} as Parquet{}", name.display(), in_row_group(*row_group))]
    Parquet {
        /// The file's name as in rows.
        name: RawPath,
        /// The row group, counted from 0, and how many of its rows were read; `None` while its footer is read.
        row_group: Option<(usize, u64)>,
        /// What is wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn in_row_group(at: Option<(usize, u64)>) -> String {
    at.map_or_else(String::new, |(group, row)| {
        format!(", row {row} of row group {group}")
    })
}

impl ReadSplitError {
    /// Whose fault it is: the input's, or that of the worker that tried to read it.
    pub fn class(&self) -> FailClass {
        match self {
            Self::Open { source, .. } | Self::Read { source, .. } if is_workers(source) => {
                FailClass::Worker
            }
            _ => FailClass::Input,
        }
    }

    /// The failure that an attempt reports, with its place and what a person may do.
    pub fn into_failure(self) -> Failure {
        let mut failure = Failure::new(self.class(), &self);
        failure.hint = self.hint();
        if let Self::RecordTooLong {
            name,
            offset,
            excerpt,
            ..
        } = self
        {
            failure.at = Some(RecordAt {
                file: name,
                offset,
                row_group: None,
                record: 0,
                excerpt,
            });
        }
        failure
    }

    /// What a person may do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Open { source, .. } | Self::Read { source, .. } if is_workers(source) => {
                return None;
            }
            Self::Open { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "the file was there when the job was planned: each worker must see it under the same path".to_owned()
            }
            Self::Open { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "each worker must be allowed to read the input; the worker may run as another user"
                    .to_owned()
            }
            Self::Open { .. } | Self::Read { .. } => return None,
            Self::Changed { .. } => {
                "run the job again once nothing writes to its input, or give it a copy".to_owned()
            }
            Self::RecordTooLong { .. } => {
                "a record must fit in memory: is the format right, and does the file have line ends? If so, give the job more --memory".to_owned()
            }
            Self::PartialRecord { want, .. } => {
                format!("with --format fixed:{want} each file must hold a whole number of records")
            }
            Self::Header { .. } => {
                "with --format csv the first line of each file names its columns".to_owned()
            }
            Self::Corrupt { codec, .. } => codec.test_hint(),
            Self::NoParquet { .. } => {
                "build it with the feature: `mapfold-job = { path = \"...\", features = [\"parquet\"] }` in a plugin's Cargo.toml, `cargo build --features parquet` for a worker".to_owned()
            }
            Self::Parquet { .. } => {
                "with --format parquet each file must be a whole Parquet file; its pages may be packed with snappy, gzip, zstd or lz4".to_owned()
            }
        };
        Some(hint)
    }
}

/// Errors that another worker, or this one later, may not meet.
pub(crate) fn is_workers(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::MFILE
                | Errno::NFILE
                | Errno::NOMEM
                | Errno::NOBUFS
                | Errno::AGAIN
                | Errno::STALE
                | Errno::TIMEDOUT
                | Errno::NOTCONN
                | Errno::HOSTDOWN
        )
    )
}

/// A codec as people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodecName(pub Codec);

impl CodecName {
    fn test_hint(self) -> String {
        match self.0 {
            Codec::Plain => "look at the file".to_owned(),
            Codec::Gzip => "`gzip -t FILE` checks it; it may be cut short, or its name may end in .gz though it is not packed".to_owned(),
            Codec::Lz4 => "`lz4 -t FILE` checks it; it may be cut short, or its name may end in .lz4 though it is not packed".to_owned(),
            Codec::Bzip2 => "`bzip2 -t FILE` checks it; it may be cut short, or its name may end in .bz2 though it is not packed".to_owned(),
            Codec::Deflate => "it may be cut short, or its name may end in .deflate though it is not packed by zlib".to_owned(),
            Codec::Zstd => "`zstd -t FILE` checks it; it may be cut short, or its name may end in .zst though it is not packed".to_owned(),
        }
    }
}

impl std::fmt::Display for CodecName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Codec::Plain => "plain",
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
            Codec::Lz4 => "lz4",
            Codec::Bzip2 => "bzip2",
            Codec::Deflate => "zlib",
        })
    }
}
