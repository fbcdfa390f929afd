//! Signs that jobs leave in a folder for the test to read, and a word count that waits to be let go.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mapfold_job::{Emitter, Fold, Job, JobError, Record, Rows, Values, params};

/// A wait for another process gives up after this long, with an error.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often a wait looks again.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A folder in which jobs and tests leave empty files for each other.
pub struct Trace(PathBuf);

impl Trace {
    /// The folder, which is there.
    pub fn new(folder: &str) -> Self {
        Self(PathBuf::from(folder))
    }

    /// Leaves a file whose name begins with `name`; as many calls, as many files.
    pub fn leave(&self, name: &str) -> Result<PathBuf, JobError> {
        let file = (0_u32..)
            .map(|number| {
                self.0
                    .join(format!("{name}.{}.{number}", std::process::id()))
            })
            .find(|path| fs::File::create_new(path).is_ok())
            .ok_or("no name left")?;
        Ok(file)
    }

    /// How many files begin with `name` and a dot.
    pub fn count(&self, name: &str) -> Result<usize, JobError> {
        let begins = |entry: &fs::DirEntry| {
            entry
                .file_name()
                .to_string_lossy()
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        Ok(fs::read_dir(&self.0)?
            .filter_map(Result::ok)
            .filter(begins)
            .count())
    }

    /// Whether a file is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// Waits until `condition` holds; false if it does not within a minute.
    pub fn wait(condition: impl Fn() -> bool) -> bool {
        let started = Instant::now();
        while !condition() {
            if started.elapsed() > PATIENCE {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

params! {
    /// Parameters of `slow`.
    pub struct SlowParams {
        /// Folder for signs.
        pub trace: String,
        /// Wait in `map` until the file `go-map` exists there.
        pub hold_map: bool = false,
        /// Wait in `reduce` until the file `go-reduce` exists there.
        pub hold_reduce: bool = false,
    }
}

/// Word count that tells when it maps and reduces, and waits there until it is let go: time to kill its worker.
pub struct Slow {
    trace: Trace,
    params: SlowParams,
}

impl Job for Slow {
    type Params = SlowParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "lab-slow";
    const SUMMARY: &'static str = "word count that waits to be let go";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);

    fn new(params: SlowParams) -> Result<Self, JobError> {
        Ok(Self {
            trace: Trace::new(&params.trace),
            params,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if record.offset == 0 {
            self.trace.leave("map")?;
            if self.params.hold_map && !Trace::wait(|| self.trace.has("go-map")) {
                return Err("nobody let the map go".into());
            }
        }
        let text = String::from_utf8_lossy(record.bytes);
        let words = text.split(|letter: char| !letter.is_alphabetic());
        for word in words.filter(|word| !word.is_empty()) {
            out.emit(word.as_bytes(), 1);
        }
        Ok(())
    }

    fn reduce(
        &self,
        word: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        if self.params.hold_reduce && !self.trace.has("go-reduce") {
            self.trace.leave("reduce")?;
            if !Trace::wait(|| self.trace.has("go-reduce")) {
                return Err("nobody let the reduce go".into());
            }
        }
        rows.row(word, counts.owned().sum::<u64>());
        Ok(())
    }
}
