use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use mapfold_terms::PartitionId;

use crate::partition::key_hash;

type Row = (u64, Vec<u8>, u64);

fn count<W: Weigh<u64>>(table: &mut FoldTable<u64, W>, key: &[u8]) {
    table.upsert(&[], key, || 1, |n| *n += 1);
}

/// Counts all keys in one of the ways that there are; keys lie in a text, one behind the other.
fn count_all(table: &mut FoldTable<u64>, keys: &[Vec<u8>], way: usize) {
    let text = keys.concat();
    let mut at = 0;
    for key in keys {
        let key = &text[at..at + key.len()];
        at += key.len();
        match way % 3 {
            0 => table.upsert(&text, key, || 1, |n| *n += 1),
            1 => table.push(&text, key, 1, |_, n, one| *n += one),
            _ => table.push_each(&text, key, || 1, |_, n| *n += 1),
        };
    }
    table.flush(|_, n, one| *n += one);
    table.flush_each(|| 1, |_, n| *n += 1);
}

fn drain(table: &mut FoldTable<u64>) -> Vec<Row> {
    let mut rows = Vec::new();
    let drained: Result<(), ()> = table.drain_by_hash(|hash, key, n| {
        rows.push((hash, key.to_vec(), *n));
        Ok(())
    });
    drained.unwrap();
    rows
}

fn drain_by_key(table: &mut FoldTable<u64>) -> Vec<(Vec<u8>, u64)> {
    let mut rows = Vec::new();
    let drained: Result<(), ()> = table.drain_by_key(|key, n| {
        rows.push((key.to_vec(), n));
        Ok(())
    });
    drained.unwrap();
    rows
}

fn by_key(keys: &[Vec<u8>]) -> Vec<(Vec<u8>, u64)> {
    let rows = expected(keys).into_iter().map(|(_, key, n)| (key, n));
    rows.collect::<BTreeMap<_, _>>().into_iter().collect()
}

fn expected(keys: &[Vec<u8>]) -> Vec<Row> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry((key_hash(key), key.clone())).or_insert(0) += 1;
    }
    let row = |((hash, key), n)| (hash, key, n);
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
    fn partitions_that_are_chosen_leave_in_order_each_in_order_of_hash(keys in keys(), partitions in 1..7_u32) {
        let chosen = |key: &[u8]| PartitionId(key.iter().map(|byte| u32::from(*byte)).sum::<u32>() % partitions);
        let mut table = FoldTable::new();
        count_all(&mut table, &keys, 0);
        let mut rows = Vec::new();
        let drained: Result<(), ()> = table.drain_by_partition(
            partitions,
            |key| Ok(chosen(key)),
            |partition, key, n| {
                rows.push((partition, key.to_vec(), *n));
                Ok(())
            },
        );
        drained.unwrap();
        let mut want: Vec<_> = expected(&keys)
            .into_iter()
            .map(|(_, key, n)| (chosen(&key), key, n))
            .collect();
        want.sort_by_key(|(partition, _, _)| *partition);
        prop_assert_eq!(rows, want);
        prop_assert!(table.is_empty());
        // A key without a partition: the error comes out, and the table is of use again.
        count_all(&mut table, &keys, 0);
        let refused = table.drain_by_partition(1, |_| Err(()), |_, _, _| Ok(()));
        prop_assert_eq!(refused.is_err(), !keys.is_empty());
        prop_assert!(table.is_empty());
    }
}

proptest! {
    #[test]
    fn a_table_equals_a_sorted_map_every_time(fillings in vec(keys(), 1..4), way in 0..3_usize) {
        let mut table = FoldTable::new();
        for (keys, turn) in fillings.into_iter().zip(way..) {
            count_all(&mut table, &keys, turn);
            let want = expected(&keys);
            prop_assert_eq!(table.len(), want.len());
            prop_assert_eq!(drain(&mut table), want);
            prop_assert!(table.is_empty());
            count_all(&mut table, &keys, turn);
            prop_assert_eq!(drain_by_key(&mut table), by_key(&keys));
            prop_assert!(table.is_empty());
        }
    }
}

/// Values of one key are folded in the order in which they came, whatever the keys between.
#[test]
fn the_order_of_values_is_kept() {
    let mut table = FoldTable::<Vec<u8>>::new();
    let join = |_: &[u8], list: &mut Vec<u8>, more: Vec<u8>| list.extend(more);
    for n in 0..=u8::MAX {
        let key = [b"short".as_slice(), b"a key that lies in the arena"][usize::from(n % 2)];
        table.push(&[], key, vec![n], join);
    }
    table.flush(join);
    let drained: Result<(), ()> = table.drain_by_hash(|_, key, list| {
        let first = u8::from(key.len() > 15);
        assert_eq!(list, &(first..=u8::MAX).step_by(2).collect::<Vec<_>>());
        Ok(())
    });
    drained.unwrap();
}

/// Keys whose search begins at the last slots stand at the front of the table, and leave last all the same.
#[test]
fn a_cluster_that_goes_round_the_end_keeps_its_order() {
    let last = |key: &[u8]| key_hash(key) >= u64::MAX / 1000 * 999;
    let first = |key: &[u8]| key_hash(key) <= u64::MAX / 1000;
    let all = || (0_u32..).map(|n| n.to_string().into_bytes());
    let mut keys: Vec<Vec<u8>> = all().filter(|key| last(key)).take(40).collect();
    keys.extend(all().filter(|key| first(key)).take(40));
    let mut table = FoldTable::new();
    count_all(&mut table, &keys, 1);
    assert!(table.slots[0].is_some(), "the last cluster has gone round");
    assert_eq!(drain(&mut table), expected(&keys));
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
        assert_eq!(drain(&mut table), expected(&keys));
    }
    assert!(table.bytes() < 1 << 20, "{}", table.bytes());
}

#[test]
fn a_table_that_is_cleared_twice_keeps_its_memory() {
    let mut table = FoldTable::<u64>::new();
    for n in 0..20_000_u32 {
        count(&mut table, &n.to_be_bytes());
    }
    let bytes = table.bytes();
    drain(&mut table);
    table.clear();
    assert_eq!(table.bytes(), bytes);
}

#[test]
fn keys_that_share_bits_do_not_crowd_together() {
    let mut table = FoldTable::<u64>::new();
    table.share_bits(7);
    let keys = (0..1_000_000_u32).map(u32::to_be_bytes);
    for key in keys.filter(|key| key_hash(key) >> 57 == 99) {
        count(&mut table, &key);
    }
    let taken: Vec<bool> = table.slots.iter().map(Option::is_some).collect();
    let longest = taken.split(|taken| !taken).map(<[bool]>::len).max();
    assert!(table.len() > 5000 && longest < Some(64), "{longest:?}");
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
    table.upsert(&[], b"key", || vec![0; 1000], |_| ());
    let before = table.bytes();
    table.upsert(&[], b"key", Vec::new, |acc| *acc = vec![0; 5000]);
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
    drain(&mut table);
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
        let changed = table.upsert(&[], &key, || 1, |n| *n += 1);
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
        // The larger table replaces the smaller.
        assert!(table.bytes() <= foretold, "{n}");
    }
}

#[test]
fn an_error_of_the_sink_ends_the_drain_and_empties_the_table() {
    let mut table = FoldTable::<u64>::new();
    count(&mut table, b"one");
    count(&mut table, b"two");
    let mut calls = 0;
    let drained = table.drain_by_hash(|_, _, _| {
        calls += 1;
        Err("full")
    });
    assert_eq!((drained, calls), (Err("full"), 1));
    assert!(table.is_empty());
}

#[test]
fn a_table_without_waiting_keys_does_not_grow() {
    let mut table = FoldTable::<u64>::new();
    let mut number = 0_u64;
    while table.bytes_next() == table.bytes() || table.is_empty() {
        table.push(&[], &number.to_be_bytes(), 1, |_, n, one| *n += one);
        number += 1;
    }
    let bytes = table.bytes();
    assert!(!table.flush(|_, n, one| *n += one));
    assert!(!table.flush_each(|| 1, |_, n| *n += 1));
    assert_eq!(table.bytes(), bytes);
}
