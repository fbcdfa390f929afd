//! Standard input as an input: kept in a temporary file, so that a map attempt can read it twice.

use std::io;

use mapfold_data::scratch::{Scratch, ScratchFile};

use crate::error::Problem;
use crate::exit::Exit;
use crate::scratch::no_scratch;

/// Copies all of standard input to a temporary file, which lasts as long as what is returned.
pub(crate) fn spool(scratch: &Scratch) -> Result<ScratchFile, Problem> {
    let mut spooled = scratch
        .create("stdin")
        .map_err(|error| no_scratch(&error))?;
    // Moves pages within the kernel where both ends allow it.
    io::copy(&mut io::stdin().lock(), &mut spooled.file).map_err(|error| {
        let exit = match Exit::for_writing(&error) {
            Exit::NoSpace => Exit::NoSpace,
            _ => Exit::Input,
        };
        let path = spooled.path.as_path().display();
        Problem::new(exit, format!("cannot copy standard input to {path}")).because(&error)
    })?;
    Ok(spooled)
}
