//! A program that is measured.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum as _;
use mapfold_data::manifest::{Manifest, Part};
use mapfold_terms::Format;

use super::rows::Cut;
use super::shell;
use crate::args::BenchArgs;
use crate::error::Problem;
use crate::exit::Exit;

/// A program that is measured.
#[derive(Debug)]
pub(crate) struct Contender {
    /// Unique and short.
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// What could be typed to run it, for people.
    pub(crate) typed: String,
    /// The inputs as words for `sh`.
    inputs: OsString,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// The job on this engine, with these arguments.
    Mapfold(Vec<OsString>),
    /// The job without an engine, with these.
    OneThread(Vec<OsString>),
    /// A line for `sh`.
    Other(String),
}

/// What one run leaves, in a folder of its own.
#[derive(Debug)]
pub(crate) struct Traces {
    pub(crate) folder: PathBuf,
}

impl Contender {
    /// The job, its baseline, and what it is held against.
    pub(crate) fn all(args: &BenchArgs) -> Result<Vec<Self>, Problem> {
        let inputs = shell::join(args.inputs.iter().map(|input| input.as_os_str()));
        let own = [
            ("mapfold", Kind::Mapfold(mapfold_args(args))),
            ("one thread", Kind::OneThread(one_thread_args(args))),
        ];
        let mut all: Vec<Self> = own
            .into_iter()
            .map(|(name, kind)| Self {
                name: name.to_owned(),
                typed: typed(&kind),
                kind,
                inputs: inputs.clone(),
            })
            .collect();
        for line in &args.against {
            if line.trim().is_empty() {
                return Err(Problem::new(Exit::Usage, "--against names no command"));
            }
            let taken: Vec<&str> = all.iter().map(|other| other.name.as_str()).collect();
            all.push(Self {
                name: unique(program(line), &taken),
                kind: Kind::Other(line.clone()),
                typed: line.clone(),
                inputs: inputs.clone(),
            });
        }
        Ok(all)
    }

    /// The process to start. What it prints goes to files.
    pub(crate) fn command(&self, traces: &Traces) -> io::Result<Command> {
        let mut stdout = Stdio::from(File::create(traces.stdout())?);
        let mut command = match &self.kind {
            Kind::Mapfold(args) | Kind::OneThread(args) => {
                let mut command = Command::new(env::current_exe()?);
                command.args(args).arg("-o").arg(traces.out());
                command
            }
            Kind::Other(line) => {
                if line.contains(OUT) {
                    stdout = Stdio::null();
                }
                let mut command = Command::new("sh");
                command.arg("-c").arg(self.fill_in(line, &traces.out()));
                command
            }
        };
        command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(File::create(traces.stderr())?);
        Ok(command)
    }

    fn fill_in(&self, line: &str, out: &Path) -> OsString {
        let out = shell::quote(out.as_os_str());
        let mut filled = OsString::new();
        // Parts that have no {out} left, so that an input of that name is left alone.
        for (at, part) in line.split(OUT).enumerate() {
            if at > 0 {
                filled.push(&out);
            }
            filled.push(shell::replace(part, IN, &self.inputs));
        }
        filled
    }

    /// The files that hold its rows.
    pub(crate) fn row_files(&self, traces: &Traces) -> io::Result<Vec<PathBuf>> {
        match &self.kind {
            Kind::Other(line) if !line.contains(OUT) => Ok(vec![traces.stdout()]),
            _ => files_of(&traces.out()),
        }
    }

    /// How the rows of the job are cut, by what it left: the rows of a job that writes records of one length back need not be lines.
    pub(crate) fn cut(format: Format, traces: &Traces) -> Cut {
        let Format::Fixed(len) = format else {
            return Cut::Lines;
        };
        let Ok(manifest) = Manifest::read(&traces.out()) else {
            return Cut::Lines;
        };
        let as_long = |part: &Part| {
            let bytes = part.unpacked_bytes.unwrap_or(part.bytes);
            part.rows.checked_mul(len.get().into()) == Some(bytes)
        };
        match manifest.parts.iter().all(as_long) {
            true => Cut::Every(len),
            false => Cut::Lines,
        }
    }
}

/// Stands for the inputs.
const IN: &str = "{in}";
/// Stands for what the program is to make.
const OUT: &str = "{out}";

impl Traces {
    /// An empty folder at `folder`, whatever is there now.
    pub(crate) fn make(folder: PathBuf) -> io::Result<Self> {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::create_dir(&folder)?;
        Ok(Self { folder })
    }

    fn out(&self) -> PathBuf {
        self.folder.join("out")
    }

    pub(crate) fn stdout(&self) -> PathBuf {
        self.folder.join("stdout")
    }

    pub(crate) fn stderr(&self) -> PathBuf {
        self.folder.join("stderr")
    }
}

/// A file, or the files of a folder that are no manifests and the like.
fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.metadata()?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.as_encoded_bytes().first(), Some(b'_' | b'.')) {
            files.extend(files_of(&entry.path())?);
        }
    }
    Ok(files)
}

fn mapfold_args(args: &BenchArgs) -> Vec<OsString> {
    let mut words = job_args("run", args);
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            words.extend([OsString::from(name), OsString::from(value)]);
        }
    };
    option("--reducers", args.reducers.map(|n| n.to_string()));
    option(
        "--split-size",
        args.split_size.map(|size| size.bytes().to_string()),
    );
    option("--slots", args.slots.map(|n| n.to_string()));
    option("--memory", args.memory.map(|size| size.bytes().to_string()));
    option("--workers", args.workers.map(|n| n.to_string()));
    option("--master", args.master.clone());
    for (name, given) in [
        ("--no-backup", args.no_backup),
        ("--insecure", args.insecure),
    ] {
        words.extend(given.then(|| OsString::from(name)));
    }
    words.extend(["--json", "--progress", "none"].map(OsString::from));
    words
}

fn one_thread_args(args: &BenchArgs) -> Vec<OsString> {
    job_args("sequential", args)
}

fn job_args(command: &str, args: &BenchArgs) -> Vec<OsString> {
    let mut words = vec![OsString::from(command), OsString::from(&args.job.named)];
    if let Some(job) = &args.job.of_plugin {
        words.extend([OsString::from("--job"), OsString::from(job)]);
    }
    words.extend(args.inputs.iter().map(OsString::from));
    for (name, value) in &args.params {
        words.extend([
            OsString::from("-p"),
            OsString::from(format!("{name}={value}")),
        ]);
    }
    for format in &args.format {
        words.extend([
            OsString::from("--format"),
            OsString::from(format.to_string()),
        ]);
    }
    if let Some(codec) = args.compress.and_then(|choice| choice.to_possible_value()) {
        words.extend(["--compress", codec.get_name()].map(OsString::from));
    }
    words
}

fn typed(kind: &Kind) -> String {
    match kind {
        Kind::Mapfold(args) | Kind::OneThread(args) => {
            let words = args.iter().map(OsString::as_os_str);
            let words = [OsStr::new("mapfold")].into_iter().chain(words);
            let line = shell::join(words.chain(["-o", "OUT"].map(OsStr::new)));
            line.to_string_lossy().into_owned()
        }
        Kind::Other(line) => line.clone(),
    }
}

/// The name of the program that a line runs first, as far as one can see: variables that are set before it are skipped, and what runs
/// a script is called as the script.
fn program(line: &str) -> &str {
    const RUN_SCRIPTS: [&str; 5] = ["python", "python3", "sh", "bash", "perl"];
    let base = |word: &'_ str| -> usize { word.rfind('/').map_or(0, |slash| slash + 1) };
    let mut words = line
        .split_whitespace()
        .skip_while(|word| word.contains('='))
        .map(|word| &word[base(word)..]);
    let first = words.next().unwrap_or(line);
    match words.next() {
        Some(script) if RUN_SCRIPTS.contains(&first) && !script.starts_with('-') => {
            script.split('.').next().unwrap_or(script)
        }
        _ => first,
    }
}

fn unique(name: &str, taken: &[&str]) -> String {
    /// A column of the table.
    const NAME_MAX: usize = 16;
    let short: String = name.chars().take(NAME_MAX).collect();
    if !taken.contains(&short.as_str()) {
        return short;
    }
    (2..)
        .map(|number| format!("{short} {number}"))
        .find(|name| !taken.contains(&name.as_str()))
        .expect("one of so many is free")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_called_by_its_program() {
        for (line, want) in [
            ("mawk '{n[$1]++}' x", "mawk"),
            ("LC_ALL=C /usr/bin/sort x | uniq -c", "sort"),
            ("python3 docs/duckdb_words.py {out} {in}", "duckdb_words"),
            ("python3 -c 'x'", "python3"),
            ("a-program-with-a-very-long-name", "a-program-with-a"),
        ] {
            assert_eq!(unique(program(line), &[]), want);
        }
        assert_eq!(unique("sort", &["sort", "sort 2"]), "sort 3");
    }

    #[test]
    fn placeholders_are_filled_in_once() {
        let contender = Contender {
            name: String::new(),
            kind: Kind::Other(String::new()),
            typed: String::new(),
            inputs: shell::join([OsStr::new("{out}"), OsStr::new("b c")]),
        };
        assert_eq!(
            contender.fill_in("sort {in} > {out}", Path::new("/t/{in}")),
            "sort '{out}' 'b c' > '/t/{in}'"
        );
    }
}
