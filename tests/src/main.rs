//! `mapfold` with the jobs of the classic MapReduce lab (MIT 6.824) beside the stock ones.
//!
//! The lab's jobs are those of the plugin `jobs/examples/lab`, linked in, and some that misbehave worse. Tests start this binary wherever a person would start `mapfold`.

#![forbid(unsafe_code)]

mod fussy;
mod rogue;

use std::process::ExitCode;

use mapfold_job::{JobTable, Maker};

fn main() -> ExitCode {
    let jobs = [
        Maker::of::<lab::Crash>(),
        Maker::of::<lab::EarlyExit>(),
        Maker::of::<fussy::Fussy<true>>(),
        Maker::of::<fussy::Fussy<false>>(),
        Maker::of::<lab::Hoard>(),
        Maker::of::<lab::Join>(),
        Maker::of::<lab::MapParallel>(),
        Maker::of::<lab::ReduceParallel>(),
        Maker::of::<rogue::Rogue>(),
        Maker::of::<lab::Sift>(),
        Maker::of::<lab::Slow>(),
    ];
    let stock = mapfold_stock::makers();
    mapfold::main(JobTable::new(stock.into_iter().chain(jobs)))
}
