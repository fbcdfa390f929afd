use std::convert::Infallible;

use mapfold_terms::{ByteSize, MasterEpoch, PartitionId, Token};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::run::{ReadRunError, Run, RunWriter, Segment, WriteRunError};
use crate::scratch::{Scratch, ScratchRoot};

type Pair = (Vec<u8>, Vec<u8>);

/// Records in memory as a cursor.
struct Listed<'a> {
    records: &'a [Pair],
    next: usize,
}

impl Cursor for Listed<'_> {
    type Error = Infallible;

    fn advance(&mut self) -> Result<bool, Infallible> {
        self.next += 1;
        Ok(self.next <= self.records.len())
    }

    fn key(&self) -> &[u8] {
        &self.records[self.next - 1].0
    }

    fn value(&self) -> &[u8] {
        &self.records[self.next - 1].1
    }
}

proptest! {
    #[test]
    fn keys_are_the_same_if_all_their_bytes_are(one in vec(0..2_u8, 0..20), two in vec(0..2_u8, 0..20), at: prop::sample::Index) {
        prop_assert_eq!(same_key(&one, &two), one == two);
        prop_assert!(same_key(&one, &one.clone()));
        if !one.is_empty() {
            let mut other = one.clone();
            other[at.index(one.len())] ^= 1;
            prop_assert!(!same_key(&one, &other));
        }
    }
}

fn merged(runs: &[Vec<Pair>]) -> Vec<Pair> {
    let cursors = runs.iter().map(|records| Listed { records, next: 0 });
    let mut merge = Merge::new(cursors.collect()).unwrap();
    let mut records = Vec::new();
    while let Some((key, value)) = merge.next().unwrap() {
        records.push((key.to_vec(), value.to_vec()));
        let source = merge.source();
        assert!(runs[source].contains(records.last().unwrap()));
    }
    assert_eq!(merge.next(), Ok(None), "the end stays the end");
    records
}

/// What a merge must give: all records, sorted by key, otherwise in order of run.
fn sorted(runs: &[Vec<Pair>]) -> Vec<Pair> {
    let mut records = runs.concat();
    records.sort_by(|one, two| one.0.cmp(&two.0));
    records
}

#[test]
fn every_merge_of_three_runs_of_up_to_two_keys_is_right() {
    let keys: [&[u8]; 4] = [b"", b"a", b"a\0", b"b"];
    let mut lists: Vec<Vec<&[u8]>> = vec![vec![]];
    for (at, one) in keys.iter().enumerate() {
        lists.push(vec![one]);
        lists.extend(keys[at..].iter().map(|two| vec![*one, *two]));
    }
    let run = |list: &[&[u8]], name: u8| -> Vec<Pair> {
        let values = (0_u8..).map(|n| vec![name, n]);
        list.iter().map(|key| key.to_vec()).zip(values).collect()
    };
    for one in &lists {
        for two in &lists {
            for three in &lists {
                let runs = [run(one, 1), run(two, 2), run(three, 3)];
                assert_eq!(merged(&runs), sorted(&runs), "{runs:?}");
            }
        }
    }
}

fn runs() -> impl Strategy<Value = Vec<Vec<Pair>>> {
    let key = prop_oneof![
        vec(0..3_u8, 0..4),
        vec(0..3_u8, 7..11),
        vec(any::<u8>(), 0..40)
    ];
    let run = vec((key, vec(any::<u8>(), 0..6)), 0..40).prop_map(|mut run| {
        run.sort_by(|one, two| one.0.cmp(&two.0));
        run
    });
    vec(run, 0..20)
}

fn scratch() -> (tempfile::TempDir, Scratch) {
    let base = tempfile::tempdir().unwrap();
    let scratch = ScratchRoot::open(base.path()).unwrap().scratch("1-1");
    (base, scratch)
}

fn segments(runs: &[Vec<Pair>], scratch: &Scratch) -> Vec<Segment> {
    let token = Token {
        epoch: MasterEpoch(1),
        counter: 1,
    };
    let segment = |(map, records): (u32, &Vec<Pair>)| {
        let mut writer = RunWriter::new(token, 4, scratch.clone(), ByteSize(200));
        for (key, value) in records {
            writer.push(PartitionId(2), key, value).unwrap();
        }
        let (bytes, _) = writer.finish().unwrap();
        Run::open(bytes)
            .unwrap()
            .segment(PartitionId(2))
            .unwrap()
            .with_map(map)
    };
    (0..).zip(runs).map(segment).collect()
}

fn read_all(segments: &[Segment]) -> Vec<Pair> {
    let mut merge = Merge::new(segments.iter().map(Segment::cursor).collect()).unwrap();
    let mut records = Vec::new();
    while let Some((key, value)) = merge.next().unwrap() {
        records.push((key.to_vec(), value.to_vec()));
    }
    records
}

#[derive(Debug, thiserror::Error)]
enum TestError {
    #[error(transparent)]
    Read(#[from] ReadRunError),
    #[error(transparent)]
    Write(#[from] WriteRunError),
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_merge_equals_a_stable_sort(runs in runs()) {
        prop_assert_eq!(merged(&runs), sorted(&runs));
    }

    #[test]
    fn fewer_segments_hold_the_same_records_in_the_same_order(runs in runs(), width in 2..6_usize) {
        let (_base, scratch) = scratch();
        let before = segments(&runs, &scratch);
        let narrowed = reduce_width::<TestError>(before, width, &scratch, copy).unwrap();
        prop_assert!(narrowed.segments.len() <= width);
        prop_assert_eq!(narrowed.merges > 0, runs.len() > width);
        let maps: Vec<_> = narrowed.segments.iter().map(Segment::map).collect();
        prop_assert!(maps.is_sorted(), "{:?}", maps);
        prop_assert_eq!(read_all(&narrowed.segments), sorted(&runs));
    }
}

#[test]
fn intermediate_merges_may_combine_equal_keys() {
    let (_base, scratch) = scratch();
    let runs: Vec<Vec<Pair>> = (0..9_u8)
        .map(|n| vec![(b"key".to_vec(), vec![n])])
        .collect();
    let narrowed =
        reduce_width::<TestError>(segments(&runs, &scratch), 2, &scratch, |segments, push| {
            let sum = read_all(segments).iter().map(|(_, value)| value[0]).sum();
            Ok(push(b"key", &[sum])?)
        })
        .unwrap();
    let left = read_all(&narrowed.segments);
    assert_eq!(left.len(), 2);
    assert_eq!(left.iter().map(|(_, value)| value[0]).sum::<u8>(), 36);
}

#[test]
fn a_damaged_segment_fails_the_merge() {
    let (_base, scratch) = scratch();
    let runs: Vec<Vec<Pair>> = (0..3_u8).map(|n| vec![(vec![n], vec![n])]).collect();
    let good = segments(&runs, &scratch);
    for at in 0..good[1].bytes().len() {
        let mut bytes = good[1].bytes().to_vec();
        bytes[at] ^= 1;
        let bad = Segment::from_parts(1, PartitionId(2), good[1].head(), bytes.into()).unwrap();
        let segments = vec![good[0].clone(), bad, good[2].clone()];
        let narrowed = reduce_width::<TestError>(segments, 2, &scratch, copy);
        let read = narrowed.and_then(|narrowed| {
            let cursors = narrowed.segments.iter().map(Segment::cursor).collect();
            let mut merge = Merge::new(cursors)?;
            while merge.advance()? {}
            Ok(())
        });
        assert!(read.is_err(), "{at}");
    }
}

#[test]
fn widths_follow_from_memory_within_bounds() {
    for (memory, want) in [(0, 8), (32 << 20, 128), (1 << 40, 512)] {
        assert_eq!(width_for(ByteSize(memory)), want);
    }
}
