//! What stands behind the commands that run a job task by task.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{Subcommand, ValueHint};
use mapfold_terms::{ByteSize, Skipped};

use super::values::{parse_param, parse_reducers};
use super::{CompressChoice, JobArgs};
use crate::formats::FormatArg;

/// Write down how a job is divided into tasks, for `mapfold task`
///
/// Nothing is run. The plan is a function of the input and the options: it names each task's files, with their
/// fingerprints. Prints the numbers of tasks, as `maps=12 reduces=4`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  mapfold plan wordcount books/ -r 2 -o plan.json
  eval \"$(mapfold plan wordcount books/ -o plan.json)\"; echo $maps $reduces"
)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,

    /// Files, folders or globs to read
    #[arg(required = true, value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<PathBuf>,

    /// File for the plan; must not exist, unless it holds the same plan
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,

    /// Set a parameter of the job; may be repeated
    #[arg(short, long = "param", value_name = "KEY=VALUE", value_parser = parse_param)]
    pub(crate) params: Vec<(String, String)>,

    /// Number of reduce tasks, and so of part files [default: by input size]
    #[arg(short, long, value_name = "N", value_parser = parse_reducers)]
    pub(crate) reducers: Option<u32>,

    /// How input is cut into records: lines, files, csv, tsv, parquet, nline:N, fixed:N [default: the job's]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Vec<FormatArg>,

    /// Input bytes for each map task [default: by input size]
    #[arg(long, value_name = "SIZE")]
    pub(crate) split_size: Option<ByteSize>,

    /// Pack the part files: zstd, gz, lz4, bz2, deflate
    #[arg(long, value_name = "CODEC", hide_possible_values = true)]
    pub(crate) compress: Option<CompressChoice>,

    /// Put up to N records aside that the job's map fails on [default: 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=i64::from(Skipped::MAX)))]
    pub(crate) skip_bad: Option<u32>,
}

/// Run one task of a plan in this process, for a scheduler of your own
///
/// Map tasks in any order, then reduce tasks in any order, then the commit: the output folder is the same, to the byte, as that of
/// `mapfold run`. Each may be run any number of times, at once even. Exit code 20 means that trying again is of no use, 75 that it
/// may help, perhaps elsewhere; after any other but 0 try up to 4 times.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = "\
Example:
  eval \"$(mapfold plan wordcount books/ -o plan.json)\"
  for i in $(seq 0 $((maps - 1)));    do mapfold task map    --plan plan.json --index $i --to shuffle;   done
  for i in $(seq 0 $((reduces - 1))); do mapfold task reduce --plan plan.json --index $i --from shuffle; done
  mapfold task commit --plan plan.json --from shuffle -o counts"
)]
pub(crate) struct TaskArgs {
    #[command(subcommand)]
    pub(crate) command: TaskCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Map one split; leaves a run in a folder
    #[command(arg_required_else_help = true)]
    Map {
        #[command(flatten)]
        place: TaskPlace,
        /// Folder for the run; made if it is not there
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        to: PathBuf,
    },
    /// Reduce one partition of the runs in a folder; leaves a part there
    #[command(arg_required_else_help = true)]
    Reduce {
        #[command(flatten)]
        place: TaskPlace,
        /// Folder with the runs
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        from: PathBuf,
    },
    /// Make the output folder of the parts in a folder
    #[command(arg_required_else_help = true)]
    Commit {
        /// The plan
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        plan: PathBuf,
        /// Folder with the parts
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        from: PathBuf,
        /// The output folder; must not exist
        #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        output: PathBuf,
        /// Replace the output folder if it exists
        #[arg(long)]
        overwrite: bool,
    },
}

/// Which task, and what it may use.
#[derive(Debug, clap::Args)]
pub(crate) struct TaskPlace {
    /// The plan
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// Which task, from 0
    #[arg(long, value_name = "N")]
    pub(crate) index: u32,
    /// Which try it is; what another try left is not touched
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) attempt: NonZeroU32,
    /// Memory that the process may occupy [default: half of what can be had]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<ByteSize>,
}
