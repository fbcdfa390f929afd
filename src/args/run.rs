//! What stands behind `run`, and the part of it that `stream` has too.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ValueEnum, ValueHint};
use mapfold_terms::{ByteSize, Format, Skipped};

use super::JobArgs;
use super::values::{
    SLOTS_MAX, TIMES_MAX, TOP_MAX, WORKERS_MAX, parse_count, parse_param, parse_reducers,
};
use crate::duration;
use crate::formats::FormatArg;

/// Run a job over files
///
/// Reads the inputs, runs the job, and leaves a folder of part files with a manifest, whole or not at
/// all. Without --output the rows go to standard output.
///
/// Without --workers and --master all work is done in this process, which opens no port.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  mapfold run wordcount books/ -o counts
  mapfold run wordcount 'logs/*.gz' -p lowercase=true | sort -k2nr | head
  mapfold run grep -p pattern=error /var/log -o hits --overwrite
  mapfold run wordcount books/ -o counts --workers 4
  mapfold run wordcount books/ --then sort -p column=2 -p numeric=true -o counts
  mapfold run wordcount /share/books -o /share/counts --master 10.0.0.1:7711 --insecure"
)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,

    /// Set a parameter of the job; may be repeated
    ///
    /// `mapfold describe JOB` lists them.
    #[arg(short, long = "param", value_name = "KEY=VALUE", value_parser = parse_param)]
    pub(crate) params: Vec<(String, String)>,

    /// Run another job on the rows of this one; may be repeated
    ///
    /// What follows, up to the next --then, is that job with its options: -p, -r, --split-size, --format, --times, --job. What is
    /// said of the output (-o, --overwrite, --compress, --top, --json) stands behind the last job or before the first --then,
    /// --skip-bad behind the last job, all else before the first --then. Rows between two jobs are temporary files, and read as
    /// lines unless --format says otherwise.
    #[arg(long, value_name = "JOB", num_args = 1.., allow_hyphen_values = true)]
    pub(crate) then: Vec<OsString>,

    /// Run the job N times, each time on the rows of the one before
    ///
    /// A job that refines a file (`mapfold describe JOB` tells: kmeans its centers) reads the same input each time, and has the rows of the one before
    /// as that file; it ends early when they do not change any more.
    #[arg(long, value_name = "N", default_value = "1", hide_default_value = true, value_parser = parse_count::<TIMES_MAX>)]
    pub(crate) times: NonZeroU32,

    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

/// What a job is run over, where, and where its rows go.
#[derive(Debug, clap::Args)]
pub(crate) struct WorkArgs {
    /// Files, folders or globs to read; `-` is standard input
    ///
    /// Folders are read with all that is below them; names that begin with `_` or `.` are skipped.
    /// Files that end in .gz, .zst, .lz4, .bz2 or .deflate are unpacked on the fly.
    #[arg(required = true, value_name = "INPUT", value_hint = ValueHint::AnyPath)]
    pub(crate) inputs: Vec<PathBuf>,

    /// Folder for the part files; must not exist
    ///
    /// It appears whole once the job has succeeded, with a manifest named _SUCCESS, or not at all.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) output: Option<PathBuf>,

    /// Replace the output folder if it exists
    ///
    /// The old one is removed only after the job has succeeded.
    #[arg(long, requires = "output")]
    pub(crate) overwrite: bool,

    /// Number of reduce tasks, and so of part files [default: by input size]
    ///
    /// A job without reduce tasks leaves a part file for each split.
    #[arg(short, long, value_name = "N", value_parser = parse_reducers)]
    pub(crate) reducers: Option<u32>,

    /// How input is cut into records: lines, files, csv, tsv, parquet, nline:N, fixed:N [default: the job's]
    ///
    /// Most jobs read lines; `mapfold describe JOB` tells if one does not.
    ///
    /// lines: a record a line, without its LF or CRLF.
    /// files: a record a file.
    /// csv, tsv, csv:X: rows with commas, tabs or X between fields; the first line of each file names the columns.
    /// parquet: rows of Parquet files, each as a line of JSON (in a Mapfold built with the cargo feature `parquet`).
    /// nline:N: lines, and a map task for every N of them.
    /// fixed:N: a record for every N bytes.
    ///
    /// Of a job with several inputs, NAME=FORMAT says it of one; may be repeated.
    #[arg(long, value_name = "FORMAT", verbatim_doc_comment)]
    pub(crate) format: Vec<FormatArg>,

    /// Input bytes for each map task [default: by input size]
    ///
    /// A size such as 64MiB, 1.5G or 500KB (K, M, G and KiB, MiB, GiB are powers of 1024, KB, MB, GB of 1000).
    #[arg(long, value_name = "SIZE")]
    pub(crate) split_size: Option<ByteSize>,

    /// Pack the part files: zstd, gz, lz4, bz2, deflate
    ///
    /// zstd packs best for its speed, gz is read everywhere, lz4 is the fastest. `mapfold cat`, `mapfold verify` and
    /// later jobs read packed part files as they are.
    #[arg(
        long,
        value_name = "CODEC",
        requires = "output",
        hide_possible_values = true
    )]
    pub(crate) compress: Option<CompressChoice>,

    /// Leave out part files without a row
    #[arg(long, requires = "output")]
    pub(crate) no_empty_parts: bool,

    /// Failed attempts of one task that fail the job
    #[arg(
        long,
        value_name = "N",
        value_parser = parse_count::<{ u32::MAX }>,
        default_value = "4",
        help_heading = "Execution"
    )]
    pub(crate) max_attempts: NonZeroU32,

    /// Put up to N records aside that the job's map fails on [default: 0]
    ///
    /// They are listed in the file _skipped.jsonl of the output folder, with file, offset, first bytes and error, and nothing of
    /// them is in the rows; one more fails the job. At most 1000.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(0..=i64::from(Skipped::MAX)),
        requires = "output",
        help_heading = "Execution"
    )]
    pub(crate) skip_bad: Option<u32>,

    /// Go on where the same command was interrupted
    ///
    /// Ctrl-C, a crash or a power cut then lose only the tasks that were running: what has ended is kept beside the output, in
    /// .NAME.resume, until the job ends. Say it from the first time on.
    #[arg(long, requires = "output", help_heading = "Execution")]
    pub(crate) resume: bool,

    /// Do not start a second attempt of a task that is far behind the others
    ///
    /// Otherwise a straggler gets a backup attempt on another worker once no other task waits for its slot; what ends first counts.
    #[arg(long, help_heading = "Execution")]
    pub(crate) no_backup: bool,

    /// Time without progress after which an attempt has failed; 0 for none
    ///
    /// It is tried again on another worker. If there is none, the job fails: a thread cannot be stopped from outside. With --isolate
    /// its process is killed, and the record is told at which it stood still.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "10m",
          help_heading = "Execution")]
    pub(crate) task_timeout: Duration,

    /// Attempts that run at once [default: one per CPU]
    ///
    /// With --workers, the slots of each worker [default: CPUs divided among the workers].
    #[arg(
        long,
        value_name = "N",
        value_parser = parse_count::<SLOTS_MAX>,
        conflicts_with = "master",
        help_heading = "Execution"
    )]
    pub(crate) slots: Option<NonZeroU32>,

    /// Memory that the process may occupy [default: half of what can be had]
    ///
    /// What does not fit is written to temporary files; the output's bytes do not depend on it. With --workers, the memory of
    /// each worker.
    #[arg(
        long,
        value_name = "SIZE",
        conflicts_with = "master",
        help_heading = "Execution"
    )]
    pub(crate) memory: Option<ByteSize>,

    /// Bytes that temporary files may take [default: what the disk has]
    ///
    /// Runs and spills; an attempt that would take more fails as on a full disk. With --workers, of each worker.
    #[arg(
        long,
        value_name = "SIZE",
        conflicts_with = "master",
        help_heading = "Execution"
    )]
    pub(crate) temp_max: Option<ByteSize>,

    /// Work in N local worker processes rather than in this one
    ///
    /// They talk over a private Unix socket and end with the job.
    #[arg(
        long,
        value_name = "N",
        value_parser = parse_count::<WORKERS_MAX>,
        conflicts_with = "master",
        help_heading = "Execution"
    )]
    pub(crate) workers: Option<NonZeroU32>,

    /// Run each attempt in a process of its own
    ///
    /// Code of the job that aborts, overflows its stack, eats memory or never comes back then ends no more than that process: the attempt
    /// fails and says why. It may have twice its share of --memory, and 256 MiB; --task-timeout limits its time.
    #[arg(long, conflicts_with = "master", help_heading = "Execution")]
    pub(crate) isolate: bool,

    /// Silence after which a worker counts as dead [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, requires = "workers",
          help_heading = "Execution")]
    pub(crate) lease: Option<Duration>,

    /// Run on the cluster of the master at ADDR
    ///
    /// HOST:PORT, or unix:PATH. Paths of inputs and output must mean the same on all its machines.
    #[arg(long, value_name = "ADDR", help_heading = "Execution")]
    pub(crate) master: Option<String>,

    /// Talk to a master beyond this machine without TLS (private networks only)
    #[arg(long, requires = "master", help_heading = "Execution")]
    pub(crate) insecure: bool,

    /// Print the final report as one JSON object on standard output
    #[arg(long, requires = "output", help_heading = "Output options")]
    pub(crate) json: bool,

    /// Print the N rows whose last column is the largest number, that first
    ///
    /// Instead of all rows, or beside the output folder if there is one. Rows of equal numbers come in order of their bytes.
    #[arg(
        long,
        value_name = "N",
        value_parser = parse_count::<TOP_MAX>,
        conflicts_with = "json",
        help_heading = "Output options"
    )]
    pub(crate) top: Option<NonZeroU32>,

    /// How to show progress: auto, bar, plain, none
    ///
    /// auto is a bar on a terminal and plain lines elsewhere. Plain: a line every 5 s or 5 %, whichever is later.
    #[arg(
        long,
        value_name = "HOW",
        default_value = "auto",
        env = "MAPFOLD_PROGRESS",
        hide_env = true,
        hide_possible_values = true,
        help_heading = "Output options"
    )]
    pub(crate) progress: ProgressChoice,
}

/// A job on the rows of the one before it: what stands behind `--then`
#[derive(Debug, clap::Parser)]
#[command(
    name = "mapfold run ... --then",
    disable_help_flag = true,
    disable_version_flag = true
)]
pub(crate) struct ThenArgs {
    #[command(flatten)]
    pub(crate) job: JobArgs,

    /// Run the job N times, each time on the rows of the one before
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_count::<TIMES_MAX>)]
    pub(crate) times: NonZeroU32,

    /// Set a parameter of the job; may be repeated
    #[arg(short, long = "param", value_name = "KEY=VALUE", value_parser = parse_param)]
    pub(crate) params: Vec<(String, String)>,

    /// Number of reduce tasks, and so of part files [default: by input size]
    #[arg(short, long, value_name = "N", value_parser = parse_reducers)]
    pub(crate) reducers: Option<u32>,

    /// How the rows of the job before are cut into records [default: the job's]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,

    /// Input bytes for each map task [default: by input size]
    #[arg(long, value_name = "SIZE")]
    pub(crate) split_size: Option<ByteSize>,

    #[command(flatten)]
    pub(crate) output: ThenOutput,
}

/// What is said of the output, behind the last `--then`.
#[derive(Debug, Default, PartialEq, Eq, clap::Args)]
pub(crate) struct ThenOutput {
    /// Folder for the part files; must not exist
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: Option<PathBuf>,

    /// Replace the output folder if it exists
    #[arg(long, requires = "output")]
    pub(crate) overwrite: bool,

    /// Pack the part files
    #[arg(long, value_name = "CODEC", requires = "output")]
    pub(crate) compress: Option<CompressChoice>,

    /// Print the final report as one JSON object on standard output
    #[arg(long, requires = "output")]
    pub(crate) json: bool,

    /// Print the N rows whose last column is the largest number, that first
    #[arg(long, value_name = "N", value_parser = parse_count::<TOP_MAX>)]
    pub(crate) top: Option<NonZeroU32>,

    /// Put up to N records aside that the job's map fails on
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(0..=i64::from(Skipped::MAX)),
        requires = "output"
    )]
    pub(crate) skip_bad: Option<u32>,
}

/// How part files are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompressChoice {
    Zstd,
    Gz,
    Lz4,
    Bz2,
    Deflate,
}

/// How to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressChoice {
    Auto,
    Bar,
    Plain,
    None,
}
