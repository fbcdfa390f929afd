//! `mapfold cat`: the rows of an output folder.

use mapfold_data::manifest::{Manifest, ManifestError};

use crate::args::CatArgs;
use crate::error::Problem;
use crate::exit::Exit;
use crate::settings::Shown;
use crate::{rows, top};

pub(crate) fn cat(args: &CatArgs, shown: &Shown) -> Result<Exit, Problem> {
    let manifest = Manifest::read(&args.dir).map_err(|error| no_manifest(&error))?;
    match args.top {
        Some(count) => top::print(&args.dir, &manifest, count, shown)?,
        None if args.sorted => rows::print_sorted(&args.dir, &manifest)?,
        None => rows::print_parts(&args.dir, &manifest)?,
    }
    Ok(Exit::Done)
}

/// A folder whose manifest cannot be had: what it is instead.
pub(crate) fn no_manifest(error: &ManifestError) -> Problem {
    match error {
        ManifestError::Missing { folder } if !folder.exists() => Problem::new(
            Exit::Input,
            format!("there is no folder {}", folder.display()),
        ),
        ManifestError::Missing { folder } => Problem::new(
            Exit::Input,
            format!(
                "{} is not the output of a finished job: it has no manifest",
                folder.display()
            ),
        )
        .hint("name the folder that was given to `mapfold run --output`"),
        error => Problem::new(Exit::Input, "cannot read the manifest").because(error),
    }
}
