//! The commit: a staged folder becomes the output by one rename.
//!
//! A reader sees all of an output or none of it: `renameat2` with NOREPLACE cannot hit a folder that appeared in
//! the meantime, and with EXCHANGE there is no moment without an output. Only an empty folder or a finished
//! output (one with a manifest) is ever exchanged, so that `--overwrite` with a slip of the hand does not
//! remove a home folder.

use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, CWD, RenameFlags, accessat, renameat_with};
use rustix::io::Errno;

use crate::manifest::MANIFEST_NAME;
use crate::storage::sync_folder;

/// How often a commit tries again when an output appears or vanishes between its steps.
const TRIES_MAX: u32 = 10;

/// What a commit left to say.
#[derive(Debug)]
pub struct Committed {
    /// The old output was exchanged but could not be removed: where it lies now, and why.
    pub leftover: Option<(PathBuf, io::Error)>,
}

/// Why a folder did not become the output.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The output exists, and was not to be overwritten.
    #[error("output {} already exists", output.display())]
    Exists {
        /// The output.
        output: PathBuf,
    },
    /// The output exists and is not a finished output folder (nor an empty one), so it is not overwritten.
    #[error("{} exists and is not an output folder of a finished job: it is not overwritten", output.display())]
    NotAnOutput {
        /// The output.
        output: PathBuf,
    },
    /// The folder that is to hold the output does not allow it.
    #[error("cannot write into {}", folder.display())]
    NotWritable {
        /// The folder above the output.
        folder: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// Staging and output are on different filesystems, so no rename can move one to the other.
    #[error("{} and {} are on different filesystems", staging.display(), output.display())]
    OtherFilesystem {
        /// The staged folder.
        staging: PathBuf,
        /// The output.
        output: PathBuf,
    },
    /// The filesystem cannot exchange two folders in one step.
    #[error("the filesystem of {} cannot exchange folders: remove the old output first", output.display())]
    NoExchange {
        /// The output.
        output: PathBuf,
    },
    /// Anything else.
    #[error("cannot commit {}", path.display())]
    Io {
        /// What failed.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Tells before a job runs what [`commit`] would refuse after it. Creates nothing.
pub fn check(output: &Path, overwrite: bool) -> Result<(), CommitError> {
    match (find(output)?, overwrite) {
        (Found::Nothing, _) | (Found::Replaceable, true) => {}
        (Found::Replaceable | Found::Foreign, false) => return Err(exists(output)),
        (Found::Foreign, true) => return Err(not_an_output(output)),
    }
    let folder = folder_that_will_hold(output);
    accessat(
        CWD,
        folder,
        Access::WRITE_OK | Access::EXEC_OK,
        rustix::fs::AtFlags::EACCESS,
    )
    .map_err(|errno| CommitError::NotWritable {
        folder: folder.to_owned(),
        source: errno.into(),
    })
}

/// Makes `staging` (a folder, whole, its files fsynced) appear as `output` in one step, durably. What exists
/// there is never replaced; with `overwrite` a finished output folder (or an empty one) is exchanged and then removed.
/// The folder above `output` must exist.
///
/// Without `overwrite` it may be repeated after a crash: [`CommitError::Exists`] then means that somebody was first, and the
/// manifest tells whether that was us. With it, compare the manifests *before* repeating, or the old output comes back.
pub fn commit(staging: &Path, output: &Path, overwrite: bool) -> Result<Committed, CommitError> {
    sync_folder(staging).map_err(|source| io_error(staging, source))?;
    let exchanged = put_in_place(staging, output, overwrite)?;
    for folder in [parent(output), parent(staging)] {
        sync_folder(folder).map_err(|source| io_error(folder, source))?;
    }
    let leftover = if exchanged {
        let removed = std::fs::remove_dir_all(staging);
        removed.err().map(|error| (staging.to_owned(), error))
    } else {
        None
    };
    Ok(Committed { leftover })
}

/// Whether what was there before is now at `staging`.
fn put_in_place(staging: &Path, output: &Path, overwrite: bool) -> Result<bool, CommitError> {
    let refused = |errno| rename_error(errno, staging, output);
    for _ in 0..TRIES_MAX {
        match rename_new(staging, output) {
            Ok(()) => return Ok(false),
            Err(Errno::EXIST | Errno::NOTEMPTY) if overwrite => {}
            Err(errno) => return Err(refused(errno)),
        }
        match find(output)? {
            Found::Foreign => return Err(not_an_output(output)),
            Found::Nothing => continue,
            Found::Replaceable => {}
        }
        match renameat_with(CWD, staging, CWD, output, RenameFlags::EXCHANGE) {
            Ok(()) => return Ok(true),
            // It has just been removed.
            Err(Errno::NOENT) if staging.exists() => {}
            Err(Errno::INVAL | Errno::NOSYS) => {
                return Err(CommitError::NoExchange {
                    output: output.to_owned(),
                });
            }
            Err(errno) => return Err(refused(errno)),
        }
    }
    Err(exists(output))
}

/// Renames a folder to a name that nothing has.
fn rename_new(staging: &Path, output: &Path) -> rustix::io::Result<()> {
    match renameat_with(CWD, staging, CWD, output, RenameFlags::NOREPLACE) {
        // Some network filesystems do not know the flag. A plain rename of a folder replaces nothing but an empty
        // folder, so what is left is the moment between the look and the rename.
        Err(Errno::INVAL | Errno::NOSYS) if output.symlink_metadata().is_err() => {
            rustix::fs::rename(staging, output)
        }
        Err(Errno::INVAL | Errno::NOSYS) => Err(Errno::EXIST),
        renamed => renamed,
    }
}

/// What stands where the output is to be.
enum Found {
    Nothing,
    /// An empty folder, or a finished output.
    Replaceable,
    /// Anything else.
    Foreign,
}

fn find(output: &Path) -> Result<Found, CommitError> {
    let error = |source| io_error(output, source);
    match output.symlink_metadata() {
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(source) => return Err(error(source)),
        Ok(found) if !found.is_dir() => return Ok(Found::Foreign),
        Ok(_) => {}
    }
    let empty = output.read_dir().map_err(error)?.next().is_none();
    if empty || output.join(MANIFEST_NAME).is_file() {
        Ok(Found::Replaceable)
    } else {
        Ok(Found::Foreign)
    }
}

/// The nearest folder above `output` that exists; those between are made when the job starts.
fn folder_that_will_hold(output: &Path) -> &Path {
    let mut folder = parent(output);
    while folder.symlink_metadata().is_err() && parent(folder) != folder {
        folder = parent(folder);
    }
    folder
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn rename_error(errno: Errno, staging: &Path, output: &Path) -> CommitError {
    match errno {
        Errno::EXIST | Errno::NOTEMPTY => exists(output),
        Errno::XDEV => CommitError::OtherFilesystem {
            staging: staging.to_owned(),
            output: output.to_owned(),
        },
        Errno::ACCESS | Errno::PERM | Errno::ROFS => CommitError::NotWritable {
            folder: parent(output).to_owned(),
            source: errno.into(),
        },
        errno => io_error(output, errno.into()),
    }
}

fn exists(output: &Path) -> CommitError {
    CommitError::Exists {
        output: output.to_owned(),
    }
}

fn not_an_output(output: &Path) -> CommitError {
    CommitError::NotAnOutput {
        output: output.to_owned(),
    }
}

fn io_error(path: &Path, source: io::Error) -> CommitError {
    CommitError::Io {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A folder with a staged output that holds `new`.
    fn staged() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let base = tempfile::tempdir().unwrap();
        let (staging, output) = (base.path().join(".staged"), base.path().join("out"));
        make(&staging, "new");
        (base, staging, output)
    }

    fn make(folder: &Path, part: &str) {
        fs::create_dir(folder).unwrap();
        fs::write(folder.join("part-00000"), part).unwrap();
        fs::write(folder.join(MANIFEST_NAME), "{}").unwrap();
    }

    fn part(folder: &Path) -> String {
        fs::read_to_string(folder.join("part-00000")).unwrap()
    }

    #[test]
    fn a_staged_folder_becomes_the_output() {
        let (_base, staging, output) = staged();
        check(&output, false).unwrap();
        commit(&staging, &output, false).unwrap();
        assert_eq!(part(&output), "new");
        assert!(!staging.exists());
    }

    #[test]
    fn an_output_that_exists_is_left_as_it_is() {
        let (_base, staging, output) = staged();
        make(&output, "old");
        assert!(matches!(
            check(&output, false),
            Err(CommitError::Exists { .. })
        ));
        let refused = commit(&staging, &output, false);
        assert!(matches!(refused, Err(CommitError::Exists { .. })));
        assert_eq!(
            (part(&output), part(&staging)),
            ("old".into(), "new".into())
        );
        fs::remove_dir_all(&output).unwrap();
        fs::create_dir(&output).unwrap();
        let refused = commit(&staging, &output, false);
        assert!(
            matches!(refused, Err(CommitError::Exists { .. })),
            "an empty folder too"
        );
    }

    #[test]
    fn overwriting_exchanges_and_removes_the_old_output() {
        let (base, staging, output) = staged();
        make(&output, "old");
        check(&output, true).unwrap();
        assert!(commit(&staging, &output, true).unwrap().leftover.is_none());
        assert_eq!(part(&output), "new");
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
    }

    #[test]
    fn overwriting_works_without_an_old_output_or_with_an_empty_folder() {
        let (_base, staging, output) = staged();
        commit(&staging, &output, true).unwrap();
        assert_eq!(part(&output), "new");
        let (_base, staging, output) = staged();
        fs::create_dir(&output).unwrap();
        commit(&staging, &output, true).unwrap();
        assert_eq!(part(&output), "new");
    }

    #[test]
    fn what_is_no_output_is_not_overwritten() {
        let (_base, staging, output) = staged();
        fs::create_dir(&output).unwrap();
        fs::write(output.join("thesis.tex"), "years of work").unwrap();
        assert!(matches!(
            check(&output, true),
            Err(CommitError::NotAnOutput { .. })
        ));
        let refused = commit(&staging, &output, true);
        assert!(matches!(refused, Err(CommitError::NotAnOutput { .. })));
        assert!(output.join("thesis.tex").exists());
        fs::remove_dir_all(&output).unwrap();
        fs::write(&output, "a file").unwrap();
        let refused = commit(&staging, &output, true);
        assert!(matches!(refused, Err(CommitError::NotAnOutput { .. })));
    }

    #[test]
    fn of_many_commits_to_one_output_exactly_one_wins() {
        let (base, _, output) = staged();
        let won: Vec<bool> = std::thread::scope(|scope| {
            let commits: Vec<_> = (0..8)
                .map(|n| {
                    let (staging, output) = (base.path().join(format!(".s{n}")), &output);
                    scope.spawn(move || {
                        make(&staging, "new");
                        commit(&staging, output, false).is_ok()
                    })
                })
                .collect();
            commits
                .into_iter()
                .map(|commit| commit.join().unwrap())
                .collect()
        });
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{won:?}");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named_beforehand() {
        let base = tempfile::tempdir().unwrap();
        let closed = base.path().join("closed");
        fs::create_dir(&closed).unwrap();
        fs::set_permissions(&closed, PermissionsExt::from_mode(0o555)).unwrap();
        match check(&closed.join("new/out"), false) {
            Err(CommitError::NotWritable { folder, .. }) => assert_eq!(folder, closed),
            Err(other) => panic!("{other}"),
            Ok(()) => assert!(
                rustix::process::geteuid().is_root(),
                "root may write anywhere"
            ),
        }
    }

    #[test]
    fn a_rename_across_filesystems_says_so() {
        let error = rename_error(Errno::XDEV, Path::new("/a/s"), Path::new("/b/out"));
        assert_eq!(
            error.to_string(),
            "/a/s and /b/out are on different filesystems"
        );
    }
}
