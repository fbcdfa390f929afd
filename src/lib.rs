//! Mapfold's command line: what was typed, what is done, what a person reads.
//!
//! `args` is what can be typed, `settings` what was checked; a module a command; `error` and `exit` say
//! how it ended. No engine logic is here. A library, so that a binary can carry jobs of its own beside the stock ones.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod api;
mod args;
mod bench;
mod between;
mod capsule;
mod cat;
mod chain;
mod check;
mod client;
mod cluster;
mod completions;
mod count;
mod crate_build;
mod describe;
mod duration;
mod ending;
mod error;
mod exit;
mod follow;
mod foreground;
mod formats;
mod generate;
mod hadoop;
mod inputs;
mod isolate;
mod job;
mod job_log;
mod list;
mod local_workers;
mod log;
mod master;
mod meter;
mod nearest;
mod new;
mod paint;
mod parquet_files;
mod place;
mod plan;
mod plan_file;
mod plugin;
mod progress;
mod ranges;
mod replay;
mod report;
mod resources;
mod resume;
mod rows;
mod run;
mod runtime;
mod scratch;
mod send;
mod sequential;
mod settings;
mod signals;
mod sorted;
mod space;
mod stderr;
mod stdin;
mod stream;
mod task;
mod top;
mod verify;
mod worker;

use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use clap::error::ErrorKind;
use mapfold_data::heap;
use mapfold_job::{Catalog, JobTable, Maker};
use mapfold_streaming::{Streaming, StreamingMap};

use args::{Args, ColorChoice, Command, PluginCommand};
use error::Problem;
use exit::Exit;
use paint::Paint;
use settings::Shown;

/// Does what the process's arguments say, with the jobs of `catalog`, and says how it ended.
pub fn main(catalog: JobTable) -> ExitCode {
    heap::give_back_what_is_freed();
    let typed: Vec<OsString> = std::env::args_os().collect();
    if let Some((parent, command)) = stream::as_guard(&typed) {
        stream::guard(parent, command);
    }
    if hadoop::called_as(&typed) {
        stream::start_guards();
        let catalog = with_streaming(catalog);
        let ended = panic::catch_unwind(AssertUnwindSafe(|| hadoop::launch(&typed[1..], &catalog)));
        return ExitCode::from(ended.unwrap_or_else(|_| Exit::Internal.code()));
    }
    let args = match parse(&typed) {
        Ok(args) => args,
        Err(problem) => {
            stderr::say(&problem.render(Paint::choose(ColorChoice::Auto)));
            return problem.exit().into();
        }
    };
    let shown = Shown::new(&args.shown);
    // A panic is our own bug; it has printed what it knows.
    let ended = panic::catch_unwind(AssertUnwindSafe(|| command(args.command, catalog, &shown)));
    match ended.unwrap_or_else(|_| Err(Problem::bug())) {
        Ok(exit) => exit.into(),
        Err(problem) => {
            stderr::say(&problem.render(shown.paint));
            problem.exit().into()
        }
    }
}

/// What was typed; ends the process if that is help, or wrong in a way that the parser tells.
fn parse(typed: &[OsString]) -> Result<Args, Problem> {
    stream::refuse_hadoops(typed)?;
    Args::try_parse_from(typed).or_else(|error| match error.kind() {
        ErrorKind::InvalidUtf8 => Err(not_utf8(typed)),
        _ => error.exit(),
    })
}

/// Names the argument, as bytes, which the parser does not.
fn not_utf8(typed: &[OsString]) -> Problem {
    let bad = typed.iter().skip(1).filter(|it| it.to_str().is_none());
    let bad: Vec<String> = bad.map(|it| format!("{it:?}")).collect();
    Problem::new(Exit::Usage, "an argument is not UTF-8")
        .cause(bad.join(", "))
        .hint("paths of input and output may hold any bytes; names, commands and texts are UTF-8")
}

fn command(command: Command, catalog: JobTable, shown: &Shown) -> Result<Exit, Problem> {
    stream::start_guards();
    let catalog = with_streaming(catalog);
    match command {
        Command::Run(args) => run::run(&chain::stages(*args, shown)?, &catalog, shown),
        Command::Stream(args) => stream::stream(*args, &catalog, shown),
        Command::Master(args) => master::master(&args, shown),
        Command::Worker(args) => worker::worker(&args, catalog, shown),
        Command::List => list::list(&*catalog),
        Command::New { folder } => new::new(&folder),
        Command::Plugin(args) => match args.command {
            PluginCommand::Check { file } => check::check(&file),
        },
        Command::Describe { job } => describe::describe(&catalog, &job),
        Command::Cat(args) => cat::cat(&args, shown),
        Command::Verify(args) => verify::verify(&args, shown.quiet),
        Command::Gen(args) => generate::generate(&args, shown),
        Command::Bench(args) => bench::bench(*args, &catalog, shown),
        // Its codes are Hadoop's, which are not all among ours.
        Command::Hadoop { args } => std::process::exit(hadoop::launch(&args, &catalog).into()),
        Command::HadoopHome { folder } => hadoop::make_home(&folder),
        Command::Sequential(args) => sequential::sequential(&args, &catalog),
        Command::Replay { file } => replay::replay(&file, &catalog, shown),
        Command::Plan(args) => plan::plan(*args, &catalog),
        Command::Task(args) => task::task(args, &catalog),
        Command::Slot {
            parent,
            data_max,
            plugin,
        } => isolate::slot(parent, data_max, &plugin, catalog),
        Command::Status(args) => cluster::status(&args, shown),
        Command::Cancel { job, cluster } => cluster::cancel(job, &cluster),
        Command::Workers { cluster } => cluster::workers(&cluster),
        Command::Jobs { cluster } => cluster::jobs(&cluster),
        Command::Drain { worker, cluster } => cluster::drain(worker, &cluster),
        Command::Completions { shell } => completions::completions(shell),
    }
}

fn with_streaming(catalog: JobTable) -> Arc<dyn Catalog> {
    Arc::new(
        catalog
            .with(Maker::of::<Streaming>())
            .with(Maker::of::<StreamingMap>()),
    )
}
