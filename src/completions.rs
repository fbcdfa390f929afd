//! `mapfold completions`: a script for the user's shell, made from the table of arguments.

use std::io::{self, Write as _};

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Args;
use crate::error::Problem;
use crate::exit::Exit;

pub(crate) fn completions(shell: Shell) -> Result<Exit, Problem> {
    // clap_complete panics where it cannot write, so the script is made in memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "mapfold", &mut script);
    io::stdout()
        .write_all(&script)
        .map_err(|error| Problem::stdout(&error))?;
    Ok(Exit::Done)
}
