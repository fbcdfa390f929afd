//! `mapfold cat`: the rows of an output folder.

use mapfold_data::manifest::{Manifest, ManifestError};

use crate::args::CatArgs;
use crate::error::Problem;
use crate::exit::Exit;
use crate::settings::Shown;
use crate::{rows, top};

pub(crate) fn cat(args: &CatArgs, shown: &Shown) -> Result<Exit, Problem> {
    let mut manifest = Manifest::read(&args.dir).map_err(|error| no_manifest(&error))?;
    if let Some(name) = &args.named {
        let parts = manifest.named.remove(name);
        manifest.parts = parts.ok_or_else(|| no_output(args, name, &manifest))?;
    }
    if args.sorted && manifest.reducers == 0 {
        let what = format!(
            "the parts of {} are in no order of keys",
            args.dir.display()
        );
        return Err(Problem::new(Exit::Usage, what)
            .cause("the job has no reduce tasks: its rows are in the order of the input"));
    }
    match args.top {
        Some(count) => top::print(&args.dir, &manifest, count, shown)?,
        None if args.sorted => rows::print_sorted(&args.dir, &manifest)?,
        None => rows::print_parts(&args.dir, &manifest)?,
    }
    Ok(Exit::Done)
}

/// The job has put no row there.
fn no_output(args: &CatArgs, name: &str, manifest: &Manifest) -> Problem {
    let what = format!("{} has no rows in an output `{name}`", args.dir.display());
    let names: Vec<&str> = manifest.named.keys().map(String::as_str).collect();
    Problem::new(Exit::Input, what).hint(match names.as_slice() {
        [] => "it has no named outputs, only parts".to_owned(),
        names => format!("its outputs are {}", names.join(", ")),
    })
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
