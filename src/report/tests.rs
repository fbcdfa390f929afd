use std::time::Duration;

use mapfold_terms::{Counters, FailReason, JobEnd, PartitionId, TaskId, WorkerId};

use super::*;

/// A job at which nothing is odd.
pub(super) fn ordinary() -> JobReport {
    let task = |task, millis, mib, about: &str| TaskTiming {
        task,
        worker: WorkerId(1),
        elapsed: Duration::from_millis(millis),
        bytes: ByteSize::mib(mib),
        about: about.to_owned(),
    };
    JobReport {
        end: JobEnd::Succeeded { root: [0x9f; 32] },
        elapsed: Duration::from_millis(4310),
        plan_elapsed: Duration::from_millis(2),
        map_elapsed: Duration::from_millis(3020),
        reduce_elapsed: Duration::from_millis(1100),
        commit_elapsed: Duration::from_millis(12),
        files: 41,
        maps: 12,
        reduces: 4,
        records_in: 21_000_000,
        bytes_in: ByteSize::gib(1),
        records_mapped: 184_312_406,
        records_shuffled: 1_204_402,
        bytes_shuffled: ByteSize::mib(40),
        bytes_remote: ByteSize(0),
        bytes_spilled: ByteSize(0),
        groups: 91_225,
        rows: 91_225,
        bytes_out: ByteSize::kib(1044),
        named: std::collections::BTreeMap::new(),
        attempts: 16,
        attempts_failed: 0,
        attempts_lost: 0,
        maps_rerun: 0,
        time_lost: Duration::ZERO,
        stale_reports: 0,
        rollbacks: 0,
        workers_lost: 0,
        backups: 0,
        backups_won: 0,
        differing: Vec::new(),
        slowest: vec![
            task(TaskId::map(3), 612, 88, "books/moby.txt"),
            task(TaskId::reduce(1), 320, 10, ""),
        ],
        map_median: Duration::from_millis(571),
        reduce_median: Duration::from_millis(300),
        largest: vec![
            (PartitionId(1), ByteSize(10_600_000)),
            (PartitionId(0), ByteSize::mib(10)),
        ],
        counters: Counters::default(),
        skipped: 0,
        failed: Vec::new(),
    }
}

#[test]
fn a_report_reads_well() {
    let report = ordinary();
    assert_eq!(
        succeeded(&report, &[0x9f; 32], "counts/", Paint::Plain),
        "  Finished in 4.31 s   91 225 rows, 1.02 MiB in 4 parts, root b3:9f9f9f9f   counts/
       Map 3.02 s   12 tasks, 1.00 GiB in 41 files at 339 MiB/s, 21 000 000 records in, 184 312 406 out
   Shuffle 40.0 MiB in 1 204 402 records after folding
    Reduce 1.10 s   4 tasks at 36.4 MiB/s, 91 225 keys, 91 225 rows; commit 12.0 ms
   Slowest m3 612 ms (books/moby.txt, 88.0 MiB); median 571 ms
           r1 320 ms (10.0 MiB); median 300 ms
   Largest p1 10.1 MiB (25 %), p0 10.0 MiB (25 %)
"
    );
}

#[test]
fn a_failed_job_has_no_output() {
    let report = JobReport {
        attempts_failed: 4,
        ..ordinary()
    };
    assert_eq!(
        ended_early(&report, "Failed", Paint::Plain),
        "    Failed after 4.31 s; there is no output
   Retried 4 attempts failed (16 started in all)
"
    );
}

#[test]
fn json_is_one_line_with_a_schema() {
    let mut report = ordinary();
    let json = to_json("wordcount", "/tmp/counts", &report, &[], std::iter::empty());
    assert!(!json.contains('\n'));
    let value: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(value["schema"], 1);
    assert_eq!(value["end"], "succeeded");
    assert_eq!(value["rows"], 91_225);
    assert_eq!(value["seconds"]["total"], 4.31);
    assert_eq!(value["root"].as_str().map(str::len), Some(64));

    report.end = JobEnd::Failed {
        what: "map task m7 failed".to_owned(),
        failure: None,
        reason: FailReason::NoSpace,
    };
    let value: serde_json::Value =
        serde_json::from_str(&to_json("wordcount", "x", &report, &[], std::iter::empty()))
            .expect("it is JSON");
    assert_eq!(value["error"]["reason"], "no_space");
    assert!(value["root"].is_null());
}
