//! The report for programs: one JSON object. Fields are only ever added; a change of meaning raises
//! `schema`. Times are seconds, sizes bytes, hashes hexadecimal.

use std::collections::BTreeMap;
use std::time::Duration;

use mapfold_terms::{ByteSize, FailReason, Failure, JobEnd, JobReport, TaskTiming};
use serde::Serialize;

use crate::capsule::Left;

/// The number that tells a program how to read the object.
const SCHEMA: u32 = 1;

/// The report as one line of JSON, without a line end.
pub(crate) fn to_json<'a>(
    job: &'a str,
    output: &'a str,
    report: &'a JobReport,
    replays: &[Left],
    before: impl Iterator<Item = (&'a str, &'a JobReport)>,
) -> String {
    let mut object = Object::new(job, output, report);
    object.before = before
        .map(|(job, report)| Object::new(job, "", report))
        .collect();
    object.replays = replays
        .iter()
        .map(|left| left.path.display().to_string())
        .collect();
    serde_json::to_string(&object).expect("strings and numbers always serialize")
}

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    job: &'a str,
    output: &'a str,
    /// `succeeded`, `failed` or `cancelled`.
    end: &'static str,
    /// Root hash of the output; null if there is none.
    root: Option<String>,
    error: Option<Error<'a>>,
    seconds: Seconds,
    files: u64,
    map_tasks: u32,
    reduce_tasks: u32,
    records_in: u64,
    bytes_in: u64,
    records_mapped: u64,
    records_shuffled: u64,
    bytes_shuffled: u64,
    bytes_remote: u64,
    bytes_spilled: u64,
    groups: u64,
    rows: u64,
    bytes_out: u64,
    /// Rows and bytes of the job's named outputs.
    named: BTreeMap<&'a str, Named>,
    attempts: u64,
    attempts_failed: u64,
    attempts_lost: u64,
    maps_rerun: u64,
    stale_reports: u64,
    rollbacks: u32,
    workers_lost: u32,
    backups: u64,
    backups_won: u64,
    differing: Vec<String>,
    slowest: Vec<Task<'a>>,
    largest: Vec<Partition>,
    counters: BTreeMap<String, i64>,
    /// Those that are in groups, by group.
    counter_groups: BTreeMap<String, BTreeMap<String, i64>>,
    /// Records that were put aside.
    skipped: u64,
    /// Capsules for `mapfold replay`.
    replays: Vec<String>,
    remarks: Vec<String>,
    /// The jobs of the chain that ended before, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    before: Vec<Object<'a>>,
}

#[derive(Serialize)]
struct Seconds {
    total: f64,
    plan: f64,
    map: f64,
    reduce: f64,
    commit: f64,
    map_median: f64,
    reduce_median: f64,
    /// Of slots, in attempts that came to nothing.
    lost: f64,
}

#[derive(Serialize)]
struct Error<'a> {
    reason: &'static str,
    what: &'a str,
    causes: &'a [String],
    file: Option<String>,
    offset: Option<u64>,
    /// Which of its map task, from 1.
    record: Option<u64>,
    hint: Option<&'a str>,
}

#[derive(Serialize)]
struct Task<'a> {
    task: String,
    worker: String,
    seconds: f64,
    bytes: u64,
    about: &'a str,
}

#[derive(Serialize)]
struct Partition {
    partition: u32,
    bytes: u64,
}

#[derive(Serialize)]
struct Named {
    rows: u64,
    bytes: u64,
}

impl Named {
    fn new<'a>((name, (rows, bytes)): (&'a String, &(u64, ByteSize))) -> (&'a str, Self) {
        let named = Self {
            rows: *rows,
            bytes: bytes.bytes(),
        };
        (name, named)
    }
}

impl<'a> Object<'a> {
    fn new(job: &'a str, output: &'a str, report: &'a JobReport) -> Self {
        Self {
            schema: SCHEMA,
            job,
            output,
            end: match report.end {
                JobEnd::Succeeded { .. } => "succeeded",
                JobEnd::Failed { .. } => "failed",
                JobEnd::Cancelled => "cancelled",
            },
            root: match &report.end {
                JobEnd::Succeeded { root } => {
                    Some(root.iter().map(|byte| format!("{byte:02x}")).collect())
                }
                _ => None,
            },
            error: match &report.end {
                JobEnd::Failed {
                    what,
                    failure,
                    reason,
                } => Some(Error::new(*reason, what, failure.as_ref())),
                _ => None,
            },
            seconds: Seconds {
                total: seconds(report.elapsed),
                plan: seconds(report.plan_elapsed),
                map: seconds(report.map_elapsed),
                reduce: seconds(report.reduce_elapsed),
                commit: seconds(report.commit_elapsed),
                map_median: seconds(report.map_median),
                reduce_median: seconds(report.reduce_median),
                lost: seconds(report.time_lost),
            },
            files: report.files,
            map_tasks: report.maps,
            reduce_tasks: report.reduces,
            records_in: report.records_in,
            bytes_in: report.bytes_in.bytes(),
            records_mapped: report.records_mapped,
            records_shuffled: report.records_shuffled,
            bytes_shuffled: report.bytes_shuffled.bytes(),
            bytes_remote: report.bytes_remote.bytes(),
            bytes_spilled: report.bytes_spilled.bytes(),
            groups: report.groups,
            rows: report.rows,
            bytes_out: report.bytes_out.bytes(),
            named: report.named.iter().map(Named::new).collect(),
            attempts: report.attempts,
            attempts_failed: report.attempts_failed,
            attempts_lost: report.attempts_lost,
            maps_rerun: report.maps_rerun,
            stale_reports: report.stale_reports,
            rollbacks: report.rollbacks,
            workers_lost: report.workers_lost,
            backups: report.backups,
            backups_won: report.backups_won,
            differing: report.differing.iter().map(ToString::to_string).collect(),
            slowest: report.slowest.iter().map(Task::new).collect(),
            largest: report
                .largest
                .iter()
                .map(|(partition, bytes)| Partition {
                    partition: partition.0,
                    bytes: bytes.bytes(),
                })
                .collect(),
            counters: report.counters.alone(),
            counter_groups: report.counters.groups(),
            skipped: report.skipped,
            replays: Vec::new(),
            before: Vec::new(),
            remarks: super::remarks(report)
                .into_iter()
                .map(|(label, text)| format!("{}: {text}", label.to_lowercase()))
                .collect(),
        }
    }
}

impl<'a> Error<'a> {
    fn new(reason: FailReason, what: &'a str, failure: Option<&'a Failure>) -> Self {
        let at = failure.and_then(|failure| failure.at.as_ref());
        Self {
            reason: match reason {
                FailReason::TaskFailed => "task_failed",
                FailReason::Input => "input",
                FailReason::Output => "output",
                FailReason::NoSpace => "no_space",
                FailReason::NoWorkers => "no_workers",
                FailReason::Rollbacks => "rollbacks",
                FailReason::Internal => "internal",
            },
            what,
            causes: failure.map_or(&[], |failure| &failure.chain),
            file: at.map(|at| at.file.display().to_string()),
            offset: at.map(|at| at.offset),
            record: at.map(|at| at.record).filter(|record| *record > 0),
            hint: failure.and_then(|failure| failure.hint.as_deref()),
        }
    }
}

impl<'a> Task<'a> {
    fn new(timing: &'a TaskTiming) -> Self {
        Self {
            task: timing.task.to_string(),
            worker: timing.worker.to_string(),
            seconds: seconds(timing.elapsed),
            bytes: timing.bytes.bytes(),
            about: &timing.about,
        }
    }
}

/// Seconds to the microsecond; more digits are noise.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}
