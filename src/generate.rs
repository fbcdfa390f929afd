//! `mapfold gen`: a folder of synthetic input.
//!
//! Files are made by a thread for each CPU, in a hidden folder beside the one that was asked for, which gets
//! its name at the end and never takes the place of another.

use std::fs::{self, File};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mapfold_data::generate::{DataSet, Kind};
use mapfold_terms::ByteSize;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tokio::task::spawn_blocking;

use crate::args::{GenArgs, GenKind};
use crate::count::counted;
use crate::duration::show;
use crate::error::Problem;
use crate::exit::Exit;
use crate::meter::{per_second, show_rate};
use crate::runtime::block_on;
use crate::settings::Shown;
use crate::signals::Signals;
use crate::stderr::say;

pub(crate) fn generate(args: &GenArgs, shown: &Shown) -> Result<Exit, Problem> {
    if args.size == ByteSize(0) {
        return Err(Problem::new(Exit::Usage, "--size must be more than 0"));
    }
    let start = Instant::now();
    let folder = HiddenFolder::make(&args.output)?;
    let made = block_on(make_unless_stopped(args, folder))?;
    if !shown.quiet {
        let word = shown.paint.good(&format!("{:>10}", "Finished"));
        say(&format!("{word} {}\n", told(&made, args, start.elapsed())));
    }
    Ok(Exit::Done)
}

/// `in 1.20 s   1.00 GiB in 16 files at 853 MiB/s, seed 1   words`.
fn told(made: &Made, args: &GenArgs, time: Duration) -> String {
    format!(
        "in {}   {} in {} at {}, seed {}   {}",
        show(time),
        made.bytes,
        counted(made.files, "file"),
        show_rate(per_second(made.bytes.bytes(), time)),
        args.seed,
        args.output.display(),
    )
}

/// What a folder holds.
#[derive(Clone, Copy, Debug)]
struct Made {
    files: u64,
    bytes: ByteSize,
}

/// Fills the folder and gives it its name; a signal ends that, and nothing is left.
async fn make_unless_stopped(args: &GenArgs, folder: HiddenFolder) -> Result<Made, Problem> {
    let (kind, size, seed) = (args.kind.into(), args.size, args.seed);
    let mut signals = Signals::catch()?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let mut work = spawn_blocking(move || {
        let made = fill(&folder.path, &DataSet::new(kind, size, seed), &stopped)?;
        if !stopped.load(Ordering::Relaxed) {
            folder.publish()?;
        }
        Ok(made)
    });
    let made = tokio::select! {
        made = &mut work => made,
        caught = signals.next() => {
            stop.store(true, Ordering::Relaxed);
            let _ = work.await;
            return Err(Problem::silent(caught.exit()));
        }
    };
    made.unwrap_or_else(|error| panic::resume_unwind(error.into_panic()))
}

/// Makes all files, unless it is stopped. Which thread makes which depends on their speed; the bytes do not.
fn fill(folder: &Path, set: &DataSet, stop: &AtomicBool) -> Result<Made, Problem> {
    let (next, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let make_files = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= set.files() || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let path = folder.join(set.file_name(index));
            let made = File::create_new(&path)
                .and_then(|file| set.write_file(index, &mut Stoppable { file, stop }));
            match made {
                Ok(length) => bytes.fetch_add(length, Ordering::Relaxed),
                // By a signal, or by another file that could not be made.
                Err(_) if stop.load(Ordering::Relaxed) => return Ok(()),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    return Err(cannot_make(&path, &error));
                }
            };
        }
    };
    let cpus = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = usize::try_from(set.files()).map_or(cpus.get(), |files| files.min(cpus.get()));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(make_files)).collect();
        threads.into_iter().try_for_each(|thread| {
            let ended = thread.join();
            ended.unwrap_or_else(|panic| panic::resume_unwind(panic))
        })
    })?;
    Ok(Made {
        files: set.files(),
        bytes: ByteSize(bytes.into_inner()),
    })
}

/// A file that can be written until the work is stopped.
struct Stoppable<'a> {
    file: File,
    stop: &'a AtomicBool,
}

impl Write for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("the work was stopped"));
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A folder beside the one that was asked for, removed with all that is in it unless it is published.
struct HiddenFolder {
    path: PathBuf,
    target: PathBuf,
}

impl HiddenFolder {
    fn make(target: &Path) -> Result<Self, Problem> {
        let Some(name) = target.file_name() else {
            let what = format!("`{}` names no folder to make", target.display());
            return Err(Problem::new(Exit::Usage, what));
        };
        if target.symlink_metadata().is_ok() {
            return Err(exists(target));
        }
        let unique = getrandom::u32().map_err(|error| {
            Problem::new(Exit::Internal, "the system gives no random numbers").because(&error)
        })?;
        let hidden = format!(".{}.{unique:08x}", name.display());
        let path = target.with_file_name(hidden);
        fs::create_dir(&path).map_err(|error| {
            let problem = cannot_make(target, &error);
            match target.parent() {
                Some(parent) if error.kind() == io::ErrorKind::NotFound => {
                    problem.hint(format!("make it first: mkdir -p {}", parent.display()))
                }
                _ => problem,
            }
        })?;
        Ok(Self {
            path,
            target: target.to_owned(),
        })
    }

    /// Gives it its name, unless there is something of that name by now.
    fn publish(self) -> Result<(), Problem> {
        let renamed =
            match renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::NOREPLACE) {
                // Some file systems (NFS) lack the flag. Looking first leaves a gap in which only an empty
                // folder can be replaced: rename(2) refuses any other.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                    match self.target.symlink_metadata() {
                        Ok(_) => return Err(exists(&self.target)),
                        Err(_) => fs::rename(&self.path, &self.target),
                    }
                }
                Err(Errno::EXIST) => return Err(exists(&self.target)),
                done => done.map_err(io::Error::from),
            };
        renamed.map_err(|error| cannot_make(&self.target, &error))
    }
}

impl Drop for HiddenFolder {
    fn drop(&mut self) {
        // There is none of this name once it is published.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn exists(target: &Path) -> Problem {
    let what = format!("the output {} exists already", target.display());
    Problem::new(Exit::Output, what).hint("name another folder, or remove it first")
}

fn cannot_make(path: &Path, error: &io::Error) -> Problem {
    let what = format!("cannot make {}", path.display());
    Problem::new(Exit::for_writing(error), what).because(error)
}

impl From<GenKind> for Kind {
    fn from(kind: GenKind) -> Self {
        match kind {
            GenKind::Text => Self::Text,
            GenKind::Zipf => Self::Zipf,
            GenKind::Tera => Self::Tera,
            GenKind::Logs => Self::Logs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_appears_when_it_is_published_or_not_at_all() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("words");
        let entries = || fs::read_dir(root.path()).unwrap().count();

        drop(HiddenFolder::make(&target).unwrap());
        assert_eq!(entries(), 0);

        let first = HiddenFolder::make(&target).unwrap();
        let second = HiddenFolder::make(&target).unwrap();
        assert!(!target.exists());
        first.publish().unwrap();
        assert!(target.exists());
        assert_eq!(second.publish().unwrap_err().exit(), Exit::Output);
        assert!(HiddenFolder::make(&target).is_err());
        assert_eq!(entries(), 1);
    }

    #[test]
    fn work_that_is_stopped_ends_without_an_error_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        let set = DataSet::new(Kind::Tera, ByteSize::gib(1), 1);
        let made = fill(root.path(), &set, &AtomicBool::new(true)).unwrap();
        assert_eq!(made.bytes, ByteSize(0));
    }
}
