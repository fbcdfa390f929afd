//! How the fields of records are laid out.
//!
//! ```text
//! number      little-endian, as wide as its type              text, bytes  length u32, then the bytes
//! yes or no   one byte, 0 or 1                                list, map    count u32, then the items in order
//! optional    one byte, 0 or 1; after a 1, the value          struct       its fields in the order given below
//! duration    seconds u64, nanoseconds u32                    choice       one byte that says which, then its fields
//! ```
//! The order of fields below *is* the format: whoever changes it makes a new version of the journal
//! ([`crate::log`]).

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use mapfold_terms::{
    AttemptId, Boundaries, ByteSize, Codec, Counters, Digest, FailClass, FailReason, FailedAttempt,
    Failure, FileId, Fingerprint, Format, InputFile, InputName, InputsDigest, JobEnd, JobFile,
    JobFileKind, JobId, JobKey, JobReport, JobSpec, MapReport, MasterEpoch, PartSummary,
    PartitionId, Partitioning, PhaseStatus, Piece, RawPath, RecordAt, ReduceReport, RunSummary,
    Skipped, Split, Staged, TaskId, TaskKind, TaskTiming, Token, WorkerId,
};

use crate::record::Planned;

/// A value with a layout.
pub(crate) trait Layout: Sized {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes it from the front; `None` if what is there is no such value.
    fn take(from: &mut Reader<'_>) -> Option<Self>;
}

/// Bytes that are read from the front.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Layout for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(from: &mut Reader<'_>) -> Option<Self> {
                from.array().map(Self::from_le_bytes)
            }
        }
    )*};
}

numbers!(u8, u32, u64, i64, u128, i128);

/// Newtypes and structs: the fields in order.
macro_rules! fields {
    ($($name:ident { $($field:tt),* })*) => {$(
        impl Layout for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn take(from: &mut Reader<'_>) -> Option<Self> {
                Some(Self { $($field: Layout::take(from)?),* })
            }
        }
    )*};
}

fields! {
    JobId { 0 }
    JobKey { 0 }
    MasterEpoch { 0 }
    WorkerId { 0 }
    PartitionId { 0 }
    ByteSize { 0 }
    Digest { 0 }
    Counters { 0 }
    Token { epoch, counter }
    TaskId { kind, index }
    AttemptId { token, job, task, number }
    InputName { typed, absolute, input, format }
    FileId { 0 }
    JobFile { kind, name, bytes, id, path }
    JobSpec {
        key, job, params, inputs, files, format, split_size, split_per_file, reducers, parts, lazy_parts, partitioning, output, overwrite,
        max_attempts, skip_bad, backup, task_timeout, row_key, row_value
    }
    Fingerprint { inode, len, modified_ns, changed_ns }
    InputFile { name, path, codec, fingerprint, input, format }
    Piece { file, start, end }
    Split { index, pieces }
    Planned { maps, reducers, files, bytes, split_size, max_attempts, skip_bad, backup, task_timeout, staging, inputs }
    RunSummary { records, bytes, digest }
    MapReport { records_in, bytes_in, records_out, run, spilled, spills, counters, elapsed, skipped, staged }
    Skipped { file, offset, record, bytes, excerpt, error }
    Staged { part, named }
    PartSummary { rows, bytes, unpacked_bytes, hash }
    ReduceReport {
        consumed, runs, records_in, fetched, fetched_remote, groups, staged, spilled, counters, fetch_elapsed,
        elapsed
    }
    RecordAt { file, offset, row_group, record, excerpt }
    Failure { class, chain, at, hint, backtrace }
    FailedAttempt { attempt, worker, failure }
    PhaseStatus { tasks, done, running, records, bytes, bytes_total }
    TaskTiming { task, worker, elapsed, bytes, about }
    JobReport {
        end, elapsed, plan_elapsed, map_elapsed, reduce_elapsed, commit_elapsed, files, maps, reduces,
        records_in, bytes_in, records_mapped, records_shuffled, bytes_shuffled, bytes_remote, bytes_spilled,
        groups, rows, bytes_out, named, attempts, attempts_failed, attempts_lost, maps_rerun, time_lost, stale_reports,
        rollbacks, workers_lost, backups, backups_won, differing, slowest, map_median, reduce_median, largest, counters, skipped, failed
    }
}

/// Choices without fields: which byte stands for which.
macro_rules! choices {
    ($($name:ident { $($byte:literal => $choice:ident),* })*) => {$(
        impl Layout for $name {
            fn put(&self, out: &mut Vec<u8>) {
                out.push(match self { $(Self::$choice => $byte),* });
            }

            fn take(from: &mut Reader<'_>) -> Option<Self> {
                match u8::take(from)? {
                    $($byte => Some(Self::$choice),)*
                    _ => None,
                }
            }
        }
    )*};
}

choices! {
    TaskKind { 0 => Map, 1 => Reduce }
    JobFileKind { 0 => Plugin, 1 => Side }
    Codec { 0 => Plain, 1 => Gzip, 2 => Zstd, 3 => Lz4, 4 => Bzip2, 5 => Deflate }
    FailClass { 0 => Job, 1 => Worker, 2 => Input, 3 => Space, 4 => Output }
    FailReason {
        0 => TaskFailed, 1 => Input, 2 => Output, 3 => NoSpace, 4 => NoWorkers, 5 => Rollbacks, 6 => Internal
    }
}

impl Layout for Format {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Lines => out.push(0),
            Self::Files => out.push(1),
            Self::NLine(n) => {
                out.push(2);
                n.put(out);
            }
            Self::Fixed(n) => {
                out.push(3);
                n.put(out);
            }
            Self::Csv(byte) => {
                out.push(4);
                byte.put(out);
            }
            Self::Parquet => out.push(5),
        }
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(Self::Lines),
            1 => Some(Self::Files),
            2 => Some(Self::NLine(Layout::take(from)?)),
            3 => Some(Self::Fixed(Layout::take(from)?)),
            4 => Some(Self::Csv(Layout::take(from)?)),
            5 => Some(Self::Parquet),
            _ => None,
        }
    }
}

impl Layout for JobEnd {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Succeeded { root } => {
                out.push(0);
                root.put(out);
            }
            Self::Failed {
                what,
                failure,
                reason,
            } => {
                out.push(1);
                what.put(out);
                failure.put(out);
                reason.put(out);
            }
            Self::Cancelled => out.push(2),
        }
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(Self::Succeeded {
                root: Layout::take(from)?,
            }),
            1 => Some(Self::Failed {
                what: Layout::take(from)?,
                failure: Layout::take(from)?,
                reason: Layout::take(from)?,
            }),
            2 => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// Ranges: the boundaries as a list.
impl Layout for Partitioning {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hash => out.push(0),
            Self::Ranges(boundaries) => {
                out.push(1);
                put_length(boundaries.len(), out);
                boundaries.iter().for_each(|one| put_bytes(one, out));
            }
        }
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(Self::Hash),
            1 => {
                let mut boundaries = Boundaries::default();
                for _ in 0..take_length(from)? {
                    boundaries.push(take_bytes(from)?);
                }
                Some(Self::Ranges(boundaries))
            }
            _ => None,
        }
    }
}

impl Layout for InputsDigest {
    fn put(&self, out: &mut Vec<u8>) {
        self.to_bits().put(out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        u128::take(from).map(Self::from_bits)
    }
}

impl Layout for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Layout for NonZeroU32 {
    fn put(&self, out: &mut Vec<u8>) {
        self.get().put(out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        u32::take(from).and_then(Self::new)
    }
}

impl Layout for Duration {
    fn put(&self, out: &mut Vec<u8>) {
        self.as_secs().put(out);
        self.subsec_nanos().put(out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let (seconds, nanos) = (u64::take(from)?, u32::take(from)?);
        (nanos < 1_000_000_000).then(|| Self::new(seconds, nanos))
    }
}

impl<const N: usize> Layout for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        from.array()
    }
}

impl Layout for String {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        Self::from_utf8(take_bytes(from)?.to_vec()).ok()
    }
}

impl Layout for RawPath {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(self.as_bytes(), out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        take_bytes(from).map(|bytes| Self::from(bytes.to_vec()))
    }
}

impl<T: Layout> Layout for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        match bool::take(from)? {
            true => T::take(from).map(Some),
            false => Some(None),
        }
    }
}

impl<T: Layout> Layout for Box<T> {
    fn put(&self, out: &mut Vec<u8>) {
        T::put(self, out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        T::take(from).map(Self::new)
    }
}

impl<T: Layout> Layout for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        self.iter().for_each(|item| item.put(out));
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        // Grows with what is there, not with what a damaged count says.
        (0..take_length(from)?).map(|_| T::take(from)).collect()
    }
}

impl<K: Layout + Ord, V: Layout> Layout for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        put_length(self.len(), out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        let pairs = 0..take_length(from)?;
        pairs
            .map(|_| Some((K::take(from)?, V::take(from)?)))
            .collect()
    }
}

impl<A: Layout, B: Layout> Layout for (A, B) {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
        self.1.put(out);
    }

    fn take(from: &mut Reader<'_>) -> Option<Self> {
        Some((A::take(from)?, B::take(from)?))
    }
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    u32::try_from(length)
        .expect("what is recorded came in a message, or was cut to pieces")
        .put(out);
}

fn take_length(from: &mut Reader<'_>) -> Option<u32> {
    u32::take(from)
}

fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_length(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn take_bytes<'a>(from: &mut Reader<'a>) -> Option<&'a [u8]> {
    let length = take_length(from)?;
    from.bytes(length as usize)
}
