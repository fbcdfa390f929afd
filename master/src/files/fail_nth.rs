//! Files that fail once, for tests.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Files, Growing, SystemFiles};

/// Fails the `n`-th call that may change or sync anything, once, without doing it.
pub(crate) struct FailNth {
    calls: Arc<AtomicU32>,
    n: u32,
}

impl FailNth {
    pub(crate) fn new(n: u32) -> Self {
        Self {
            calls: Arc::default(),
            n,
        }
    }

    fn call<T>(&self, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if self.calls.fetch_add(1, Ordering::Relaxed) == self.n {
            return Err(io::Error::other("planted"));
        }
        run()
    }

    fn failing(&self, file: Box<dyn Growing>) -> Box<dyn Growing> {
        let files = Self {
            calls: Arc::clone(&self.calls),
            n: self.n,
        };
        Box::new(FailingFile { file, files })
    }

    pub(crate) fn reached(&self) -> bool {
        self.calls.load(Ordering::Relaxed) > self.n
    }
}

impl Files for FailNth {
    fn create_private_folder(&self, path: &Path) -> io::Result<()> {
        self.call(|| SystemFiles.create_private_folder(path))
    }
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.call(|| SystemFiles.create_folder(path))
    }
    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        self.call(|| SystemFiles.file_len(path))
    }
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        self.call(|| SystemFiles.read(path))
    }
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.call(|| SystemFiles.write_synced(path, bytes))
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|| SystemFiles.rename(from, to))
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|| SystemFiles.rename_new(from, to))
    }
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.call(|| SystemFiles.exchange(one, other))
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        self.call(|| SystemFiles.sync_folder(path))
    }
    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        self.call(|| SystemFiles.remove_tree(path))
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        let file = self.call(|| SystemFiles.create(path))?;
        Ok(self.failing(file))
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|| SystemFiles.remove(path))
    }
    fn append_to(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        let file = self.call(|| SystemFiles.append_to(path))?;
        Ok(self.failing(file))
    }
}

struct FailingFile {
    file: Box<dyn Growing>,
    files: FailNth,
}

/// Half of a write that fails is done.
impl Growing for FailingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let done = self.files.call(|| self.file.append(bytes));
        if done.is_err() {
            self.file.append(&bytes[..bytes.len() / 2])?;
        }
        done
    }

    fn sync(&mut self) -> io::Result<()> {
        self.files.call(|| self.file.sync())
    }
}
