//! The table that a map attempt folds in: many upserts of few and of many distinct keys, and the drain into a run.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use mapfold_data::fold_table::FoldTable;

use crate::words::Words;

const UPSERTS: usize = 1_000_000;
const DISTINCT: [u32; 3] = [1_000, 100_000, 4_000_000];

/// Into a table that keeps its memory, as a slot's does from split to split.
#[divan::bench(args = DISTINCT, sample_count = 20)]
fn upsert(bencher: Bencher<'_, '_>, distinct: u32) {
    let words = Words::draw(UPSERTS, distinct);
    let mut table = FoldTable::<u64>::new();
    bencher
        .counter(ItemsCount::new(words.len()))
        .bench_local(|| {
            fill(&mut table, &words);
            table.clear();
        });
}

/// Items are distinct keys; the time of the upserts before is in it.
#[divan::bench(args = DISTINCT, sample_count = 20)]
fn upsert_and_drain(bencher: Bencher<'_, '_>, distinct: u32) {
    let words = Words::draw(UPSERTS, distinct);
    let mut table = FoldTable::<u64>::new();
    fill(&mut table, &words);
    let keys = table.len();
    table.clear();
    bencher.counter(ItemsCount::new(keys)).bench_local(|| {
        fill(&mut table, &words);
        drain(&mut table);
    });
}

fn fill(table: &mut FoldTable<u64>, words: &Words) {
    for word in words.iter() {
        table.push(words.text(), word, 1, |_, count, one| *count += one);
    }
    table.flush(|_, count, one| *count += one);
}

fn drain(table: &mut FoldTable<u64>) {
    let drained: Result<(), ()> = table.drain_by_hash(|_, key, count| {
        black_box((key, count));
        Ok(())
    });
    drained.unwrap();
}
