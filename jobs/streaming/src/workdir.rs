//! The working folder of an attempt's programs.
//!
//! If files go with the job it is one of the attempt's own, with links to them under the names that programs know, and to what archives hold. It goes with the attempt. Otherwise
//! it is the folder in which the job was started.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mapfold_job::{Attempt, JobError};
use rustix::fs::{Access, access};

use crate::conf::{Conf, Shipped};
use crate::unpacked::Unpacked;

/// Where programs are started.
#[derive(Clone, Debug)]
pub(crate) struct Workdir {
    /// Where the job was started.
    folder: PathBuf,
    files: Vec<Shipped>,
    archives: Vec<Shipped>,
    /// Archives that were unpacked, as long as the job is there.
    unpacked: Arc<Mutex<Vec<Arc<Unpacked>>>>,
}

/// Within the folder of the attempt.
const NAME: &str = "work";

/// Why there is no working folder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkdirError {
    #[error("cannot make the working folder {}", path.display())]
    Make { path: PathBuf, source: io::Error },
    #[error("the file {} is not there", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot put {} into the working folder", path.display())]
    Put { path: PathBuf, source: io::Error },
}

impl Workdir {
    pub(crate) fn of(conf: &Conf) -> Self {
        Self {
            folder: conf.folder.clone(),
            files: conf.files.clone(),
            archives: conf.archives.clone(),
            unpacked: Arc::default(),
        }
    }

    fn is_own(&self) -> bool {
        !self.files.is_empty() || !self.archives.is_empty()
    }

    /// The folder for the programs of an attempt, which is made when the first of them is started.
    ///
    /// # Errors
    /// See [`WorkdirError`]; there is no folder for temporary files.
    pub(crate) fn make(&self, attempt: &Attempt<'_>) -> Result<PathBuf, JobError> {
        if !self.is_own() {
            return Ok(self.folder.clone());
        }
        let folder = attempt.folder()?.join(NAME);
        if !folder.exists() {
            self.fill(&folder, attempt)?;
        }
        Ok(folder)
    }

    fn fill(&self, folder: &Path, attempt: &Attempt<'_>) -> Result<(), JobError> {
        fs::create_dir_all(folder).map_err(|source| WorkdirError::Make {
            path: folder.to_owned(),
            source,
        })?;
        for file in &self.files {
            link(file, folder)?;
        }
        for archive in &self.archives {
            match self.unpacked(archive, attempt)? {
                None => link(archive, folder)?,
                Some(unpacked) => link(
                    &Shipped::new(archive.name.as_str(), unpacked.folder()),
                    folder,
                )?,
            }
        }
        Ok(())
    }

    /// An archive, unpacked once; `None` if it is none.
    fn unpacked(
        &self,
        archive: &Shipped,
        attempt: &Attempt<'_>,
    ) -> Result<Option<Arc<Unpacked>>, JobError> {
        let unpacked = Unpacked::of(&archive.path, archive.place(), attempt.scratch())?;
        if let Some(unpacked) = &unpacked {
            let mut all = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
            if !all.iter().any(|it| Arc::ptr_eq(it, unpacked)) {
                all.push(Arc::clone(unpacked));
            }
        }
        Ok(unpacked)
    }

    /// The program by this name: one that goes with the job comes before those on the PATH, and is made executable.
    ///
    /// # Errors
    /// It cannot be made so.
    pub(crate) fn program(&self, folder: &Path, name: &OsStr) -> Result<OsString, WorkdirError> {
        let path = folder.join(name);
        if !self.is_own() || Path::new(name).is_absolute() || !path.is_file() {
            return Ok(name.to_owned());
        }
        if access(&path, Access::EXEC_OK).is_err() {
            make_executable(&path).map_err(|source| WorkdirError::Put {
                path: path.clone(),
                source,
            })?;
        }
        Ok(path.into())
    }
}

/// The first file of a name counts.
fn link(file: &Shipped, folder: &Path) -> Result<(), WorkdirError> {
    let path = || file.path.clone();
    fs::metadata(file.place()).map_err(|source| WorkdirError::File {
        path: path(),
        source,
    })?;
    match symlink(file.place(), folder.join(&file.name)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked.map_err(|source| WorkdirError::Put {
            path: path(),
            source,
        }),
    }
}

/// A copy of it: what the link leads to is somebody's.
fn make_executable(link: &Path) -> io::Result<()> {
    let mut copy = link.as_os_str().to_owned();
    copy.push(".x");
    fs::copy(link, &copy)?;
    fs::set_permissions(&copy, Permissions::from_mode(0o755))?;
    fs::rename(&copy, link)
}
