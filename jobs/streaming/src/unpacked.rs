//! Archives that go with jobs, unpacked once a process, however many attempts, programs and jobs there are that want them.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use mapfold_data::scratch::{Scratch, ScratchRoot};
use mapfold_job::JobError;

use crate::unpack;

/// An archive that is unpacked, as long as this is.
#[derive(Debug)]
pub(crate) struct Unpacked {
    folder: PathBuf,
    /// Removes it, also if this process is killed: then by the next one that makes temporary files.
    _scratch: Scratch,
}

/// One version of a file: its path, length and time.
type Version = (PathBuf, u64, Option<SystemTime>);

static UNPACKED: Mutex<BTreeMap<Version, Weak<Unpacked>>> = Mutex::new(BTreeMap::new());

impl Unpacked {
    /// The archive that was called `named` and is at `path`; `None` if it is none by its name. Others wait while one unpacks.
    ///
    /// # Errors
    /// It cannot be read or unpacked; there is no folder for temporary files.
    pub(crate) fn of(named: &Path, path: &Path) -> Result<Option<Arc<Self>>, JobError> {
        let metadata = path
            .metadata()
            .map_err(|source| unpack::unread(path, source))?;
        let version = (path.to_owned(), metadata.len(), metadata.modified().ok());
        let mut all = UNPACKED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = all.get(&version).and_then(Weak::upgrade) {
            return Ok(Some(here));
        }
        let scratch = ScratchRoot::open(&env::temp_dir())?.scratch("archive");
        let folder = scratch.folder()?;
        if !unpack::unpack(named, path, &folder)? {
            return Ok(None);
        }
        let here = Arc::new(Self {
            folder,
            _scratch: scratch,
        });
        all.retain(|_, unpacked| unpacked.strong_count() > 0);
        all.insert(version, Arc::downgrade(&here));
        Ok(Some(here))
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}
