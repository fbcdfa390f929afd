//! A plugin with several jobs: those of the classic MapReduce lab (MIT 6.824), and one for each thing that a job can do and they do not.
//!
//! They look at how the engine runs them (how many at once, how often, in which process) and misbehave on purpose. Jobs and tests leave
//! files for each other in a folder, `-p trace=DIR`.

mod crash;
mod early_exit;
mod hoard;
mod join;
mod parallelism;
mod sift;
mod trace;
mod visits;

pub use crash::Crash;
pub use early_exit::EarlyExit;
pub use hoard::Hoard;
pub use join::Join;
pub use parallelism::{MapParallel, ReduceParallel};
pub use sift::Sift;
pub use trace::{Slow, Trace};
pub use visits::Visits;

mapfold_job::plugin!(
    Crash,
    EarlyExit,
    Hoard,
    Join,
    MapParallel,
    ReduceParallel,
    Sift,
    Slow,
    Visits
);
