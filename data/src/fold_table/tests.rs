use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::partition::partition_of;

type Row = (PartitionId, Vec<u8>, u64);

fn count<W: Weigh<u64>>(table: &mut FoldTable<u64, W>, key: &[u8]) {
    table.upsert(key, || 1, |n| *n += 1);
}

fn drain(table: &mut FoldTable<u64>, partitions: u32) -> Vec<Row> {
    let mut rows = Vec::new();
    let drained: Result<(), ()> = table.drain_sorted(partitions, |partition, key, n| {
        rows.push((partition, key.to_vec(), *n));
        Ok(())
    });
    drained.unwrap();
    rows
}

fn expected(keys: &[Vec<u8>], partitions: u32) -> Vec<Row> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts
            .entry((partition_of(key, partitions), key.clone()))
            .or_insert(0) += 1;
    }
    let row = |((partition, key), n)| (partition, key, n);
    counts.into_iter().map(row).collect()
}

fn keys() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let key = prop_oneof![
        vec(0..2_u8, 0..4),
        vec(0..2_u8, 6..10),
        vec(0..2_u8, 15..18),
        vec(any::<u8>(), 0..40),
        Just(vec![0; 20]),
    ];
    vec(key, 0..300)
}

proptest! {
    #[test]
    fn a_table_equals_a_sorted_map_every_time(fillings in vec(keys(), 1..4), partitions in 1..9_u32) {
        let mut table = FoldTable::new();
        for keys in fillings {
            for key in &keys {
                count(&mut table, key);
            }
            let want = expected(&keys, partitions);
            prop_assert_eq!(table.len(), want.len());
            prop_assert_eq!(drain(&mut table, partitions), want);
            prop_assert!(table.is_empty());
        }
    }
}

#[test]
fn a_table_grows_and_shrinks_without_losing_a_key() {
    let mut table = FoldTable::new();
    for filling in [20_000_u32, 10, 3_000] {
        let keys: Vec<Vec<u8>> = (0..filling)
            .map(|n| n.to_string().repeat(n as usize % 5).into_bytes())
            .collect();
        for key in &keys {
            count(&mut table, key);
        }
        assert_eq!(drain(&mut table, 7), expected(&keys, 7));
    }
    assert!(table.bytes() < 1 << 20, "{}", table.bytes());
}

#[test]
fn keys_of_one_partition_do_not_crowd_together() {
    let mut table = FoldTable::<u64>::new();
    let keys = (0..200_000_u32).map(u32::to_be_bytes);
    for key in keys.filter(|key| partition_of(key, 100) == PartitionId(99)) {
        count(&mut table, &key);
    }
    let taken: Vec<bool> = table.slots.iter().map(Option::is_some).collect();
    let longest = taken.split(|taken| !taken).map(<[bool]>::len).max();
    assert!(longest < Some(64), "{longest:?}");
}

#[test]
fn memory_is_counted_with_what_accumulators_own() {
    struct Owned;
    impl Weigh<Vec<u8>> for Owned {
        fn heap_bytes(acc: &Vec<u8>) -> usize {
            acc.capacity()
        }
    }
    let mut table = FoldTable::<Vec<u8>, Owned>::new();
    assert_eq!(table.bytes(), 0);
    assert!(table.bytes_next() > 0, "the first key makes a table");
    table.upsert(b"key", || vec![0; 1000], |_| ());
    let before = table.bytes();
    table.upsert(b"key", Vec::new, |acc| *acc = vec![0; 5000]);
    assert_eq!(table.bytes() - before, 4000);
    assert_eq!(table.bytes_next(), table.bytes());
    table.clear();
    assert!(table.bytes() < before);
}

#[test]
fn kept_memory_is_counted_and_given_back() {
    let mut table = FoldTable::<u64>::new();
    for n in 0..5000_u32 {
        count(&mut table, &[n.to_be_bytes(); 10].concat());
    }
    let filled = table.bytes();
    drain(&mut table, 3);
    assert_eq!(table.bytes(), filled);
    table.keep_at_most(filled);
    assert_eq!(table.bytes(), filled);
    table.keep_at_most(filled - 1);
    assert_eq!(table.bytes(), 0);
}

#[test]
fn only_what_changes_the_memory_says_so() {
    let mut table = FoldTable::<u64>::new();
    for n in 0..10_000_u32 {
        let key = (n % 3000).to_be_bytes();
        let before = table.bytes_next();
        let changed = table.upsert(&key, || 1, |n| *n += 1);
        assert!(changed || table.bytes_next() == before, "{n}");
        assert_eq!(changed, n < 3000, "{n}");
    }
}

#[test]
fn bytes_next_foretells_growth() {
    let mut table = FoldTable::<u64>::new();
    for n in 0..100_000_u32 {
        let foretold = table.bytes_next();
        count(&mut table, &n.to_be_bytes());
        // The larger table replaces the smaller; a key of its own takes 16 bytes more of the order.
        assert!(table.bytes() <= foretold + 16, "{n}");
    }
}

#[test]
fn an_error_of_the_sink_ends_the_drain_and_empties_the_table() {
    let mut table = FoldTable::<u64>::new();
    count(&mut table, b"one");
    count(&mut table, b"two");
    let mut calls = 0;
    let drained = table.drain_sorted(1, |_, _, _| {
        calls += 1;
        Err("full")
    });
    assert_eq!((drained, calls), (Err("full"), 1));
    assert!(table.is_empty());
}
