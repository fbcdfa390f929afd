//! Puts finished parts in place as an output folder, for attempts that no master ran.
//!
//! The steps are those of a job's commit ([`crate::commit`]): staged beside the output, named there by one rename, or not at all.

use std::io;
use std::path::{Path, PathBuf};

use mapfold_data::manifest::Manifest;
use mapfold_terms::{AttemptId, FailClass, FailReason, Failure, PartSummary};

use crate::commit::{self, Commit, CommitError};
use crate::files::{Files, SystemFiles};
use crate::output::{self, OutputRefused};
use crate::staging;

/// An output folder to be.
#[derive(Debug)]
pub struct Publication<'a> {
    /// Its name, absolute.
    pub output: &'a Path,
    /// Exchange an output that exists, rather than refuse.
    pub overwrite: bool,
    /// All files of rows. They stay where they are.
    pub parts: Vec<FinishedPart>,
    /// The records that were put aside, as a file; empty if there are none.
    pub skipped: Vec<u8>,
    /// What the folder says of itself.
    pub manifest: &'a Manifest,
}

/// A file that an attempt left, fsynced.
#[derive(Debug)]
pub struct FinishedPart {
    /// Who wrote it.
    pub attempt: AttemptId,
    /// Where it is.
    pub path: PathBuf,
    /// Its name in the output.
    pub name: String,
    /// What was reported of it.
    pub summary: PartSummary,
}

/// Why nothing was put in place.
#[derive(Debug)]
pub struct PublishFailed {
    /// What kind of reason it was.
    pub reason: FailReason,
    /// For people.
    pub failure: Box<Failure>,
}

impl From<OutputRefused> for PublishFailed {
    fn from(refused: OutputRefused) -> Self {
        Self {
            reason: refused.reason(),
            failure: Box::new(Failure {
                hint: refused.hint(),
                ..Failure::new(FailClass::Worker, &refused)
            }),
        }
    }
}

impl From<CommitError> for PublishFailed {
    fn from(error: CommitError) -> Self {
        Self {
            reason: error.reason(),
            failure: Box::new(Failure::new(FailClass::Worker, &error)),
        }
    }
}

impl Publication<'_> {
    /// Puts it in place. Blocks. The same publication may be made again: an output that already carries its manifest is
    /// left as it is.
    ///
    /// # Errors
    /// The output exists, or cannot be made; nothing is visible under its name then.
    pub fn publish(&self) -> Result<(), PublishFailed> {
        let files = SystemFiles;
        staging::sweep(&files, self.output, None);
        let manifest = self.manifest.to_json();
        let present = files.read(&self.output.join(commit::MANIFEST));
        if present.ok().flatten().as_ref() == Some(&manifest) {
            return Ok(());
        }
        output::check(self.output, self.overwrite)?;
        let staging = output::stage(&files, self.output, self.overwrite, None)?;
        let committed = self.commit(&files, staging.root(), manifest);
        if let Err(error) = staging.remove(&files) {
            tracing::warn!(%error, "cannot remove a staging folder");
        }
        Ok(committed?)
    }

    fn commit(&self, files: &dyn Files, root: &Path, manifest: Vec<u8>) -> Result<(), CommitError> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            let source = root.join(&part.name);
            bring(&part.path, &source).map_err(|error| CommitError::Io {
                doing: "copy",
                path: part.path.clone(),
                source: error,
            })?;
            parts.push(commit::Part {
                attempt: part.attempt,
                source,
                name: part.name.clone(),
                summary: part.summary,
            });
        }
        let commit = Commit {
            staged: staging::output_in(root),
            output: self.output.to_owned(),
            overwrite: self.overwrite,
            parts,
            skipped: self.skipped.clone(),
            manifest,
        };
        commit.run(files)
    }
}

/// Copies a durable file: by a second name on the same file system, else by its bytes, fsynced. A second name is of use only
/// where nobody writes under the first one.
fn bring(from: &Path, to: &Path) -> io::Result<()> {
    if std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to)?;
    std::fs::File::open(to)?.sync_all()
}
