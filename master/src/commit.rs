//! The commit of a job: its winners' parts become the output folder, in one step or not at all.
//!
//! ```text
//! staging/<token>/part-00000  --rename-->  staging/output/part-00000    (fsynced by the worker before it reported)
//! manifest                    --write--->  staging/output/_SUCCESS      fsync file, fsync folder
//! staging/output              --rename without replacing, or exchange-->  output     fsync its parent
//! ```
//! Every step may be repeated, from any point at which an earlier try ended: a part that is already in
//! place stays, and an output that already carries this manifest is only made durable. Nothing is
//! visible under the output's name before the one rename.
//!
//! Part files are not fsynced a second time: an attempt reports only after its part is durable, and the
//! fsync of the folder covers the renames. Their lengths are compared with the reports; rows and hashes
//! are the reports' own, since reading all output again would cost as much as writing it. `mapfold
//! verify` does that on request.

use std::io;
use std::path::{Path, PathBuf};

use mapfold_data::manifest::SKIPPED_NAME;
use mapfold_terms::{AttemptId, FailReason, PartSummary};

use crate::files::Files;
use crate::output;

/// What is to be put in place.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    /// Folder in staging that becomes the output.
    pub(crate) staged: PathBuf,
    /// The output folder's name.
    pub(crate) output: PathBuf,
    /// Exchange an output that exists.
    pub(crate) overwrite: bool,
    /// All files of rows.
    pub(crate) parts: Vec<Part>,
    /// The records that were put aside, as a file; empty if there are none.
    pub(crate) skipped: Vec<u8>,
    /// The bytes of `_SUCCESS`.
    pub(crate) manifest: Vec<u8>,
}

/// A file that a winner left.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Who wrote it.
    pub(crate) attempt: AttemptId,
    /// Where the attempt left it.
    pub(crate) source: PathBuf,
    /// Its name in the output.
    pub(crate) name: String,
    /// What was reported of it.
    pub(crate) summary: PartSummary,
}

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    /// A call failed.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// A verb.
        doing: &'static str,
        /// Of what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A part is neither where its attempt left it nor in place.
    #[error("the part of attempt {attempt} is missing: {}", path.display())]
    PartMissing {
        /// Who reported it.
        attempt: AttemptId,
        /// Where it should be.
        path: PathBuf,
    },
    /// A part is not what was reported.
    #[error("the part of attempt {attempt}, {}, has {got} bytes, not {want}", path.display())]
    PartLength {
        /// Who reported it.
        attempt: AttemptId,
        /// The part.
        path: PathBuf,
        /// Its length.
        got: u64,
        /// The length reported.
        want: u64,
    },
    /// Somebody made the output folder while the job ran.
    #[error("output folder {} appeared while the job ran", path.display())]
    OutputAppeared {
        /// The output.
        path: PathBuf,
    },
    /// The rename is done, but may not survive a power cut, and could not be undone.
    #[error("output folder {} is in place but not durable, and cannot be withdrawn", path.display())]
    NotDurable {
        /// The output.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl CommitError {
    /// Decides the exit code.
    pub(crate) fn reason(&self) -> FailReason {
        match self {
            Self::Io { source, .. } if is_no_space(source) => FailReason::NoSpace,
            Self::Io { .. } | Self::OutputAppeared { .. } | Self::NotDurable { .. } => {
                FailReason::Output
            }
            Self::PartMissing { .. } | Self::PartLength { .. } => FailReason::Output,
        }
    }
}

/// Whether an error says that a disk or a quota is full.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Name of the manifest in the output folder.
pub(crate) const MANIFEST: &str = "_SUCCESS";

impl Commit {
    /// Puts the output in place. Blocks. On an error nothing new is visible (but see
    /// [`CommitError::NotDurable`]), and the call may be repeated.
    pub(crate) fn run(&self, files: &dyn Files) -> Result<(), CommitError> {
        if !self.is_in_place(files)? {
            if !self.is_staged(files)? {
                self.stage(files)?;
            }
            self.publish(files)?;
        }
        self.make_durable(files)
    }

    /// Whether an earlier try got past the rename: the parts have left the staging folder, the
    /// staged manifest is gone, and the output's is ours.
    fn is_in_place(&self, files: &dyn Files) -> Result<bool, CommitError> {
        let waits = match self.parts.first() {
            Some(first) => file_len(files, &first.source)?.is_some(),
            None => false,
        };
        Ok(!waits && !self.is_staged(files)? && self.carries_manifest(files, &self.output)?)
    }

    /// Whether the staged folder is complete: its manifest is written last.
    fn is_staged(&self, files: &dyn Files) -> Result<bool, CommitError> {
        self.carries_manifest(files, &self.staged)
    }

    fn carries_manifest(&self, files: &dyn Files, folder: &Path) -> Result<bool, CommitError> {
        let path = folder.join(MANIFEST);
        let held = match files.read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => None,
            held => held.map_err(failed("read", &path))?,
        };
        Ok(held.as_deref() == Some(&self.manifest))
    }

    fn stage(&self, files: &dyn Files) -> Result<(), CommitError> {
        match files.create_folder(&self.staged) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(failed("create", &self.staged)(error));
            }
            _ => {}
        }
        for part in &self.parts {
            self.place(files, part)?;
        }
        if !self.skipped.is_empty() {
            let skipped = self.staged.join(SKIPPED_NAME);
            files
                .write_synced(&skipped, &self.skipped)
                .map_err(failed("write", &skipped))?;
        }
        let manifest = self.staged.join(MANIFEST);
        files
            .write_synced(&manifest, &self.manifest)
            .map_err(failed("write", &manifest))?;
        files
            .sync_folder(&self.staged)
            .map_err(failed("sync", &self.staged))
    }

    fn place(&self, files: &dyn Files, part: &Part) -> Result<(), CommitError> {
        let place = self.staged.join(&part.name);
        if file_len(files, &part.source)?.is_some() {
            files
                .rename(&part.source, &place)
                .map_err(failed("move into place", &part.source))?;
        }
        match file_len(files, &place)? {
            Some(got) if got == part.summary.bytes => Ok(()),
            Some(got) => Err(CommitError::PartLength {
                attempt: part.attempt,
                path: place,
                got,
                want: part.summary.bytes,
            }),
            None => Err(CommitError::PartMissing {
                attempt: part.attempt,
                path: part.source.clone(),
            }),
        }
    }

    fn publish(&self, files: &dyn Files) -> Result<(), CommitError> {
        match files.rename_new(&self.staged, &self.output) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !self.overwrite {
                    return Err(CommitError::OutputAppeared {
                        path: self.output.clone(),
                    });
                }
                match output::may_be_replaced(&self.output) {
                    Ok(true) => {}
                    Ok(false) => {
                        return Err(CommitError::OutputAppeared {
                            path: self.output.clone(),
                        });
                    }
                    Err(error) => return Err(failed("look at", &self.output)(error)),
                }
                files
                    .exchange(&self.staged, &self.output)
                    .map_err(failed("exchange staged output with", &self.output))
            }
            Err(error) => Err(failed("rename staged output to", &self.output)(error)),
        }
    }

    /// An fsync that failed proves nothing, so the output is withdrawn again.
    fn make_durable(&self, files: &dyn Files) -> Result<(), CommitError> {
        let parent = self.output.parent().unwrap_or(Path::new("/"));
        let Err(error) = files.sync_folder(parent) else {
            return Ok(());
        };
        let withdrawn = match files.rename_new(&self.output, &self.staged) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                files.exchange(&self.output, &self.staged)
            }
            done => done,
        };
        match withdrawn {
            Ok(()) => Err(failed("sync", parent)(error)),
            Err(_) => Err(CommitError::NotDurable {
                path: self.output.clone(),
                source: error,
            }),
        }
    }
}

fn file_len(files: &dyn Files, path: &Path) -> Result<Option<u64>, CommitError> {
    files.file_len(path).map_err(failed("look at", path))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CommitError {
    let path = path.to_owned();
    move |source| CommitError::Io {
        doing,
        path,
        source,
    }
}

#[cfg(test)]
mod tests;
