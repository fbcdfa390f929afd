//! One of every message, for the golden bytes and as seeds of damaged ones.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use mapfold_terms::{
    AttemptId, AttemptStatus, ByteSize, Codec, Counters, Digest, FailClass, FailReason,
    FailedAttempt, Failure, FetchCause, FetchFailure, FileId, Fingerprint, Format, InputFile,
    InputName, InputsDigest, JobBrief, JobEnd, JobEntry, JobFile, JobFileKind, JobId, JobKey,
    JobReport, JobSpec, JobStage, JobState, JobStatus, MapReport, MasterEpoch, Notice, NoticeKind,
    Order, Outcome, PartSummary, PartitionId, Partitioning, PhaseStatus, Piece, Progress, RawPath,
    RecordAt, ReduceReport, RunSummary, Skipped, Split, Staged, TaskId, TaskTiming, Token,
    WorkerId, WorkerState, WorkerStatus,
};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Ask, CONFIG, Reply, decode, put_frame};
use crate::service::{
    ClientDeskRequest, ClientDeskResponse, DataAddress, FileIds, FilePiece, Heartbeat, HeldRuns,
    JoinReply, JoinRequest, Location, Orders, PulseRequest, PulseResponse, Refusal, Report,
    Reports, Returning, WorkerDeskRequest, WorkerDeskResponse,
};

/// A frame of one message.
pub(super) struct Sample {
    pub(super) name: &'static str,
    pub(super) frame: Vec<u8>,
    /// Reads the body of a frame as this kind of message, and writes it again.
    pub(super) reread: fn(&[u8]) -> Option<Vec<u8>>,
}

/// All of them, in the order of the services.
pub(super) fn samples() -> Vec<Sample> {
    use ClientDeskRequest as ClientAsk;
    use ClientDeskResponse as ClientReply;
    use WorkerDeskRequest as WorkerAsk;
    use WorkerDeskResponse as WorkerReply;

    let worker = WorkerId(3);
    let ended = |outcome| WorkerAsk::Ended {
        worker,
        reports: Reports(vec![Report {
            attempt: map_attempt(),
            outcome,
        }]),
    };
    let orders = Orders {
        upto: 9,
        orders: orders(),
    };
    let refusals = [
        Refusal::UnknownWorker(worker),
        Refusal::UnknownJob(JobId(2)),
        Refusal::TooLong {
            what: "inputs".to_owned(),
            got: 3,
            max: 2,
        },
        Refusal::ShuttingDown,
        Refusal::UnknownFile(FileId([9; 32])),
        Refusal::DamagedFile(FileId([9; 32])),
        Refusal::FilesTooLarge {
            bytes: ByteSize(8),
            max: ByteSize(7),
        },
        Refusal::NoRoomForFile {
            bytes: ByteSize(8),
            max: ByteSize(7),
        },
        Refusal::FileTrouble("disk full".to_owned()),
        Refusal::OtherFiles(JobId(2)),
    ]
    .map(|refusal| WorkerReply::Leave(Err(refusal)));
    let [
        unknown_worker,
        unknown_job,
        too_long,
        shutting_down,
        unknown_file,
        damaged_file,
        files_too_large,
        no_room_for_file,
        file_trouble,
        other_files,
    ] = refusals;
    vec![
        ask("cancel of a call", None::<PulseRequest>),
        ask("join", Some(WorkerAsk::Join { hello: hello() })),
        ask(
            "join: returning",
            Some(WorkerAsk::Join { hello: returning() }),
        ),
        ask(
            "attach",
            Some(WorkerAsk::Attach {
                worker,
                runs: held_runs(),
            }),
        ),
        ask("poll", Some(WorkerAsk::Poll { worker, acked: 7 })),
        ask("ended: mapped", Some(ended(Outcome::Mapped(map_report())))),
        ask(
            "ended: reduced",
            Some(ended(Outcome::Reduced(reduce_report()))),
        ),
        ask("ended: failed", Some(ended(Outcome::Failed(failure())))),
        ask(
            "ended: fetch failed",
            Some(ended(Outcome::FetchFailed(fetch_failure()))),
        ),
        ask("ended: cancelled", Some(ended(Outcome::Cancelled))),
        ask(
            "locate",
            Some(WorkerAsk::Locate {
                worker,
                job: JobId(2),
                from: 4,
            }),
        ),
        ask(
            "file",
            Some(WorkerAsk::File {
                id: FileId([9; 32]),
                from: 4,
            }),
        ),
        ask("leave", Some(WorkerAsk::Leave { worker })),
        ask("drain", Some(WorkerAsk::Drain { worker })),
        reply("joined", WorkerReply::Join(Ok(join_reply()))),
        reply("attached", WorkerReply::Attach(Ok(()))),
        reply("orders", WorkerReply::Poll(Ok(orders))),
        reply("ended: noted", WorkerReply::Ended(Ok(()))),
        reply("locations", WorkerReply::Locate(Ok(locations()))),
        reply(
            "file: a piece",
            WorkerReply::File(Ok(FilePiece(vec![1, 2]))),
        ),
        reply("left", WorkerReply::Leave(Ok(()))),
        reply("drains", WorkerReply::Drain(Ok(()))),
        reply("refused: unknown worker", unknown_worker),
        reply("refused: unknown job", unknown_job),
        reply("refused: too long", too_long),
        reply("refused: shutting down", shutting_down),
        reply("refused: unknown file", unknown_file),
        reply("refused: damaged file", damaged_file),
        reply("refused: files too large", files_too_large),
        reply("refused: no room for file", no_room_for_file),
        reply("refused: file trouble", file_trouble),
        reply("refused: other files", other_files),
        ask("beat", Some(PulseRequest::Beat { beat: heartbeat() })),
        reply("beat: noted", PulseResponse::Beat(Ok(()))),
        ask(
            "lacks",
            Some(ClientAsk::Lacks {
                files: FileIds(vec![FileId([9; 32])]),
            }),
        ),
        ask(
            "send a file",
            Some(ClientAsk::SendFile {
                id: FileId([9; 32]),
                len: ByteSize(12),
                from: 4,
                piece: FilePiece(vec![1, 2]),
            }),
        ),
        ask("submit", Some(ClientAsk::Submit { spec: job_spec() })),
        ask(
            "watch",
            Some(ClientAsk::Watch {
                job: JobId(2),
                seen: 1,
                notices: 300,
            }),
        ),
        ask("cancel", Some(ClientAsk::Cancel { job: JobId(2) })),
        ask("workers", Some(ClientAsk::Workers {})),
        ask("drain a worker", Some(ClientAsk::DrainWorker { worker })),
        ask("jobs", Some(ClientAsk::Jobs {})),
        reply("lacked", ClientReply::Lacks(Ok(FileIds(Vec::new())))),
        reply("file: taken", ClientReply::SendFile(Ok(6))),
        reply("submitted", ClientReply::Submit(Ok(JobId(2)))),
        reply(
            "status: running",
            ClientReply::Watch(Ok(status(JobState::Running))),
        ),
        reply(
            "status: succeeded",
            ended_status(JobEnd::Succeeded { root: [7; 32] }),
        ),
        reply("status: failed", ended_status(failed())),
        reply("status: cancelled", ended_status(JobEnd::Cancelled)),
        reply("cancelled", ClientReply::Cancel(Ok(()))),
        reply(
            "worker list",
            ClientReply::Workers(Ok(vec![worker_status()])),
        ),
        reply("worker drains", ClientReply::DrainWorker(Ok(()))),
        reply("job list", ClientReply::Jobs(Ok(vec![job_entry()]))),
        sample(
            "failed by the answerer",
            &Reply::<()> {
                id: 1,
                answer: Err("a bug".to_owned()),
            },
        ),
    ]
}

fn ask<T: Serialize + DeserializeOwned>(name: &'static str, request: Option<T>) -> Sample {
    sample(
        name,
        &match request {
            Some(request) => Ask::Call { id: 1, request },
            None => Ask::Cancel { id: 1 },
        },
    )
}

fn reply<T: Serialize + DeserializeOwned>(name: &'static str, answer: T) -> Sample {
    sample(
        name,
        &Reply {
            id: 1,
            answer: Ok(answer),
        },
    )
}

fn sample<T: Serialize + DeserializeOwned>(name: &'static str, message: &T) -> Sample {
    let mut frame = bytes::BytesMut::new();
    put_frame(message, &mut frame).unwrap();
    Sample {
        name,
        frame: frame.to_vec(),
        reread: |body| {
            let message: T = decode(body).ok()?;
            bincode::serde::encode_to_vec(message, CONFIG).ok()
        },
    }
}

pub(super) fn hello() -> JoinRequest {
    JoinRequest {
        name: "host:77".to_owned(),
        slots: 4,
        machine: "boot".to_owned(),
        data: DataAddress::Tcp("127.0.0.1:7713".to_owned()),
        data_secret: 0x0123_4567_89ab_cdef,
        returning: None,
    }
}

fn returning() -> JoinRequest {
    JoinRequest {
        returning: Some(Returning {
            epoch: MasterEpoch(3),
            holds: vec![map_attempt()],
        }),
        ..hello()
    }
}

fn held_runs() -> HeldRuns {
    HeldRuns(vec![(map_attempt(), Digest(0x77))])
}

fn join_reply() -> JoinReply {
    JoinReply {
        worker: WorkerId(3),
        lease: Duration::from_secs(10),
        beat_every: Duration::from_millis(1500),
        epoch: MasterEpoch(4),
        since: MasterEpoch(2),
        goes_on: true,
    }
}

fn map_attempt() -> AttemptId {
    attempt(TaskId::map(7))
}

fn attempt(task: TaskId) -> AttemptId {
    AttemptId {
        token: Token {
            epoch: MasterEpoch(1),
            counter: 42,
        },
        job: JobId(2),
        task,
        number: 2,
    }
}

fn raw(path: &str) -> RawPath {
    RawPath::from(Path::new(path))
}

pub(super) fn piece() -> Piece {
    Piece {
        file: InputFile {
            name: raw("in/a"),
            path: raw("/in/a"),
            codec: Codec::Plain,
            fingerprint: Fingerprint {
                inode: 1,
                len: 1000,
                modified_ns: 1_700_000_000_000_000_000,
                changed_ns: -1,
            },
            input: 7,
            format: Some(Format::CSV),
        },
        start: 0,
        end: 1000,
    }
}

fn job_file() -> JobFile {
    JobFile {
        kind: JobFileKind::Plugin,
        name: "libx.so".to_owned(),
        bytes: ByteSize(12),
        id: FileId([9; 32]),
        path: RawPath::from(Path::new("/x/libx.so")),
    }
}

fn brief() -> JobBrief {
    JobBrief {
        job: JobId(2),
        name: "wordcount".to_owned(),
        params: BTreeMap::from([("lowercase".to_owned(), "true".to_owned())]),
        files: vec![job_file()],
        format: Format::Fixed(NonZeroU32::new(5).unwrap()),
        reducers: 10,
        partitioning: Partitioning::Hash,
        maps: 8,
        parts: Codec::Lz4,
        skip_bad: 3,
        task_timeout: Duration::from_secs(600),
        staging: raw("/out.staging"),
    }
}

pub(super) fn orders() -> Vec<Order> {
    vec![
        Order::Map {
            attempt: map_attempt(),
            split: Split {
                index: 7,
                pieces: vec![piece()],
            },
            brief: brief(),
        },
        Order::Reduce {
            attempt: attempt(TaskId::reduce(0)),
            partition: PartitionId(0),
            brief: brief(),
        },
        Order::Cancel(map_attempt()),
        Order::Discard(map_attempt()),
        Order::Forget(JobId(2)),
        Order::Stop,
    ]
}

fn counters() -> Counters {
    Counters(BTreeMap::from([("words".to_owned(), 70_000)]))
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
            file: raw("in/a"),
            offset: 10,
            record: 12,
            bytes: 11,
            excerpt: b"a\xffb".to_vec(),
            error: "no number".to_owned(),
        }],
        staged: Some(Staged::of(part())),
    }
}

fn part() -> PartSummary {
    PartSummary {
        rows: 6,
        bytes: 7,
        unpacked_bytes: 12,
        hash: [8; 32],
    }
}

fn reduce_report() -> ReduceReport {
    let mut consumed = InputsDigest::default();
    consumed.add(0, Digest(6));
    ReduceReport {
        consumed,
        runs: 1,
        records_in: 2,
        fetched: ByteSize(3),
        fetched_remote: ByteSize(4),
        groups: 5,
        staged: Staged {
            part: part(),
            named: BTreeMap::from([("errors".to_owned(), part())]),
        },
        spilled: ByteSize(9),
        counters: counters(),
        fetch_elapsed: Duration::from_millis(10),
        elapsed: Duration::from_millis(11),
    }
}

fn failure() -> Failure {
    Failure {
        class: FailClass::Worker,
        chain: vec!["cannot write".to_owned(), "no space".to_owned()],
        at: Some(RecordAt {
            file: raw("in/a"),
            offset: 99,
            row_group: None,
            record: 4,
            excerpt: b"a\xffb".to_vec(),
        }),
        hint: Some("free some".to_owned()),
        backtrace: None,
    }
}

fn fetch_failure() -> FetchFailure {
    FetchFailure {
        map: map_attempt(),
        holder: WorkerId(3),
        cause: FetchCause::Corrupt,
        message: "checksum".to_owned(),
    }
}

fn locations() -> Vec<Location> {
    let location = |attempt, data| Location {
        attempt,
        holder: WorkerId(3),
        machine: "boot".to_owned(),
        data,
        data_secret: 5,
        digest: Digest(6),
        bytes: ByteSize(7),
    };
    vec![
        location(Some(map_attempt()), DataAddress::Unix(raw("/run/d"))),
        location(None, DataAddress::InProcess),
    ]
}

fn attempt_status() -> AttemptStatus {
    AttemptStatus {
        attempt: map_attempt(),
        text: "half way".to_owned(),
    }
}

fn heartbeat() -> Heartbeat {
    Heartbeat {
        worker: WorkerId(3),
        running: vec![Progress {
            attempt: map_attempt(),
            records: 1,
            bytes: 2,
            bytes_total: 3,
            steps: 4,
        }],
        ended: vec![map_attempt()],
        said: vec![attempt_status()],
    }
}

pub(super) fn job_spec() -> JobSpec {
    JobSpec {
        key: JobKey(1),
        job: "grep".to_owned(),
        params: BTreeMap::from([("pattern".to_owned(), "x".to_owned())]),
        files: vec![job_file()],
        inputs: vec![InputName {
            typed: raw("in"),
            absolute: raw("/in"),
            input: 7,
            format: Some(Format::CSV),
        }],
        format: Format::Lines,
        split_size: Some(ByteSize::mib(64)),
        split_per_file: true,
        reducers: Some(3),
        parts: Codec::Zstd,
        lazy_parts: true,
        partitioning: Partitioning::Ranges([&b"g"[..], b"pq"].into_iter().collect()),
        output: raw("/out"),
        overwrite: true,
        max_attempts: NonZeroU32::new(4).unwrap(),
        skip_bad: 10,
        backup: true,
        task_timeout: Duration::from_secs(600),
        row_key: "text".to_owned(),
        row_value: "u64".to_owned(),
    }
}

fn status(state: JobState) -> JobStatus {
    let phase = PhaseStatus {
        tasks: 1,
        done: 2,
        running: 3,
        records: 4,
        bytes: 5,
        bytes_total: 6,
    };
    JobStatus {
        job: JobId(2),
        version: 300,
        state,
        files: 8,
        map: phase,
        reduce: phase,
        workers: 1,
        slots: 4,
        notices: vec![Notice {
            number: 0,
            at: Duration::from_secs(1),
            kind: NoticeKind::Retry,
            text: "m7 runs again".to_owned(),
        }],
        said: Some(attempt_status()),
    }
}

fn ended_status(end: JobEnd) -> ClientDeskResponse {
    ClientDeskResponse::Watch(Ok(status(JobState::Ended(Box::new(report(end))))))
}

fn failed() -> JobEnd {
    JobEnd::Failed {
        what: "map task m7 failed".to_owned(),
        failure: Some(failure()),
        reason: FailReason::TaskFailed,
    }
}

fn report(end: JobEnd) -> JobReport {
    JobReport {
        end,
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
        named: BTreeMap::from([("errors".to_owned(), (12, ByteSize(13)))]),
        attempts: 19,
        attempts_failed: 20,
        attempts_lost: 21,
        maps_rerun: 22,
        time_lost: Duration::from_millis(37),
        stale_reports: 23,
        rollbacks: 24,
        workers_lost: 25,
        backups: 30,
        backups_won: 31,
        differing: vec![TaskId::map(32)],
        slowest: vec![TaskTiming {
            task: TaskId::map(7),
            worker: WorkerId(3),
            elapsed: Duration::from_secs(1),
            bytes: ByteSize(26),
            about: "in/a".to_owned(),
        }],
        map_median: Duration::from_secs(27),
        reduce_median: Duration::from_secs(28),
        largest: vec![(PartitionId(0), ByteSize(29))],
        counters: counters(),
        skipped: 30,
        failed: vec![FailedAttempt {
            attempt: map_attempt(),
            worker: WorkerId(3),
            failure: failure(),
        }],
    }
}

fn worker_status() -> WorkerStatus {
    WorkerStatus {
        worker: WorkerId(3),
        name: "host:77".to_owned(),
        slots: 4,
        running: 2,
        silent: Duration::from_millis(30),
        state: WorkerState::Draining,
    }
}

fn job_entry() -> JobEntry {
    JobEntry {
        job: JobId(2),
        name: "grep".to_owned(),
        stage: JobStage::Running,
        elapsed: Duration::from_secs(3),
        maps: (4, 5),
        reduces: (6, 7),
        output: raw("/out"),
    }
}
