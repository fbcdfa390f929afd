//! Inputs as they are typed: paths, or `NAME=PATH` for a job that has several.
//!
//! A job with one input takes every word for a path, also one with a `=` in it. A job that has names for its inputs wants one before each path; what
//! follows the first `=` is the path. Its inputs are read in the order in which the job names them, however they are typed: so `reduce` sees
//! the values of the first before those of the second, and the same files give the same bytes.

use std::ffi::OsStr;
use std::io::IsTerminal as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use mapfold_terms::{Format, InputName, RawPath};

use crate::error::Problem;
use crate::exit::Exit;
use crate::nearest::did_you_mean;
use crate::settings::{Place, absolute};

/// One input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Standard input.
    Stdin {
        /// Which of the job's inputs it is.
        input: u32,
        /// How it is cut into records, if not as the others.
        format: Option<Format>,
    },
    Named(InputName),
}

/// The inputs of a job.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known<'a> {
    pub(crate) job: &'a str,
    /// Where it has several.
    pub(crate) names: &'a [String],
    /// Of these, where they have one of their own.
    pub(crate) formats: &'a [Option<Format>],
}

impl Known<'_> {
    fn format(&self, input: u32) -> Option<Format> {
        self.formats.get(input as usize).copied().flatten()
    }
}

impl Input {
    pub(crate) const fn is_stdin(&self) -> bool {
        matches!(self, Self::Stdin { .. })
    }

    const fn input(&self) -> u32 {
        match self {
            Self::Stdin { input, .. } => *input,
            Self::Named(name) => name.input,
        }
    }
}

/// What a job reads, for work that is done at `place`.
pub(crate) fn inputs(
    known: Known<'_>,
    typed: &[PathBuf],
    place: &Place,
) -> Result<Vec<Input>, Problem> {
    let mut inputs = Vec::new();
    for typed in typed {
        let (input, path) = which(known, typed)?;
        let format = known.format(input);
        inputs.push(match path == Path::new("-") {
            true => Input::Stdin { input, format },
            false => Input::Named(named(path, input, format)?),
        });
    }
    all_given(known, inputs.iter().map(Input::input))?;
    inputs.sort_by_key(Input::input);
    check_stdin(&inputs, place)?;
    Ok(inputs)
}

/// The same where standard input is not read.
pub(crate) fn files(known: Known<'_>, typed: &[PathBuf]) -> Result<Vec<InputName>, Problem> {
    let mut inputs = Vec::new();
    for typed in typed {
        let (input, path) = which(known, typed)?;
        inputs.push(named(path, input, known.format(input))?);
    }
    all_given(known, inputs.iter().map(|name| name.input))?;
    inputs.sort_by_key(|name| name.input);
    Ok(inputs)
}

/// Those that are plain paths whatever the job's inputs are called.
pub(crate) fn surely_paths(typed: &[PathBuf]) -> Result<Vec<InputName>, Problem> {
    let may_be_named = |path: &Path| path.as_os_str().as_bytes().contains(&b'=') && !path.exists();
    let paths = typed.iter().map(PathBuf::as_path);
    let paths = paths.filter(|path| *path != Path::new("-") && !may_be_named(path));
    paths.map(|path| named(path, 0, None)).collect()
}

/// A path as it was typed, and where it is.
pub(crate) fn named(
    typed: &Path,
    input: u32,
    format: Option<Format>,
) -> Result<InputName, Problem> {
    Ok(InputName {
        typed: RawPath::from(typed),
        absolute: RawPath::from(absolute(typed)?),
        input,
        format,
    })
}

/// Which input of the job is meant, and the path.
fn which<'t>(known: Known<'_>, typed: &'t Path) -> Result<(u32, &'t Path), Problem> {
    let Known { job, names, .. } = known;
    if names.is_empty() {
        return Ok((0, typed));
    }
    let bytes = typed.as_os_str().as_bytes();
    let shown = typed.display();
    let Some(at) = bytes.iter().position(|byte| *byte == b'=') else {
        let what = format!("`{shown}` does not say which input of job `{job}` it is");
        let choices = names.iter().map(|name| format!("{name}={shown}"));
        let choices = choices.collect::<Vec<_>>().join(" or ");
        return Err(Problem::new(Exit::Usage, what).hint(format!("write {choices}")));
    };
    let path = Path::new(OsStr::from_bytes(&bytes[at + 1..]));
    let found = (0..)
        .zip(names)
        .find(|(_, name)| name.as_bytes() == &bytes[..at]);
    if let Some((input, name)) = found {
        if path.as_os_str().is_empty() {
            let what = format!("input `{name}` of job `{job}` has no path");
            return Err(Problem::new(Exit::Usage, what).hint(format!("write {name}=PATH")));
        }
        return Ok((input, path));
    }
    let name = String::from_utf8_lossy(&bytes[..at]);
    Err(no_such_input(job, names, &name).hint_if_none("inputs are typed as NAME=PATH"))
}

/// There is none of this name; hints at one that is alike.
pub(crate) fn no_such_input(job: &str, names: &[String], name: &str) -> Problem {
    if names.is_empty() {
        let what = format!("job `{job}` has no input `{name}`: it has no names for its inputs");
        return Problem::new(Exit::Usage, what);
    }
    let what = format!(
        "job `{job}` has no input `{name}`; it has {}",
        names.join(", ")
    );
    let problem = Problem::new(Exit::Usage, what);
    match did_you_mean(name, names.iter().map(String::as_str)) {
        Some(question) => problem.hint(question),
        None => problem,
    }
}

fn all_given(known: Known<'_>, given: impl Iterator<Item = u32>) -> Result<(), Problem> {
    let Known { job, names, .. } = known;
    let given: Vec<u32> = given.collect();
    let missing = (0..).zip(names).find(|(input, _)| !given.contains(input));
    let Some((_, name)) = missing else {
        return Ok(());
    };
    let what = format!("job `{job}` needs the input `{name}`");
    Err(Problem::new(Exit::Usage, what).hint(format!(
        "add {name}=PATH; where there is none, an empty folder will do"
    )))
}

fn check_stdin(inputs: &[Input], place: &Place) -> Result<(), Problem> {
    match inputs.iter().filter(|input| input.is_stdin()).count() {
        0 => return Ok(()),
        1 if std::io::stdin().is_terminal() => {
            return Err(Problem::new(Exit::Usage, "standard input is a terminal")
                .hint("pipe something in, or name files"));
        }
        1 => {}
        _ => {
            return Err(Problem::new(
                Exit::Usage,
                "standard input (`-`) can be read only once",
            ));
        }
    }
    match place {
        Place::Cluster(address) if !address.is_loopback().unwrap_or(false) => Err(Problem::new(
            Exit::Usage,
            "a cluster of several machines cannot read standard input",
        )
        .hint("write it to a file in a folder that all its machines share")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paint::Paint;

    fn typed(words: &str) -> Vec<PathBuf> {
        words.split_whitespace().map(PathBuf::from).collect()
    }

    fn of_join(words: &str) -> Result<Vec<InputName>, Problem> {
        let names = ["users", "orders"].map(str::to_owned);
        let known = Known {
            job: "join",
            names: &names,
            formats: &[None, Some(Format::CSV)],
        };
        files(known, &typed(words))
    }

    #[track_caller]
    fn check(words: &str, want: &[(u32, &str)]) {
        let files = of_join(words);
        let files = files.unwrap_or_else(|problem| panic!("{}", problem.render(Paint::Plain)));
        let format = |name: &InputName| (name.input == 1).then_some(Format::CSV);
        assert!(files.iter().all(|name| name.format == format(name)));
        let got: Vec<_> = files
            .iter()
            .map(|name| (name.input, name.typed.as_path().to_str().unwrap()))
            .collect();
        assert_eq!(got, want, "{words}");
    }

    #[track_caller]
    fn refuses(words: &str, want: &str) {
        let refused = of_join(words).unwrap_err();
        let said = refused.render(Paint::Plain);
        assert!(said.contains(want), "{words}: {said}");
    }

    #[test]
    fn inputs_come_in_the_order_of_the_jobs_names() {
        check("users=a orders=b", &[(0, "a"), (1, "b")]);
        check(
            "orders=c=d.csv users=a orders=b/",
            &[(0, "a"), (1, "c=d.csv"), (1, "b/")],
        );
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        refuses("a orders=b", "write users=a or orders=a");
        refuses("user=a orders=b", "did you mean `users`?");
        refuses(
            "people=a orders=b",
            "no input `people`; it has users, orders",
        );
        refuses("users=a", "job `join` needs the input `orders`");
        refuses("users= orders=b", "input `users` of job `join` has no path");
    }

    #[test]
    fn a_job_with_one_input_takes_paths_as_they_are() {
        let inputs = files(Known::default(), &typed("a=b -")).unwrap();
        let typed: Vec<_> = inputs.iter().map(|name| name.typed.as_path()).collect();
        assert_eq!(typed, [Path::new("a=b"), Path::new("-")]);
    }
}
