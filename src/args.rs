//! What can be typed: the commands, and what they share; a table for each kind of them is below. What is typed is checked in `settings.rs`.
//!
//! First paragraphs are the short `-h`; the rest is `--help`, with examples last.

mod bench;
mod cluster;
mod folder;
mod run;
mod stream;
mod task;
mod values;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{ArgAction, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use mapfold_terms::{ByteSize, JobId, WorkerId};

use self::values::{parse_job_id, parse_worker_id};
use crate::exit::Exit;

pub(crate) use self::bench::{BenchArgs, GenArgs, GenKind, SequentialArgs};
pub(crate) use self::cluster::{ClusterArgs, MasterArgs, StatusArgs, WorkerArgs};
pub(crate) use self::folder::{CatArgs, VerifyArgs};
pub(crate) use self::run::{
    CompressChoice, ProgressChoice, RunArgs, ThenArgs, ThenOutput, WorkArgs,
};
pub(crate) use self::stream::StreamArgs;
pub(crate) use self::task::{PlanArgs, TaskArgs, TaskCommand, TaskPlace};

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

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    Auto,
    Always,
    Never,
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_table_of_arguments_is_consistent() {
        Args::command().debug_assert();
    }
}
