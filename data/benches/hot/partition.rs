//! Which reduce task owns a key.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use mapfold_data::partition::partition_of;

use crate::words::Words;

#[divan::bench]
fn of_words(bencher: Bencher<'_, '_>) {
    let words = Words::draw(100_000, 4_000_000);
    bencher.counter(ItemsCount::new(words.len())).bench(|| {
        for word in words.iter() {
            black_box(partition_of(word, 16));
        }
    });
}
