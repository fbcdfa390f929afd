//! A process between a worker and a program, which ends the program when the worker dies.
//!
//! A worker that is killed can clean up nothing, and a program that computes does not notice that its pipes are broken. So each program is
//! started by a guard, which is in its process group, waits for whichever ends first, and kills the group if that is the worker. Pipes are
//! inherited: no byte goes through it. Costs about a millisecond and a sleeping process for each program.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::OnceLock;

use crate::search;

/// The guard's program, and the arguments that come before those of [`run`].
static GUARD: OnceLock<(PathBuf, Vec<OsString>)> = OnceLock::new();

/// From now on programs of this process are started by `program ARGS... PID COMMAND...`, which calls [`run`]. Until then, and in processes that
/// do not say so, they are started directly. The first call counts.
pub fn start_with(program: PathBuf, args: Vec<OsString>) {
    let _ = GUARD.set((program, args));
}

/// The command for `program`, by way of the guard if there is one.
pub(crate) fn command(program: &OsString) -> Command {
    match GUARD.get() {
        None => Command::new(program),
        Some((guard, args)) => {
            let mut command = Command::new(guard);
            command.args(args).arg(std::process::id().to_string());
            command.arg(program);
            command
        }
    }
}

/// Runs `argv` until it has ended, or until the process `parent` has: then this process is killed, with all of its group.
///
/// # Errors
/// It cannot be started.
pub fn run(parent: u32, argv: &[OsString]) -> io::Result<ExitStatus> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "there is no command",
        ));
    };
    let mut child = start(program, arguments)?;
    watch(parent, &mut child)
}

/// A script that does not say what runs it is one of the shell.
fn start(program: &OsString, arguments: &[OsString]) -> io::Result<Child> {
    let started = Command::new(in_folder(program)).args(arguments).spawn();
    let error = match started {
        Err(error) if is_unknown(&error) => error,
        started => return started,
    };
    let search = env::var_os("PATH");
    match search::find(program, Path::new("."), search.as_deref()) {
        Ok(path) if search::is_text(&path)? => {
            Command::new(SHELL).arg(&path).args(arguments).spawn()
        }
        _ => Err(error),
    }
}

/// A program in the working folder is meant before one of the same name elsewhere.
fn in_folder(program: &OsString) -> PathBuf {
    let path = Path::new(program);
    let here = Path::new(".").join(path);
    match path.is_relative() && search::can_run(&here) {
        true => here,
        false => path.to_owned(),
    }
}

const SHELL: &str = "/bin/sh";

/// Whether the system does not see what kind of program it is.
fn is_unknown(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::NOEXEC)
}

#[cfg(target_os = "linux")]
fn watch(parent: u32, child: &mut Child) -> io::Result<ExitStatus> {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::process::{
        Pid, PidfdFlags, Signal, getppid, kill_current_process_group, pidfd_open,
    };

    let pid = |id: u32| i32::try_from(id).ok().and_then(Pid::from_raw);
    let open = |id: u32| {
        let pid = pid(id).ok_or(io::ErrorKind::InvalidInput)?;
        Ok::<_, io::Error>(pidfd_open(pid, PidfdFlags::empty())?)
    };
    let above = open(parent);
    // It may have died before it could be watched.
    if above.is_err() || getppid() != pid(parent) {
        kill_current_process_group(Signal::KILL)?;
    }
    let (above, below) = (above?, open(child.id())?);
    loop {
        let mut fds = [
            PollFd::new(&above, PollFlags::IN),
            PollFd::new(&below, PollFlags::IN),
        ];
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [above, below] = fds.map(|fd| !fd.revents().is_empty());
        if below {
            return child.wait();
        }
        if above {
            kill_current_process_group(Signal::KILL)?;
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn watch(_: u32, child: &mut Child) -> io::Result<ExitStatus> {
    child.wait()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by another process: one that other tests start at the same time would hold the file open.
    fn write(script: &Path, text: &str) {
        let write = "printf \"$1\" > \"$0\" && chmod +x \"$0\"";
        let mut shell = Command::new(SHELL);
        let shell = shell.args(["-c", write]).arg(script).arg(text);
        assert!(shell.status().unwrap().success());
    }

    #[test]
    fn a_script_without_a_first_line_of_its_own_is_run_by_the_shell() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        write(&script, r"exit $1\n");
        let status = start(&script.clone().into(), &["7".into()]).unwrap().wait();
        assert_eq!(status.unwrap().code(), Some(7));
        write(&script, r"\0asm\n");
        assert!(is_unknown(&start(&script.clone().into(), &[]).unwrap_err()));
    }
}
