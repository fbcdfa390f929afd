//! Jobs of the classic MapReduce benchmarks (PUMA and Phoenix) that are not among those that Mapfold ships; `docs/stock-jobs.md` has the whole list.
//!
//! ```text
//! cargo build --release
//! mapfold run target/release/libclassics.so --job ranked-index books/ -o ranks
//! ```

mod adjacency_list;
mod linear_regression;
mod matrix_multiply;
mod pixel_histogram;
mod ranked_index;
mod self_join;
mod sequence_count;
mod term_vector;

pub use adjacency_list::AdjacencyList;
pub use linear_regression::LinearRegression;
pub use matrix_multiply::MatrixMultiply;
pub use pixel_histogram::PixelHistogram;
pub use ranked_index::RankedIndex;
pub use self_join::SelfJoin;
pub use sequence_count::SequenceCount;
pub use term_vector::TermVector;

mapfold_job::plugin!(
    AdjacencyList,
    LinearRegression,
    MatrixMultiply,
    PixelHistogram,
    RankedIndex,
    SelfJoin,
    SequenceCount,
    TermVector,
);

/// The words of a text: runs of letters, in lower case. Bytes that are no text are no letters.
fn words(text: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(text);
    let words = text.split(|letter: char| !letter.is_alphabetic());
    let words = words.filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}
