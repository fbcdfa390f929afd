//! Standard input as an input: kept in a temporary file, so that a map attempt can read it twice.

use std::fs::File;
use std::io;

use mapfold_data::scratch::ScratchFile;

use crate::error::Problem;
use crate::exit::Exit;
use crate::signals::Signals;

/// Copies all of standard input to a temporary file. A signal ends it: whatever is left of the copying
/// thread, which may wait for input for ever, ends with the process.
pub(crate) async fn spool(spooled: &ScratchFile, signals: &mut Signals) -> Result<(), Problem> {
    let copied = match spooled.file.try_clone() {
        Ok(file) => tokio::task::spawn_blocking(|| copy(file)),
        Err(error) => return Err(problem(&error)),
    };
    tokio::select! {
        copied = copied => match copied {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(problem(&error)),
            Err(_) => Err(Problem::bug()),
        },
        caught = signals.next() => Err(Problem::silent(caught.exit())),
    }
}

/// Moves pages within the kernel where both ends allow it.
fn copy(mut file: File) -> io::Result<()> {
    io::copy(&mut io::stdin().lock(), &mut file).map(drop)
}

fn problem(error: &io::Error) -> Problem {
    let exit = match Exit::for_writing(error) {
        Exit::NoSpace => Exit::NoSpace,
        _ => Exit::Input,
    };
    Problem::new(exit, "cannot copy standard input to a temporary file").because(error)
}
