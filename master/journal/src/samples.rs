//! One record of each kind, for tests.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use mapfold_terms::{
    AttemptId, ByteSize, Codec, Counters, Digest, FailClass, FailReason, FailedAttempt, Failure,
    FileId, Fingerprint, Format, InputFile, InputName, InputsDigest, JobEnd, JobFile, JobFileKind,
    JobId, JobKey, JobReport, JobSpec, MapReport, MasterEpoch, PartSummary, PartitionId,
    Partitioning, PhaseStatus, Piece, RawPath, RecordAt, ReduceReport, RunSummary, Skipped, Split,
    Staged, TaskId, TaskTiming, Token, WorkerId,
};

use crate::record::{Planned, Record};

pub(crate) fn start() -> Vec<Record> {
    vec![
        Record::Began {
            epoch: MasterEpoch(3),
            since: MasterEpoch(2),
            next_job: JobId(4),
            last_worker: WorkerId(5),
        },
        Record::Starts {
            epochs: vec![MasterEpoch(1), MasterEpoch(2)],
        },
        Record::Workers { upto: WorkerId(6) },
    ]
}

/// All kinds.
pub(crate) fn records() -> Vec<Record> {
    let drains = Record::Drains { process: 1 << 70 };
    [start(), vec![drains], records_of(JobId(1))].concat()
}

/// All kinds that are about a job; its end is the last.
pub(crate) fn records_of(job: JobId) -> Vec<Record> {
    vec![
        Record::Accepted {
            job,
            at_ms: 1_700_000_000_000,
            spec: Box::new(spec(job)),
        },
        Record::Splits {
            job,
            splits: vec![split(0), split(1)],
        },
        Record::Planned {
            job,
            planned: Planned {
                maps: 2,
                reducers: 1,
                files: 1,
                bytes: 20,
                split_size: 10,
                max_attempts: 4,
                skip_bad: 5,
                backup: true,
                task_timeout: Duration::from_secs(6),
                staging: path("/out/.staging"),
                inputs: "{}".to_owned(),
            },
        },
        Record::Cancelled { job },
        Record::MapWon {
            attempt: attempt(job, TaskId::map(1)),
            by: WorkerId(2),
            report: Box::new(map_report()),
        },
        Record::ReduceWon {
            attempt: attempt(job, TaskId::reduce(0)),
            by: WorkerId(2),
            report: Box::new(reduce_report()),
        },
        Record::Lost {
            job,
            task: TaskId::map(1),
        },
        Record::Manifest {
            job,
            bytes: b"{}".to_vec(),
        },
        Record::Committing { job },
        Record::Ended {
            job,
            report: Box::new(report()),
            map: PhaseStatus {
                tasks: 2,
                done: 2,
                running: 0,
                records: 9,
                bytes: 20,
                bytes_total: 20,
            },
            reduce: PhaseStatus::default(),
        },
    ]
}

pub(crate) fn split(index: u32) -> Split {
    Split {
        index,
        pieces: vec![Piece {
            file: InputFile {
                name: RawPath::from(b"in\xff".to_vec()),
                path: path("/in"),
                codec: Codec::Zstd,
                fingerprint: Fingerprint {
                    inode: 1,
                    len: 20,
                    modified_ns: -3,
                    changed_ns: 1 << 70,
                },
                input: 7,
                format: Some(Format::CSV),
            },
            start: 0,
            end: 10,
        }],
    }
}

fn path(text: &str) -> RawPath {
    RawPath::from(PathBuf::from(text))
}

fn attempt(job: JobId, task: TaskId) -> AttemptId {
    AttemptId {
        token: Token {
            epoch: MasterEpoch(3),
            counter: 17,
        },
        job,
        task,
        number: 2,
    }
}

fn counters() -> Counters {
    Counters(BTreeMap::from([("words".to_owned(), 12)]))
}

fn spec(job: JobId) -> JobSpec {
    JobSpec {
        key: JobKey(u128::from(job.0)),
        job: "wordcount".to_owned(),
        params: BTreeMap::from([("lowercase".to_owned(), "true".to_owned())]),
        files: vec![JobFile {
            kind: JobFileKind::Side,
            name: "stop".to_owned(),
            bytes: ByteSize(12),
            id: FileId([9; 32]),
            path: path("/stop"),
        }],
        inputs: vec![InputName {
            typed: path("in"),
            absolute: path("/in"),
            input: 7,
            format: Some(Format::CSV),
        }],
        format: Format::Fixed(NonZeroU32::MIN),
        split_size: Some(ByteSize(10)),
        split_per_file: true,
        reducers: None,
        parts: Codec::Lz4,
        lazy_parts: true,
        partitioning: Partitioning::Ranges([b"a".as_slice(), b"b"].into_iter().collect()),
        output: path("/out/counts"),
        overwrite: true,
        max_attempts: NonZeroU32::MIN,
        skip_bad: 2,
        backup: true,
        task_timeout: Duration::from_secs(3),
        row_key: "text".to_owned(),
        row_value: "u64".to_owned(),
    }
}

fn map_report() -> MapReport {
    MapReport {
        records_in: 1,
        bytes_in: 2,
        records_out: 3,
        run: RunSummary {
            records: 4,
            bytes: 5,
            digest: Digest(6),
        },
        spilled: ByteSize(7),
        spills: 8,
        counters: counters(),
        elapsed: Duration::from_millis(9),
        skipped: vec![Skipped {
            file: path("in"),
            offset: 10,
            record: 11,
            bytes: 12,
            excerpt: vec![0, 255],
            error: "bad".to_owned(),
        }],
        staged: Some(Staged::of(part())),
    }
}

fn part() -> PartSummary {
    PartSummary {
        rows: 7,
        bytes: 8,
        unpacked_bytes: 9,
        hash: [10; 32],
    }
}

fn reduce_report() -> ReduceReport {
    ReduceReport {
        consumed: InputsDigest::from_bits(1),
        runs: 2,
        records_in: 3,
        fetched: ByteSize(4),
        fetched_remote: ByteSize(5),
        groups: 6,
        staged: Staged {
            part: part(),
            named: BTreeMap::from([("errors".to_owned(), part())]),
        },
        spilled: ByteSize(11),
        counters: counters(),
        fetch_elapsed: Duration::from_micros(12),
        elapsed: Duration::from_secs(13),
    }
}

fn report() -> JobReport {
    let failure = Failure {
        class: FailClass::Input,
        chain: vec!["cannot read".to_owned()],
        at: Some(RecordAt {
            file: path("in"),
            offset: 5,
            row_group: None,
            record: 6,
            excerpt: vec![0, 255],
        }),
        hint: Some("look".to_owned()),
        backtrace: Some("there".to_owned()),
    };
    JobReport {
        end: JobEnd::Failed {
            what: "it failed".to_owned(),
            failure: Some(failure.clone()),
            reason: FailReason::Input,
        },
        elapsed: Duration::from_secs(1),
        plan_elapsed: Duration::from_secs(2),
        map_elapsed: Duration::from_secs(3),
        reduce_elapsed: Duration::from_secs(4),
        commit_elapsed: Duration::from_secs(5),
        files: 6,
        maps: 7,
        reduces: 8,
        records_in: 9,
        bytes_in: ByteSize(10),
        records_mapped: 11,
        records_shuffled: 12,
        bytes_shuffled: ByteSize(13),
        bytes_remote: ByteSize(14),
        bytes_spilled: ByteSize(15),
        groups: 16,
        rows: 17,
        bytes_out: ByteSize(18),
        named: BTreeMap::from([("errors".to_owned(), (35, ByteSize(36)))]),
        attempts: 19,
        attempts_failed: 20,
        attempts_lost: 21,
        maps_rerun: 22,
        time_lost: Duration::from_millis(37),
        stale_reports: 23,
        rollbacks: 24,
        workers_lost: 25,
        backups: 32,
        backups_won: 33,
        differing: vec![TaskId::reduce(34)],
        slowest: vec![TaskTiming {
            task: TaskId::map(0),
            worker: WorkerId(1),
            elapsed: Duration::from_secs(26),
            bytes: ByteSize(27),
            about: "in".to_owned(),
        }],
        map_median: Duration::from_secs(28),
        reduce_median: Duration::from_secs(29),
        largest: vec![(PartitionId(0), ByteSize(30))],
        counters: counters(),
        skipped: 31,
        failed: vec![FailedAttempt {
            attempt: attempt(JobId(1), TaskId::map(0)),
            worker: WorkerId(1),
            failure,
        }],
    }
}
