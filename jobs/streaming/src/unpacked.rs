//! Archives that go with jobs, unpacked once a process, however many attempts, programs and jobs there are that want them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::SystemTime;

use mapfold_data::scratch::{Charge, Scratch};
use mapfold_job::JobError;

use crate::unpack;

/// An archive that is unpacked, as long as this is.
#[derive(Debug)]
pub(crate) struct Unpacked {
    folder: PathBuf,
    /// Removes it, also if this process is killed: then by the next one that makes temporary files.
    _scratch: Scratch,
    /// What it takes of the bound on temporary files.
    _charge: Charge,
}

/// One version of a file: its path, length and time.
type Version = (PathBuf, u64, Option<SystemTime>);

static UNPACKED: Mutex<BTreeMap<Version, Weak<Unpacked>>> = Mutex::new(BTreeMap::new());
/// Names the next folder.
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Unpacked {
    /// The archive that was called `named` and is at `path`; `None` if it is none by its name. Others wait while one unpacks. It goes
    /// beside the temporary files of an attempt, and counts as they do.
    ///
    /// # Errors
    /// It cannot be read or unpacked; there is no folder for temporary files, or too little room in it.
    pub(crate) fn of(
        named: &Path,
        path: &Path,
        attempt: &Scratch,
    ) -> Result<Option<Arc<Self>>, JobError> {
        let metadata = path
            .metadata()
            .map_err(|source| unpack::unread(path, source))?;
        let version = (path.to_owned(), metadata.len(), metadata.modified().ok());
        let mut all = UNPACKED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = all.get(&version).and_then(Weak::upgrade) {
            return Ok(Some(here));
        }
        let Some(packing) = unpack::packing(named) else {
            return Ok(None);
        };
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let scratch = attempt.beside(&format!("archive-{number}"))?;
        let folder = scratch.folder()?;
        let mut charge = scratch.charge();
        unpack::unpack(packing, path, &folder, &mut charge)?;
        let here = Arc::new(Self {
            folder,
            _scratch: scratch,
            _charge: charge,
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
