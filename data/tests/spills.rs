//! What an attempt leaves does not depend on how little memory it had: with spills or without, in memory or on disk,
//! the run is the same to the byte.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use mapfold_data::fold_merge::FoldMerge;
use mapfold_data::fold_table::{Flat, FoldTable};
use mapfold_data::merge::{self, Merge, Push};
use mapfold_data::partition::{partition_of, partition_of_hash};
use mapfold_data::run::{
    ReadRunError, Run, RunBytes, RunWriter, Segment, SegmentHead, WriteRunError,
};
use mapfold_data::scratch::{Scratch, ScratchRoot};
use mapfold_data::sort_buffer::SortBuffer;
use mapfold_terms::{ByteSize, MasterEpoch, PartitionId, RunSummary, Token};
use proptest::collection::vec;
use proptest::prelude::*;

const PARTITIONS: u32 = 3;
const TOKEN: Token = Token {
    epoch: MasterEpoch(1),
    counter: 9,
};

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Read(#[from] ReadRunError),
    #[error(transparent)]
    Write(#[from] WriteRunError),
}

/// How much memory an attempt has, in every respect.
#[derive(Clone, Copy, Debug)]
struct Budget {
    memory_bytes: usize,
    in_memory_max: ByteSize,
    width: usize,
}

const PLENTY: Budget = Budget {
    memory_bytes: usize::MAX,
    in_memory_max: ByteSize(u64::MAX),
    width: 2,
};

fn budgets() -> impl Strategy<Value = Budget> {
    (1..4_000_usize, 0..20_000_u64, 2..5_usize).prop_map(|(memory_bytes, in_memory, width)| {
        Budget {
            memory_bytes,
            in_memory_max: ByteSize(in_memory),
            width,
        }
    })
}

fn scratch() -> (tempfile::TempDir, Scratch) {
    let base = tempfile::tempdir().unwrap();
    let scratch = ScratchRoot::open(base.path()).unwrap().scratch("1-9");
    (base, scratch)
}

fn writer(budget: Budget, scratch: &Scratch) -> RunWriter {
    RunWriter::new(TOKEN, PARTITIONS, scratch.clone(), budget.in_memory_max)
}

/// One run of all spills.
fn merge_spills(
    spills: &[RunBytes],
    budget: Budget,
    scratch: &Scratch,
    combine: impl FnMut(&[Segment], &mut Push<'_>) -> Result<(), Error>,
) -> (RunBytes, RunSummary) {
    let open = |bytes: &RunBytes| Run::open(bytes.clone()).unwrap();
    let runs: Vec<Run> = spills.iter().map(open).collect();
    let mut writer = writer(budget, scratch);
    merge::merge_runs(&runs, budget.width, scratch, &mut writer, combine).unwrap();
    writer.finish().unwrap()
}

fn run_sorted(
    records: &[(Vec<u8>, Vec<u8>)],
    budget: Budget,
    scratch: &Scratch,
) -> (RunBytes, RunSummary) {
    let mut buffer = SortBuffer::new();
    let mut spills = Vec::new();
    let spill = |buffer: &mut SortBuffer| {
        let mut writer = writer(budget, scratch);
        buffer
            .sort_and_drain(|record| writer.push_counted(record))
            .unwrap();
        writer.finish().unwrap()
    };
    for (key, value) in records {
        let partition = partition_of(key, PARTITIONS);
        buffer
            .push(partition, key, |out| out.extend_from_slice(value))
            .unwrap();
        if buffer.bytes() > budget.memory_bytes {
            spills.push(spill(&mut buffer).0);
        }
    }
    let last = spill(&mut buffer);
    if spills.is_empty() {
        return last;
    }
    spills.push(last.0);
    merge_spills(&spills, budget, scratch, merge::copy)
}

fn number(value: &[u8]) -> u64 {
    u64::from_le_bytes(value.try_into().unwrap())
}

fn sum(segments: &[Segment], push: &mut Push<'_>) -> Result<(), Error> {
    let mut merge = FoldMerge::<u64, Flat>::new(segments, PARTITIONS, ByteSize::kib(10))?;
    while merge.next_bucket(
        |value| Ok::<_, Error>(number(value)),
        |_, total, value| {
            *total += number(value);
            Ok(())
        },
        |key, total| Ok(push(key, &total.to_le_bytes())?),
    )? {}
    Ok(())
}

fn run_folded(
    records: &[(Vec<u8>, u64)],
    budget: Budget,
    scratch: &Scratch,
) -> (RunBytes, RunSummary) {
    let mut table = FoldTable::<u64>::new();
    let mut spills = Vec::new();
    let spill = |table: &mut FoldTable<u64>| {
        let mut writer = writer(budget, scratch);
        table
            .drain_by_hash(|hash, key, total| {
                let partition = partition_of_hash(hash, PARTITIONS);
                writer.push(partition, key, &total.to_le_bytes())
            })
            .unwrap();
        writer.finish().unwrap()
    };
    for (key, n) in records {
        table.upsert(&[], key, || *n, |total| *total += n);
        // Tables are never as small as the budgets here, so their keys are counted instead.
        if table.len() > budget.memory_bytes / 64 {
            spills.push(spill(&mut table).0);
        }
    }
    let last = spill(&mut table);
    if spills.is_empty() {
        return last;
    }
    spills.push(last.0);
    merge_spills(&spills, budget, scratch, sum)
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(0..3_u8, 0..4),
        vec(0..2_u8, 14..19),
        vec(any::<u8>(), 0..30)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn spills_do_not_show_in_sorted_records(
        records in vec((key(), vec(any::<u8>(), 0..200)), 0..200),
        budget in budgets(),
    ) {
        let (_base, scratch) = scratch();
        let (whole, summary) = run_sorted(&records, PLENTY, &scratch);
        let (pieced, same) = run_sorted(&records, budget, &scratch);
        prop_assert_eq!(summary, same);
        prop_assert!(whole[..] == pieced[..]);
        prop_assert_eq!(summary.records, records.len() as u64);
    }

    #[test]
    fn spills_do_not_show_in_folded_records(
        records in vec((key(), 0..9_u64), 0..300),
        budget in budgets(),
    ) {
        let (_base, scratch) = scratch();
        let (whole, summary) = run_folded(&records, PLENTY, &scratch);
        let (pieced, same) = run_folded(&records, budget, &scratch);
        prop_assert_eq!(summary, same);
        prop_assert!(whole[..] == pieced[..]);
        let mut totals = BTreeMap::new();
        for (key, n) in records {
            *totals.entry((partition_of(&key, PARTITIONS), key)).or_insert(0) += n;
        }
        let run = Run::open(whole).unwrap();
        let mut read = BTreeMap::new();
        for partition in (0..PARTITIONS).map(PartitionId) {
            let segment = run.segment(partition).unwrap();
            let mut cursor = segment.cursor();
            while let Some((key, value)) = cursor.next().unwrap() {
                read.insert((partition, key.to_vec()), number(value));
            }
        }
        prop_assert_eq!(read, totals);
    }
}

#[test]
fn spills_leave_no_file_behind() {
    let (base, scratch) = scratch();
    let records: Vec<_> = (0..2000_u32)
        .map(|n| (n.to_string().into_bytes(), vec![0; 100]))
        .collect();
    let budget = Budget {
        memory_bytes: 10_000,
        in_memory_max: ByteSize(0),
        width: 2,
    };
    let (run, _) = run_sorted(&records, budget, &scratch);
    let folder = run.path().unwrap().parent().unwrap().to_owned();
    assert_eq!(
        folder.read_dir().unwrap().count(),
        1,
        "the run alone is left"
    );
    drop((run, scratch));
    assert_eq!(base.path().read_dir().unwrap().count(), 0);
}

/// `SegmentHead` is all that must travel beside the blocks.
#[test]
fn a_segment_that_travelled_merges_as_the_one_at_home() {
    let (_base, scratch) = scratch();
    let records: Vec<_> = (0..500_u32)
        .map(|n| (n.to_string().into_bytes(), vec![7; 300]))
        .collect();
    let (run, _) = run_sorted(&records, PLENTY, &scratch);
    let run = Run::open(run).unwrap();
    for partition in (0..PARTITIONS).map(PartitionId) {
        let home = run.segment(partition).unwrap();
        let head: SegmentHead = home.head();
        let bytes = RunBytes::from(home.bytes().to_vec());
        let away = Segment::from_parts(4, partition, head, bytes).unwrap();
        let mut pair = Merge::new(vec![home.cursor(), away.cursor()]).unwrap();
        while let Some((key, value)) = pair.next().unwrap() {
            let (key, value) = (key.to_vec(), value.to_vec());
            assert_eq!(pair.source(), 0);
            assert_eq!(pair.next().unwrap(), Some((&key[..], &value[..])));
            assert_eq!(pair.source(), 1);
        }
    }
}
