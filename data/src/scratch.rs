//! Temporary files that cannot be left behind.
//!
//! ```text
//! <base>/mapfold-<uid>/     mode 0700; ours or refused
//!     <pid>-<n>.lock        held with flock for the life of the process
//!     <pid>-<n>/            the process
//!         <attempt>/        one Scratch
//!             run-0  run-1 ...
//! ```
//! Nothing is created before the first file is, so a job that fits in memory touches no disk. What a
//! killed process leaves is removed by the next one that opens the same base: a folder whose lock can be
//! had belongs to nobody. The lock is taken before its folder exists and removed after it, so a folder
//! without a lock is dead too.
//!
//! A process may have a bound on the bytes of all its temporary files ([`ScratchRoot::open_within`]).

use std::error::Error;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mapfold_terms::ByteSize;
use rustix::fs::{FlockOperation, flock};

pub use crate::quota::Charge;
use crate::quota::{OverQuota, Quota};
use crate::storage::is_no_space;

/// How often the folder of the process is tried for again when others remove what was just made.
const HOME_TRIES_MAX: u32 = 100;

/// The temporary files of one process. Cheap to clone; removed with everything in it when the last clone,
/// and the last file made through it, is dropped.
#[derive(Clone, Debug)]
pub struct ScratchRoot(Arc<Root>);

#[derive(Debug)]
struct Root {
    /// `<base>/mapfold-<uid>`.
    user: PathBuf,
    /// Made with the first file.
    home: Mutex<Option<Home>>,
    quota: Quota,
}

/// The folder of this process, and the lock that says that it lives.
#[derive(Debug)]
struct Home {
    folder: PathBuf,
    lock: PathBuf,
    _held: File,
}

/// The temporary files of one attempt. Cheap to clone; its folder goes when the last clone and the
/// last [`ScratchPath`] in it are dropped.
#[derive(Clone, Debug)]
pub struct Scratch(Arc<Folder>);

#[derive(Debug)]
struct Folder {
    root: Arc<Root>,
    name: String,
    files: AtomicU32,
    /// Made with the first file.
    made: Mutex<Option<PathBuf>>,
    /// Whether another process made it, and removes it.
    lent: bool,
}

/// A new temporary file, open for reading and writing.
#[derive(Debug)]
pub struct ScratchFile {
    /// The open file, empty.
    pub file: File,
    /// Its name, and the duty to delete it; what it takes of the bound.
    pub path: ScratchPath,
}

/// The name of a temporary file, which is deleted when this is dropped.
#[derive(Debug)]
pub struct ScratchPath {
    path: PathBuf,
    charge: Charge,
    _folder: Scratch,
}

/// Why there is no temporary file.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// The disk is full.
    #[error("no space left for temporary files at {}", path.display())]
    NoSpace {
        /// What was to be made.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// It cannot be made.
    #[error("cannot create {}", path.display())]
    Create {
        /// What was to be made.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The folder of this user is not safe to use.
    #[error("{} {why}: remove it, or choose another folder for temporary files", path.display())]
    Unsafe {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: UnsafeFolder,
    },
}

/// What makes a folder unfit for temporary files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsafeFolder {
    /// It is a symbolic link or a file.
    #[error("is not a folder")]
    NotAFolder,
    /// Another user made it.
    #[error("belongs to user {0}")]
    Owner(u32),
    /// Others may read or write it.
    #[error("is open to other users")]
    Mode,
}

impl ScratchRoot {
    /// Checks the folder of this user below `base`, if there is one, and removes what dead processes
    /// left there. Creates nothing.
    ///
    /// # Errors
    /// The folder exists and is not safe to use.
    pub fn open(base: &Path) -> Result<Self, ScratchError> {
        Self::open_within(base, None)
    }

    /// The same, for temporary files of `max` bytes at most, all together.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_within(base: &Path, max: Option<ByteSize>) -> Result<Self, ScratchError> {
        let uid = rustix::process::geteuid().as_raw();
        let user = base.join(format!("mapfold-{uid}"));
        if check_user_folder(&user, uid)? {
            remove_dead(&user);
        }
        Ok(Self(Arc::new(Root {
            user,
            home: Mutex::new(None),
            quota: Quota::new(max),
        })))
    }

    /// A scratch folder called `name` (unique within the process: an attempt's token). Nothing is
    /// created yet.
    pub fn scratch(&self, name: &str) -> Scratch {
        Scratch(Arc::new(Folder {
            root: Arc::clone(&self.0),
            name: name.to_owned(),
            files: AtomicU32::new(0),
            made: Mutex::new(None),
            lent: false,
        }))
    }
}

impl Scratch {
    /// The folder of another process, which waits for this one and removes the folder whatever becomes of it: see
    /// [`Scratch::folder`].
    pub fn lent(folder: PathBuf) -> Self {
        let root = Root {
            user: folder.clone(),
            home: Mutex::new(None),
            // Whoever lends it counts what is in it.
            quota: Quota::default(),
        };
        Self(Arc::new(Folder {
            root: Arc::new(root),
            name: String::new(),
            files: AtomicU32::new(0),
            made: Mutex::new(Some(folder)),
            lent: true,
        }))
    }

    /// The folder, made if it is not there yet, for a process that this one starts.
    pub fn folder(&self) -> Result<PathBuf, ScratchError> {
        self.0.path()
    }

    /// Another folder, beside this one and as long as its own owners are there: for what several attempts share. Its `name` is unique within the process. Beside a folder that
    /// was lent it is the lending process that removes it, if this one is killed.
    ///
    /// # Errors
    /// It must be made now, as this one was lent, and cannot.
    pub fn beside(&self, name: &str) -> Result<Self, ScratchError> {
        let made = match (self.0.lent, self.folder()?.parent()) {
            (true, Some(home)) => {
                let path = home.join(format!("{name}-of-{}", std::process::id()));
                make_folder(&path)?;
                Some(path)
            }
            _ => None,
        };
        Ok(Self(Arc::new(Folder {
            root: Arc::clone(&self.0.root),
            name: name.to_owned(),
            files: AtomicU32::new(0),
            made: Mutex::new(made),
            lent: false,
        })))
    }

    /// Takes over a file that such a process left in the folder.
    pub fn adopt(&self, path: PathBuf) -> Result<ScratchFile, ScratchError> {
        let mut charge = self.charge();
        let opened = File::open(&path).and_then(|file| {
            charge.add(file.metadata()?.len())?;
            Ok(file)
        });
        let file = opened.map_err(|source| ScratchError::creating(&path, source))?;
        Ok(ScratchFile {
            file,
            path: ScratchPath {
                path,
                charge,
                _folder: self.clone(),
            },
        })
    }

    /// What another process takes of the bound while it works in the folder: nothing yet.
    pub fn charge(&self) -> Charge {
        self.0.root.quota.charge()
    }

    /// Sets `charge` to what is in the folder now. Costs a look at each file in it.
    ///
    /// # Errors
    /// It is too much.
    pub fn measure(&self, charge: &mut Charge) -> Result<(), ScratchError> {
        let folder = self.folder()?;
        let files = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        // A file may go while it is looked at.
        let bytes = files.filter_map(|file| Some(file.metadata().ok()?.len()));
        let set = charge.set(bytes.sum());
        set.map_err(|source| ScratchError::creating(&folder, source))
    }

    /// Creates an empty file, called `name` and a number. Creates the folders above it if this is the first.
    pub fn create(&self, name: &str) -> Result<ScratchFile, ScratchError> {
        let number = self.0.files.fetch_add(1, Ordering::Relaxed);
        let path = self.0.path()?.join(format!("{name}-{number}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| ScratchError::creating(&path, source))?;
        Ok(ScratchFile {
            file,
            path: ScratchPath {
                path,
                charge: self.charge(),
                _folder: self.clone(),
            },
        })
    }
}

impl ScratchFile {
    /// Writes all of `bytes` at the end, if they are within the bound.
    ///
    /// # Errors
    /// The bound's, or the system's; what is in the file then is of no use.
    pub fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.path.charge.add(bytes.len() as u64)?;
        self.file.write_all(bytes)
    }
}

impl ScratchPath {
    /// The file's path.
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

impl ScratchError {
    /// Whether the cause is a full disk.
    pub fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }

    /// What may be done about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoSpace { source, .. } | Self::Create { source, .. } => hint(source),
            Self::Unsafe { .. } => None,
        }
    }

    fn creating(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if is_no_space(&source) {
            Self::NoSpace { path, source }
        } else {
            Self::Create { path, source }
        }
    }
}

/// What may be done about an error that a temporary file has caused.
pub fn hint(source: &io::Error) -> Option<&'static str> {
    let ours = source.get_ref().is_some_and(|inner| {
        let inner: &(dyn Error + 'static) = inner;
        inner.is::<OverQuota>()
    });
    match source.kind() {
        _ if ours => Some("allow more with --temp-max, or more --memory, or add workers"),
        _ if is_no_space(source) => Some(
            "free some space in the folder for temporary files, or name another: TMPDIR, or --dir of a worker",
        ),
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotFound => Some(
            "the folder for temporary files must be there, and be writable; name another: TMPDIR, or --dir of a worker",
        ),
        _ => None,
    }
}

impl Folder {
    fn path(&self) -> Result<PathBuf, ScratchError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &*made {
            return Ok(path.clone());
        }
        let path = self.root.home()?.join(&self.name);
        make_folder(&path)?;
        Ok(made.insert(path).clone())
    }
}

impl Root {
    fn home(&self) -> Result<PathBuf, ScratchError> {
        let mut home = self.home.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(home) = &*home {
            return Ok(home.folder.clone());
        }
        Ok(home.insert(Home::make(&self.user)?).folder.clone())
    }
}

impl Home {
    /// Makes the user's folder if it is not there, then a lock that no janitor has taken from us, then the folder.
    fn make(user: &Path) -> Result<Self, ScratchError> {
        let pid = std::process::id();
        let mut tries = 0;
        loop {
            let lock = user.join(format!("{pid}-{tries}.lock"));
            tries += 1;
            match Self::try_lock(user, &lock) {
                Ok(Some(held)) => {
                    let home = Self {
                        folder: lock.with_extension(""),
                        lock,
                        _held: held,
                    };
                    make_folder(&home.folder)?;
                    return Ok(home);
                }
                Ok(None) if tries < HOME_TRIES_MAX => {}
                Ok(None) => {
                    let busy = io::Error::from(io::ErrorKind::ResourceBusy);
                    return Err(ScratchError::creating(&lock, busy));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// `None` if the name is taken, or a janitor was quicker than the lock.
    fn try_lock(user: &Path, lock: &Path) -> Result<Option<File>, ScratchError> {
        let uid = rustix::process::geteuid().as_raw();
        if !check_user_folder(user, uid)? {
            match DirBuilder::new().mode(0o700).create(user) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
                made => made.map_err(|source| ScratchError::creating(user, source))?,
            }
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(lock);
        let file = match file {
            Ok(file) => file,
            // Taken; or the last other process has just removed the user's folder.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound
                ) && user.parent().is_some_and(Path::exists) =>
            {
                return Ok(None);
            }
            Err(source) => return Err(ScratchError::creating(lock, source)),
        };
        let held = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
        Ok((held && is_linked(&file)).then_some(file))
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // What cannot be removed now is removed by the next process: the lock is free once we are gone.
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::remove_file(&self.lock);
        if let Some(user) = self.lock.parent() {
            let _ = std::fs::remove_dir(user);
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let made = self.made.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let (Some(path), false) = (made, self.lent) {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

impl Drop for ScratchPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether the folder exists.
fn check_user_folder(user: &Path, uid: u32) -> Result<bool, ScratchError> {
    let found = match std::fs::symlink_metadata(user) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(ScratchError::creating(user, source)),
    };
    let why = if !found.is_dir() {
        UnsafeFolder::NotAFolder
    } else if found.uid() != uid {
        UnsafeFolder::Owner(found.uid())
    } else if found.mode() & 0o077 != 0 {
        UnsafeFolder::Mode
    } else {
        return Ok(true);
    };
    Err(ScratchError::Unsafe {
        path: user.to_owned(),
        why,
    })
}

/// Removes the folders whose lock nobody holds. Best effort: what fails now is tried by the next process.
fn remove_dead(user: &Path) {
    let Ok(entries) = std::fs::read_dir(user) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "lock")
        {
            remove_if_dead(&path);
        } else if !path.with_extension("lock").exists() {
            let _ = std::fs::remove_dir_all(&path);
        }
    }
}

fn remove_if_dead(lock: &Path) {
    let Ok(file) = OpenOptions::new().write(true).open(lock) else {
        return;
    };
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() && is_linked(&file) {
        let _ = std::fs::remove_dir_all(lock.with_extension(""));
        let _ = std::fs::remove_file(lock);
    }
}

/// False if the file was deleted between our opening it and our locking it.
fn is_linked(file: &File) -> bool {
    file.metadata().is_ok_and(|found| found.nlink() > 0)
}

fn make_folder(path: &Path) -> Result<(), ScratchError> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|source| ScratchError::creating(path, source))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn entries(folder: &Path) -> Vec<PathBuf> {
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        found.sort();
        found
    }

    #[test]
    fn nothing_is_created_before_the_first_file() {
        let base = tempfile::tempdir().unwrap();
        let root = ScratchRoot::open(base.path()).unwrap();
        let scratch = root.scratch("1-1");
        assert_eq!(entries(base.path()), Vec::<PathBuf>::new());
        scratch.create("spill").unwrap();
        assert_eq!(entries(base.path()).len(), 1);
    }

    #[test]
    fn everything_goes_with_the_last_owner() {
        let base = tempfile::tempdir().unwrap();
        let root = ScratchRoot::open(base.path()).unwrap();
        let scratch = root.scratch("1-1");
        let file = scratch.create("spill").unwrap();
        let path = file.path.as_path().to_owned();
        drop((root, scratch));
        assert!(path.exists());
        drop(file);
        assert_eq!(entries(base.path()), Vec::<PathBuf>::new());
    }

    #[test]
    fn what_attempts_share_outlives_them_and_counts() {
        let base = tempfile::tempdir().unwrap();
        let root = ScratchRoot::open_within(base.path(), Some(ByteSize(5))).unwrap();
        let first = root.scratch("1-1");
        let shared = first.beside("shared").unwrap();
        let folder = shared.folder().unwrap();
        assert_eq!(folder.parent(), first.folder().unwrap().parent());
        let mut charge = shared.charge();
        charge.add(4).unwrap();
        assert!(first.charge().add(2).is_err());

        let lent = Scratch::lent(first.folder().unwrap());
        let other = lent.beside("shared").unwrap();
        assert_ne!(other.folder().unwrap(), folder);
        assert_eq!(other.folder().unwrap().parent(), folder.parent());
        drop((first, lent));
        assert!(folder.exists());
        drop((root, shared));
        assert!(!folder.exists());
        drop(other);
        assert!(!folder.parent().unwrap().exists());
    }

    #[test]
    fn folders_are_private_and_names_never_clash() {
        let base = tempfile::tempdir().unwrap();
        let root = ScratchRoot::open(base.path()).unwrap();
        let other = ScratchRoot::open(base.path()).unwrap();
        let files = [
            root.scratch("1-1").create("run").unwrap(),
            other.scratch("1-1").create("run").unwrap(),
        ];
        assert_ne!(files[0].path.as_path(), files[1].path.as_path());
        let user = &entries(base.path())[0];
        assert_eq!(user.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn the_dead_are_removed_and_the_living_are_not() {
        let base = tempfile::tempdir().unwrap();
        let root = ScratchRoot::open(base.path()).unwrap();
        let living = root.scratch("1-1").create("run").unwrap();
        let user = entries(base.path())[0].clone();
        std::fs::write(user.join("99-0.lock"), "").unwrap();
        std::fs::create_dir_all(user.join("99-0/1-7")).unwrap();
        std::fs::write(user.join("99-0/1-7/spill-0"), "left").unwrap();
        std::fs::create_dir_all(user.join("98-0/1-7")).unwrap();

        let _second = ScratchRoot::open(base.path()).unwrap();
        assert!(living.path.as_path().exists());
        assert_eq!(entries(&user).len(), 2, "{:?}", entries(&user));
    }

    #[test]
    fn a_folder_that_others_could_enter_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let user = base.path().join(format!("mapfold-{uid}"));
        let refused = |base: &Path| match ScratchRoot::open(base) {
            Err(ScratchError::Unsafe { why, .. }) => why,
            other => panic!("{other:?}"),
        };
        std::fs::create_dir(&user).unwrap();
        std::fs::set_permissions(&user, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(refused(base.path()), UnsafeFolder::Mode);
        std::fs::remove_dir(&user).unwrap();
        std::os::unix::fs::symlink("/tmp", &user).unwrap();
        assert_eq!(refused(base.path()), UnsafeFolder::NotAFolder);
    }

    #[test]
    fn many_processes_at_once_do_not_disturb_each_other() {
        let base = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let root = ScratchRoot::open(base.path()).unwrap();
                        let file = root.scratch("1-1").create("run").unwrap();
                        assert!(file.path.as_path().exists());
                    }
                });
            }
        });
        assert_eq!(entries(base.path()), Vec::<PathBuf>::new());
    }
}
