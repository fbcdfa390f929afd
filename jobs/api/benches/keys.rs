//! Keys to bytes and back: `cargo bench -p mapfold-job`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "nobody but a person at a terminal uses it"
)]

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use mapfold_job::Key;

fn main() {
    divan::main();
}

const KEYS: u64 = 10_000;

#[divan::bench]
fn text(bencher: Bencher<'_, '_>) {
    let words: Vec<String> = (0..KEYS).map(|n| format!("word-{n}")).collect();
    there_and_back::<String>(bencher, |at| &words[at]);
}

#[divan::bench]
fn number(bencher: Bencher<'_, '_>) {
    there_and_back::<i64>(bencher, |at| at as i64 - 5_000);
}

#[divan::bench]
fn tuple(bencher: Bencher<'_, '_>) {
    let words: Vec<String> = (0..KEYS).map(|n| format!("word-{n}")).collect();
    there_and_back::<(String, u64)>(bencher, |at| (words[at].as_str(), 7));
}

fn there_and_back<'k, K: Key>(bencher: Bencher<'_, '_>, key: impl Fn(usize) -> K::Ref<'k>) {
    let (mut encoded, mut decoded) = (Vec::new(), Vec::new());
    bencher.counter(ItemsCount::new(KEYS)).bench_local(|| {
        for at in 0..10_000 {
            let bytes = K::encode(key(at), &mut encoded);
            let _ = black_box(K::decode(black_box(bytes), &mut decoded).unwrap());
        }
    });
}
