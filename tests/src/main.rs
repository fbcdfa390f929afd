//! `mapfold` with the jobs of the classic MapReduce lab (MIT 6.824) beside the stock ones.
//!
//! The lab's jobs look at how the engine runs them (how many at once, how often, on which process) and
//! misbehave on purpose. Tests start this binary wherever a person would start `mapfold`.

#![forbid(unsafe_code)]

mod crash;
mod early_exit;
mod fussy;
mod parallelism;
mod rogue;
mod trace;

use std::process::ExitCode;

use mapfold_job::{JobTable, Maker};

fn main() -> ExitCode {
    let lab = [
        Maker::of::<crash::Crash>(),
        Maker::of::<early_exit::EarlyExit>(),
        Maker::of::<fussy::Fussy<true>>(),
        Maker::of::<fussy::Fussy<false>>(),
        Maker::of::<parallelism::MapParallel>(),
        Maker::of::<parallelism::ReduceParallel>(),
        Maker::of::<rogue::Rogue>(),
        Maker::of::<trace::Slow>(),
    ];
    let stock = mapfold_stock::makers();
    mapfold::main(JobTable::new(stock.into_iter().chain(lab)))
}
