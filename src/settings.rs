//! What was checked: the second layer above [`crate::args`], where options are held against each other
//! and against the system, and where defaults that depend on it are made.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mapfold_protocol::Address;
use mapfold_terms::{ByteSize, Codec, InputName, JobInfo};

use crate::args::{CompressChoice, JobArgs, ProgressChoice, RunArgs, ShownArgs, WorkArgs};
use crate::client::check_reach;
use crate::error::Problem;
use crate::exit::Exit;
use crate::formats::Formats;
use crate::inputs::{self, Known};
use crate::paint::Paint;
use crate::plugin::plain;
use crate::progress::About;
use crate::resources::Resources;

/// What is said on stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    pub(crate) quiet: bool,
    pub(crate) verbose: u8,
    pub(crate) paint: Paint,
}

impl Shown {
    pub(crate) fn new(args: &ShownArgs) -> Self {
        Self {
            quiet: args.quiet,
            verbose: args.verbose,
            paint: Paint::choose(args.color),
        }
    }

    /// Quiet wins; log lines would tear bars.
    pub(crate) fn progress(&self, typed: ProgressChoice) -> ProgressChoice {
        match typed {
            _ if self.quiet => ProgressChoice::None,
            ProgressChoice::Auto if self.verbose > 0 => ProgressChoice::Plain,
            typed => typed,
        }
    }
}

/// A job to run, alone or as one of a chain ([`crate::chain`]).
#[derive(Clone, Debug)]
pub(crate) struct RunSettings {
    pub(crate) job: JobArgs,
    pub(crate) params: BTreeMap<String, String>,
    /// As typed: what they are called depends on the job.
    pub(crate) inputs: Vec<PathBuf>,
    pub(crate) formats: Formats,
    pub(crate) split_size: Option<ByteSize>,
    pub(crate) reducers: Option<u32>,
    pub(crate) parts: Codec,
    pub(crate) lazy_parts: bool,
    pub(crate) max_attempts: NonZeroU32,
    pub(crate) skip_bad: u32,
    pub(crate) isolate: bool,
    pub(crate) temp_max: Option<ByteSize>,
    pub(crate) backup: bool,
    pub(crate) task_timeout: Duration,
    pub(crate) target: Target,
    pub(crate) place: Place,
    pub(crate) progress: ProgressChoice,
    pub(crate) json: bool,
    /// Whether the job goes on where it was interrupted.
    pub(crate) resume: bool,
    pub(crate) top: Option<NonZeroU32>,
    /// Whether the output is this job's: it is alone, or the last of a chain.
    pub(crate) last: bool,
    /// It is the job before once more (`--times`).
    pub(crate) again: bool,
}

impl Place {
    /// What is known of its workers.
    pub(crate) fn about(&self) -> About {
        match self {
            Self::Here(all) => About {
                memory: Some(all.memory),
                workers: 1,
            },
            Self::Processes { count, each, .. } => About {
                memory: Some(each.memory),
                workers: count.get(),
            },
            Self::Cluster(_) => About::default(),
        }
    }
}

/// Where rows go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Stdout,
    Folder {
        /// As typed, for people.
        typed: PathBuf,
        absolute: PathBuf,
        overwrite: bool,
    },
}

/// Who does the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// This process.
    Here(Resources),
    /// Worker processes of our own.
    Processes {
        count: NonZeroU32,
        each: Resources,
        lease: Option<Duration>,
    },
    /// A cluster.
    Cluster(Address),
}

impl RunSettings {
    /// What `mapfold run` was told.
    pub(crate) fn of_run(args: RunArgs, shown: &Shown) -> Result<Self, Problem> {
        Self::check(args.job, params(args.params)?, args.work, shown)
    }

    /// What a job is, and how it is run.
    pub(crate) fn check(
        job: JobArgs,
        params: BTreeMap<String, String>,
        args: WorkArgs,
        shown: &Shown,
    ) -> Result<Self, Problem> {
        let place = place(&args)?;
        let target = target(&args)?;
        if let (Place::Cluster(address), Target::Stdout) = (&place, &target) {
            needs_output(address)?;
        }
        // What is wrong with them whatever the job.
        inputs::inputs(Known::default(), &args.inputs, &place)?;
        Ok(Self {
            params,
            inputs: args.inputs,
            progress: shown.progress(args.progress),
            job,
            formats: Formats::new(&args.format)?,
            split_size: args.split_size.map(positive).transpose()?,
            reducers: args.reducers,
            parts: codec(args.compress),
            lazy_parts: args.no_empty_parts,
            max_attempts: args.max_attempts,
            skip_bad: args.skip_bad.unwrap_or(0),
            isolate: args.isolate,
            temp_max: args.temp_max,
            backup: !args.no_backup,
            task_timeout: args.task_timeout,
            target,
            place,
            json: args.json,
            resume: args.resume,
            top: args.top,
            last: true,
            again: false,
        })
    }
}

fn place(args: &WorkArgs) -> Result<Place, Problem> {
    if let Some(master) = &args.master {
        return Ok(Place::Cluster(master_address(master, args.insecure)?));
    }
    let workers = args.workers.unwrap_or(NonZeroU32::MIN);
    let each = Resources::new(args.slots, args.memory, workers).check(workers)?;
    Ok(match args.workers {
        Some(count) => Place::Processes {
            count,
            each,
            lease: args.lease,
        },
        None => Place::Here(each),
    })
}

/// The address of a master, if it may be talked to.
pub(crate) fn master_address(typed: &str, insecure: bool) -> Result<Address, Problem> {
    let address = address(typed)?;
    check_reach(&address, insecure)?;
    Ok(address)
}

pub(crate) fn address(typed: &str) -> Result<Address, Problem> {
    typed
        .parse()
        .map_err(|error: mapfold_protocol::AddressError| {
            Problem::new(Exit::Usage, error.to_string())
        })
}

/// Without an output folder the rows pass through a temporary one, which only this machine has.
fn needs_output(address: &Address) -> Result<(), Problem> {
    if address.is_loopback().unwrap_or(false) {
        return Ok(());
    }
    Err(Problem::new(
        Exit::Usage,
        "a cluster of several machines needs an output folder",
    )
    .hint("add -o DIR with a folder that all its machines share, then `mapfold cat DIR`"))
}

fn target(args: &WorkArgs) -> Result<Target, Problem> {
    let Some(typed) = &args.output else {
        return Ok(Target::Stdout);
    };
    let absolute = absolute(typed)?;
    let exists = absolute.symlink_metadata();
    if exists.is_ok() && !args.overwrite {
        return Err(Problem::new(
            Exit::Output,
            format!("the output {} exists already", typed.display()),
        )
        .hint("add --overwrite to replace it once the job has succeeded, or name another folder"));
    }
    if absolute.file_name().is_none() {
        return Err(Problem::new(
            Exit::Usage,
            format!("`{}` names no folder to make", typed.display()),
        ));
    }
    Ok(Target::Folder {
        typed: typed.clone(),
        absolute,
        overwrite: args.overwrite,
    })
}

pub(crate) fn codec(typed: Option<CompressChoice>) -> Codec {
    match typed {
        None => Codec::Plain,
        Some(CompressChoice::Zstd) => Codec::Zstd,
        Some(CompressChoice::Gz) => Codec::Gzip,
        Some(CompressChoice::Lz4) => Codec::Lz4,
        Some(CompressChoice::Bz2) => Codec::Bzip2,
        Some(CompressChoice::Deflate) => Codec::Deflate,
    }
}

/// The number of reduce tasks, as it was typed, of a job that has some or none.
pub(crate) fn reducers(typed: Option<u32>, info: &JobInfo) -> Result<Option<u32>, Problem> {
    let job = plain(&info.name);
    match (info.map_only, typed) {
        (true, None | Some(0)) => Ok(Some(0)),
        (true, Some(_)) => Err(Problem::new(
            Exit::Usage,
            format!("job `{job}` has no reduce tasks: each map task leaves a part file"),
        )
        .hint("leave --reducers out; --split-size says how many map tasks there are")),
        (false, Some(0)) => Err(Problem::new(
            Exit::Usage,
            format!("job `{job}` has reduce tasks, so there must be at least 1"),
        )),
        (false, typed) => Ok(typed),
    }
}

/// Each given once.
pub(crate) fn params(typed: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Problem> {
    let mut params = BTreeMap::new();
    for (name, value) in typed {
        if let Some(first) = params.insert(name.clone(), value.clone()) {
            let what = format!("parameter `{name}` is given twice: `{first}` and `{value}`");
            return Err(Problem::new(Exit::Usage, what));
        }
    }
    Ok(params)
}

/// As it was typed, and where it is.
pub(crate) fn input_name(typed: &Path) -> Result<InputName, Problem> {
    inputs::named(typed, 0, None)
}

/// Absolute, without a trailing slash; links and wildcards stay as they are.
pub(crate) fn absolute(typed: &Path) -> Result<PathBuf, Problem> {
    match std::path::absolute(typed) {
        Ok(absolute) => Ok(absolute.components().collect()),
        Err(error) => Err(
            Problem::new(Exit::Usage, format!("`{}` is no path", typed.display())).because(&error),
        ),
    }
}

pub(crate) fn positive(size: ByteSize) -> Result<ByteSize, Problem> {
    match size.bytes() {
        0 => Err(Problem::new(
            Exit::Usage,
            "--split-size must be more than 0",
        )),
        _ => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn settings(line: &str) -> Result<RunSettings, String> {
        let words = ["mapfold", "run"]
            .into_iter()
            .chain(line.split_whitespace());
        let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
        let Command::Run(run) = args.command else {
            panic!("`run` was typed");
        };
        let shown = Shown {
            quiet: false,
            verbose: 0,
            paint: Paint::Plain,
        };
        RunSettings::of_run(*run, &shown).map_err(|problem| problem.render(Paint::Plain))
    }

    #[track_caller]
    fn refuses(line: &str, want: &str) {
        match settings(line) {
            Ok(settings) => panic!("{line} is taken as {settings:?}"),
            Err(said) => assert!(said.contains(want), "{line}: {said}"),
        }
    }

    #[test]
    fn options_are_held_against_each_other() {
        refuses("wordcount x -p a=1 -p a=2", "given twice");
        refuses("wordcount - -", "only once");
        refuses("wordcount x -o /", "exists already");
        refuses("wordcount x -o .. --overwrite", "names no folder");
        refuses("wordcount x --workers 2 --master h", "cannot be used with");
        refuses("wordcount x --overwrite", "--output");
        refuses("wordcount x --json", "--output");
        refuses("wordcount x --compress zstd", "--output");
        refuses("wordcount x -o y --compress xz", "zstd, gz, lz4");
        refuses("wordcount x --split-size 0 -o y", "more than 0");
        refuses("wordcount x --master 10.0.0.1", "--insecure");
        refuses("wordcount x --master 8.8.8.8 --insecure", "private network");
        refuses(
            "wordcount x --master 10.0.0.1 --insecure",
            "needs an output folder",
        );
        refuses(
            "wordcount - -o y --master 10.0.0.1 --insecure",
            "cannot read standard input",
        );
        refuses("wordcount x --workers 0", "from 1 to 256");
        refuses("wordcount x --slots 100000", "from 1 to 1024");
        refuses("wordcount x -r 4294967295", "from 1 to 10000");
        refuses("wordcount x --memory 100K --slots 2", "at least 34.0 MiB");
        refuses("wordcount x -p lowercase", "KEY=VALUE");
    }

    #[test]
    fn paths_become_absolute_and_keep_what_was_typed() {
        let settings = settings("wordcount books/*.txt -o no-such-counts/").unwrap();
        let here = std::env::current_dir().unwrap();
        let name = input_name(&settings.inputs[0]).unwrap();
        assert_eq!(name.typed.as_path(), Path::new("books/*.txt"));
        assert_eq!(name.absolute.as_path(), here.join("books/*.txt"));
        assert_eq!(
            settings.target,
            Target::Folder {
                typed: "no-such-counts/".into(),
                absolute: here.join("no-such-counts"),
                overwrite: false
            }
        );
    }
}
