//! Every change that the master makes to a file system goes through here.
//!
//! One facade, so that a test or a simulation can fail, or forget, the n-th call. It knows nothing of
//! jobs; [`crate::commit`] and [`crate::staging`] say what the calls mean. Locks are not here: a lock
//! file is a fact about live processes, not about what a disk holds.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

/// What a commit and its preparation do to a file system. All of it blocks.
///
/// Errors are the operating system's; callers add the path.
pub(crate) trait Files: Send + Sync + 'static {
    /// Makes a folder that only its owner may enter. Fails if the name exists.
    fn create_private_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder with the usual permissions. Fails if the name exists.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Length of a regular file, or `None` if nothing has that name.
    fn file_len(&self, path: &Path) -> io::Result<Option<u64>>;
    /// What a file holds, or `None` if nothing has that name.
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;
    /// Writes a whole file, replacing what it held, and fsyncs it.
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Renames, replacing a file of the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Renames in one step, or fails with `AlreadyExists` when the new name is taken.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Exchanges two names in one step.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;
    /// Makes a folder's entries durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Deletes a folder and all below it; a name that does not exist is no error.
    fn remove_tree(&self, path: &Path) -> io::Result<()>;
    /// Makes an empty file that only its owner may read, to add to it; empties one that exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn Growing>>;
    /// Deletes a file; a name that does not exist is no error.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Opens a file to add to it.
    fn append_to(&self, path: &Path) -> io::Result<Box<dyn Growing>>;
}

/// A file that is added to. After an error nothing is known of what was added since the last sync.
pub(crate) trait Growing: Send + 'static {
    /// Adds bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes all that was added durable.
    fn sync(&mut self) -> io::Result<()>;
}

impl Growing for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemFiles;

impl Files for SystemFiles {
    fn create_private_folder(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_file() => Ok(Some(meta.len())),
            Ok(_) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            )),
            Err(error) => absent(error),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        fs::read(path).map(Some).or_else(absent)
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o666)
            .open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Some file systems (NFS) lack the flag. Looking first leaves a gap in which only an empty
            // folder can be replaced: rename(2) refuses any other.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match fs::symlink_metadata(to) {
                Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                Err(_) => fs::rename(from, to),
            },
            done => Ok(done?),
        }
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        Ok(Box::new(options.open(path)?))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn append_to(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        Ok(Box::new(File::options().append(true).open(path)?))
    }
}

fn absent<T>(error: io::Error) -> io::Result<Option<T>> {
    match error.kind() {
        io::ErrorKind::NotFound => Ok(None),
        _ => Err(error),
    }
}

#[cfg(test)]
pub(crate) mod fail_nth;
