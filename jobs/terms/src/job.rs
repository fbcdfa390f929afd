//! What a job is before it runs: the client's description, and the part of it that workers need.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    AttemptId, ByteSize, Codec, JobFile, JobId, PartitionId, Partitioning, RawPath, Split,
};

/// Chosen at random by the client; a submit that repeats a key is the same job, not a second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey(pub u128);

/// How the bytes of an input file are cut into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Format {
    /// A record a line, without its LF or CRLF. A last line without an end counts; an empty file has none.
    #[default]
    Lines,
    /// A record a file, however long (it must fit the memory budget).
    Files,
    /// Lines, and a map task for every N of them (Hadoop's NLineInputFormat).
    NLine(NonZeroU32),
    /// A record for every N bytes; a file whose length is no multiple of N is refused.
    Fixed(NonZeroU32),
    /// Rows of fields with this byte between them (RFC 4180): a record a line, but for the first of each file, which names the columns, and for
    /// empty ones. A field does not go on in the next line.
    Csv(u8),
    /// Rows of Parquet files: a record a row, given as one line of JSON, an object with the columns by name. Read only by programs that
    /// were built with the cargo feature `parquet`.
    Parquet,
}

impl Format {
    /// Rows of comma-separated values, with a header.
    pub const CSV: Self = Self::Csv(b',');
    /// The same with tabs.
    pub const TSV: Self = Self::Csv(b'\t');
}

/// Why a text is no [`Format`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a format: use lines, files, csv, tsv, csv:X (X between fields), parquet, nline:N (N lines a map task) or fixed:N (records of N bytes)"
)]
pub struct FormatError(pub String);

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || FormatError(text.to_owned());
        match text.split_once(':') {
            None if text == "lines" => Ok(Self::Lines),
            None if text == "files" => Ok(Self::Files),
            None if text == "csv" => Ok(Self::CSV),
            None if text == "tsv" => Ok(Self::TSV),
            None if text == "parquet" => Ok(Self::Parquet),
            Some(("csv", between)) => match between.as_bytes() {
                [byte] if byte.is_ascii_graphic() && *byte != b'"' => Ok(Self::Csv(*byte)),
                _ => Err(error()),
            },
            Some(("nline", n)) => n.parse().map(Self::NLine).map_err(|_| error()),
            Some(("fixed", n)) => n.parse().map(Self::Fixed).map_err(|_| error()),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Lines => write!(f, "lines"),
            Self::Files => write!(f, "files"),
            Self::NLine(n) => write!(f, "nline:{n}"),
            Self::Fixed(n) => write!(f, "fixed:{n}"),
            Self::CSV => write!(f, "csv"),
            Self::TSV => write!(f, "tsv"),
            Self::Csv(byte) => write!(f, "csv:{}", char::from(byte)),
            Self::Parquet => write!(f, "parquet"),
        }
    }
}

/// One input as the user named it: a file, a folder or a glob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputName {
    /// As typed. Names in rows and messages are made from it, so they do not depend on where the
    /// master was started.
    pub typed: RawPath,
    /// The same as an absolute path (a glob keeps its wildcards).
    pub absolute: RawPath,
    /// Which of the job's inputs it belongs to, counted from 0; 0 where the job has but one.
    #[serde(default)]
    pub input: u32,
    /// How its files are cut into records, if not as those of the job's other inputs.
    #[serde(default)]
    pub format: Option<Format>,
}

/// A job as a client submits it. The plan follows from it and the input alone, never from the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// Makes submitting idempotent.
    pub key: JobKey,
    /// Name of the job in the catalog, for example `wordcount`.
    pub job: String,
    /// Parameters (`-p KEY=VALUE`), settled by the client: by their declared names, with defaults, and already checked against the catalog.
    pub params: BTreeMap<String, String>,
    /// What to read: one input of the job after the other, each in the order given.
    pub inputs: Vec<InputName>,
    /// Files that go with the job, at most [`JobFile::MAX`]. On a cluster the master has them before the job is submitted.
    pub files: Vec<JobFile>,
    /// How inputs are cut into records that have no format of their own.
    pub format: Format,
    /// Size of a split; by default a function of the input's size.
    pub split_size: Option<ByteSize>,
    /// No split holds pieces of two files, and an empty file is a split ([`JobInfo::split_per_file`]).
    #[serde(default)]
    pub split_per_file: bool,
    /// Number of reduce tasks, and so of part files; by default a function of the input's size. 0 for a job that has none: then each map
    /// task leaves a part.
    pub reducers: Option<u32>,
    /// How part files are packed.
    pub parts: Codec,
    /// Parts without a row are left out of the output.
    #[serde(default)]
    pub lazy_parts: bool,
    /// How keys are shared out to them. Ranges come with their number, since they were found for it.
    pub partitioning: Partitioning,
    /// The output folder, absolute.
    pub output: RawPath,
    /// Exchange an output folder that exists, rather than refuse.
    pub overwrite: bool,
    /// Failed attempts of one task that fail the job.
    pub max_attempts: NonZeroU32,
    /// Records that may be put aside because `map` fails on them; one more fails the job. At most
    /// [`Skipped::MAX`](crate::Skipped::MAX).
    pub skip_bad: u32,
    /// Whether stragglers get a second attempt on another worker.
    pub backup: bool,
    /// An attempt that makes no progress for so long has failed; zero for no such limit.
    pub task_timeout: Duration,
    /// What rows hold, from the catalog ([`JobInfo::key`]); for the manifest alone.
    pub row_key: String,
    /// The same of the value ([`JobInfo::value`]).
    pub row_value: String,
}

/// What every attempt of a job must know of it. Travels with each order; small.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobBrief {
    /// The job's id at this master.
    pub job: JobId,
    /// Name in the catalog.
    pub name: String,
    /// Parameters of the job.
    pub params: BTreeMap<String, String>,
    /// Files that go with the job; a worker has them at hand before an attempt begins.
    pub files: Vec<JobFile>,
    /// How inputs are cut into records.
    pub format: Format,
    /// Number of reduce tasks R; partitions are `0..R`. 0 if map tasks leave parts.
    pub reducers: u32,
    /// How keys are shared out to them.
    pub partitioning: Partitioning,
    /// Number of map tasks M.
    pub maps: u32,
    /// How part files are packed.
    pub parts: Codec,
    /// Records that a map attempt may put aside: those of the whole job, as any one may have them all.
    pub skip_bad: u32,
    /// An attempt that makes no progress for so long has failed; zero for no such limit. A worker that can end its process does.
    pub task_timeout: Duration,
    /// Attempts leave their part in this folder, under a name with their token. One that is gone must stay so.
    pub staging: RawPath,
}

/// What a worker is told to do. Orders may arrive twice; each is safe to receive again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Run a map attempt. An attempt id is executed at most once.
    Map {
        /// The attempt.
        attempt: AttemptId,
        /// What to read.
        split: Split,
        /// The job.
        brief: JobBrief,
    },
    /// Run a reduce attempt over the runs of all map tasks.
    Reduce {
        /// The attempt.
        attempt: AttemptId,
        /// The share of keys to merge.
        partition: PartitionId,
        /// The job.
        brief: JobBrief,
    },
    /// Stop an attempt; its outcome no longer matters.
    Cancel(AttemptId),
    /// Delete the run of a map attempt; nobody will ask for it.
    Discard(AttemptId),
    /// The job has ended: stop its attempts and delete its runs.
    Forget(JobId),
    /// No more work will come: stop.
    Stop,
}

/// What a job tells about itself, for `list`, `describe` and checks before anything runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobInfo {
    /// Name in the catalog.
    pub name: String,
    /// One line.
    pub summary: String,
    /// A few paragraphs: what a row is, what counts as a record, limits.
    pub help: String,
    /// The parameters it takes, sorted by name.
    pub params: Vec<ParamInfo>,
    /// Kinds of the key's columns in a row, for example `text` or `text, u64`.
    pub key: String,
    /// Kind of the value in a row.
    pub value: String,
    /// How its input is cut into records, unless the user says otherwise.
    #[serde(default)]
    pub format: Format,
    /// Names of its inputs, where it has several; else none.
    #[serde(default)]
    pub inputs: Vec<String>,
    /// How each of these is cut into records, where that is not the same for all; else none.
    #[serde(default)]
    pub input_formats: Vec<Format>,
    /// The parameter, a side file, that its rows are the next version of, if it is run round after round.
    #[serde(default)]
    pub refines: Option<String>,
    /// Whether the job has a combiner.
    pub folds: bool,
    /// Whether the part files, one after another, hold the keys in order.
    pub total_order: bool,
    /// Whether it has no reduce tasks: each map task leaves a part.
    pub map_only: bool,
    /// Whether a map task reads one file at most, and an empty file has a map task too.
    #[serde(default)]
    pub split_per_file: bool,
}

/// One parameter of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamInfo {
    /// As typed before the `=`.
    pub name: String,
    /// Kind of value: `bool`, `text`, `u64`, ...
    pub kind: String,
    /// The value taken when it is not given; `None` if it must be given.
    pub default: Option<String>,
    /// One line.
    pub help: String,
}

impl ParamInfo {
    /// The one that was typed: in its name a `-` may stand for a `_`. One whose name ends in a `*` is any whose name begins so.
    pub fn find<'i>(infos: &'i [Self], typed: &str) -> Option<&'i Self> {
        let same = |a: &str| a == typed || a.replace('_', "-") == typed.replace('_', "-");
        let begins = |name: &str| {
            let begin = name.strip_suffix('*');
            begin.is_some_and(|begin| typed.starts_with(begin))
        };
        infos
            .iter()
            .find(|info| same(&info.name) || begins(&info.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_parse_and_print_alike() {
        for text in [
            "lines",
            "files",
            "nline:5",
            "fixed:100",
            "csv",
            "tsv",
            "csv:;",
            "csv::",
            "parquet",
        ] {
            assert_eq!(
                text.parse::<Format>().map(|format| format.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in [
            "", "line", "nline", "nline:0", "fixed:", "fixed:-1", "lines:2", "csv:", "csv:\"",
            "csv:ab", "csv: ",
        ] {
            assert!(text.parse::<Format>().is_err(), "{text}");
        }
    }
}
