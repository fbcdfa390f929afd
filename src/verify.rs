//! `mapfold verify`: does an output folder hold what its manifest says?

use std::io::Write as _;

use mapfold_data::manifest::{self, VerifyError};

use crate::args::VerifyArgs;
use crate::cat::no_manifest;
use crate::count::counted;
use crate::error::Problem;
use crate::exit::Exit;

pub(crate) fn verify(args: &VerifyArgs, quiet: bool) -> Result<Exit, Problem> {
    let verified = manifest::verify(&args.dir).map_err(|error| match error {
        VerifyError::Manifest(error) => no_manifest(&error),
        VerifyError::Differs {
            folder,
            differences,
        } => {
            let what = format!("{} is not what its manifest says", folder.display());
            differences
                .iter()
                .fold(Problem::new(Exit::Differs, what), |problem, difference| {
                    problem.because(difference)
                })
        }
        error @ VerifyError::Io { .. } => {
            Problem::new(Exit::Input, "cannot verify").because(&error)
        }
    })?;
    if !quiet {
        let rows = verified
            .manifest
            .parts
            .iter()
            .map(|part| part.rows)
            .sum::<u64>();
        writeln!(
            std::io::stdout(),
            "{}: {}, {}, {} as the manifest says",
            args.dir.display(),
            counted(verified.manifest.parts.len() as u64, "part"),
            counted(rows, "row"),
            mapfold_terms::ByteSize(verified.bytes),
        )
        .map_err(|error| Problem::stdout(&error))?;
    }
    Ok(Exit::Done)
}
