//! `mapfold verify`: does an output folder hold what its manifest says, and what a sort should leave?

use std::io::Write as _;

use mapfold_data::manifest::{self, VerifyError};

use crate::args::VerifyArgs;
use crate::cat::no_manifest;
use crate::count::counted;
use crate::error::Problem;
use crate::exit::Exit;
use crate::sorted;

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
    let mut said = Vec::new();
    if args.sorted {
        said.push(sorted::check_order(&args.dir, &verified.manifest)?);
    }
    if !args.records_of.is_empty() {
        let of = &args.records_of;
        said.push(sorted::check_records(&args.dir, &verified.manifest, of)?);
    }
    if !quiet {
        let rows = verified
            .manifest
            .parts
            .iter()
            .map(|part| part.rows)
            .sum::<u64>();
        writeln!(
            std::io::stdout(),
            "{}: {}, {}, {} as the manifest says{}",
            args.dir.display(),
            counted(verified.manifest.parts.len() as u64, "part"),
            counted(rows, "row"),
            mapfold_terms::ByteSize(verified.bytes),
            said.iter()
                .map(|one| format!("; {one}"))
                .collect::<String>(),
        )
        .map_err(|error| Problem::stdout(&error))?;
    }
    Ok(Exit::Done)
}
