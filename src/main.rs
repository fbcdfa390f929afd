//! The `mapfold` binary: the command line with the stock jobs.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    mapfold::main(mapfold_stock::catalog())
}
