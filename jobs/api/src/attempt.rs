//! What an attempt knows of itself and of its job.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mapfold_data::scratch::{Scratch, ScratchError};
use mapfold_terms::{AttemptId, JobId, Split, TaskId, Token};

use crate::{MapTask, Monitor, ReduceTask};

/// The attempt that calls a job's functions: which it is, of how many tasks, and what it reads. From
/// [`Emitter::attempt`](crate::Emitter::attempt) and [`Rows::attempt`](crate::Rows::attempt).
///
/// An output that depends on it is that of this attempt, not of the job: the number of map tasks follows from the input, but the number of a try from
/// what failed. It is there for messages, names of temporary files, and programs that ask.
pub struct Attempt<'a> {
    id: AttemptId,
    maps: u32,
    reduces: u32,
    split: Option<&'a Split>,
    scratch: &'a Scratch,
    monitor: &'a dyn Monitor,
    /// Made when it is first asked for.
    folder: OnceLock<PathBuf>,
    began: Instant,
    /// When progress was told last, in milliseconds from its begin and one more; 0 if it never was.
    told: AtomicU64,
    /// The same of a status. Progress that was told says nothing of it.
    told_status: AtomicU64,
}

/// Progress that the job tells is passed on so often at most: a program may tell of each line.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Bytes of a status; what is beyond is cut off.
const STATUS_MAX: usize = 512;

/// Of the folder, within the attempt's scratch folder; no file of ours there is called so.
const FOLDER: &str = "own";

impl<'a> Attempt<'a> {
    fn new(
        id: AttemptId,
        (maps, reduces): (u32, u32),
        split: Option<&'a Split>,
        scratch: &'a Scratch,
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self {
            id,
            maps,
            reduces,
            split,
            scratch,
            monitor,
            folder: OnceLock::new(),
            began: Instant::now(),
            told: AtomicU64::new(0),
            told_status: AtomicU64::new(0),
        }
    }

    pub(crate) fn of_map(task: &MapTask<'a>, monitor: &'a dyn Monitor) -> Self {
        let tasks = (task.maps, task.partitions);
        Self::new(task.attempt, tasks, Some(task.split), task.scratch, monitor)
    }

    pub(crate) fn of_reduce(task: &ReduceTask<'a>, monitor: &'a dyn Monitor) -> Self {
        let tasks = (task.maps, task.partitions);
        Self::new(task.attempt, tasks, None, task.scratch, monitor)
    }

    /// One that no engine has ordered, of a job with so many tasks.
    pub(crate) fn alone(
        maps: u32,
        reduces: u32,
        split: Option<&'a Split>,
        scratch: &'a Scratch,
    ) -> Self {
        let id = AttemptId {
            token: Token::NONE,
            job: JobId(0),
            task: TaskId::map(0),
            number: 1,
        };
        Self::new(id, (maps, reduces), split, scratch, &crate::Unwatched)
    }

    /// Its task, the number of the try, and a token that no other attempt has. Where no master has ordered it (`mapfold task`, `replay`), the job
    /// is 0.
    pub fn id(&self) -> AttemptId {
        self.id
    }

    /// Number of map tasks of the job.
    pub fn maps(&self) -> u32 {
        self.maps
    }

    /// Number of reduce tasks of the job; 0 if it has none.
    pub fn reduces(&self) -> u32 {
        self.reduces
    }

    /// What a map attempt reads, known before its first record, and also if it has none. `None` in a reduce attempt, and while
    /// a sample of keys is taken.
    pub fn split(&self) -> Option<&'a Split> {
        self.split
    }

    /// A folder of the attempt's own, empty when it is first asked for, that goes with all that is in it when the attempt ends. It is among the engine's temporary files
    /// (`TMPDIR`, or `--dir` of a worker), for this user alone; what is in it is not counted in `--temp-max`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder(&self) -> Result<&Path, FolderError> {
        if let Some(folder) = self.folder.get() {
            return Ok(folder);
        }
        let folder = self.scratch.folder()?.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|source| FolderError::Make {
            path: folder.clone(),
            source,
        })?;
        Ok(self.folder.get_or_init(|| folder))
    }

    /// Whether it is to stop; see [`Emitter::cancelled`](crate::Emitter::cancelled).
    pub fn cancelled(&self) -> bool {
        self.monitor.cancelled()
    }

    /// Says that it makes progress, where the engine sees none: records are counted at the end of a block of them, and an attempt of which nothing
    /// was heard for the job's `--task-timeout` is given up. May be called as often as one likes.
    pub fn progress(&self) {
        if self.is_due(&self.told) {
            self.monitor.progress(0, 0);
        }
    }

    /// Says in a few words how it is going: for the log of the worker. Progress, too. Of what is said within a tenth of a second, the first status is heard.
    pub fn status(&self, text: &str) {
        if self.is_due(&self.told_status) {
            self.monitor
                .status(&text[..text.floor_char_boundary(STATUS_MAX)]);
        }
    }

    /// Whether it is time to tell something again that was `told` last then; if so, it is told now.
    fn is_due(&self, told: &AtomicU64) -> bool {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX - 1) + 1;
        let last = told.load(Ordering::Relaxed);
        let due = last == 0 || Duration::from_millis(now.saturating_sub(last)) >= TELL_EVERY;
        due && {
            told.store(now, Ordering::Relaxed);
            true
        }
    }

    /// Where the engine keeps its temporary files of this attempt. A job's own go to [`folder`](Self::folder).
    pub fn scratch(&self) -> &'a Scratch {
        self.scratch
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.get() {
            // What is left goes with the scratch folder.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("id", &self.id)
            .field("maps", &self.maps)
            .field("reduces", &self.reduces)
            .field("split", &self.split)
            .finish_non_exhaustive()
    }
}

/// Why an attempt has no folder of its own.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is no scratch folder.
    #[error("there is no folder for temporary files")]
    Scratch(#[from] ScratchError),
    /// It cannot be made there.
    #[error("cannot create {}", path.display())]
    Make {
        /// What was to be made.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use mapfold_data::scratch::ScratchRoot;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Monitor for Heard {
        fn progress(&self, _: u64, _: u64) {}

        fn status(&self, text: &str) {
            self.0.lock().unwrap().push(text.to_owned());
        }

        fn cancelled(&self) -> bool {
            false
        }
    }

    #[test]
    fn progress_silences_no_status() {
        let base = tempfile::tempdir().unwrap();
        let scratch = ScratchRoot::open(base.path()).unwrap().scratch("1-1");
        let heard = Heard::default();
        let id = Attempt::alone(1, 1, None, &scratch).id();
        let attempt = Attempt::new(id, (1, 1), None, &scratch, &heard);
        attempt.progress();
        attempt.status("half");
        assert_eq!(*heard.0.lock().unwrap(), ["half"]);
    }

    #[test]
    fn the_folder_goes_with_the_attempt() {
        let base = tempfile::tempdir().unwrap();
        let scratch = ScratchRoot::open(base.path()).unwrap().scratch("1-1");
        let attempt = Attempt::alone(1, 1, None, &scratch);
        let folder = attempt.folder().unwrap().to_owned();
        fs::write(folder.join("a"), "b").unwrap();
        assert_eq!(attempt.folder().unwrap(), folder);
        drop(attempt);
        assert!(!folder.exists());
        assert!(scratch.folder().unwrap().exists());
    }
}
