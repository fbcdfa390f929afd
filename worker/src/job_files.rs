//! The files that go with jobs, at a worker: brought once each, however many slots and jobs want them.
//!
//! On a cluster they come from the master, piece by piece, over a connection of their own, into a folder that only this user may enter. They are
//! hashed as they come: nobody sees one before it is whole and what it should be. A worker that the client has started on its own machine reads
//! them where they are.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use mapfold_data::scratch::{self, Scratch, ScratchError, ScratchPath};
use mapfold_job::Monitor;
use mapfold_protocol::CallError;
use mapfold_protocol::service::Refusal;
use mapfold_terms::{FailClass, Failure, FileId, JobFile, JobFileKind, Outcome};
use tokio::runtime::Handle;

use crate::desk::{Desk, DeskError};

/// Tries at a file that comes damaged. A connection that breaks is no such try: it goes on where it was.
const TRIES_MAX: u32 = 3;
/// Bytes of files that no attempt needs now and that are kept for the next job.
const IDLE_MAX: u64 = 256 << 20;
/// How often an attempt that waits looks whether it is cancelled.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The files of jobs at this worker.
pub(crate) struct JobFiles {
    from: From,
    here: Mutex<BTreeMap<FileId, Arc<Place>>>,
}

/// Where they come from.
enum From {
    /// Where the client has found them.
    Paths,
    /// The master.
    Master {
        desk: Desk,
        /// Drives the calls of attempts, which have no runtime on their threads.
        runtime: Handle,
        scratch: Scratch,
    },
}

/// A file that is here or on its way.
#[derive(Default)]
struct Place {
    file: Mutex<Option<Arc<LocalFile>>>,
    /// Bytes that have come, over all tries.
    came: AtomicU64,
}

/// A file that is here, as long as this is.
#[derive(Debug)]
pub(crate) struct LocalFile {
    path: PathBuf,
    bytes: u64,
    used: Mutex<Instant>,
    /// Deletes it, if it is ours.
    _ours: Option<ScratchPath>,
}

impl LocalFile {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A file of a job, and where it is here.
#[derive(Clone, Debug)]
pub(crate) struct Brought {
    pub(crate) kind: JobFileKind,
    /// The name that the job knows it by.
    pub(crate) name: String,
    pub(crate) file: Arc<LocalFile>,
}

/// Why a file of a job is not here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BringError {
    #[error("cancelled")]
    Cancelled,
    #[error("cannot get the job's file {name} from the master")]
    Refused { name: String, source: Refusal },
    #[error("cannot get the job's file {name} from the master")]
    Lost { name: String, source: CallError },
    #[error("the job's file {name} came damaged from the master, {TRIES_MAX} times")]
    Damaged { name: String },
    #[error("cannot keep the job's file {name}")]
    Scratch { name: String, source: ScratchError },
    #[error("cannot write the job's file {name} to {}", path.display())]
    Write {
        name: String,
        path: PathBuf,
        source: io::Error,
    },
}

impl BringError {
    /// What becomes of the attempt that needs it.
    pub(crate) fn outcome(&self) -> Outcome {
        let (class, hint) = match self {
            Self::Cancelled => return Outcome::Cancelled,
            // It is so for every worker.
            Self::Refused { .. } => (FailClass::Input, Some("run the job again: it is sent anew")),
            Self::Lost { .. } | Self::Damaged { .. } => (FailClass::Worker, None),
            Self::Scratch { source, .. } => (FailClass::Worker, source.hint()),
            Self::Write { source, .. } => (FailClass::Worker, scratch::hint(source)),
        };
        Outcome::Failed(Failure {
            hint: hint.map(str::to_owned),
            ..Failure::new(class, self)
        })
    }
}

impl JobFiles {
    /// Files are read where the client has found them.
    pub(crate) fn at_their_paths() -> Self {
        Self::new(From::Paths)
    }

    /// Files come from the master. Must be called within a runtime, which lasts as long as attempts run.
    pub(crate) fn from_master(desk: Desk, scratch: Scratch) -> Self {
        Self::new(From::Master {
            desk,
            runtime: Handle::current(),
            scratch,
        })
    }

    fn new(from: From) -> Self {
        Self {
            from,
            here: Mutex::default(),
        }
    }

    /// These files, for an attempt. Blocks until they are here: the first attempt that wants one brings it, others wait for that.
    ///
    /// # Errors
    /// See [`BringError`].
    pub(crate) fn bring(
        &self,
        files: &[JobFile],
        monitor: &dyn Monitor,
    ) -> Result<Vec<Brought>, BringError> {
        let brought = files.iter().map(|file| {
            Ok(Brought {
                kind: file.kind,
                name: file.name.clone(),
                file: self.one(file, monitor)?,
            })
        });
        brought.collect()
    }

    fn one(&self, file: &JobFile, monitor: &dyn Monitor) -> Result<Arc<LocalFile>, BringError> {
        let place = Arc::clone(self.here().entry(file.id).or_default());
        let mut slot = place.wait(monitor)?;
        if let Some(here) = &*slot {
            *here.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return Ok(Arc::clone(here));
        }
        let here = Arc::new(match &self.from {
            // Whoever opens it there holds it against its hash.
            From::Paths => LocalFile {
                path: file.path.as_path().to_owned(),
                bytes: 0,
                used: Mutex::new(Instant::now()),
                _ours: None,
            },
            From::Master {
                desk,
                runtime,
                scratch,
            } => Fetch {
                file,
                place: &place,
                desk,
                runtime,
                scratch,
                monitor,
            }
            .run()?,
        });
        *slot = Some(Arc::clone(&here));
        drop(slot);
        self.tidy();
        Ok(here)
    }

    /// Lets go of the files that were used the longest ago, of those that nobody uses, beyond [`IDLE_MAX`] bytes.
    pub(crate) fn tidy(&self) {
        let mut here = self.here();
        let mut idle: Vec<(Instant, FileId, u64)> = Vec::new();
        for (id, place) in &*here {
            // One that is on its way is not idle.
            let Ok(file) = place.file.try_lock() else {
                continue;
            };
            if let Some(file) = file.as_ref().filter(|file| Arc::strong_count(file) == 1) {
                let used = *file.used.lock().unwrap_or_else(PoisonError::into_inner);
                idle.push((used, *id, file.bytes));
            }
        }
        idle.sort();
        let mut kept = 0;
        for (_, id, bytes) in idle.into_iter().rev() {
            kept += bytes;
            if kept > IDLE_MAX {
                here.remove(&id);
            }
        }
    }

    fn here(&self) -> MutexGuard<'_, BTreeMap<FileId, Arc<Place>>> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Waits until nobody else brings it. That it comes is progress of all who wait.
    fn wait(
        &self,
        monitor: &dyn Monitor,
    ) -> Result<MutexGuard<'_, Option<Arc<LocalFile>>>, BringError> {
        let mut came = 0;
        loop {
            match self.file.try_lock() {
                Ok(file) => return Ok(file),
                // Whoever brought it has panicked, and left nothing.
                Err(TryLockError::Poisoned(file)) => return Ok(file.into_inner()),
                Err(TryLockError::WouldBlock) => {}
            }
            if monitor.cancelled() {
                return Err(BringError::Cancelled);
            }
            let now = self.came.load(Ordering::Relaxed);
            if std::mem::replace(&mut came, now) != now {
                monitor.progress(0, 0);
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// One file on its way from the master.
struct Fetch<'a> {
    file: &'a JobFile,
    place: &'a Place,
    desk: &'a Desk,
    runtime: &'a Handle,
    scratch: &'a Scratch,
    monitor: &'a dyn Monitor,
}

impl Fetch<'_> {
    fn run(&self) -> Result<LocalFile, BringError> {
        for _ in 0..TRIES_MAX {
            if let Some(here) = self.once()? {
                let bytes = self.file.bytes;
                tracing::info!(name = self.file.name, %bytes, id = %self.file.id, "got a file of a job");
                return Ok(here);
            }
            tracing::warn!(name = self.file.name, "a file of a job came damaged");
        }
        Err(BringError::Damaged {
            name: self.file.name.clone(),
        })
    }

    /// `None` if what came is not what it should be.
    fn once(&self) -> Result<Option<LocalFile>, BringError> {
        /// A plugin is opened, as a program is.
        const PLUGIN: u32 = 0o500;
        const SIDE: u32 = 0o400;
        let JobFile { kind, id, .. } = self.file;
        let name = || self.file.name.clone();
        let len = self.file.bytes.bytes();
        let to = self.scratch.create(&self.local_name());
        let mut to = to.map_err(|source| BringError::Scratch {
            name: name(),
            source,
        })?;
        let cannot_write = |path: &Path, source| BringError::Write {
            name: name(),
            path: path.to_owned(),
            source,
        };
        let mut hash = blake3::Hasher::new();
        let mut at = 0;
        while at < len {
            let piece = self.piece(at)?;
            at += piece.len() as u64;
            if piece.is_empty() || at > len {
                return Ok(None);
            }
            hash.update(&piece);
            if let Err(error) = to.write_all(&piece) {
                return Err(cannot_write(to.path.as_path(), error));
            }
            self.place
                .came
                .fetch_add(piece.len() as u64, Ordering::Relaxed);
            self.monitor.progress(0, 0);
        }
        if FileId(hash.finalize().into()) != *id {
            return Ok(None);
        }
        let mode = match kind {
            JobFileKind::Plugin => PLUGIN,
            JobFileKind::Side => SIDE,
        };
        if let Err(error) = to.file.set_permissions(Permissions::from_mode(mode)) {
            return Err(cannot_write(to.path.as_path(), error));
        }
        Ok(Some(LocalFile {
            path: to.path.as_path().to_owned(),
            bytes: len,
            used: Mutex::new(Instant::now()),
            _ours: Some(to.path),
        }))
    }

    /// A name that a person knows again in a message.
    fn local_name(&self) -> String {
        let plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | '-' | '_');
        let kept = self.file.name.chars().filter(|it| plain(*it)).take(100);
        let name: String = kept.collect();
        // Nothing that is hidden, or leads elsewhere.
        format!("f{}-{}", &self.file.id.to_string()[..8], name)
    }

    fn piece(&self, at: u64) -> Result<Vec<u8>, BringError> {
        let id = self.file.id;
        let call = self.desk.call(Duration::ZERO, |desk, context| async move {
            desk.file(context, id, at).await
        });
        let answer = self.runtime.block_on(async {
            tokio::select! {
                answer = call => Some(answer),
                () = cancelled(self.monitor) => None,
            }
        });
        let name = || self.file.name.clone();
        match answer {
            None => Err(BringError::Cancelled),
            Some(Ok(piece)) => Ok(piece.0),
            Some(Err(DeskError::Refused(source))) => Err(BringError::Refused {
                name: name(),
                source,
            }),
            Some(Err(DeskError::Lost(source))) => Err(BringError::Lost {
                name: name(),
                source,
            }),
        }
    }
}

async fn cancelled(monitor: &dyn Monitor) {
    while !monitor.cancelled() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
