//! Where programs are found, looked up before one is started: the guard of a program ends as programs may, so its end would not tell.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _};
use std::iter;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Why a program cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProgram {
    /// It is not there.
    #[error("there is no such program")]
    Missing,
    /// There is only a file that may not be run.
    #[error("it is not executable")]
    NotExecutable(PathBuf),
    /// It is a script, and what shall run it is not there.
    #[error("its first line asks for `{}`, which is not there{}", interpreter.escape_default(), of_crlf(interpreter))]
    NoInterpreter {
        /// The script.
        script: PathBuf,
        /// As its first line has it.
        interpreter: String,
    },
}

/// Bytes of a script's first line that the system looks at.
const FIRST_LINE_BYTES: u64 = 256;

/// Looks for a program in the folder that it is started in, then, if its name has no slash, in those of `search`, which is like `PATH`.
///
/// # Errors
/// It is not found, or is a script that nothing can run.
pub fn find(program: &OsStr, folder: &Path, search: Option<&OsStr>) -> Result<PathBuf, NoProgram> {
    let path = find_file(program, folder, search)?;
    match interpreter(&path) {
        Some(interpreter) if !is_there(&interpreter, folder, search) => {
            Err(NoProgram::NoInterpreter {
                script: path,
                interpreter: interpreter.said().to_owned(),
            })
        }
        _ => Ok(path),
    }
}

fn find_file(program: &OsStr, folder: &Path, search: Option<&OsStr>) -> Result<PathBuf, NoProgram> {
    let search = search.filter(|_| !program.as_encoded_bytes().contains(&b'/'));
    let folders = search.into_iter().flat_map(env::split_paths);
    let mut why = NoProgram::Missing;
    for folder in iter::once(folder.to_owned()).chain(folders) {
        let path = folder.join(program);
        if can_run(&path) {
            return Ok(path);
        }
        if path.is_file() && why == NoProgram::Missing {
            why = NoProgram::NotExecutable(path);
        }
    }
    Err(why)
}

/// What runs a script.
enum Interpreter {
    /// The system starts it by its path.
    Path(String),
    /// `env` looks for it.
    Named(String),
}

impl Interpreter {
    fn said(&self) -> &str {
        match self {
            Self::Path(said) | Self::Named(said) => said,
        }
    }
}

/// What the first line of a script asks for; none, if that is not to be seen: it is no script, or `env` has options.
fn interpreter(path: &Path) -> Option<Interpreter> {
    let mut first = Vec::new();
    let read = |file: File| file.take(FIRST_LINE_BYTES).read_to_end(&mut first);
    File::open(path).and_then(read).ok()?;
    let line = first
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let is_blank = |char| matches!(char, ' ' | '\t');
    let line = str::from_utf8(line).ok()?.trim_matches(is_blank);
    let (program, argument) = line.split_once(is_blank).unwrap_or((line, ""));
    let argument = argument.trim_start_matches(is_blank);
    match Path::new(program).file_name()? == "env" && Path::new(program).is_file() {
        false => Some(Interpreter::Path(program.to_owned())),
        true if argument.is_empty() || argument.starts_with('-') || argument.contains('=') => None,
        true => Some(Interpreter::Named(argument.to_owned())),
    }
}

fn is_there(interpreter: &Interpreter, folder: &Path, search: Option<&OsStr>) -> bool {
    match interpreter {
        Interpreter::Path(path) => folder.join(path).is_file(),
        Interpreter::Named(name) => {
            let is_here = name.contains('/') && folder.join(name).is_file();
            is_here
                || (search.into_iter().flat_map(env::split_paths)).any(|it| it.join(name).is_file())
        }
    }
}

fn of_crlf(interpreter: &str) -> &'static str {
    match interpreter.ends_with('\r') {
        true => ": its lines end in CR LF, not in LF",
        false => "",
    }
}

/// Whether a program that the system does not know is text, which a shell then runs, as after `exec` in C and in Java.
pub(crate) fn is_text(path: &Path) -> io::Result<bool> {
    let mut first = Vec::new();
    File::open(path)?
        .take(FIRST_LINE_BYTES)
        .read_to_end(&mut first)?;
    Ok(!first.contains(&0))
}

/// Whether it is a program that we may run.
pub(crate) fn can_run(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn programs_are_in_the_folder_or_on_the_path() {
        let top = tempfile::tempdir().unwrap();
        let (here, bin) = (top.path().join("here"), top.path().join("bin"));
        for (folder, name, mode) in [
            (&here, "map", 0o755),
            (&here, "sum", 0o644),
            (&bin, "sum", 0o755),
            (&bin, "text", 0o644),
        ] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(name), "").unwrap();
            fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
        }
        let find = |name: &str| find(name.as_ref(), &here, Some(bin.as_os_str()));
        assert_eq!(find("map"), Ok(here.join("map")));
        assert_eq!(find("./map"), Ok(here.join("./map")));
        assert_eq!(find("sum"), Ok(bin.join("sum")));
        assert_eq!(
            find("./sum"),
            Err(NoProgram::NotExecutable(here.join("./sum")))
        );
        assert_eq!(
            find("text"),
            Err(NoProgram::NotExecutable(bin.join("text")))
        );
        assert_eq!(find("../bin"), Err(NoProgram::Missing));
        assert_eq!(find(""), Err(NoProgram::Missing));
    }

    #[test]
    fn a_script_needs_what_its_first_line_asks_for() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("script");
        let check = |first: &str, want: Option<&str>| {
            fs::write(&path, first).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
            let found = find(
                "script".as_ref(),
                top.path(),
                Some("/bin:/usr/bin".as_ref()),
            );
            let why = found.map_err(|error| error.to_string()).err();
            assert_eq!(why.as_deref(), want, "{first:?}");
        };
        check("echo\n", None);
        check("", None);
        check("#!/bin/sh\n", None);
        check("#! /bin/sh -e\r\n", None);
        check("#!/usr/bin/env sh\n", None);
        check("#!/usr/bin/env -S no-such x\n", None);
        check("#!/usr/bin/env A=b no-such\n", None);
        check(
            "#!/bin/sh\r\n",
            Some(
                r"its first line asks for `/bin/sh\r`, which is not there: its lines end in CR LF, not in LF",
            ),
        );
        check(
            "#!/usr/bin/env sh\r\n",
            Some(
                r"its first line asks for `sh\r`, which is not there: its lines end in CR LF, not in LF",
            ),
        );
        check(
            "#!/no/such/python",
            Some("its first line asks for `/no/such/python`, which is not there"),
        );
        check(
            "#!/usr/bin/env no-such",
            Some("its first line asks for `no-such`, which is not there"),
        );
    }
}
