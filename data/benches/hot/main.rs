//! What is done per record or per key, one function at a time: `cargo bench -p mapfold-data`, with a part of a name behind `--` for
//! some of them. Compare figures of one sitting only.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "nobody but a person at a terminal uses it"
)]

mod fold_table;
mod partition;
mod runs;
mod sort_buffer;
mod words;

fn main() {
    divan::main();
}
