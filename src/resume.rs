//! Jobs that go on where they were interrupted: a folder beside the output keeps what was asked for, and the journal of a master of
//! our own.
//!
//! The folder comes with the job and goes with its end, well or not; what is left is of a job that was cut off. The same command then
//! submits the same job once more, under the same key, and the master that reads the journal knows it.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use mapfold_terms::JobSpec;

use crate::error::Problem;
use crate::exit::Exit;
use crate::plan::cannot_write;

/// What was asked for; the journal is beside it.
const SPEC: &str = "job.json";

/// The folder of one output.
pub(crate) struct Resume {
    folder: PathBuf,
}

impl Resume {
    /// That of the job with this output.
    pub(crate) fn of(output: &Path) -> Self {
        let mut name = OsString::from(".");
        name.push(output.file_name().unwrap_or_default());
        name.push(".resume");
        Self {
            folder: output.with_file_name(name),
        }
    }

    /// Notes what is asked for, or finds it noted: then `spec` becomes that job. Tells whether it was begun before.
    ///
    /// # Errors
    /// Another job was begun; the folder cannot be used.
    pub(crate) fn begin(&self, spec: &mut JobSpec) -> Result<bool, Problem> {
        let path = self.folder.join(SPEC);
        let noted = match fs::read(&path) {
            Ok(noted) => noted,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.note(spec, &path)?;
                return Ok(false);
            }
            Err(error) => {
                let what = format!("cannot read {}", path.display());
                return Err(Problem::new(Exit::Output, what).because(&error));
            }
        };
        // One that cannot be read is of another version, or cut off: it is not this job.
        let begun = serde_json::from_slice::<JobSpec>(&noted).ok();
        match begun.filter(|begun| is_same(begun, spec)) {
            Some(begun) => {
                spec.key = begun.key;
                Ok(true)
            }
            None => Err(self.is_another()),
        }
    }

    fn note(&self, spec: &JobSpec, path: &Path) -> Result<(), Problem> {
        let json = serde_json::to_vec_pretty(spec).map_err(|error| {
            Problem::new(Exit::Internal, "cannot write down the job").because(&error)
        })?;
        let unfinished = path.with_extension("new");
        let write = || {
            fs::create_dir_all(&self.folder)?;
            let mut file = File::create(&unfinished)?;
            file.write_all(&json)?;
            file.sync_all()?;
            fs::rename(&unfinished, path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| cannot_write(path, &error))
    }

    fn is_another(&self) -> Problem {
        let folder = self.folder.display();
        Problem::new(
            Exit::Usage,
            format!("{folder} is of another job, which was interrupted"),
        )
        .cause("its input, options or version were not the same")
        .hint(format!(
            "give the command of that job again, or remove {folder} and what it has begun"
        ))
    }

    /// Where the master keeps its journal.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// The job has ended: nothing is left to go on with.
    pub(crate) fn end(&self) {
        // Best effort: its name tells what it is, and the job that it is of.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Whether they are one job but for the key, which is drawn anew each time.
fn is_same(begun: &JobSpec, asked: &JobSpec) -> bool {
    let asked = JobSpec {
        key: begun.key,
        ..asked.clone()
    };
    *begun == asked
}
