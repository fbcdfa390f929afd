//! Chains of jobs: `mapfold run A INPUT... --then B --then C -o DIR`.
//!
//! Each job reads the rows of the one before. A shell gives a program no literal pipe in an argument, and quoted command lines in arguments
//! cannot be completed by a shell; so a word divides them, as in `find -exec`. What belongs to the whole (where the work is done, how much
//! memory) is said once, in front.

use std::ffi::OsString;
use std::mem;

use clap::Parser as _;
use mapfold_terms::Codec;

use crate::args::{RunArgs, ThenArgs, ThenOutput, WorkArgs};
use crate::error::Problem;
use crate::exit::Exit;
use crate::settings::{self, RunSettings, Shown};

/// What divides jobs.
const THEN: &str = "--then";

/// The jobs to run, in order; at least one. Only the last has the output.
pub(crate) fn stages(mut first: RunArgs, shown: &Shown) -> Result<Vec<RunSettings>, Problem> {
    let mut then = parse(mem::take(&mut first.then));
    let times = first.times.get();
    if let Some(last) = then.pop() {
        let said = then
            .iter()
            .any(|stage| stage.output != ThenOutput::default());
        if said || first.work.skip_bad.is_some() {
            return Err(
                Problem::new(Exit::Usage, "only the last job of a chain leaves an output").hint(
                    "what is said of the output, --skip-bad included, stands behind the last job",
                ),
            );
        }
        take_output(&mut first.work, &last.output)?;
        then.push(last);
    }
    let whole = RunSettings::of_run(first, shown)?;
    let mut stages: Vec<RunSettings> = rounds(whole.clone(), times).collect();
    for stage in then {
        let times = stage.times.get();
        let settings = of_stage(&whole, stage)?;
        stages.extend(rounds(settings, times));
    }
    let last = stages.len() - 1;
    if whole.resume && last > 0 {
        return Err(Problem::new(
            Exit::Usage,
            "--resume goes on with a job, not with a chain of jobs",
        )
        .hint("run them one by one, each with its own -o DIR --resume"));
    }
    for stage in &mut stages[..last] {
        stage.parts = Codec::Plain;
        stage.last = false;
        if stage.skip_bad > 0 {
            return Err(Problem::new(
                Exit::Usage,
                "only a job that is run once can put records aside: their list stands in the output",
            ));
        }
    }
    Ok(stages)
}

/// A job so many times.
fn rounds(settings: RunSettings, times: u32) -> impl Iterator<Item = RunSettings> {
    (0..times).map(move |round| RunSettings {
        again: round > 0,
        ..settings.clone()
    })
}

/// What stands behind each `--then`.
fn parse(typed: Vec<OsString>) -> Vec<ThenArgs> {
    if typed.is_empty() {
        return Vec::new();
    }
    let name = OsString::from("mapfold run ... --then");
    let stages = typed.split(|word| word == THEN);
    let stages = stages.map(|words| {
        let words = std::iter::once(&name).chain(words);
        ThenArgs::try_parse_from(words).unwrap_or_else(|error| error.exit())
    });
    stages.collect()
}

/// What the last job says of the output is said of the whole.
fn take_output(first: &mut WorkArgs, last: &ThenOutput) -> Result<(), Problem> {
    if first.output.is_some() && last.output.is_some() {
        return Err(Problem::new(Exit::Usage, "the output is named twice"));
    }
    first.output = first.output.take().or_else(|| last.output.clone());
    first.overwrite |= last.overwrite;
    first.compress = first.compress.or(last.compress);
    first.json |= last.json;
    first.top = first.top.or(last.top);
    Ok(())
}

/// A later job of a chain, done where the first is.
fn of_stage(whole: &RunSettings, stage: ThenArgs) -> Result<RunSettings, Problem> {
    Ok(RunSettings {
        job: stage.job,
        params: settings::params(stage.params)?,
        formats: stage.format.into(),
        split_size: stage.split_size.map(settings::positive).transpose()?,
        reducers: stage.reducers,
        skip_bad: stage.output.skip_bad.unwrap_or(0),
        again: false,
        ..whole.clone()
    })
}
