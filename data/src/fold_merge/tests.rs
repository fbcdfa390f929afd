use std::collections::BTreeMap;

use mapfold_terms::{MasterEpoch, PartitionId, Token};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::fold_table::Flat;
use crate::partition::{key_hash, partition_of};
use crate::run::{Fault, Run, RunWriter};
use crate::scratch::{Scratch, ScratchRoot};

const PARTITIONS: u32 = 3;

type Pair = (Vec<u8>, u8);
type Folded = (Vec<u8>, Vec<u8>);

fn scratch() -> (tempfile::TempDir, Scratch) {
    let base = tempfile::tempdir().unwrap();
    let scratch = ScratchRoot::open(base.path()).unwrap().scratch("1-1");
    (base, scratch)
}

/// A run of records as they are.
fn run(records: &[Pair], scratch: &Scratch) -> Run {
    let token = Token {
        epoch: MasterEpoch(1),
        counter: 1,
    };
    let mut writer = RunWriter::new(token, PARTITIONS, scratch.clone(), ByteSize::mib(1));
    for (key, value) in records {
        let partition = partition_of(key, PARTITIONS);
        writer.push(partition, key, &[*value]).unwrap();
    }
    Run::open(writer.finish().unwrap().0).unwrap()
}

fn by_hash(mut records: Vec<Pair>) -> Vec<Pair> {
    records.sort_by_cached_key(|(key, _)| (key_hash(key), key.clone()));
    records
}

/// The values of each key, in the order in which they were folded; keys in the order in which they came.
fn folded(segments: &[Segment], memory: ByteSize) -> Result<Vec<Folded>, ReadRunError> {
    let mut merge = FoldMerge::<Vec<u8>, Flat>::new(segments, PARTITIONS, memory)?;
    let mut keys = Vec::new();
    while merge.next_bucket(
        |value| Ok(value.to_vec()),
        |_, values, value| {
            values.extend_from_slice(value);
            Ok(())
        },
        |key, values| {
            keys.push((key.to_vec(), values.clone()));
            Ok::<_, ReadRunError>(())
        },
    )? {}
    let records: u64 = segments.iter().map(Segment::records).sum();
    assert_eq!(merge.records(), records);
    Ok(keys)
}

fn runs() -> impl Strategy<Value = Vec<Vec<Pair>>> {
    let key = prop_oneof![
        vec(0..2_u8, 0..5),
        vec(0..2_u8, 14..18),
        vec(any::<u8>(), 0..30)
    ];
    vec(vec((key, any::<u8>()), 0..60).prop_map(by_hash), 0..9)
}

proptest! {
    #[test]
    fn every_key_comes_once_in_order_with_its_values_in_order(runs in runs(), memory in 0..4000_u64) {
        let (_base, scratch) = scratch();
        let opened: Vec<Run> = runs.iter().map(|records| run(records, &scratch)).collect();
        for partition in (0..PARTITIONS).map(PartitionId) {
            let segments: Vec<_> = opened.iter().map(|run| run.segment(partition).unwrap()).collect();
            let mut want: BTreeMap<(u64, Vec<u8>), Vec<u8>> = BTreeMap::new();
            for (key, value) in runs.iter().flatten() {
                if partition_of(key, PARTITIONS) == partition {
                    want.entry((key_hash(key), key.clone())).or_default().push(*value);
                }
            }
            let want: Vec<_> = want.into_iter().map(|((_, key), values)| (key, values)).collect();
            prop_assert_eq!(folded(&segments, ByteSize(memory)).unwrap(), want);
        }
    }
}

#[test]
fn many_keys_take_many_small_buckets() {
    let (_base, scratch) = scratch();
    let keys = (0..100_000_u32).map(|n| n.to_string().into_bytes());
    let records = by_hash(keys.map(|key| (key, 1)).collect());
    let run = run(&records, &scratch);
    let segments = [
        run.segment(PartitionId(1)).unwrap(),
        run.segment(PartitionId(1)).unwrap(),
    ];
    let mut merge = FoldMerge::<u64, Flat>::new(&segments, PARTITIONS, ByteSize::mib(64)).unwrap();
    let (mut buckets, mut keys) = (0, 0);
    while merge
        .next_bucket(
            |_| Ok(1),
            |_, n, _| {
                *n += 1;
                Ok(())
            },
            |_, n| {
                assert_eq!(*n, 2);
                keys += 1;
                Ok::<_, ReadRunError>(())
            },
        )
        .unwrap()
    {
        buckets += 1;
        assert!(merge.table.bytes() < 2 << 20, "{}", merge.table.bytes());
    }
    assert_eq!(keys, run.segment(PartitionId(1)).unwrap().records());
    assert!((4..20).contains(&buckets), "{buckets}");
}

#[test]
fn a_run_in_another_order_is_refused() {
    let (_base, scratch) = scratch();
    let mut records: Vec<Pair> = (0..30_u8).map(|n| (vec![n], n)).collect();
    records.retain(|(key, _)| partition_of(key, PARTITIONS) == PartitionId(0));
    let mut records = by_hash(records);
    records.reverse();
    assert!(records.len() > 1);
    let segments = [run(&records, &scratch).segment(PartitionId(0)).unwrap()];
    let refused = folded(&segments, ByteSize::mib(1)).unwrap_err();
    assert!(
        matches!(
            refused,
            ReadRunError::Corrupt {
                fault: Fault::Order,
                ..
            }
        ),
        "{refused}"
    );
}
