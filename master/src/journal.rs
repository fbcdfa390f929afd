//! The journal's file: what a master has decided for good, on disk before anybody hears of it.
//!
//! ```text
//! STATE/lock          held with flock by the master that lives
//! STATE/journal       records (see mapfold_journal), appended and synced batch by batch
//! STATE/journal.new   the next file, until it takes the place of the old one
//! ```
//! A new file is written at each start and whenever the present one has grown much, without what jobs that ended have
//! left, and takes the old one's place by a rename: there is always one whole file, so a start may itself be cut off at
//! any point. The new epoch is its first record, so it is on disk before anything is done in its name.
//!
//! After one failed write or sync nothing is known of what the disk holds, and asking again would lie (Linux reports a
//! lost page once). So the first error is the last: the journal refuses everything from then on, and its master ends.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mapfold_journal::{Damage, Record, Writer, compact, read};
use mapfold_terms::{JobId, MasterEpoch, WorkerId};
use rustix::fs::{FlockOperation, flock};

use crate::files::{Files, Growing};

/// Jobs that ended and are still known after a restart.
pub(crate) const ENDED_KEPT_MAX: usize = 100;

/// A file below this length is not written anew, however little of it is needed.
const REWRITE_ABOVE: u64 = 64 << 20;

const LOCK: &str = "lock";
const FILE: &str = "journal";
const NEW_FILE: &str = "journal.new";

/// An open journal.
pub(crate) struct Journal {
    files: Arc<dyn Files>,
    folder: PathBuf,
    _lock: File,
    file: Box<dyn Growing>,
    began: Began,
    writer: Writer,
    /// Records that were appended and are not written yet.
    batch: Vec<u8>,
    /// Bytes in the file.
    length: u64,
    /// Above this length it is written anew.
    length_max: u64,
    poisoned: bool,
}

/// What each file begins with.
#[derive(Clone, Debug)]
struct Began {
    epoch: MasterEpoch,
    since: MasterEpoch,
    /// Earlier starts.
    starts: Vec<MasterEpoch>,
    next_job: JobId,
    last_worker: WorkerId,
}

/// A journal that was just opened.
pub(crate) struct Opened {
    pub(crate) journal: Journal,
    /// Of this start.
    pub(crate) epoch: MasterEpoch,
    /// Of the first start with this journal.
    pub(crate) since: MasterEpoch,
    /// Of earlier starts, the last [`Record::STARTS_KEPT`] of them.
    pub(crate) starts: Vec<MasterEpoch>,
    /// The first job id that was never given.
    pub(crate) next_job: JobId,
    /// The last worker id that may have been given.
    pub(crate) last_worker: WorkerId,
    /// What earlier starts have left.
    pub(crate) records: Vec<Record>,
    /// Staging folders of jobs that have ended, which may still be there.
    pub(crate) leftovers: Vec<PathBuf>,
}

/// Why there is no journal, or no longer.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another master works there.
    #[error("state folder {} is in use by another master", folder.display())]
    InUse {
        /// The state folder.
        folder: PathBuf,
    },
    /// It cannot be used at all.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// Of what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was written, and does not read back.
    #[error("journal {} cannot be used", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where and how.
        source: Damage,
    },
    /// An earlier error ended it.
    #[error("journal {} has failed before", path.display())]
    Poisoned {
        /// The file.
        path: PathBuf,
    },
}

impl Journal {
    /// Opens the journal in `folder`, which is made if need be, for one more start of its master. `seconds`: the time
    /// since 1970, from which the epoch is taken if that is higher than all before. Blocks.
    pub(crate) fn open(
        files: Arc<dyn Files>,
        folder: &Path,
        seconds: u32,
    ) -> Result<Opened, JournalError> {
        make_folder(&*files, folder)?;
        let lock = lock(folder)?;
        let records = read_file(&*files, &folder.join(FILE))?;
        let began = Began::after(&records, seconds);
        let leftovers = leftovers(&records);
        let records = compact(records, ENDED_KEPT_MAX);
        let (file, writer, length) = begin(&*files, folder, &began, &records)?;
        let (epoch, since, starts) = (began.epoch, began.since, began.starts.clone());
        let (next_job, last_worker) = (began.next_job, began.last_worker);
        let journal = Self {
            files,
            folder: folder.to_owned(),
            _lock: lock,
            file,
            began,
            writer,
            batch: Vec::new(),
            length,
            length_max: length_max(length),
            poisoned: false,
        };
        Ok(Opened {
            journal,
            epoch,
            since,
            starts,
            next_job,
            last_worker,
            records,
            leftovers,
        })
    }

    /// Adds a record to the next batch.
    pub(crate) fn append(&mut self, record: &Record) {
        self.began.note(record);
        self.writer.append(record, &mut self.batch);
    }

    /// Whether there is anything to write.
    pub(crate) fn is_behind(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Writes and syncs the batch. Blocks, and now and then for as long as it takes to write the file anew.
    ///
    /// # Errors
    /// Once, and from then on always.
    pub(crate) fn commit(&mut self) -> Result<(), JournalError> {
        let path = self.folder.join(FILE);
        if self.poisoned {
            return Err(JournalError::Poisoned { path });
        }
        self.poisoned = true;
        self.file.append(&self.batch).map_err(io("write", &path))?;
        self.file.sync().map_err(io("sync", &path))?;
        self.writer.synced();
        self.length += self.batch.len() as u64;
        self.batch.clear();
        if self.length > self.length_max {
            self.rewrite()?;
        }
        self.poisoned = false;
        Ok(())
    }

    fn rewrite(&mut self) -> Result<(), JournalError> {
        let records = read_file(&*self.files, &self.folder.join(FILE))?;
        let records = compact(records, ENDED_KEPT_MAX);
        (self.file, self.writer, self.length) =
            begin(&*self.files, &self.folder, &self.began, &records)?;
        self.length_max = length_max(self.length);
        tracing::info!(bytes = self.length, "wrote the journal anew");
        Ok(())
    }
}

impl Began {
    fn after(records: &[Record], seconds: u32) -> Self {
        let mut began = Self {
            epoch: MasterEpoch(0),
            since: MasterEpoch(0),
            starts: Vec::new(),
            next_job: JobId(1),
            last_worker: WorkerId(0),
        };
        records.iter().for_each(|record| began.note(record));
        if !records.is_empty() {
            began.starts.push(began.epoch);
        }
        let old = began.starts.len().saturating_sub(Record::STARTS_KEPT);
        began.starts.drain(..old);
        let next = began.epoch.0.checked_add(1).expect("2^32 starts");
        began.epoch = MasterEpoch(seconds.max(next));
        if records.is_empty() {
            began.since = began.epoch;
        }
        began
    }

    fn note(&mut self, record: &Record) {
        match record {
            Record::Began {
                epoch,
                since,
                next_job,
                last_worker,
            } => {
                self.since = *since;
                self.epoch = self.epoch.max(*epoch);
                self.next_job = self.next_job.max(*next_job);
                self.last_worker = self.last_worker.max(*last_worker);
            }
            Record::Starts { epochs } => self.starts.clone_from(epochs),
            Record::Workers { upto } => self.last_worker = self.last_worker.max(*upto),
            Record::Accepted { job, .. } => {
                self.next_job = self.next_job.max(JobId(job.0 + 1));
            }
            _ => {}
        }
    }
}

fn leftovers(records: &[Record]) -> Vec<PathBuf> {
    let mut planned = BTreeMap::new();
    let mut leftovers = Vec::new();
    for record in records {
        match record {
            Record::Planned { job, planned: it } => {
                planned.insert(*job, it.staging.as_path().to_owned());
            }
            Record::Ended { job, .. } => leftovers.extend(planned.remove(job)),
            _ => {}
        }
    }
    leftovers
}

/// The length above which a file of `length` bytes, all of them needed, is written anew.
const fn length_max(length: u64) -> u64 {
    let double = length.saturating_mul(2);
    if double > REWRITE_ABOVE {
        double
    } else {
        REWRITE_ABOVE
    }
}

/// Puts a new file in the place of the old one.
fn begin(
    files: &dyn Files,
    folder: &Path,
    began: &Began,
    records: &[Record],
) -> Result<(Box<dyn Growing>, Writer, u64), JournalError> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(began.epoch, &mut bytes);
    let first = Record::Began {
        epoch: began.epoch,
        since: began.since,
        next_job: began.next_job,
        last_worker: began.last_worker,
    };
    let starts = Record::Starts {
        epochs: began.starts.clone(),
    };
    writer.append(&first, &mut bytes);
    writer.append(&starts, &mut bytes);
    for record in records {
        writer.append(record, &mut bytes);
    }
    writer.synced();
    let (new, path) = (folder.join(NEW_FILE), folder.join(FILE));
    files
        .write_synced(&new, &bytes)
        .map_err(io("write", &new))?;
    files.rename(&new, &path).map_err(io("replace", &path))?;
    files.sync_folder(folder).map_err(io("sync", folder))?;
    let file = files.append_to(&path).map_err(io("open", &path))?;
    Ok((file, writer, bytes.len() as u64))
}

fn read_file(files: &dyn Files, path: &Path) -> Result<Vec<Record>, JournalError> {
    let Some(bytes) = files.read(path).map_err(io("read", path))? else {
        return Ok(Vec::new());
    };
    let (records, length) = read(&bytes).map_err(|source| JournalError::Damaged {
        path: path.to_owned(),
        source,
    })?;
    if length < bytes.len() {
        let bytes = bytes.len() - length;
        tracing::warn!(
            bytes,
            "the end of the journal was never synced, and is left out"
        );
    }
    Ok(records)
}

/// Its parent must exist.
fn make_folder(files: &dyn Files, folder: &Path) -> Result<(), JournalError> {
    match files.create_private_folder(folder) {
        Ok(()) => {
            let parent = folder.parent().filter(|it| !it.as_os_str().is_empty());
            let parent = parent.unwrap_or(Path::new("."));
            files.sync_folder(parent).map_err(io("sync", parent))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(io("make state folder", folder)(error)),
    }
}

fn lock(folder: &Path) -> Result<File, JournalError> {
    let path = folder.join(LOCK);
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(JournalError::InUse {
            folder: folder.to_owned(),
        }),
        Err(error) => Err(io("lock", &path)(error.into())),
    }
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io {
        doing,
        path,
        source,
    }
}

/// Whether `folder` is where some master keeps a journal.
pub(crate) fn is_state(folder: &Path) -> bool {
    fs::symlink_metadata(folder.join(FILE)).is_ok()
}

#[cfg(test)]
mod tests;
