//! What stands behind the commands that look at an output folder.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::ValueHint;

use super::values::{TOP_MAX, parse_count};

/// Print the rows of an output folder
///
/// Refuses a folder that no job has completed.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct CatArgs {
    /// The output folder
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) dir: PathBuf,

    /// Merge the part files, so that keys come in order over all of them
    #[arg(long)]
    pub(crate) sorted: bool,

    /// Print only the N rows whose last column is the largest number, that first
    #[arg(long, value_name = "N", value_parser = parse_count::<TOP_MAX>, conflicts_with = "sorted")]
    pub(crate) top: Option<NonZeroU32>,

    /// Print the rows that the job has put into the output NAME instead of those of its parts
    #[arg(long, value_name = "NAME")]
    pub(crate) named: Option<String>,
}

/// Check an output folder against the hashes in its manifest
///
/// Ends with code 9 and names what differs if a part is missing, changed or was added.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct VerifyArgs {
    /// The output folder
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) dir: PathBuf,
    /// Check the order of rows as well
    ///
    /// Within each part rows must be in order of their keys; what `sort` left must be in order from part to part too. Tells the sum of
    /// the CRC-32 of all rows, as valsort and TeraValidate do.
    #[arg(long)]
    pub(crate) sorted: bool,
    /// Check that the rows are the records of these inputs
    ///
    /// For what `sort` left: as many rows as records, and the same checksum, in whatever order.
    #[arg(long, value_name = "INPUT", num_args = 1.., value_hint = ValueHint::AnyPath)]
    pub(crate) records_of: Vec<PathBuf>,
}
