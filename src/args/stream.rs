//! What stands behind `stream`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueHint;

use super::WorkArgs;
use super::values::{parse_separator, parse_variable};

/// Run programs over files, as map and reduce
///
/// The mapper is fed lines of input, and prints lines of a key, a TAB and a value. They are sorted by key and fed to the reducer, whose lines are the
/// rows; it is for the reducer to see where a key ends. This is the protocol of Hadoop Streaming.
///
/// Commands are no shell's: words are separated by spaces, and may be in quotes. For pipes and the like say `sh -c '...'`.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  mapfold stream --mapper ./words.py --reducer ./sum.py books/ -o counts
  mapfold stream --mapper \"tr -cs A-Za-z '\\n'\" --reducer 'uniq -c' books/
  mapfold stream --mapper ./map.pl --reducer ./reduce.pl 'logs/*.gz' -o hits --workers 4"
)]
pub(crate) struct StreamArgs {
    /// Program that turns lines into keys and values [default: cat]
    #[arg(long, value_name = "COMMAND")]
    pub(crate) mapper: Option<String>,

    /// Program that sums up what one mapper prints, early
    ///
    /// Is fed sorted lines of one map task, any number of times, and prints lines of the same kind. Often the reducer will do.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) combiner: Option<String>,

    /// Program that turns sorted keys and values into rows
    ///
    /// Without one they are the rows, sorted. NONE: there are no reduce tasks, and what mappers print are the rows, in the order of the input.
    /// `aggregate` is a reducer for keys such as LongValueSum:word.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) reducer: Option<String>,

    /// Have a file with the programs, in their working folder; may be repeated
    ///
    /// With such files each attempt has a working folder of its own, with nothing else in it, that is removed with it. Programs among them need not be executable. On a cluster
    /// they are sent along.
    #[arg(long = "file", value_name = "PATH[#NAME]")]
    pub(crate) files: Vec<String>,

    /// The same, unpacked into a folder of its name: zip, jar, tar, tgz
    #[arg(long = "archive", value_name = "PATH[#NAME]")]
    pub(crate) archives: Vec<String>,

    /// What separates key and value [default: a TAB]
    ///
    /// `\t` is a TAB, too.
    #[arg(long, value_name = "TEXT", default_value = "\t", hide_default_value = true, value_parser = parse_separator)]
    pub(crate) separator: String,

    /// Separators up to the one that ends the key [default: 1]
    #[arg(long, value_name = "N", default_value = "1", hide_default_value = true)]
    pub(crate) key_fields: NonZeroUsize,

    /// Fields of a key that say which reduce task it belongs to, such as -k1,1
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    pub(crate) partition_by: Option<String>,

    /// Fields of a key that it is sorted by, such as '-k1,1 -k2,2nr'
    #[arg(long, value_name = "OPTIONS", allow_hyphen_values = true)]
    pub(crate) sort_by: Option<String>,

    /// Write to FILE how the program of each map task has ended; one that fails does not fail the job
    ///
    /// For lists of commands: `--mapper sh --reducer NONE --format nline:1` runs each line by itself. A line of FILE a task, after one that names the columns:
    /// task, try, host, start (seconds since 1970), seconds, exit code (128 and the signal, if it was killed), input, offset, the line, and what was said last on
    /// stderr, with TABs between. A program that fails, or does nothing for --task-timeout, is tried --max-attempts times; if one has failed then, the exit
    /// code is 1, and the output has what the others have printed. For jobs without reduce tasks.
    #[arg(long, value_name = "FILE", requires = "output", value_hint = ValueHint::FilePath)]
    pub(crate) job_log: Option<PathBuf>,

    /// Set a variable in the environment of all programs; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    pub(crate) env: Vec<(String, String)>,

    #[command(flatten)]
    pub(crate) work: WorkArgs,
}
