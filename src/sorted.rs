//! The second half of `mapfold verify`: are rows in order, and are they the records of the input?

use std::path::{Path, PathBuf};

use mapfold_data::census::{self, Census, CensusError, Order};
use mapfold_data::input;
use mapfold_data::manifest::Manifest;
use mapfold_stock::{RecordOrder, SORT};
use mapfold_terms::{Format, FormatError, InputName};

use crate::count::counted;
use crate::error::Problem;
use crate::exit::Exit;
use crate::rows::KeyOrder;
use crate::settings::input_name;

/// Checks the order of the rows in `dir`; returns what to say of them.
pub(crate) fn check_order(dir: &Path, manifest: &Manifest) -> Result<String, Problem> {
    let by = order(manifest)?;
    let across = manifest.job == SORT;
    let order = Order { key: &by, across };
    let census = census(&parts(dir, manifest)?, row_format(manifest)?, Some(&order))?;
    let place = if across { "" } else { " within each part" };
    Ok(format!(
        "in order{place}; {} with the key of the row before; checksum {:x}",
        counted(census.equal_keys, "row"),
        census.checksum
    ))
}

/// Checks that the rows in `dir` are the records of `inputs`; returns what to say of them.
pub(crate) fn check_records(
    dir: &Path,
    manifest: &Manifest,
    inputs: &[PathBuf],
) -> Result<String, Problem> {
    if manifest.job != SORT {
        let what = format!("rows of `{}` are not records of its input", manifest.job);
        return Err(Problem::new(Exit::Usage, what));
    }
    let inputs: Result<Vec<InputName>, Problem> =
        inputs.iter().map(|path| input_name(path)).collect();
    let format = format(manifest)?;
    let given = census(&inputs?, format, None)?;
    let found = census(&parts(dir, manifest)?, row_format(manifest)?, None)?;
    if (given.records, given.checksum) == (found.records, found.checksum) {
        return Ok(format!(
            "{} as in the input",
            counted(found.records, "record")
        ));
    }
    let told = |census: Census| {
        let records = counted(census.records, "record");
        format!("{records} with checksum {:x}", census.checksum)
    };
    let what = format!("{} does not hold the records of the input", dir.display());
    Err(Problem::new(Exit::Differs, what).cause(format!(
        "there are {}, not {}",
        told(found),
        told(given)
    )))
}

/// What rows are sorted by: appends their keys.
type AppendKey = Box<dyn Fn(&[u8], &mut Vec<u8>)>;

fn order(manifest: &Manifest) -> Result<AppendKey, Problem> {
    if manifest.job == SORT {
        let order = RecordOrder::of_params(&manifest.params).map_err(|error| {
            let what = "the manifest's parameters are none of `sort`";
            Problem::new(Exit::Input, what).cause(error.to_string())
        })?;
        return Ok(Box::new(move |row, key| order.append_key(row, key)));
    }
    match KeyOrder::known(&manifest.key) {
        Some(order) => Ok(Box::new(move |row, key| order.append_key(row, key))),
        None => {
            let what = format!(
                "rows of `{}` have keys of type {}, whose order cannot be told from rows",
                manifest.job, manifest.key
            );
            Err(Problem::new(Exit::Usage, what))
        }
    }
}

/// How the input was cut into records.
fn format(manifest: &Manifest) -> Result<Format, Problem> {
    manifest.format.parse().map_err(|error: FormatError| {
        let what = "the manifest names a format that is none";
        Problem::new(Exit::Input, what).because(&error)
    })
}

/// How rows are cut: records that were lines are lines again, however many made a split; all rows of other jobs are lines.
fn row_format(manifest: &Manifest) -> Result<Format, Problem> {
    Ok(match format(manifest)? {
        Format::Fixed(record) if manifest.job == SORT => Format::Fixed(record),
        Format::Files if manifest.job == SORT => {
            let what = "records that were whole files cannot be told apart in a part file";
            return Err(Problem::new(Exit::Usage, what));
        }
        _ => Format::Lines,
    })
}

fn parts(dir: &Path, manifest: &Manifest) -> Result<Vec<InputName>, Problem> {
    let parts = manifest.parts.iter();
    parts
        .map(|part| input_name(&dir.join(&part.name)))
        .collect()
}

fn census(
    files: &[InputName],
    format: Format,
    order: Option<&Order<'_>>,
) -> Result<Census, Problem> {
    const WHAT: &str = "cannot read the records";
    let unread = |error: &dyn std::error::Error| Problem::new(Exit::Input, WHAT).because(error);
    let found = input::discover(files).map_err(|error| unread(&error))?;
    let plan = input::plan(found, format, None, None).map_err(|error| unread(&error))?;
    census::take(&plan, order).map_err(|error| match error {
        CensusError::Read(error) => unread(&error),
        error @ CensusError::Unordered { .. } => {
            Problem::new(Exit::Differs, "the rows are not in order").because(&error)
        }
    })
}
