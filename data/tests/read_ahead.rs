//! Reading a segment from the disk reads little else. A process of its own, since what is measured is all that the process has read.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::{self, File};

use mapfold_data::run::{Run, RunWriter};
use mapfold_data::scratch::ScratchRoot;
use mapfold_terms::{ByteSize, MasterEpoch, PartitionId, Token};
use rustix::fs::Advice;

const PARTITIONS: u32 = 16;
const RECORDS: u32 = 20_000;
const TOKEN: Token = Token {
    epoch: MasterEpoch(1),
    counter: 1,
};

/// What this process has made disks read.
fn read_from_disk() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap();
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("read_bytes: "));
    line.unwrap().parse().unwrap()
}

#[test]
fn a_segment_that_is_not_in_memory_is_read_once_and_little_else() {
    let base = tempfile::tempdir().unwrap();
    let scratch = ScratchRoot::open(base.path()).unwrap().scratch("1-1");
    let mut writer = RunWriter::new(TOKEN, PARTITIONS, scratch, ByteSize(0));
    for partition in 0..PARTITIONS {
        for record in 0..RECORDS {
            writer
                .push(PartitionId(partition), &record.to_be_bytes(), &[b'x'; 90])
                .unwrap();
        }
    }
    let run = Run::open(writer.finish().unwrap().0).unwrap();
    let segment = run.segment(PartitionId(PARTITIONS / 2)).unwrap();
    let file = File::open(run.bytes().path().unwrap()).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();

    let before = read_from_disk();
    segment.verify().unwrap();
    let read = read_from_disk() - before;
    let length = segment.bytes().len() as u64;
    if read == 0 {
        eprintln!("skipped: temporary files are not on a disk here");
        return;
    }
    assert!(
        (length..length + (512 << 10)).contains(&read),
        "{read} bytes for a segment of {length}"
    );
}
