//! The folder for what one job of a chain leaves and the next one reads.
//!
//! On a cluster it must be where all workers can read, so it stands beside the output. A client that is killed cannot remove it; a lock in it tells whether
//! its client lives, and the next run with the same output removes what nobody holds.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::error::Problem;
use crate::plan::cannot_write;
use crate::run::random_key;
use crate::scratch::PrivateFolder;
use crate::settings::{Place, RunSettings, Target};

/// A folder for the rows between two jobs; removed when dropped.
pub(crate) enum Between {
    /// On this machine.
    Here(PrivateFolder),
    /// Where the workers of a cluster can read: beside the output. The file in it is locked while this process lives.
    Beside { path: PathBuf, _lock: File },
}

impl Between {
    pub(crate) fn make(settings: &RunSettings) -> Result<Self, Problem> {
        let (Place::Cluster(_), Target::Folder { absolute, .. }) =
            (&settings.place, &settings.target)
        else {
            return PrivateFolder::make().map(Self::Here);
        };
        let mut name = OsString::from(".");
        name.push(absolute.file_name().unwrap_or_default());
        name.push(".chain-");
        sweep(absolute.parent().unwrap_or(absolute), &name);
        name.push(format!("{:032x}", random_key()?.0));
        let path = absolute.with_file_name(name);
        let make = || {
            fs::DirBuilder::new().mode(0o700).create(&path)?;
            let lock = File::create(path.join(LOCK))?;
            // Where files cannot be locked, nobody takes it for left behind either.
            let _ = lock.try_lock();
            Ok(lock)
        };
        let _lock = make().map_err(|error: io::Error| cannot_write(&path, &error))?;
        Ok(Self::Beside { path, _lock })
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Here(folder) => folder.path(),
            Self::Beside { path, .. } => path,
        }
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        if let Self::Beside { path, .. } = self {
            // Best effort; the next run with this output removes what is left.
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// In a folder between jobs.
const LOCK: &str = "lock";

/// Removes what clients have left that were killed: folders whose names begin so, and whose lock nobody holds.
fn sweep(folder: &Path, prefix: &OsStr) {
    let entries = fs::read_dir(folder).into_iter().flatten();
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if !name.as_bytes().starts_with(prefix.as_bytes()) {
            continue;
        }
        let path = entry.path();
        // One without a lock is being made.
        let lock = File::options().write(true).open(path.join(LOCK));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            // Best effort.
            let _ = fs::remove_dir_all(&path);
        }
    }
}
