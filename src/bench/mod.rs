//! `mapfold bench`: what a job costs, beside the same job on one thread and beside other programs.
//!
//! Every contender is a whole process, started and timed from outside, Mapfold's own included: what it takes to start,
//! to plan and to put output in place counts. One run warms up, then come rounds in which each contender runs once, in an
//! order that rotates, so that a drift of the machine's speed meets all alike.
//!
//! | module | holds |
//! | --- | --- |
//! | `contender` | a program that is measured, and its command |
//! | `trial` | one run of it |
//! | `race` | warm-ups and rounds |
//! | `rows` | whether two programs made the same rows |
//! | `summary`, `machine`, `work` | what is told of them |
//! | `table`, `json`, `page` | three ways to tell it |

mod chart;
mod contender;
mod json;
mod machine;
mod page;
mod race;
mod rows;
mod shell;
mod summary;
mod table;
mod trial;
mod work;

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use mapfold_data::input::discover;
use mapfold_job::Catalog;
use mapfold_terms::ByteSize;

use crate::args::BenchArgs;
use crate::error::Problem;
use crate::exit::Exit;
use crate::formats::Formats;
use crate::plan::cannot_write;
use crate::plugin::{self, Found};
use crate::runtime::block_on;
use crate::settings::{Shown, params, positive};
use contender::Contender;
use machine::Machine;
use race::{Measured, race};

/// All that was measured.
pub(crate) struct Findings<'a> {
    args: &'a BenchArgs,
    files: u64,
    bytes: ByteSize,
    machine: Machine,
    measured: Vec<Measured>,
}

pub(crate) fn bench(
    mut args: BenchArgs,
    catalog: &Arc<dyn Catalog>,
    shown: &Shown,
) -> Result<Exit, Problem> {
    // What is wrong is better told now than by the first program that fails.
    let found = plugin::find(&args.job, catalog)?;
    let runner = found.build(&found.settled(&params(args.params.clone())?)?.params)?;
    let formats = Formats::new(&args.format)?;
    let format = formats.rest(runner.info());
    drop(runner);
    if let Some(built) = &found.plugin {
        // What is measured does not build.
        args.job.named = built.display().to_string();
    }
    let args = &args;
    args.split_size.map(positive).transpose()?;
    let (files, bytes) = size_up(args, &formats, &found)?;
    let contenders = Contender::all(args)?;
    let measured = block_on(race(contenders, args.runs, format, shown))?;
    let findings = Findings {
        args,
        files,
        bytes,
        machine: Machine::look(),
        measured,
    };
    let text = match args.json {
        true => json::json(&findings),
        false => table::table(&findings),
    };
    if let Some(path) = &args.html {
        write_page(path, &page::page(&findings))?;
    }
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Problem::stdout(&error))?;
    race::check_rows(&findings.measured)?;
    Ok(Exit::Done)
}

/// Files and bytes of the input, which must be there.
fn size_up(args: &BenchArgs, formats: &Formats, job: &Found) -> Result<(u64, ByteSize), Problem> {
    if args.inputs.iter().any(|typed| typed == Path::new("-")) {
        let what = "standard input (`-`) can be read only once";
        return Err(Problem::new(Exit::Usage, what).hint("write it to a file first"));
    }
    let names = job.files(&args.inputs, formats)?;
    let found = discover(&names)
        .map_err(|error| Problem::new(Exit::Input, "cannot read the input").because(&error))?;
    let bytes = found.iter().map(|file| file.fingerprint.len).sum();
    Ok((found.len() as u64, ByteSize(bytes)))
}

fn write_page(path: &Path, page: &str) -> Result<(), Problem> {
    std::fs::write(path, page).map_err(|error| cannot_write(path, &error))
}
