//! The jobs that ship with Mapfold, written against the public job interface alone.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod column;
mod components;
mod dedup;
mod distinct;
mod domains;
mod fields;
mod frequent;
mod grep;
mod histogram;
mod index;
mod join;
mod kmeans;
mod linecount;
mod logs;
mod ngrams;
mod number;
mod pagerank;
mod passed_over;
mod sessionize;
mod similar;
mod sort;
mod stats;
mod sum;
mod topk;
mod word;
mod wordcount;

use mapfold_job::{JobTable, Maker};

pub use components::Components;
pub use dedup::Dedup;
pub use distinct::Distinct;
pub use domains::Domains;
pub use frequent::Frequent;
pub use grep::Grep;
pub use histogram::Histogram;
pub use index::Index;
pub use join::Join;
pub use kmeans::KMeans;
pub use linecount::LineCount;
pub use logs::Logs;
pub use ngrams::Ngrams;
pub use pagerank::PageRank;
pub use sessionize::Sessionize;
pub use similar::Similar;
pub use sort::{RecordOrder, SORT, Sort};
pub use stats::Stats;
pub use topk::TopK;
pub use word::words;
pub use wordcount::WordCount;

/// The makers of all stock jobs, for a catalog that holds others beside them.
pub fn makers() -> [Maker; 20] {
    [
        Maker::of::<Components>(),
        Maker::of::<Dedup>(),
        Maker::of::<Distinct>(),
        Maker::of::<Domains>(),
        Maker::of::<Frequent>(),
        Maker::of::<Grep>(),
        Maker::of::<Histogram>(),
        Maker::of::<Index>(),
        Maker::of::<Join>(),
        Maker::of::<KMeans>(),
        Maker::of::<LineCount>(),
        Maker::of::<Logs>(),
        Maker::of::<Ngrams>(),
        Maker::of::<PageRank>(),
        Maker::of::<Sessionize>(),
        Maker::of::<Similar>(),
        Maker::of::<Sort>(),
        Maker::of::<Stats>(),
        Maker::of::<TopK>(),
        Maker::of::<WordCount>(),
    ]
}

/// A catalog of all stock jobs.
pub fn catalog() -> JobTable {
    JobTable::new(makers())
}
