//! `mapfold stream`: any programs as map and reduce, in the protocol of Hadoop Streaming.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::sync::Arc;

use mapfold_job::{Catalog, Job as _};
use mapfold_streaming::{
    Conf, Fed, PartitionBy, Printed, Reducer, Shipped, Streaming, StreamingMap, argv, guard,
    search::{self, NoProgram},
};

use crate::args::{JobArgs, StreamArgs};
use crate::error::Problem;
use crate::exit::Exit;
use crate::progress::Progress;
use crate::settings::{Place, RunSettings, Shown, Target};
use crate::{hadoop, job_log, run, stderr};

/// Runs the job.
pub(crate) fn stream(
    args: StreamArgs,
    catalog: &Arc<dyn Catalog>,
    shown: &Shown,
) -> Result<Exit, Problem> {
    if args.work.skip_bad.is_some() {
        let what = "--skip-bad is for jobs whose code is called for each record";
        return Err(Problem::new(Exit::Usage, what)
            .hint("a program is fed all records of a split, and passes over bad ones itself"));
    }
    let conf = conf(&args)?;
    let map_only = args.reducer.as_deref() == Some("NONE") || args.work.reducers == Some(0);
    // What is wrong with it is told in the words of this command.
    let checked = match map_only {
        true => StreamingMap::of(&conf).map(drop),
        false => Streaming::of(&conf).map(drop),
    };
    checked.map_err(|error| Problem::new(Exit::Usage, error.to_string()))?;
    let params = conf.to_params().map_err(|error| {
        Problem::new(Exit::Internal, "cannot write down the job").because(&error)
    })?;
    if let Some(log) = &args.job_log {
        if !map_only {
            return Err(
                Problem::new(Exit::Usage, "--job-log is for jobs without reduce tasks")
                    .hint("add --reducer NONE"),
            );
        }
        job_log::check(log, args.work.overwrite)?;
    }
    let job = JobArgs {
        named: match map_only {
            true => StreamingMap::NAME.to_owned(),
            false => Streaming::NAME.to_owned(),
        },
        of_plugin: None,
    };
    let shipped: Vec<String> = conf.files.iter().map(|it| it.name.clone()).collect();
    let settings = RunSettings::check(job, params, args.work, shown)?;
    if conf.archives.iter().any(|it| !it.is_archive()) {
        let progress = Progress::new(settings.progress, shown.paint, settings.place.about());
        for file in conf.archives.iter().filter(|it| !it.is_archive()) {
            progress.warn("archive", &not_unpacked(file));
        }
    }
    let programs = [&args.mapper, &args.combiner, &args.reducer];
    let programs = programs.into_iter().flatten().filter(|it| !is_word(it));
    if !matches!(settings.place, Place::Cluster(_)) {
        for command in programs.clone() {
            can_be_started(command, &shipped)?;
        }
    }
    let target = settings.target.clone();
    let ran = run::run(&[settings], catalog, shown);
    let exit = ran.map_err(|problem| match problem.exit() {
        Exit::JobFailed => programs
            .filter_map(|command| shell_hint(command))
            .fold(problem, |problem, hint| problem.also(&hint)),
        _ => problem,
    })?;
    match (&args.job_log, target) {
        (Some(log), Target::Folder { absolute, .. }) if exit == Exit::Done => {
            job_log::write(log, &absolute)
        }
        _ => Ok(exit),
    }
}

/// Of a file that was given as an archive.
pub(crate) fn not_unpacked(file: &Shipped) -> String {
    format!(
        "{} is no archive by its name (.zip, .jar, .tar, .tar.gz, .tgz), so it is linked as it is",
        file.path.display()
    )
}

/// What stands for a reducer that is no program.
fn is_word(command: &str) -> bool {
    matches!(command, "NONE" | "aggregate")
}

/// Refuses a program that no attempt could start. On a cluster its machines may have what this one has not.
fn can_be_started(command: &str, shipped: &[String]) -> Result<(), Problem> {
    let argv = argv::split(command);
    let Some(name) = argv.first() else {
        return Ok(());
    };
    let plain = name.strip_prefix("./").unwrap_or(name);
    if shipped.iter().any(|it| it == plain) {
        return Ok(());
    }
    let search = std::env::var_os("PATH");
    let here = Path::new("");
    let Err(why) = search::find(name.as_ref(), here, search.as_deref()) else {
        return Ok(());
    };
    let what = format!("the program `{name}` cannot be started");
    let problem = Problem::new(Exit::Usage, what);
    Err(match why {
        NoProgram::NotExecutable(ref path) => problem
            .because(&why)
            .hint(format!("chmod +x {}", path.display())),
        NoProgram::NoInterpreter {
            ref script,
            ref interpreter,
        } => match interpreter.ends_with('\r') {
            true => problem
                .because(&why)
                .hint(format!("sed -i 's/\\r$//' {}", script.display())),
            false => problem.because(&why),
        },
        NoProgram::Missing if name.contains('/') => problem.cause("there is no such file"),
        NoProgram::Missing => problem
            .cause("it is neither in this folder nor on the PATH")
            .hint("a command is a program and its arguments; for what only a shell knows, say sh -c '...'"),
    })
}

/// A program that got what only a shell knows fails in words of its own, which do not tell why.
pub(crate) fn shell_hint(command: &str) -> Option<String> {
    const OF_SHELLS: [&str; 9] = ["|", "||", "&&", "&", ";", "<", ">", ">>", "2>&1"];
    let argv = argv::split(command);
    if let Some(word) = argv.iter().find(|it| OF_SHELLS.contains(&it.as_str())) {
        return Some(format!(
            "`{command}` is run without a shell, so `{word}` is an argument of it; for a shell, say sh -c '...'"
        ));
    }
    let words: Vec<String> = argv.iter().map(|word| format!("`{word}`")).collect();
    argv::has_quotes_within(command).then(|| {
        format!(
            "`{command}` is run as {}: no shell looks at it, and a quote ends an argument",
            words.join(" ")
        )
    })
}

/// Refuses options as Hadoop has them, of one dash: `-output x` would be `-o utput`.
pub(crate) fn refuse_hadoops(typed: &[OsString]) -> Result<(), Problem> {
    let mut typed = typed.iter().filter_map(|it| it.to_str());
    let is_ours = typed.by_ref().skip(1).find(|it| !it.starts_with('-')) == Some("stream");
    let mut options = typed.take_while(|it| *it != "--");
    match options.find(|it| is_ours && hadoop::is_option(it)) {
        Some(option) => Err(Problem::new(Exit::Usage, format!("`{option}` is an option of Hadoop"))
            .hint("`mapfold hadoop streaming` takes those; here it is --mapper, --reducer, --file, -r, -o, and inputs stand by themselves")),
        None => Ok(()),
    }
}

fn conf(args: &StreamArgs) -> Result<Conf, Problem> {
    let folder = std::env::current_dir()
        .map_err(|error| Problem::new(Exit::Usage, "there is no working folder").because(&error))?;
    let defaults = Conf::default();
    let printed = Printed {
        separator: args.separator.clone(),
        keys: args.key_fields.get(),
        ..Printed::default()
    };
    Ok(Conf {
        mapper: Some(args.mapper.clone().unwrap_or_else(|| "cat".to_owned())),
        combiner: args.combiner.clone(),
        reducer: match args.reducer.as_deref() {
            None => Reducer::Identity,
            Some("aggregate") => Reducer::Aggregate,
            Some(command) => Reducer::Command(command.to_owned()),
        },
        map_output: printed.clone(),
        combiner_output: printed,
        reduce_input: Fed {
            separator: args.separator.clone(),
            ..Fed::default()
        },
        partitioner: match &args.partition_by {
            Some(options) => PartitionBy::KeyFields(options.clone()),
            None => PartitionBy::Hash,
        },
        key_separator: args.separator.clone(),
        order: args.sort_by.clone().unwrap_or_default(),
        silence_max: args.work.task_timeout,
        env: args.env.iter().cloned().collect(),
        folder,
        files: ship(&args.files)?,
        archives: ship(&args.archives)?,
        job_log: args
            .job_log
            .is_some()
            .then_some(args.work.max_attempts.get()),
        ..defaults
    })
}

/// Files as typed: `PATH` or `PATH#NAME`.
fn ship(typed: &[String]) -> Result<Vec<Shipped>, Problem> {
    let ship = |typed: &String| {
        let (path, name) = Shipped::cut(typed);
        let cannot = |why: &str| {
            let what = format!("`{path}` cannot go with the job");
            Problem::new(Exit::Usage, what).cause(why)
        };
        let path = std::path::absolute(path)
            .ok()
            .filter(|path| path.exists())
            .ok_or_else(|| cannot("there is no such file"))?;
        Shipped::named(path, name).map_err(|name| match name.contains('/') {
            true => cannot("its name has a slash"),
            false => cannot("it needs a name, which stands behind a `#`"),
        })
    };
    typed.iter().map(ship).collect()
}

/// What a process that starts programs is called with.
const GUARD: &str = "guard";

/// Programs of this process are started by another one of this binary, which ends them if this process dies.
pub(crate) fn start_guards() {
    if let Ok(program) = std::env::current_exe() {
        guard::start_with(program, vec![OsString::from(GUARD)]);
    }
}

/// If these are the arguments of such a process: the one that it watches, and the program. They are read by hand, as there is one for each program, and
/// the parser takes longer than all else that it does.
pub(crate) fn as_guard(typed: &[OsString]) -> Option<(u32, &[OsString])> {
    match typed {
        [_, guard, parent, command @ ..] if guard == GUARD => {
            Some((parent.to_str()?.parse().ok()?, command))
        }
        _ => None,
    }
}

/// Is such a process, and ends as the program did.
pub(crate) fn guard(parent: u32, command: &[OsString]) -> ! {
    let code = match guard::run(parent, command) {
        Ok(status) => status
            .code()
            .or(status.signal().map(|signal| 128 + signal))
            .unwrap_or(1),
        Err(error) => {
            let name = command.first().map(|name| name.to_string_lossy());
            let name = name.unwrap_or_default();
            stderr::say(&format!("cannot start `{name}`: {error}\n"));
            // What shells say when there is no such program.
            127
        }
    };
    std::process::exit(code)
}
