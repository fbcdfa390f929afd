//! What can be typed. One long table; what is typed is checked in `settings.rs`.
//!
//! First paragraphs are the short `-h`; the rest is `--help`, with examples last.

use std::ffi::OsString;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use mapfold_data::input::REDUCERS_MAX;
use mapfold_terms::{ByteSize, Format, JobId, Skipped, WorkerId};

use crate::duration;
use crate::exit::Exit;
use crate::formats::FormatArg;

/// A MapReduce engine in one binary: the same bytes on one laptop or on a cluster.
///
/// `mapfold run` reads files, runs a job over them and leaves a folder of sorted part files, or prints
/// the rows. Nothing has to be set up, and no port is opened. To use several machines, start `mapfold
/// master` on one and `mapfold worker` on each, and add `--master ADDR` to the same command.
#[derive(Debug, Parser)]
#[command(
    name = "mapfold",
    version,
    styles = STYLES,
    max_term_width = 100,
    after_help = "Try `mapfold list`, then `mapfold run wordcount FILE...`. `--help` says more.",
    after_long_help = after_long_help(),
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) shown: ShownArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

fn after_long_help() -> String {
    format!(
        "\
Results go to standard output, everything else to standard error.

Exit codes:
{}
Examples:
  mapfold run wordcount books/ -o counts          count the words of all files below books/
  mapfold cat counts --sorted | head              look at the rows
  mapfold run grep -p pattern='war|peace' books/  rows on standard output
  zcat log.gz | mapfold run linecount -           read standard input",
        Exit::help()
    )
}

/// What is said on stderr while a command works.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output options")]
pub(crate) struct ShownArgs {
    /// Say only what went wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more; repeat for still more
    ///
    /// -v logs what an operator would want to know, -vv each decision, -vvv each message.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// When to use colour
    ///
    /// `NO_COLOR` in the environment wins.
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true,
        help = "When to use colour: auto, always, never"
    )]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<RunArgs>),
    Stream(Box<StreamArgs>),
    Master(MasterArgs),
    Worker(WorkerArgs),
    /// List the jobs that can be run
    List,
    /// Explain a job: its rows, its parameters
    #[command(arg_required_else_help = true)]
    Describe {
        #[command(flatten)]
        job: JobArgs,
    },
    /// Make a crate for a job of your own
    ///
    /// A folder with a job, its tests and a README. `mapfold run FOLDER INPUT...` builds it, with the Rust toolchain that is installed, and runs it.
    /// The API comes from this binary; cargo gets what that depends on from where it gets crates.
    #[command(
        arg_required_else_help = true,
        after_long_help = "\
Examples:
  mapfold new word-lengths
  mapfold run ./word-lengths books/"
    )]
    New {
        /// The folder, which must not exist; its name is the job's, such as word-lengths
        #[arg(value_name = "NAME", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    Plugin(PluginArgs),
    Cat(CatArgs),
    Verify(VerifyArgs),
    Gen(GenArgs),
    Bench(Box<BenchArgs>),
    /// Do what `hadoop ARGS` does: streaming jobs and `fs` commands
    ///
    /// Called as `hadoop`, `mapred`, `yarn` or `hdfs`, this program does so by itself: see `mapfold hadoop-home`.
    #[command(disable_help_flag = true)]
    Hadoop {
        /// What stands behind `hadoop`, such as jar, fs or version
        #[arg(
            value_name = "ARGS",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        args: Vec<OsString>,
    },
    /// Make a folder that stands for an installation of Hadoop
    ///
    /// It has bin/hadoop, which is this program, and a streaming jar without anything in it. With HADOOP_HOME set to it, tools that run Hadoop Streaming
    /// (mrjob, scripts) run here.
    #[command(
        arg_required_else_help = true,
        after_long_help = "\
Examples:
  mapfold hadoop-home ~/hadoop
  HADOOP_HOME=~/hadoop python3 job.py -r hadoop books/"
    )]
    HadoopHome {
        /// The folder; what is in it and not of Hadoop stays
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        folder: PathBuf,
    },
    #[command(hide = true)]
    Sequential(SequentialArgs),
    /// Make attempts for a worker that has started this process
    #[command(hide = true)]
    Slot {
        /// The worker; this process ends with it.
        #[arg(long, value_name = "PID")]
        parent: u32,
        /// Bytes of data that this process may have.
        #[arg(long, value_name = "SIZE")]
        data_max: ByteSize,
        /// A plugin whose jobs it may be asked for.
        #[arg(long, value_name = "FILE")]
        plugin: Vec<PathBuf>,
    },
    /// Run the task of a failed attempt again, in this process
    ///
    /// Attempts that fail by a job's fault leave a small file each in .mapfold/failed, which the message names. The task runs on the main thread,
    /// ready for a debugger, and ends with the same error, or says that it passed. For a reduce task all map tasks run first.
    #[command(
        arg_required_else_help = true,
        after_long_help = "\
Examples:
  mapfold replay .mapfold/failed/wordcount-m7.1-5be1c2aa.replay
  RUST_BACKTRACE=1 mapfold replay FILE
  gdb -ex 'break rust_panic' -ex run --args mapfold replay FILE"
    )]
    Replay {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
    Plan(Box<PlanArgs>),
    Task(TaskArgs),
    Status(StatusArgs),
    /// Cancel a job on a cluster
    #[command(arg_required_else_help = true)]
    Cancel {
        /// Id of the job, such as j3
        #[arg(value_parser = parse_job_id)]
        job: JobId,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// List the workers of a cluster
    Workers {
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// List the jobs of a cluster
    Jobs {
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Have a worker leave without losing its work
    ///
    /// It gets no more tasks, ends those that it has, serves its runs until no running job needs them, and ends.
    #[command(arg_required_else_help = true)]
    Drain {
        /// Id of the worker, such as w3, as `mapfold workers` shows it
        #[arg(value_parser = parse_worker_id)]
        worker: WorkerId,
        #[command(flatten)]
        cluster: ClusterArgs,
    },
    /// Print a completion script for a shell
    ///
    /// For example, for bash: mapfold completions bash > ~/.local/share/bash-completion/completions/mapfold
    Completions {
        /// The shell
        shell: Shell,
    },
}

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
    /// stderr, with TABs between. A program that fails is tried --max-attempts times; if one has failed then, the exit code is 1, and the output
    /// has what the others have printed. For jobs without reduce tasks.
    #[arg(long, value_name = "FILE", requires = "output", value_hint = ValueHint::FilePath)]
    pub(crate) job_log: Option<PathBuf>,

    /// Set a variable in the environment of all programs; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_variable)]
    pub(crate) env: Vec<(String, String)>,

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

/// Start the master of a cluster
///
/// Plans jobs, hands out their tasks to workers, and puts output in place. Ends on Ctrl-C or SIGTERM.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mapfold master
  mapfold master --listen 10.0.0.1:7711 --insecure")]
pub(crate) struct MasterArgs {
    /// Where to listen: HOST:PORT, or unix:PATH
    ///
    /// Port 0 takes any free one; the address is printed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7711")]
    pub(crate) listen: String,

    /// Listen beyond this machine without TLS (private networks only)
    ///
    /// Whoever reaches the port can run jobs as you.
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Silence after which a worker counts as dead
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration::parse)]
    pub(crate) lease: Duration,

    /// Keep a journal in this folder, and go on with the jobs in it
    ///
    /// A master that was killed, or lost power, and is started again with the same folder goes on where it was: workers come back
    /// with what they have finished, and clients that wait go on waiting (both for 5 minutes). Without it, jobs end with
    /// their master.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// Most that files of jobs (plugins, side files) may take here, all together
    ///
    /// They are kept in the state folder, or in a temporary one, while jobs need them, and for an hour after. One job may have a
    /// quarter of it.
    #[arg(long, value_name = "SIZE", default_value = "4GiB")]
    pub(crate) files_max: ByteSize,
}

/// Start a worker and join a master
///
/// Runs attempts at map and reduce tasks until it is stopped, or until the master ends.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  mapfold worker --master 127.0.0.1:7711
  mapfold worker --master 10.0.0.1:7711 --data 10.0.0.2:7713 --insecure --slots 8 --dir /scratch/mapfold"
)]
pub(crate) struct WorkerArgs {
    /// The master: HOST:PORT, or unix:PATH
    #[arg(long, value_name = "ADDR")]
    pub(crate) master: String,

    /// Attempts that run at once [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = parse_count::<SLOTS_MAX>)]
    pub(crate) slots: Option<NonZeroU32>,

    /// Memory that the process may occupy [default: half of what can be had]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<ByteSize>,

    /// Folder for runs and spills [default: a private one in the temporary folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,

    /// Bytes that runs and spills may take there [default: what the disk has]
    ///
    /// An attempt that would take more fails as on a full disk, and is tried on another worker.
    #[arg(long, value_name = "SIZE")]
    pub(crate) temp_max: Option<ByteSize>,

    /// Where to serve runs to other workers [default: 127.0.0.1, port 7713 or any free one]
    #[arg(long, value_name = "ADDR")]
    pub(crate) data: Option<String>,

    /// How long SIGTERM may take: until then the worker ends what it runs and serves its runs while jobs need them
    ///
    /// A second SIGTERM, or Ctrl-C, ends it at once; its work is then done again by others.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration::parse)]
    pub(crate) drain_max: Duration,

    /// Talk beyond this machine without TLS (private networks only)
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Run each attempt in a process of its own
    ///
    /// Code of a job that aborts, overflows its stack, eats memory or never comes back then ends no more than that process.
    #[arg(long)]
    pub(crate) isolate: bool,

    /// A plugin whose jobs it may be asked for.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) plugin: Option<PathBuf>,

    /// End as soon as this process, the parent, has ended.
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) parent: Option<u32>,
}

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

/// Show a job on a cluster
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct StatusArgs {
    /// Id of the job, such as j3
    #[arg(value_parser = parse_job_id)]
    pub(crate) job: JobId,

    /// Follow it until it ends
    #[arg(short, long)]
    pub(crate) watch: bool,

    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Which cluster is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArgs {
    /// The master: HOST:PORT, or unix:PATH
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7711")]
    pub(crate) master: String,

    /// Talk to a master beyond this machine without TLS (private networks only)
    #[arg(long)]
    pub(crate) insecure: bool,
}

/// Which job is meant.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct JobArgs {
    /// Name of the job, as `mapfold list` shows it, or a plugin: FILE.so, FILE.rs, or its crate's folder
    #[arg(id = "job_named", value_name = "JOB")]
    pub(crate) named: String,

    /// Which job of the plugin, if it has several
    #[arg(id = "job_of_plugin", long = "job", value_name = "NAME")]
    pub(crate) of_plugin: Option<String>,
}

impl fmt::Display for JobArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.of_plugin {
            None => write!(f, "{}", self.named),
            Some(job) => write!(f, "{} --job {job}", self.named),
        }
    }
}

/// Look into plugins
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct PluginArgs {
    #[command(subcommand)]
    pub(crate) command: PluginCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Tell what is inside a plugin, and whether this Mapfold can run it
    ///
    /// Its identity, how it was built, its jobs and their parameters. The file is opened in a process of its own.
    #[command(arg_required_else_help = true)]
    Check {
        /// The file, such as target/release/libcounts.so
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
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

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
}

/// How to show progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressChoice {
    Auto,
    Bar,
    Plain,
    None,
}

fn parse_job_id(text: &str) -> Result<JobId, &'static str> {
    text.parse()
        .map_err(|_| "an id is a number after a j, such as j3")
}

fn parse_worker_id(text: &str) -> Result<WorkerId, &'static str> {
    let number = text.strip_prefix('w').and_then(|n| n.parse().ok());
    number
        .map(WorkerId)
        .ok_or("an id is a number after a w, such as w3")
}

/// A slot is a thread with buffers of its own, and one for each CPU is best.
const SLOTS_MAX: u32 = 1024;

/// More runs do not make a median better.
const RUNS_MAX: u32 = 1000;

/// Local worker processes share one machine.
const WORKERS_MAX: u32 = 256;

/// More jobs than that in a row are a mistake.
const TIMES_MAX: u32 = 1000;

/// Rows that `--top` keeps in memory at most.
const TOP_MAX: u32 = 1_000_000;

fn parse_count<const MAX: u32>(text: &str) -> Result<NonZeroU32, String> {
    let count = text
        .parse()
        .ok()
        .filter(|count: &NonZeroU32| count.get() <= MAX);
    count.ok_or_else(|| format!("give a number from 1 to {MAX}"))
}

fn parse_reducers(text: &str) -> Result<u32, String> {
    let count = text.parse().ok().filter(|count| *count <= REDUCERS_MAX);
    count.ok_or_else(|| {
        format!("give a number from 1 to {REDUCERS_MAX}, or 0 for a job without reduce tasks")
    })
}

/// Why a text is no parameter.
#[derive(Debug, thiserror::Error)]
enum ParamError {
    #[error("write KEY=VALUE, such as lowercase=true")]
    Param,
    #[error("write NAME=VALUE, such as LANG=C")]
    Variable,
    #[error("there is no name before the `=`")]
    NoName,
}

fn parse_param(text: &str) -> Result<(String, String), ParamError> {
    parse_pair(text)?.ok_or(ParamError::Param)
}

fn parse_variable(text: &str) -> Result<(String, String), ParamError> {
    parse_pair(text)?.ok_or(ParamError::Variable)
}

/// `None` without a `=`.
fn parse_pair(text: &str) -> Result<Option<(String, String)>, ParamError> {
    match text.split_once('=') {
        Some(("", _)) => Err(ParamError::NoName),
        pair => Ok(pair.map(|(name, value)| (name.to_owned(), value.to_owned()))),
    }
}

/// Nobody means the backslash.
fn parse_separator(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("give at least one character"),
        r"\t" => Ok("\t".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_table_of_arguments_is_consistent() {
        Args::command().debug_assert();
    }
}
