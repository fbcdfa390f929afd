//! How an attempt ended, as the worker reports it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::{AttemptId, ByteSize, Counters, Digest, InputsDigest, RawPath, WorkerId};

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// A map attempt left its run, which stays with the worker.
    Mapped(MapReport),
    /// A reduce attempt left its part in staging, fsynced.
    Reduced(ReduceReport),
    /// It failed.
    Failed(Failure),
    /// A reduce attempt could not get a run that was said to exist. Not the task's fault.
    FetchFailed(FetchFailure),
    /// It stopped because it was told to.
    Cancelled,
}

/// What a map attempt did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapReport {
    /// Records read.
    pub records_in: u64,
    /// Bytes of input read, as stored.
    pub bytes_in: u64,
    /// Records that `map` emitted, before any fold.
    pub records_out: u64,
    /// The run it left.
    pub run: RunSummary,
    /// Bytes written as spills before the run.
    pub spilled: ByteSize,
    /// Number of spills.
    pub spills: u32,
    /// The job's own counters.
    pub counters: Counters,
    /// Wall time of the attempt.
    pub elapsed: Duration,
    /// Records that `map` failed on and that were put aside, in the order of the split; nothing that they emitted is in the run. At
    /// most as many as the job allows ([`JobBrief::skip_bad`](crate::JobBrief::skip_bad)).
    pub skipped: Vec<Skipped>,
    /// Of a job without reduce tasks: what it left in staging, fsynced. The run is empty then, with the digest of this.
    pub staged: Option<Staged>,
}

/// A record that was put aside because the job's `map` failed on it. Small, as up to [`Skipped::MAX`] of them share a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Name of the file as in rows.
    pub file: RawPath,
    /// Offset of its first byte in the file (in the unpacked bytes, if it is packed).
    pub offset: u64,
    /// Which record of its map task it is, from 1.
    pub record: u64,
    /// Its length, without a line end.
    pub bytes: u64,
    /// Its first bytes, at most [`Skipped::TEXT_MAX`].
    #[serde(with = "serde_bytes")]
    pub excerpt: Vec<u8>,
    /// What `map` failed with, at most [`Skipped::TEXT_MAX`] bytes.
    pub error: String,
}

impl Skipped {
    /// Most records that a job may put aside. One map task can have them all, and its report must fit a message.
    pub const MAX: u32 = 1000;
    /// Bytes kept of a record, and of what was said of it.
    pub const TEXT_MAX: usize = 256;

    /// What is told when there are more than `most` of them.
    pub fn too_many(most: u32) -> String {
        format!("`map` fails on more records than the {most} that may be skipped")
    }

    /// Its place, with as much of it as is shown of records.
    pub fn at(&self) -> RecordAt {
        let excerpt_len = self.excerpt.len().min(RecordAt::EXCERPT_MAX);
        RecordAt {
            file: self.file.clone(),
            offset: self.offset,
            row_group: None,
            record: self.record,
            excerpt: self.excerpt[..excerpt_len].to_vec(),
        }
    }
}

/// A finished run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Records in all partitions, after folding.
    pub records: u64,
    /// Length of the run.
    pub bytes: u64,
    /// Over the records; see [`Digest`].
    pub digest: Digest,
}

/// What a reduce attempt did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReduceReport {
    /// The runs it consumed, exactly one a map task.
    pub consumed: InputsDigest,
    /// Number of runs it consumed; must be the number of map tasks.
    pub runs: u32,
    /// Records read from runs.
    pub records_in: u64,
    /// Bytes of runs read or fetched.
    pub fetched: ByteSize,
    /// Those of them that came over a socket.
    pub fetched_remote: ByteSize,
    /// Distinct keys.
    pub groups: u64,
    /// What it left in staging.
    pub staged: Staged,
    /// Bytes written as intermediate merges.
    pub spilled: ByteSize,
    /// The job's own counters.
    pub counters: Counters,
    /// Wall time of getting the runs.
    pub fetch_elapsed: Duration,
    /// Wall time of the attempt.
    pub elapsed: Duration,
}

/// What an attempt leaves of the output: the rows of one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// The part file.
    pub part: PartSummary,
    /// Rows that the job has put into outputs of their own, by name; only those that have rows.
    pub named: BTreeMap<String, PartSummary>,
}

impl Staged {
    /// A part, and nothing else.
    pub const fn of(part: PartSummary) -> Self {
        Self {
            part,
            named: BTreeMap::new(),
        }
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &PartSummary> {
        std::iter::once(&self.part).chain(self.named.values())
    }

    /// Equal exactly if all files have the same names and bytes.
    pub fn digest(&self) -> Digest {
        let mut all = self.part.hash.to_vec();
        for (name, part) in &self.named {
            all.extend_from_slice(name.as_bytes());
            all.extend_from_slice(&part.hash);
        }
        Digest(xxh3_128(&all))
    }
}

/// A finished part file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSummary {
    /// Rows written.
    pub rows: u64,
    /// Length of the file, packed or not.
    pub bytes: u64,
    /// Length of its rows before they were packed; the same as `bytes` in a plain file.
    pub unpacked_bytes: u64,
    /// BLAKE3 of the file's bytes.
    pub hash: [u8; 32],
}

/// Whose fault a failure is; this alone decides what the scheduler does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FailClass {
    /// The job's code failed or panicked: counted, and after `max_attempts` the job fails.
    Job,
    /// This worker's disk, memory or sockets: try elsewhere.
    Worker,
    /// The input is missing, unreadable or changed: the job fails at once.
    Input,
    /// This worker has no room for bytes or files: try elsewhere; if there is none anywhere, that is why the job fails.
    Space,
    /// This worker cannot write where the output is to be: the same.
    Output,
}

impl FailClass {
    /// Whether a worker is at fault, and another may do better.
    pub fn is_workers(self) -> bool {
        matches!(self, Self::Worker | Self::Space | Self::Output)
    }
}

/// A failure, flattened for travel and for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Whose fault.
    pub class: FailClass,
    /// What went wrong, then its causes, outermost first. Never empty.
    pub chain: Vec<String>,
    /// The record at which it happened, if it was at one.
    pub at: Option<RecordAt>,
    /// What the person may do about it.
    pub hint: Option<String>,
    /// Of a panic, where the process was asked for it (`RUST_BACKTRACE=1`).
    pub backtrace: Option<String>,
}

impl Failure {
    /// A failure from an error and its chain of sources. One of a worker is of [`FailClass::Space`] if that is what is behind it.
    pub fn new(class: FailClass, error: &dyn std::error::Error) -> Self {
        let mut chain = vec![error.to_string()];
        let mut source = error.source();
        let mut full = false;
        while let Some(error) = source {
            chain.push(error.to_string());
            full |= error.downcast_ref().is_some_and(says_full);
            source = error.source();
        }
        let class = match class {
            class if full && class.is_workers() => FailClass::Space,
            class => class,
        };
        Self {
            class,
            chain,
            at: None,
            hint: None,
            backtrace: None,
        }
    }
}

/// No bytes, inodes or quota are left.
fn says_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain.join(": "))
    }
}

/// A place in the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordAt {
    /// Name of the file as in rows.
    pub file: RawPath,
    /// Offset of the record's first byte in the file (in the unpacked bytes, if it is packed); of a row of a Parquet file, which row of the file
    /// it is, from 0.
    pub offset: u64,
    /// The row group of a Parquet file, from 0; `None` of other files.
    #[serde(default)]
    pub row_group: Option<u32>,
    /// Which record of its map task it is, from 1; 0 if that is not known.
    pub record: u64,
    /// The first bytes of the record, at most [`RecordAt::EXCERPT_MAX`].
    #[serde(with = "serde_bytes")]
    pub excerpt: Vec<u8>,
}

impl RecordAt {
    /// Enough of a record to recognise it by, little enough for a terminal line.
    pub const EXCERPT_MAX: usize = 80;
}

/// A run could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchFailure {
    /// The map attempt whose run it is.
    pub map: AttemptId,
    /// The worker that should hold it.
    pub holder: WorkerId,
    /// What happened.
    pub cause: FetchCause,
    /// For people.
    pub message: String,
}

/// Why a run could not be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FetchCause {
    /// The holder answers that it has no such run.
    NotFound,
    /// Its bytes at the holder do not match their checksums or the digest.
    Corrupt,
    /// The holder did not answer within the budget of tries.
    Unreachable,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write")]
    struct CannotWrite(#[source] io::Error);

    #[test]
    fn a_full_disk_is_told_from_a_bad_one() {
        let check = |class, kind: io::ErrorKind, want| {
            let failure = Failure::new(class, &CannotWrite(kind.into()));
            assert_eq!(failure.class, want, "{kind:?}");
            assert_eq!(failure.chain.len(), 2);
        };
        check(
            FailClass::Worker,
            io::ErrorKind::StorageFull,
            FailClass::Space,
        );
        check(
            FailClass::Worker,
            io::ErrorKind::QuotaExceeded,
            FailClass::Space,
        );
        check(
            FailClass::Worker,
            io::ErrorKind::NotConnected,
            FailClass::Worker,
        );
        check(FailClass::Job, io::ErrorKind::StorageFull, FailClass::Job);
    }
}
