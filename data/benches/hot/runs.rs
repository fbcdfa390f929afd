//! Runs: written, read back, merged; with keys and values as a word count has them.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use mapfold_data::merge::Merge;
use mapfold_data::run::{Run, RunBytes, RunWriter, Segment};
use mapfold_data::scratch::ScratchRoot;
use mapfold_terms::{ByteSize, MasterEpoch, PartitionId, Token};

const RECORDS: u32 = 200_000;
const PARTITION: PartitionId = PartitionId(0);

#[divan::bench]
fn write(bencher: Bencher<'_, '_>) {
    let keys = keys();
    let bytes = run(&keys, 0, 1).len();
    bencher
        .counter(BytesCount::new(bytes))
        .bench(|| black_box(run(&keys, 0, 1)));
}

/// Every record once, checksums included.
#[divan::bench]
fn read(bencher: Bencher<'_, '_>) {
    let run = Run::open(run(&keys(), 0, 1)).unwrap();
    let segment = run.segment(PARTITION).unwrap();
    bencher
        .counter(BytesCount::new(segment.bytes().len()))
        .bench(|| {
            let mut cursor = segment.cursor();
            while let Some(record) = cursor.next().unwrap() {
                black_box(record);
            }
        });
}

/// As many records however many runs they are in.
#[divan::bench(args = [2, 16, 128])]
fn merge(bencher: Bencher<'_, '_>, runs: u32) {
    let keys = keys();
    let segments: Vec<Segment> = (0..runs as usize)
        .map(|number| {
            Run::open(run(&keys, number, runs as usize))
                .unwrap()
                .segment(PARTITION)
                .unwrap()
        })
        .collect();
    let bytes: usize = segments.iter().map(|segment| segment.bytes().len()).sum();
    bencher.counter(BytesCount::new(bytes)).bench(|| {
        let cursors = segments.iter().map(Segment::cursor).collect();
        let mut merge = Merge::new(cursors).unwrap();
        while let Some(record) = merge.next().unwrap() {
            black_box(record);
        }
    });
}

fn keys() -> Vec<String> {
    (0..RECORDS)
        .map(|number| format!("word{number:06}"))
        .collect()
}

/// The records `first`, `first + step` and so on, in memory.
fn run(keys: &[String], first: usize, step: usize) -> RunBytes {
    let token = Token {
        epoch: MasterEpoch(1),
        counter: 1,
    };
    let scratch = ScratchRoot::open(&std::env::temp_dir())
        .unwrap()
        .scratch("bench");
    let mut writer = RunWriter::new(token, 1, scratch, ByteSize::gib(1));
    for key in keys[first..].iter().step_by(step) {
        writer.push(PARTITION, key.as_bytes(), &[1]).unwrap();
    }
    writer.finish().unwrap().0
}
