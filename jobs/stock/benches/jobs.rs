//! What the stock jobs do per byte of text: `cargo bench -p mapfold-stock`. Whole map attempts over a file in the page cache, the
//! engine's reading, folding and run included; and the words alone.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "nobody but a person at a terminal uses it"
)]

use std::path::Path;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use mapfold_data::generate::{DataSet, Kind};
use mapfold_data::input::{discover, plan};
use mapfold_data::scratch::ScratchRoot;
use mapfold_job::{Catalog as _, MapTask, Unwatched};
use mapfold_stock::{catalog, words};
use mapfold_terms::{
    AttemptId, ByteSize, Codec, Format, InputName, JobId, MasterEpoch, Partitioning, RawPath,
    TaskId, Token,
};

fn main() {
    divan::main();
}

const BYTES: ByteSize = ByteSize::mib(8);

#[divan::bench]
fn words_of_text(bencher: Bencher<'_, '_>) {
    let text = text(Kind::Text);
    bencher
        .counter(BytesCount::new(text.len()))
        .bench(|| words(black_box(&text)).map(black_box).count());
}

#[divan::bench(args = ["wordcount", "index", "linecount"], sample_count = 20)]
fn map_text(bencher: Bencher<'_, '_>, job: &str) {
    map(bencher, job, &[], Kind::Text);
}

#[divan::bench(sample_count = 20)]
fn map_zipf(bencher: Bencher<'_, '_>) {
    map(bencher, "wordcount", &[], Kind::Zipf);
}

#[divan::bench(sample_count = 20)]
fn map_grep(bencher: Bencher<'_, '_>) {
    map(bencher, "grep", &[("pattern", "zzzz")], Kind::Text);
}

/// Jobs over lines of a web server's log, and what they are told of it.
const OF_LOGS: [(&str, &[(&str, &str)]); 6] = [
    ("logs", &[]),
    ("logs", &[("by", "hour,path")]),
    ("domains", &[]),
    ("dedup", &[("key", "1"), ("delimiter", " ")]),
    ("frequent", &[("key", "7"), ("delimiter", " ")]),
    ("stats", &[("key", "1"), ("value", "9"), ("delimiter", " ")]),
];

#[divan::bench(args = 0..OF_LOGS.len(), sample_count = 20)]
fn map_logs(bencher: Bencher<'_, '_>, which: usize) {
    let (job, params) = OF_LOGS[which];
    map(bencher, job, params, Kind::Logs);
}

/// One attempt after the other in the same memory, as on a slot.
fn map(bencher: Bencher<'_, '_>, job: &str, params: &[(&str, &str)], kind: Kind) {
    let text = text(kind);
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.txt");
    std::fs::write(&input, &text).unwrap();
    let name = InputName {
        typed: RawPath::from(Path::new("input.txt")),
        absolute: RawPath::from(input.as_path()),
        input: 0,
        format: None,
    };
    let plan = plan(
        discover(&[name]).unwrap(),
        Format::Lines,
        Some(ByteSize::gib(1)),
        None,
    )
    .unwrap();
    let params = params
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let runner = catalog().build(job, &params.collect()).unwrap();
    let scratch = ScratchRoot::open(folder.path()).unwrap();
    bencher
        .counter(BytesCount::new(text.len()))
        .bench_local(|| {
            let attempt = AttemptId {
                token: Token {
                    epoch: MasterEpoch(1),
                    counter: 1,
                },
                job: JobId(1),
                task: TaskId::map(0),
                number: 1,
            };
            let task = MapTask {
                attempt,
                split: &plan.splits[0],
                maps: 1,
                format: plan.format,
                partitions: 8,
                partitioning: &Partitioning::Hash,
                memory: ByteSize::gib(1),
                in_memory_max: ByteSize::gib(1),
                skip_bad: 0,
                scratch: &scratch.scratch("bench"),
                part_codec: Codec::Plain,
                part_folder: folder.path(),
            };
            runner.map(&task, &Unwatched).unwrap()
        });
}

fn text(kind: Kind) -> Vec<u8> {
    let mut text = Vec::new();
    let set = DataSet::new(kind, BYTES, 1);
    set.write_file(0, &mut text).unwrap();
    text
}
