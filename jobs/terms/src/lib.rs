//! Mapfold's words as types: ids, sizes, job descriptions, plans, outcomes, reports.
//!
//! Everything that crosses a border inside the engine (scheduler, protocol, master, worker, job) is
//! said in these types. They hold facts and know how to print themselves; they decide nothing, do no
//! I/O and use nothing else of ours.

#![forbid(unsafe_code)]

mod date;
mod digest;
mod excerpt;
mod id;
mod job;
mod job_file;
mod outcome;
mod param_file;
mod partitioning;
mod plan;
mod raw_path;
mod report;
mod roughly;
mod size;

pub use date::Date;
pub use digest::{Digest, InputsDigest};
pub use excerpt::excerpt;
pub use id::{AttemptId, JobId, MasterEpoch, PartitionId, TaskId, TaskKind, Token, WorkerId};
pub use job::{
    Format, FormatError, InputName, JobBrief, JobInfo, JobKey, JobSpec, Order, ParamInfo,
};
pub use job_file::{FileId, FileIdError, JobFile, JobFileKind};
pub use outcome::{
    FailClass, Failure, FetchCause, FetchFailure, MapReport, Outcome, PartSummary, RecordAt,
    ReduceReport, RunSummary, Skipped, Staged,
};
pub use param_file::ParamFile;
pub use partitioning::{Boundaries, Partitioning};
pub use plan::{Codec, Fingerprint, InputFile, Piece, Plan, Split};
pub use raw_path::RawPath;
pub use report::{
    AttemptStatus, Counters, FailReason, FailedAttempt, JobEnd, JobEntry, JobReport, JobStage,
    JobState, JobStatus, Notice, NoticeKind, PhaseStatus, Progress, TaskTiming, WorkerState,
    WorkerStatus,
};
pub use roughly::roughly;
pub use size::{ByteSize, ByteSizeError};
