//! What is odd about a job, said in words, with what to do about it: nobody should have to hunt for
//! stragglers and skew in figures.

use std::time::Duration;

use mapfold_terms::{ByteSize, JobEnd, JobReport, TaskKind, TaskTiming};

use super::{about, percent};
use crate::count::counted;
use crate::duration::show;

/// Label and sentence for each oddity; empty for an ordinary job.
pub(super) fn remarks(report: &JobReport) -> Vec<(&'static str, String)> {
    let mut remarks = Vec::new();
    remarks.extend(empty(report).map(|text| ("Empty", text)));
    remarks.extend(straggler(report, TaskKind::Map).map(|text| ("Slow", text)));
    remarks.extend(straggler(report, TaskKind::Reduce).map(|text| ("Slow", text)));
    remarks.extend(skew(report).map(|text| ("Skew", text)));
    remarks.extend(retries(report).map(|text| ("Retried", text)));
    remarks.extend(lost(report).map(|text| ("Lost", text)));
    remarks.extend(backups(report).map(|text| ("Backup", text)));
    remarks.extend(wasted(report).map(|text| ("Wasted", text)));
    remarks.extend(rollbacks(report).map(|text| ("Rollback", text)));
    remarks.extend(differing(report).map(|text| ("Differs", text)));
    remarks.extend(spills(report).map(|text| ("Spilled", text)));
    remarks
}

fn empty(report: &JobReport) -> Option<String> {
    if !matches!(report.end, JobEnd::Succeeded { .. }) {
        return None;
    }
    match (report.files, report.records_in) {
        (0, _) => Some(
            "the inputs hold no files (names that begin with `_` or `.` are skipped)".to_owned(),
        ),
        (_, 0) => Some("the inputs hold no records".to_owned()),
        _ => None,
    }
}

/// A task that took twice the median, and what sets it apart.
fn straggler(report: &JobReport, kind: TaskKind) -> Option<String> {
    /// Below this, scheduling noise is a multiple of the work.
    const NOTEWORTHY: Duration = Duration::from_millis(250);
    let median = match kind {
        TaskKind::Map => report.map_median,
        TaskKind::Reduce => report.reduce_median,
    };
    let slowest = report
        .slowest
        .iter()
        .find(|timing| timing.task.kind == kind)?;
    if slowest.elapsed < median * 2 || slowest.elapsed < median + NOTEWORTHY || median.is_zero() {
        return None;
    }
    let times = slowest.elapsed.as_secs_f64() / median.as_secs_f64();
    let why = match kind {
        TaskKind::Map => map_why(slowest, report),
        TaskKind::Reduce => reduce_why(slowest, report),
    };
    Some(format!(
        "{}: {times:.1}x the median {} ({why})",
        slowest.task,
        kind.name()
    ))
}

fn map_why(slowest: &TaskTiming, report: &JobReport) -> String {
    let about = about(slowest);
    if [".gz", ".zst", ".lz4"]
        .iter()
        .any(|end| slowest.about.ends_with(end))
    {
        return format!("{about}, cannot be split: pack it as several files");
    }
    if much_more(slowest.bytes, report.bytes_in, report.maps) {
        return format!("{about}, much more than the others read");
    }
    format!(
        "{about}, no more than others: its records cost more, or {} is slow",
        slowest.worker
    )
}

fn reduce_why(slowest: &TaskTiming, report: &JobReport) -> String {
    if much_more(slowest.bytes, report.bytes_shuffled, report.reduces) {
        return format!("{}, much more than the others", slowest.bytes);
    }
    format!(
        "{}, no more than others: its keys cost more, or {} is slow",
        slowest.bytes, slowest.worker
    )
}

/// Whether `bytes` is more than one and a half times an even share.
fn much_more(bytes: ByteSize, all: ByteSize, tasks: u32) -> bool {
    u128::from(bytes.bytes()) * u128::from(tasks) * 2 > u128::from(all.bytes()) * 3
}

/// A partition that holds more than twice its share.
fn skew(report: &JobReport) -> Option<String> {
    /// Below this, it costs nobody anything.
    const NOTEWORTHY: ByteSize = ByteSize::mib(1);
    let &(partition, bytes) = report.largest.first()?;
    let share = u128::from(bytes.bytes()) * u128::from(report.reduces);
    if report.reduces < 2
        || bytes < NOTEWORTHY
        || share <= u128::from(report.bytes_shuffled.bytes()) * 2
    {
        return None;
    }
    Some(format!(
        "{partition} holds {} % of the shuffled bytes ({bytes}); more reducers do not help if one key has most of them",
        percent(bytes, report.bytes_shuffled),
    ))
}

fn retries(report: &JobReport) -> Option<String> {
    (report.attempts_failed > 0).then(|| {
        format!(
            "{} failed ({} started in all)",
            counted(report.attempts_failed, "attempt"),
            report.attempts,
        )
    })
}

fn lost(report: &JobReport) -> Option<String> {
    if report.workers_lost == 0 && report.maps_rerun == 0 {
        return None;
    }
    let mut text = counted(report.workers_lost, "worker");
    if report.attempts_lost > 0 {
        text += &format!(", {} with them", counted(report.attempts_lost, "attempt"));
    }
    if report.maps_rerun > 0 {
        text += &format!(
            "; {} ran again because their run was lost",
            counted(report.maps_rerun, "map task")
        );
    }
    if report.stale_reports > 0 {
        text += &format!(
            "; {} came too late and changed nothing",
            counted(report.stale_reports, "report")
        );
    }
    Some(text)
}

fn wasted(report: &JobReport) -> Option<String> {
    (!report.time_lost.is_zero()).then(|| {
        format!(
            "{} of slots' time, in attempts that came to nothing",
            show(report.time_lost)
        )
    })
}

fn backups(report: &JobReport) -> Option<String> {
    (report.backups > 0).then(|| {
        format!(
            "{} got a second attempt on another worker, of which {} ended first",
            counted(report.backups, "straggler"),
            report.backups_won,
        )
    })
}

fn differing(report: &JobReport) -> Option<String> {
    let tasks: Vec<String> = report.differing.iter().map(ToString::to_string).collect();
    (!tasks.is_empty()).then(|| {
        format!(
            "the job is not deterministic: two attempts at {} left different results; what counts is of one of them",
            tasks.join(", "),
        )
    })
}

fn rollbacks(report: &JobReport) -> Option<String> {
    (report.rollbacks > 0).then(|| {
        format!(
            "results were rolled back {}: a map task that ran again gave other records, so the job is not deterministic",
            counted(report.rollbacks, "time"),
        )
    })
}

fn spills(report: &JobReport) -> Option<String> {
    /// Below this, it cost no time worth a word.
    const NOTEWORTHY: Duration = Duration::from_secs(1);
    (report.bytes_spilled > ByteSize(0) && report.elapsed > NOTEWORTHY).then(|| {
        format!(
            "{} did not fit in memory; more `--memory` may be faster",
            report.bytes_spilled
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::ordinary;
    use mapfold_terms::{PartitionId, TaskId, WorkerId};

    #[track_caller]
    fn check(change: impl FnOnce(&mut JobReport), want: &[(&str, &str)]) {
        let mut report = ordinary();
        change(&mut report);
        let got = remarks(&report);
        let got: Vec<_> = got
            .iter()
            .map(|(label, text)| (*label, text.as_str()))
            .collect();
        assert_eq!(got, want);
    }

    fn slow(task: TaskId, about: &str, mib: u64) -> TaskTiming {
        TaskTiming {
            task,
            worker: WorkerId(2),
            elapsed: Duration::from_millis(1200),
            bytes: ByteSize::mib(mib),
            about: about.to_owned(),
        }
    }

    #[test]
    fn an_ordinary_job_has_no_remarks() {
        check(|_| {}, &[]);
    }

    #[test]
    fn stragglers_are_named_with_what_sets_them_apart() {
        check(
            |report| {
                report
                    .slowest
                    .insert(0, slow(TaskId::map(9), "war.txt.gz", 180))
            },
            &[(
                "Slow",
                "m9: 2.1x the median map (war.txt.gz, 180 MiB, cannot be split: pack it as several files)",
            )],
        );
        check(
            |report| {
                report
                    .slowest
                    .insert(0, slow(TaskId::map(9), "war.txt", 80))
            },
            &[(
                "Slow",
                "m9: 2.1x the median map (war.txt, 80.0 MiB, no more than others: its records cost more, or w2 is slow)",
            )],
        );
        check(
            |report| report.slowest.insert(0, slow(TaskId::reduce(3), "", 30)),
            &[(
                "Slow",
                "r3: 4.0x the median reduce (30.0 MiB, much more than the others)",
            )],
        );
    }

    #[test]
    fn skew_is_said_in_percent() {
        check(
            |report| report.largest = vec![(PartitionId(3), ByteSize::mib(30))],
            &[(
                "Skew",
                "p3 holds 75 % of the shuffled bytes (30.0 MiB); more reducers do not help if one key has most of them",
            )],
        );
    }

    #[test]
    fn retries_losses_and_rollbacks_are_told() {
        check(
            |report| {
                report.attempts_failed = 1;
                report.attempts_lost = 2;
                report.workers_lost = 1;
                report.maps_rerun = 3;
                report.time_lost = Duration::from_millis(1500);
                report.rollbacks = 1;
                report.backups = 2;
                report.backups_won = 1;
                report.differing = vec![TaskId::map(3), TaskId::reduce(0)];
            },
            &[
                ("Retried", "1 attempt failed (16 started in all)"),
                (
                    "Lost",
                    "1 worker, 2 attempts with them; 3 map tasks ran again because their run was lost",
                ),
                (
                    "Backup",
                    "2 stragglers got a second attempt on another worker, of which 1 ended first",
                ),
                (
                    "Wasted",
                    "1.50 s of slots' time, in attempts that came to nothing",
                ),
                (
                    "Rollback",
                    "results were rolled back 1 time: a map task that ran again gave other records, so the job is \
                     not deterministic",
                ),
                (
                    "Differs",
                    "the job is not deterministic: two attempts at m3, r0 left different results; what counts is of one of them",
                ),
            ],
        );
    }

    #[test]
    fn nothing_read_is_odd() {
        check(
            |report| report.records_in = 0,
            &[("Empty", "the inputs hold no records")],
        );
    }
}
