//! What stands behind the commands that make data and measure.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};
use mapfold_data::input::REDUCERS_MAX;
use mapfold_terms::ByteSize;

use super::values::{RUNS_MAX, SLOTS_MAX, WORKERS_MAX, parse_count, parse_param};
use super::{CompressChoice, JobArgs};
use crate::formats::FormatArg;

/// Make a folder of synthetic input
///
/// The same arguments give the same bytes on every machine, so that a measurement can be repeated anywhere.
/// Files have 64 MiB each, named by kind and number; each ends with the last whole record that fits. The folder
/// appears whole or not at all.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  mapfold gen zipf --size 1GiB -o words
  mapfold run wordcount words/ -o counts
  mapfold gen tera --size 1GB -o rows      10 000 000 records, to read with --format fixed:100
  mapfold gen logs --size 500MB -o logs --seed 7"
)]
pub(crate) struct GenArgs {
    /// What to make
    #[arg(value_name = "KIND")]
    pub(crate) kind: GenKind,

    /// Bytes in all
    ///
    /// A size such as 64MiB, 1.5G or 500KB (K, M, G and KiB, MiB, GiB are powers of 1024, KB, MB, GB of 1000).
    #[arg(long, value_name = "SIZE")]
    pub(crate) size: ByteSize,

    /// Folder for the files; must not exist
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: PathBuf,

    /// Another number, other data of the same kind
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
}

/// What synthetic input looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GenKind {
    /// English-like prose: 50,000 words, punctuation, some letters beyond ASCII
    Text,
    /// Lines of 5 to 20 words by Zipf's law, out of 1.6 million
    Zipf,
    /// Records of 100 bytes: random key of 10, row number, filler
    Tera,
    /// Lines of a web server's log in combined format
    Logs,
}

/// Measure a job, beside one thread and beside other programs
///
/// Runs the job, the same job on one thread without the engine, and each --against command as whole processes: once
/// to warm up, then in rounds, each round in another order. Tells wall time, CPU time and the peak of memory of each, and
/// whether its rows are the same (in any order).
///
/// Ends with code 9 if they are not.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  mapfold bench wordcount books/
  mapfold bench wordcount words/ --runs 9 --html report.html --against 'duckdb -c \"...\"'
  mapfold bench grep -p pattern=whale books/ --against 'rg --no-filename whale {in}'"
)]
pub(crate) struct BenchArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,

    /// Files, folders or globs to read
    #[arg(required = true, value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<PathBuf>,

    /// Measured runs of each program
    #[arg(long, value_name = "N", value_parser = parse_count::<RUNS_MAX>, default_value = "5")]
    pub(crate) runs: NonZeroU32,

    /// Measure this command as well; may be repeated
    ///
    /// It is given to `sh`. {in} stands for the inputs, {out} for a file or folder that it is to make; without {out}, its
    /// rows are what it prints. Rows are compared, in any order, if it makes lines `key TAB value` as the job does.
    #[arg(long, value_name = "CMD", value_hint = ValueHint::CommandString)]
    pub(crate) against: Vec<String>,

    /// Set a parameter of the job; may be repeated
    #[arg(short, long = "param", value_name = "KEY=VALUE", value_parser = parse_param)]
    pub(crate) params: Vec<(String, String)>,

    /// Number of reduce tasks [default: by input size]
    #[arg(short, long, value_name = "N", value_parser = parse_count::<REDUCERS_MAX>)]
    pub(crate) reducers: Option<NonZeroU32>,

    /// How input is cut into records: lines, files, csv, tsv, parquet, nline:N, fixed:N [default: the job's]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Vec<FormatArg>,

    /// Input bytes for each map task [default: by input size]
    #[arg(long, value_name = "SIZE")]
    pub(crate) split_size: Option<ByteSize>,

    /// Attempts that run at once [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = parse_count::<SLOTS_MAX>)]
    pub(crate) slots: Option<NonZeroU32>,

    /// Memory that the process may occupy [default: half of what can be had]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<ByteSize>,

    /// Work in N local worker processes
    #[arg(long, value_name = "N", value_parser = parse_count::<WORKERS_MAX>)]
    pub(crate) workers: Option<NonZeroU32>,

    /// Pack the part files: zstd, gz, lz4, bz2, deflate
    ///
    /// One thread packs its rows as well.
    #[arg(long, value_name = "CODEC", hide_possible_values = true)]
    pub(crate) compress: Option<CompressChoice>,

    /// Do not start a second attempt of a task that is far behind the others
    #[arg(long)]
    pub(crate) no_backup: bool,

    /// Run on the cluster of the master at ADDR
    ///
    /// CPU time and memory are those of the client then, not of the cluster.
    #[arg(long, value_name = "ADDR", conflicts_with_all = ["slots", "memory", "workers"])]
    pub(crate) master: Option<String>,

    /// Talk to a master beyond this machine without TLS (private networks only)
    #[arg(long, requires = "master")]
    pub(crate) insecure: bool,

    /// Print what was measured as one JSON object on standard output
    #[arg(long, help_heading = "Output options")]
    pub(crate) json: bool,

    /// Write a page with plots, in one file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output options")]
    pub(crate) html: Option<PathBuf>,
}

/// Run a job on one thread without the engine
#[derive(Debug, clap::Args)]
pub(crate) struct SequentialArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,

    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// Folder for the part file; must not exist
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,

    #[arg(short, long = "param", value_name = "KEY=VALUE", value_parser = parse_param)]
    pub(crate) params: Vec<(String, String)>,

    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Vec<FormatArg>,

    #[arg(long, value_name = "CODEC", hide_possible_values = true)]
    pub(crate) compress: Option<CompressChoice>,
}
