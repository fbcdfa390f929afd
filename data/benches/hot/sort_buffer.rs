//! The buffer of a map attempt that does not fold: records of 100 bytes with random keys, as TeraSort has them.

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use mapfold_data::partition::partition_of;
use mapfold_data::sort_buffer::SortBuffer;

use crate::words::Random;

const RECORDS: usize = 200_000;
const KEY: usize = 10;
const VALUE: [u8; 90] = [7; 90];

#[divan::bench(sample_count = 20)]
fn push(bencher: Bencher<'_, '_>) {
    let mut buffer = SortBuffer::new();
    bencher
        .counter(BytesCount::new(RECORDS * 100))
        .bench_local(|| {
            fill(&mut buffer);
            buffer.clear();
        });
}

#[divan::bench(sample_count = 20)]
fn push_sort_and_drain(bencher: Bencher<'_, '_>) {
    let mut buffer = SortBuffer::new();
    bencher
        .counter(BytesCount::new(RECORDS * 100))
        .bench_local(|| {
            fill(&mut buffer);
            let drained: Result<(), ()> = buffer.sort_and_drain(|record| {
                black_box(record);
                Ok(())
            });
            drained.unwrap();
        });
}

fn fill(buffer: &mut SortBuffer) {
    let mut random = Random(1);
    for _ in 0..RECORDS {
        let mut key = [0; KEY];
        key[..8].copy_from_slice(&random.next().rotate_left(20).to_be_bytes());
        let partition = partition_of(&key, 8);
        let pushed = buffer.push(partition, &key, |out| out.extend_from_slice(&VALUE));
        pushed.unwrap();
    }
}
