//! A plugin with several jobs: what a job can say of its output.
//!
//! ```text
//! cargo build --release
//! mapfold run target/release/liboutputs.so --job by-letter books/ -r 26 -o counts
//! mapfold run target/release/liboutputs.so --job clean server.log -o rows && mapfold cat rows --named malformed
//! ```

mod by_letter;
mod clean;
mod paths;
mod rare;

pub use by_letter::ByLetter;
pub use clean::Clean;
pub use paths::Paths;
pub use rare::Rare;

mapfold_job::plugin!(ByLetter, Clean, Paths, Rare);
