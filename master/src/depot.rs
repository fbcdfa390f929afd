//! Files of jobs: sent by clients once, kept while jobs need them, read by workers piece by piece.
//!
//! ```text
//! STATE/files/<hash>          a file, whole, on disk, and checked (without --state: in a temporary folder of this process)
//! STATE/files/<hash>.part     one that is on its way; removed at the next start
//! ```
//! A file is known by its hash, so a client asks before it sends, and nothing is ever replaced. It takes its name by a rename, after
//! its bytes were hashed and synced: a job that is accepted after that finds it after any restart. What an earlier start has left
//! is hashed again before it is used.
//!
//! The owner of all else is not asked when bytes come and go: it only says which jobs hold which files. A file that no job holds stays for
//! a while, since most plugins are run more than once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mapfold_data::scratch::{Scratch, ScratchRoot};
use mapfold_protocol::service::{FilePiece, PIECE_MAX, Refusal};
use mapfold_terms::{ByteSize, FailClass, Failure, FileId, JobFile, JobKey};

use crate::files::{Files, Growing};

/// The files of one job may be one part in so many of all.
const JOB_SHARE: u64 = 4;
/// A file that no job holds goes when nobody has asked for it for so long.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// It makes room for others after this time: whoever was told that it is here may be about to submit a job.
const SPARED_FOR: Duration = Duration::from_secs(60);
/// A file of which no piece has come for so long is given up.
const PIECE_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked for what may go.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The files of a master's jobs. Clones are of the same. All methods but those for the owner block.
#[derive(Clone, Debug)]
pub(crate) struct Depot(Arc<Shared>);

struct Shared {
    files: Arc<dyn Files>,
    place: Mutex<Place>,
    max: ByteSize,
    state: Mutex<State>,
    tidied: AtomicBool,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Depot").finish_non_exhaustive()
    }
}

/// Where they are.
enum Place {
    /// Beside the journal.
    State { folder: PathBuf, made: bool },
    /// In a temporary folder below this one, which is made with the first file.
    Temporary {
        base: PathBuf,
        made: Option<Scratch>,
    },
}

#[derive(Default)]
struct State {
    kept: BTreeMap<FileId, Kept>,
    coming: BTreeMap<FileId, Coming>,
}

/// A file that is whole.
struct Kept {
    bytes: u64,
    path: PathBuf,
    /// Whether this process has seen that it is what its name says.
    checked: bool,
    /// When somebody last asked for it.
    used: Instant,
    /// Jobs that need it.
    jobs: BTreeSet<JobKey>,
}

/// A file on its way.
struct Coming {
    len: u64,
    growth: Arc<Mutex<Growth>>,
    touched: Instant,
}

struct Growth {
    file: Box<dyn Growing>,
    path: PathBuf,
    at: u64,
    hash: blake3::Hasher,
    /// It was given up.
    ended: bool,
}

/// For the owner: nothing here waits for a disk.
impl Depot {
    /// Nothing yet, and nothing of an earlier start; temporary, below `base`.
    pub(crate) fn temporary(files: Arc<dyn Files>, base: &Path, max: ByteSize) -> Self {
        let place = Place::Temporary {
            base: base.to_owned(),
            made: None,
        };
        Self::new(files, place, max, State::default())
    }

    /// Takes over what an earlier start has left in the state folder `state`. Blocks.
    pub(crate) fn open(files: Arc<dyn Files>, state: &Path, max: ByteSize) -> Self {
        let folder = state.join("files");
        let mut found = State::default();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => Some(entries),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "cannot list the files of jobs");
                None
            }
        };
        let made = entries.is_some();
        for entry in entries.into_iter().flatten().flatten() {
            let path = entry.path();
            let id = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            match (id, entry.metadata()) {
                (Some(id), Ok(meta)) if meta.is_file() => {
                    let kept = Kept::new(meta.len(), path, false);
                    found.kept.insert(id, kept);
                }
                _ => remove(&*files, &path),
            }
        }
        Self::new(files, Place::State { folder, made }, max, found)
    }

    fn new(files: Arc<dyn Files>, place: Place, max: ByteSize, state: State) -> Self {
        Self(Arc::new(Shared {
            files,
            place: Mutex::new(place),
            max,
            state: Mutex::new(state),
            tidied: AtomicBool::new(false),
        }))
    }

    /// Keeps these files for a job, all or none. A depot that may have none is not asked for any.
    ///
    /// # Errors
    /// One is not here, or they are too many or too large.
    pub(crate) fn hold(&self, job: JobKey, files: &[JobFile]) -> Result<(), Refusal> {
        if self.0.max == ByteSize(0) {
            return Ok(());
        }
        if files.len() > JobFile::MAX {
            return Err(Refusal::TooLong {
                what: "the list of a job's files".to_owned(),
                got: files.len() as u64,
                max: JobFile::MAX as u64,
            });
        }
        let bytes = files.iter().map(|file| file.bytes.bytes());
        self.check_size(bytes.fold(0, u64::saturating_add))?;
        let mut state = self.state();
        if let Some(missing) = files.iter().find(|file| !state.kept.contains_key(&file.id)) {
            return Err(Refusal::UnknownFile(missing.id));
        }
        state.hold(job, files);
        Ok(())
    }

    /// Keeps those that are here for a job that an earlier start has accepted.
    pub(crate) fn hold_again(&self, job: JobKey, files: &[JobFile]) {
        if self.0.max == ByteSize(0) {
            return;
        }
        let mut state = self.state();
        state.hold(job, files);
        for missing in files.iter().filter(|it| !state.kept.contains_key(&it.id)) {
            tracing::error!(file = missing.name, id = %missing.id, "a file of a job is gone");
        }
    }

    /// The job has ended.
    pub(crate) fn release(&self, job: JobKey, files: &[JobFile]) {
        let mut state = self.state();
        for file in files {
            if let Some(kept) = state.kept.get_mut(&file.id) {
                kept.jobs.remove(&job);
                kept.used = Instant::now();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panics under the lock has changed nothing by halves.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One job may have so much.
    fn check_size(&self, bytes: u64) -> Result<(), Refusal> {
        let max = self.0.max.bytes() / JOB_SHARE;
        match bytes > max {
            true => Err(Refusal::FilesTooLarge {
                bytes: ByteSize(bytes),
                max: ByteSize(max),
            }),
            false => Ok(()),
        }
    }
}

/// What clients and workers ask. All of it blocks.
impl Depot {
    /// Those that are not here, or not what they should be. The others stay for [`SPARED_FOR`] at least.
    pub(crate) fn lacks(&self, ids: &[FileId]) -> Vec<FileId> {
        let absent = |id: &&FileId| self.find(**id).is_none();
        ids.iter().filter(absent).copied().collect()
    }

    /// Takes a piece of a file; returns from where the next one is wanted.
    pub(crate) fn take(
        &self,
        id: FileId,
        len: u64,
        from: u64,
        piece: &[u8],
    ) -> Result<u64, Refusal> {
        if self.find(id).is_some() {
            return Ok(len);
        }
        let growth = match self.coming(id, len, from)? {
            Some(growth) => growth,
            None => return Ok(0),
        };
        let mut growth = growth.lock().unwrap_or_else(PoisonError::into_inner);
        if growth.ended {
            return Ok(0);
        }
        let took = self.grow(&mut growth, id, len, from, piece);
        if took.is_err() {
            self.give_up(&mut growth, id);
        }
        took
    }

    /// A piece of a file for a worker.
    pub(crate) fn piece(&self, id: FileId, from: u64) -> Result<FilePiece, Refusal> {
        let (path, len) = self.find(id).ok_or(Refusal::UnknownFile(id))?;
        let want = len.saturating_sub(from).min(PIECE_MAX as u64);
        let mut bytes = vec![0; usize::try_from(want).unwrap_or(PIECE_MAX)];
        let read = File::open(&path).and_then(|file| file.read_exact_at(&mut bytes, from));
        match read {
            Ok(()) => Ok(FilePiece(bytes)),
            Err(error) => {
                // Whoever needs it again sends it again.
                self.forget(id, &path);
                Err(trouble("read", &path, &error))
            }
        }
    }

    /// Removes what nobody needs any more.
    pub(crate) fn sweep(&self) {
        self.sweep_at(Instant::now());
    }

    fn sweep_at(&self, now: Instant) {
        let mut state = self.state();
        let since = |at: Instant| now.saturating_duration_since(at);
        state.kept.retain(|id, kept| {
            let goes = kept.jobs.is_empty() && since(kept.used) > KEPT_FOR;
            if goes {
                tracing::info!(file = %id, "removed a file that no job needs");
                remove(&*self.0.files, &kept.path);
            }
            !goes
        });
        let late = |coming: &Coming| since(coming.touched) > PIECE_WITHIN;
        let late: Vec<_> = state.coming.iter().filter(|(_, it)| late(it)).collect();
        let late: Vec<_> = late
            .iter()
            .map(|(id, it)| (**id, Arc::clone(&it.growth)))
            .collect();
        drop(state);
        for (id, growth) in late {
            let mut growth = growth.lock().unwrap_or_else(PoisonError::into_inner);
            self.give_up(&mut growth, id);
        }
    }

    /// A file that is here and what it should be, and its length. Hashes one that an earlier start has left.
    fn find(&self, id: FileId) -> Option<(PathBuf, u64)> {
        let found = {
            let mut state = self.state();
            let kept = state.kept.get_mut(&id)?;
            kept.used = Instant::now();
            (kept.path.clone(), kept.bytes, kept.checked)
        };
        let (path, bytes, checked) = found;
        if checked {
            return Some((path, bytes));
        }
        match hash_of(&path) {
            Ok(found) if found == id => {
                if let Some(kept) = self.state().kept.get_mut(&id) {
                    kept.checked = true;
                }
                Some((path, bytes))
            }
            Ok(_) => {
                tracing::error!(file = %path.display(), "a file of jobs is damaged");
                self.forget(id, &path);
                None
            }
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "cannot read a file of jobs");
                None
            }
        }
    }

    /// A file on its way, begun if this is its first piece; `None` if it is to be begun and this is a later one.
    fn coming(
        &self,
        id: FileId,
        len: u64,
        from: u64,
    ) -> Result<Option<Arc<Mutex<Growth>>>, Refusal> {
        let mut state = self.state();
        if let Some(coming) = state.coming.get_mut(&id) {
            if coming.len != len {
                return Err(Refusal::DamagedFile(id));
            }
            coming.touched = Instant::now();
            return Ok(Some(Arc::clone(&coming.growth)));
        }
        if from > 0 {
            return Ok(None);
        }
        self.check_size(len)?;
        self.make_room(&mut state, len)?;
        let folder = self.folder()?;
        let path = folder.join(format!("{id}.part"));
        let file = self.0.files.create(&path);
        let growth = Arc::new(Mutex::new(Growth {
            file: file.map_err(|error| trouble("write", &path, &error))?,
            path,
            at: 0,
            hash: blake3::Hasher::new(),
            ended: false,
        }));
        let coming = Coming {
            len,
            growth: Arc::clone(&growth),
            touched: Instant::now(),
        };
        state.coming.insert(id, coming);
        Ok(Some(growth))
    }

    fn grow(
        &self,
        growth: &mut Growth,
        id: FileId,
        len: u64,
        from: u64,
        piece: &[u8],
    ) -> Result<u64, Refusal> {
        let Some(known) = growth.at.checked_sub(from) else {
            return Ok(growth.at);
        };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let fresh = piece.get(known..).unwrap_or_default();
        if growth.at + fresh.len() as u64 > len {
            return Err(Refusal::DamagedFile(id));
        }
        let path = growth.path.clone();
        let written = growth.file.append(fresh);
        written.map_err(|error| trouble("write", &path, &error))?;
        growth.hash.update(fresh);
        growth.at += fresh.len() as u64;
        if growth.at == len {
            self.finish(growth, id, len)?;
        }
        Ok(growth.at)
    }

    /// All of it has come.
    fn finish(&self, growth: &mut Growth, id: FileId, len: u64) -> Result<(), Refusal> {
        if FileId(growth.hash.finalize().into()) != id {
            return Err(Refusal::DamagedFile(id));
        }
        let folder = self.folder()?;
        let (from, to) = (growth.path.clone(), folder.join(id.to_string()));
        let files = &*self.0.files;
        growth
            .file
            .sync()
            .map_err(|error| trouble("sync", &from, &error))?;
        files
            .rename(&from, &to)
            .map_err(|error| trouble("rename", &from, &error))?;
        growth.ended = true;
        let mut state = self.state();
        state.coming.remove(&id);
        if let Err(error) = files.sync_folder(&folder) {
            remove(files, &to);
            return Err(trouble("sync", &folder, &error));
        }
        state.kept.insert(id, Kept::new(len, to, true));
        tracing::info!(file = %id, bytes = len, "took a file for jobs");
        Ok(())
    }

    fn give_up(&self, growth: &mut Growth, id: FileId) {
        if std::mem::replace(&mut growth.ended, true) {
            return;
        }
        let mut state = self.state();
        // Before another may begin it under the same name.
        remove(&*self.0.files, &growth.path);
        state.coming.remove(&id);
    }

    fn forget(&self, id: FileId, path: &Path) {
        let mut state = self.state();
        if state.kept.remove(&id).is_some() {
            remove(&*self.0.files, path);
        }
    }

    /// Removes files that no job holds, the oldest first, until there is room for `len` bytes.
    fn make_room(&self, state: &mut State, len: u64) -> Result<(), Refusal> {
        let max = self.0.max.bytes();
        let kept = state.kept.values().map(|it| it.bytes);
        let mut bytes: u64 = kept.chain(state.coming.values().map(|it| it.len)).sum();
        let now = Instant::now();
        while bytes.saturating_add(len) > max {
            let idle = state.kept.iter().filter(|(_, it)| {
                it.jobs.is_empty() && now.saturating_duration_since(it.used) > SPARED_FOR
            });
            let oldest = idle.min_by_key(|(_, it)| it.used).map(|(id, _)| *id);
            let Some(gone) = oldest.and_then(|id| state.kept.remove(&id)) else {
                return Err(Refusal::NoRoomForFile {
                    bytes: ByteSize(len),
                    max: self.0.max,
                });
            };
            remove(&*self.0.files, &gone.path);
            bytes -= gone.bytes;
        }
        Ok(())
    }

    /// The folder, made if need be.
    fn folder(&self) -> Result<PathBuf, Refusal> {
        let mut place = self.0.place.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *place {
            Place::State { folder, made } => {
                if !*made {
                    let files = &*self.0.files;
                    match files.create_private_folder(folder) {
                        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                            return Err(trouble("make", folder, &error));
                        }
                        _ => {}
                    }
                    let state = folder.parent().unwrap_or(folder);
                    files
                        .sync_folder(state)
                        .map_err(|error| trouble("sync", state, &error))?;
                    *made = true;
                }
                Ok(folder.clone())
            }
            Place::Temporary { base, made } => {
                let scratch = match made {
                    Some(made) => made,
                    None => {
                        let root = ScratchRoot::open(base).map_err(|error| told(&error))?;
                        made.insert(root.scratch("files"))
                    }
                };
                scratch.folder().map_err(|error| told(&error))
            }
        }
    }

    /// Has it swept from time to time from now on. Must be called within a runtime.
    pub(crate) fn keep_tidy(&self) {
        if self.0.tidied.swap(true, Ordering::Relaxed) {
            return;
        }
        let depot = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP_EVERY).await;
                let Some(depot) = depot.upgrade().map(Self) else {
                    return;
                };
                let _ = tokio::task::spawn_blocking(move || depot.sweep()).await;
            }
        });
    }

    /// Whether there is nothing to keep tidy.
    pub(crate) fn is_empty(&self) -> bool {
        self.state().kept.is_empty()
    }
}

impl Kept {
    fn new(bytes: u64, path: PathBuf, checked: bool) -> Self {
        Self {
            bytes,
            path,
            checked,
            used: Instant::now(),
            jobs: BTreeSet::new(),
        }
    }
}

impl State {
    fn hold(&mut self, job: JobKey, files: &[JobFile]) {
        for file in files {
            if let Some(kept) = self.kept.get_mut(&file.id) {
                kept.jobs.insert(job);
            }
        }
    }
}

fn hash_of(path: &Path) -> io::Result<FileId> {
    let mut hash = blake3::Hasher::new();
    hash.update_reader(File::open(path)?)?;
    Ok(FileId(hash.finalize().into()))
}

/// Best effort: what stays is removed at the next start, or with the temporary folder.
fn remove(files: &dyn Files, path: &Path) {
    if let Err(error) = files.remove(path) {
        tracing::warn!(%error, path = %path.display(), "cannot remove a file");
    }
}

fn trouble(doing: &str, path: &Path, error: &io::Error) -> Refusal {
    Refusal::FileTrouble(format!("cannot {doing} {}: {error}", path.display()))
}

fn told(error: &dyn std::error::Error) -> Refusal {
    Refusal::FileTrouble(Failure::new(FailClass::Worker, error).to_string())
}

#[cfg(test)]
mod tests;
