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

/// Points about 64 middles, where they begin.
#[divan::bench(sample_count = 20)]
fn map_kmeans(bencher: Bencher<'_, '_>) {
    let folder = tempfile::tempdir().unwrap();
    let centers = folder.path().join("centers");
    let line = |n: u64| format!("{n}\t{}\t{}\n", n % 8 * 1000, n / 8 * 1000);
    std::fs::write(&centers, (0..64).map(line).collect::<String>()).unwrap();
    let near = |middle: u64, n: u64| format!("{}.{:02}", middle * 1000 + n * 7919 % 601, n % 100);
    let point = |n: u64| format!("{n}\t{}\t{}\n", near(n % 8, n), near(n / 8 % 8, n / 3));
    let params = [("columns", "2,3"), ("centers", centers.to_str().unwrap())];
    map_lines(bencher, "kmeans", &params, &lines(point));
}

/// Pages with eight links.
#[divan::bench(sample_count = 20)]
fn map_pagerank(bencher: Bencher<'_, '_>) {
    let link = |n: u64| format!("p{} ", n * 7919 % 100_003);
    let page = |n: u64| {
        format!(
            "p{n}\t0.75\t{}\n",
            (8 * n..8 * n + 8).map(link).collect::<String>()
        )
    };
    map_lines(bencher, "pagerank", &[], &lines(page));
}

/// Pairs in groups of a thousand names.
#[divan::bench(sample_count = 20)]
fn map_components(bencher: Bencher<'_, '_>) {
    let pair = |n: u64| format!("n{n}\tn{}\n", n - n * 7919 % (n % 1000 + 1));
    map_lines(bencher, "components", &[], &lines(pair));
}

/// Groups of numbers with two places.
#[divan::bench(args = ["", "0.5,0.99"], sample_count = 20)]
fn map_stats(bencher: Bencher<'_, '_>, quantiles: &str) {
    let sale = |n: u64| {
        format!(
            "g{},{}.{:02}\n",
            n * 7919 % 1009,
            n * 104_729 % 10_007,
            n % 100
        )
    };
    let params = [
        ("key", "1"),
        ("value", "2"),
        ("delimiter", ","),
        ("quantiles", quantiles),
    ];
    map_lines(bencher, "stats", &params, &lines(sale));
}

/// As much text as other benchmarks have.
fn lines(line: impl Fn(u64) -> String) -> Vec<u8> {
    let mut text = Vec::new();
    for n in 0.. {
        if text.len() >= BYTES.as_usize() {
            break;
        }
        text.extend_from_slice(line(n).as_bytes());
    }
    text
}

fn map(bencher: Bencher<'_, '_>, job: &str, params: &[(&str, &str)], kind: Kind) {
    map_lines(bencher, job, params, &text(kind));
}

/// One attempt after the other in the same memory, as on a slot.
fn map_lines(bencher: Bencher<'_, '_>, job: &str, params: &[(&str, &str)], text: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("input.txt");
    std::fs::write(&input, text).unwrap();
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
                left_out: &[],
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
