//! The staging folder of a job: where parts wait until the job commits.
//!
//! ```text
//! counts/                        the output, once it is there
//! .counts.mapfold-5be1.../       staging, mode 0700, beside it and so on the same file system
//!     lock                       held with flock by the master that lives
//!     state                      the master's state folder, if it has one: it will come back for the job
//!     <attempt token>-part-00000 what a reduce attempt left (see mapfold_data::part)
//!     output/                    what will be renamed to counts/
//! ```
//! The folder goes with its job, however the job ends. A master that is killed leaves it behind; the
//! next job for the same output removes it, once it holds the lock and so knows that nobody else does.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::files::Files;
use crate::journal;

/// A live staging folder; the lock is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    root: PathBuf,
    _lock: File,
}

/// Why a staging folder could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StagingError {
    /// The system gave no random name.
    #[error("cannot draw a random name")]
    Random(#[source] getrandom::Error),
    /// A call failed.
    #[error("cannot create staging folder {}", path.display())]
    Io {
        /// The folder, or its lock.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Each folder made was swept away before it could be locked.
    #[error("staging folders beside {} disappear as soon as they are made", output.display())]
    Unstable {
        /// The output.
        output: PathBuf,
    },
}

/// A folder can vanish between its creation and its locking only when another master sweeps at that
/// very moment, so a second loss in a row already means that something else is wrong.
const TRIES_MAX: u32 = 3;

/// What precedes and follows the output's name in that of its staging folders.
const PREFIX: &[u8] = b".";
const INFIX: &[u8] = b".mapfold-";

/// Bytes of the output's name that the staging folder repeats, so that it stays below the usual limit
/// of 255 bytes.
const NAME_MAX: usize = 200;

const LOCK: &str = "lock";

/// Names the state folder of a master that comes back for the job.
const MARK: &str = "state";

/// Follows the name of a folder that is being deleted.
const DEAD: &str = ".dead";

impl Staging {
    /// Makes and locks a new folder beside `output`, whose parent must exist.
    pub(crate) fn create(files: &dyn Files, output: &Path) -> Result<Self, StagingError> {
        for _ in 0..TRIES_MAX {
            let nonce = getrandom::u64().map_err(StagingError::Random)?;
            let root = sibling(output, nonce);
            let failed = |path: &Path, source| StagingError::Io {
                path: path.to_owned(),
                source,
            };
            match files.create_private_folder(&root) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed(&root, error)),
            }
            match lock(&root, true) {
                Ok(Lock::Held(lock)) => return Ok(Self { root, _lock: lock }),
                Ok(Lock::Foreign | Lock::Absent) => {}
                Err(error) => {
                    // Empty, or holding only the lock file: nothing is lost if this fails too, as the
                    // next sweep finds it.
                    let _ = files.remove_tree(&root);
                    return Err(failed(&root, error));
                }
            }
        }
        Err(StagingError::Unstable {
            output: output.to_owned(),
        })
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Takes over a folder that a master has left which was killed; `None` if it is gone, or not ours.
    pub(crate) fn reopen(root: &Path) -> Option<Self> {
        match lock(root, false) {
            Ok(Lock::Held(lock)) => Some(Self {
                root: root.to_owned(),
                _lock: lock,
            }),
            Ok(Lock::Foreign | Lock::Absent) | Err(_) => None,
        }
    }

    /// Says that the job will go on when its master, which keeps a journal in `state`, is started again.
    pub(crate) fn mark(&self, files: &dyn Files, state: &Path) -> io::Result<()> {
        files.write_synced(&self.root.join(MARK), state.as_os_str().as_bytes())
    }

    /// Deletes the folder with all that is in it.
    pub(crate) fn remove(self, files: &dyn Files) -> io::Result<()> {
        remove(files, &self.root)
    }
}

/// Deletes the folder of a job that has ended, or what is left of it, for an earlier start that did not come to the end of that.
pub(crate) fn remove_left(files: &dyn Files, root: &Path) -> io::Result<()> {
    match Staging::reopen(root) {
        Some(staging) => staging.remove(files),
        None => files.remove_tree(&doomed(root)),
    }
}

/// What will become the output, in a staging folder.
pub(crate) fn output_in(root: &Path) -> PathBuf {
    root.join("output")
}

/// Deletes what dead masters left beside `output` for it, and returns how many folders that were.
/// Folders that cannot be locked or deleted are left alone: somebody may live in them; so are those of jobs that go on when their
/// master is started again, unless that is the one which keeps its journal in `state`, and they are none of its jobs' (it holds their locks).
pub(crate) fn sweep(files: &dyn Files, output: &Path, state: Option<&Path>) -> usize {
    let (Some(parent), Some(name)) = (output.parent(), output.file_name()) else {
        return 0;
    };
    let prefix = prefix(name);
    let Ok(entries) = fs::read_dir(parent) else {
        return 0;
    };
    let leftovers = entries
        .filter_map(Result::ok)
        .filter(|entry| is_staging(&entry.file_name(), &prefix))
        .map(|entry| entry.path());
    let mut swept = 0;
    for root in leftovers {
        swept += usize::from(!is_kept(&root, state) && remove_dead(files, &root));
    }
    swept
}

/// Whether another master than that of `state` may come back for it.
fn is_kept(root: &Path, state: Option<&Path>) -> bool {
    let Ok(mark) = fs::read(root.join(MARK)) else {
        return false;
    };
    let marked = PathBuf::from(OsString::from_vec(mark));
    state != Some(&marked) && journal::is_state(&marked)
}

/// Deletes a staging folder if it is provably dead, and tells whether it did.
fn remove_dead(files: &dyn Files, root: &Path) -> bool {
    // A master that died between making the folder and its lock left it empty.
    if fs::remove_dir(root).is_ok() {
        return true;
    }
    // One that died while it deleted left the name that says so.
    if root.as_os_str().as_bytes().ends_with(DEAD.as_bytes()) {
        return files.remove_tree(root).is_ok();
    }
    match lock(root, false) {
        Ok(Lock::Held(_lock)) => remove(files, root).is_ok(),
        // The lock is a living folder's first entry and its last: this one was made anew by an attempt
        // that had not heard of the end.
        Ok(Lock::Absent) => remove(files, root).is_ok(),
        Ok(Lock::Foreign) | Err(_) => false,
    }
}

/// What became of an attempt to take the lock of a staging folder.
enum Lock {
    /// We hold it.
    Held(File),
    /// Another process does.
    Foreign,
    /// There is no lock file (any more).
    Absent,
}

/// Takes the name away first, so that an attempt that still writes cannot put files where we delete.
fn remove(files: &dyn Files, root: &Path) -> io::Result<()> {
    let doomed = doomed(root);
    match files.rename(root, &doomed) {
        Ok(()) => files.remove_tree(&doomed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => files.remove_tree(&doomed),
        Err(_) => files.remove_tree(root),
    }
}

/// The name of a staging folder that is being deleted.
fn doomed(root: &Path) -> PathBuf {
    let mut doomed = root.as_os_str().to_owned();
    doomed.push(DEAD);
    PathBuf::from(doomed)
}

fn lock(root: &Path, create: bool) -> io::Result<Lock> {
    let path = root.join(LOCK);
    let file = match File::options().write(true).create_new(create).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Lock::Absent),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Lock::Foreign),
        Err(error) => return Err(error.into()),
    }
    // A sweeper may have deleted the file between our open and our lock.
    Ok(match file.metadata()?.nlink() {
        0 => Lock::Absent,
        _ => Lock::Held(file),
    })
}

fn sibling(output: &Path, nonce: u64) -> PathBuf {
    let mut name = prefix(output.file_name().unwrap_or_default());
    name.extend_from_slice(format!("{nonce:016x}").as_bytes());
    output.with_file_name(OsString::from_vec(name))
}

fn prefix(name: &OsStr) -> Vec<u8> {
    let name = name.as_bytes();
    [PREFIX, &name[..name.len().min(NAME_MAX)], INFIX].concat()
}

fn is_staging(name: &OsStr, prefix: &[u8]) -> bool {
    name.as_bytes()
        .strip_prefix(prefix)
        .and_then(|rest| rest.get(..16))
        .is_some_and(|nonce| nonce.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::SystemFiles;

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect()
    }

    #[test]
    fn what_a_killed_master_has_begun_to_delete_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        for half_done in [false, true] {
            let staging = Staging::create(&SystemFiles, &folder.path().join("out")).unwrap();
            let root = staging.root().to_owned();
            drop(staging);
            if half_done {
                fs::rename(&root, doomed(&root)).unwrap();
            }
            remove_left(&SystemFiles, &root).unwrap();
            assert_eq!(names(folder.path()), Vec::<OsString>::new());
            remove_left(&SystemFiles, &root).unwrap();
        }
        let living = Staging::create(&SystemFiles, &folder.path().join("out")).unwrap();
        remove_left(&SystemFiles, living.root()).unwrap();
        assert_eq!(names(folder.path()).len(), 1);
    }

    #[test]
    fn a_live_folder_survives_a_sweep_and_a_dead_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("counts");
        let staging = Staging::create(&SystemFiles, &output).unwrap();
        fs::create_dir(staging.root().join("1-1")).unwrap();
        assert_eq!(sweep(&SystemFiles, &output, None), 0);
        assert!(staging.root().is_dir());
        // Dropping it releases the lock, as the death of a master does.
        drop(staging);
        assert_eq!(sweep(&SystemFiles, &folder.path().join("other"), None), 0);
        assert_eq!(sweep(&SystemFiles, &output, None), 1);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_sweep_leaves_other_names_alone() {
        let folder = tempfile::tempdir().unwrap();
        let kept = [
            ".counts.mapfold-short",
            ".counts.mapfold-zzzzzzzzzzzzzzzz",
            "counts",
        ];
        for name in kept {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::create_dir(folder.path().join(".counts.mapfold-0123456789abcdef")).unwrap();
        assert_eq!(sweep(&SystemFiles, &folder.path().join("counts"), None), 1);
        assert_eq!(names(folder.path()).len(), kept.len());
    }

    #[test]
    fn a_folder_that_a_late_attempt_made_anew_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("counts");
        let staging = Staging::create(&SystemFiles, &output).unwrap();
        let late = staging.root().join("1-1");
        staging.remove(&SystemFiles).unwrap();
        fs::create_dir_all(late).unwrap();
        assert_eq!(sweep(&SystemFiles, &output, None), 1);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn only_the_owner_may_enter() {
        let folder = tempfile::tempdir().unwrap();
        let staging = Staging::create(&SystemFiles, &folder.path().join("out")).unwrap();
        assert_eq!(fs::metadata(staging.root()).unwrap().mode() & 0o777, 0o700);
        staging.remove(&SystemFiles).unwrap();
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn the_longest_output_name_still_has_a_staging_folder() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("x".repeat(255));
        let staging = Staging::create(&SystemFiles, &output).unwrap();
        drop(staging);
        assert_eq!(sweep(&SystemFiles, &output, None), 1);
    }
}
