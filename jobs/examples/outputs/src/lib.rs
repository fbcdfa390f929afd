//! A plugin with several jobs: what a job can say of its output.
//!
//! ```text
//! cargo build --release
//! mapfold run target/release/liboutputs.so --job by-letter books/ -r 26 -o counts
//! ```

mod by_letter;
mod paths;

pub use by_letter::ByLetter;
pub use paths::Paths;

mapfold_job::plugin!(ByLetter, Paths);
