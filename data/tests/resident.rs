//! A merge of runs in files occupies no more memory than its width is reckoned with. A process of its own, since what is
//! measured is all that the process has mapped.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use mapfold_data::merge::{Merge, width_for};
use mapfold_data::run::{Run, RunWriter, Segment};
use mapfold_data::scratch::ScratchRoot;
use mapfold_terms::{ByteSize, MasterEpoch, PartitionId, Token};

const RUNS: u32 = 64;
const PARTITIONS: u32 = 2;
const RECORDS: u32 = 20_000;
const TOKEN: Token = Token {
    epoch: MasterEpoch(1),
    counter: 1,
};

/// Bytes of mapped files that are resident.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssFile:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .strip_suffix(" kB")
        .unwrap()
        .parse()
        .unwrap();
    kib << 10
}

#[test]
fn a_merge_of_mapped_runs_keeps_within_its_reckoning() {
    let base = tempfile::tempdir().unwrap();
    let scratch = ScratchRoot::open(base.path()).unwrap().scratch("1-1");
    let runs: Vec<Run> = (0..RUNS)
        .map(|run| {
            let mut writer = RunWriter::new(TOKEN, PARTITIONS, scratch.clone(), ByteSize(0));
            for partition in 0..PARTITIONS {
                for record in 0..RECORDS {
                    let key = (record * RUNS + run).to_be_bytes();
                    writer
                        .push(PartitionId(partition), &key, &[b'x'; 90])
                        .unwrap();
                }
            }
            Run::open(writer.finish().unwrap().0).unwrap()
        })
        .collect();
    let before = resident();
    let budget = (1..=1024)
        .map(ByteSize::mib)
        .find(|memory| width_for(*memory) >= RUNS as usize)
        .unwrap();
    for partition in (0..PARTITIONS).map(PartitionId) {
        let segments: Vec<Segment> = runs
            .iter()
            .map(|run| run.segment(partition).unwrap())
            .collect();
        let looked_at = resident().saturating_sub(before);
        assert!(
            looked_at < 2 << 20,
            "{looked_at} bytes after a look at every index"
        );
        let mut merge = Merge::new(segments.iter().map(Segment::cursor).collect()).unwrap();
        let (mut records, mut most) = (0_u32, 0);
        while merge.next().unwrap().is_some() {
            records += 1;
            if records.is_multiple_of(10_000) {
                most = most.max(resident().saturating_sub(before));
            }
        }
        assert_eq!(records, RUNS * RECORDS);
        eprintln!("{} KiB a cursor", (most >> 10) / u64::from(RUNS));
        assert!(most <= budget.bytes(), "{most} bytes, not {budget}");
    }
    assert!(
        resident().saturating_sub(before) < 2 << 20,
        "all is given back"
    );
}
