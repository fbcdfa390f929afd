//! What can be refused of an output folder before anything runs.
//!
//! | found | without `--overwrite` | with it |
//! | --- | --- | --- |
//! | nothing | taken | taken |
//! | an output of a finished job, or an empty folder | refused | exchanged at the commit |
//! | any other folder, a mount point, a folder that holds inputs | refused | refused: what it holds would be deleted |
//! | anything else | refused | refused |
//!
//! The commit looks again, and never replaces what appeared meanwhile.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mapfold_data::manifest::MANIFEST_NAME;
use mapfold_terms::{FailReason, InputFile, InputName, RawPath};

use crate::commit::is_no_space;
use crate::files::Files;
use crate::staging::{Staging, StagingError};

/// Why a folder cannot become the output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputRefused {
    /// It has no name of its own.
    #[error("`{}` cannot be an output folder: name one by an absolute path", path.display())]
    NoName { path: PathBuf },
    /// The folder above it is missing.
    #[error("output folder {} cannot be made: {} does not exist", path.display(), parent.display())]
    ParentMissing { path: PathBuf, parent: PathBuf },
    /// What is above it is no folder.
    #[error("output folder {} cannot be made: {} is not a folder", path.display(), parent.display())]
    ParentNoFolder { path: PathBuf, parent: PathBuf },
    /// There is one, and it was not to be overwritten.
    #[error("output folder {} exists", path.display())]
    Exists { path: PathBuf },
    /// Something else has the name.
    #[error("{} exists and is not a folder", path.display())]
    NoFolder { path: PathBuf },
    /// The folder was not made by a job.
    #[error("{} is not the output of a job, and is not overwritten", path.display())]
    NoOutput { path: PathBuf },
    /// A file system is mounted there.
    #[error("{} is a mount point, which cannot be exchanged", path.display())]
    MountPoint { path: PathBuf },
    /// Overwriting it would delete what is read.
    #[error("output folder {} holds input {}", path.display(), input.display())]
    HoldsInput { path: PathBuf, input: RawPath },
    /// Looking failed.
    #[error("cannot look at {}", path.display())]
    Look { path: PathBuf, source: io::Error },
    /// No staging folder can be made beside it.
    #[error("output folder {} cannot be made", path.display())]
    Staging {
        path: PathBuf,
        #[source]
        source: StagingError,
    },
    /// The file system lacks what a commit needs.
    #[error("the file system of {} cannot {doing}", path.display())]
    Unable {
        path: PathBuf,
        doing: &'static str,
        source: io::Error,
    },
}

impl OutputRefused {
    /// Decides the exit code.
    pub(crate) fn reason(&self) -> FailReason {
        let io = match self {
            Self::Look { source, .. } | Self::Unable { source, .. } => Some(source),
            Self::Staging { source, .. } => match source {
                StagingError::Io { source, .. } => Some(source),
                StagingError::Random(_) | StagingError::Unstable { .. } => None,
            },
            _ => None,
        };
        match io {
            Some(error) if is_no_space(error) => FailReason::NoSpace,
            _ => FailReason::Output,
        }
    }

    /// What a person may do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::ParentMissing { parent, .. } => format!("make it first: mkdir -p {}", parent.display()),
            Self::Exists { .. } => {
                "choose another output folder, or replace this one with --overwrite".to_owned()
            }
            Self::NoOutput { .. } => format!(
                "only an empty folder, or one with the {MANIFEST_NAME} of a finished job, is overwritten; \
                 choose another output folder, or remove this one yourself"
            ),
            Self::MountPoint { .. } => "name a folder inside it".to_owned(),
            Self::HoldsInput { .. } => "choose another output folder".to_owned(),
            Self::Unable { .. } => "remove the old output first, or choose a folder elsewhere".to_owned(),
            Self::Staging { .. } => {
                "the master makes a staging folder beside the output, so it must be allowed to write there"
                    .to_owned()
            }
            Self::NoName { .. }
            | Self::ParentNoFolder { .. }
            | Self::NoFolder { .. }
            | Self::Look { .. } => return None,
        };
        Some(hint)
    }
}

/// Looks at the output's name and what has it. Changes nothing.
pub(crate) fn check(output: &Path, overwrite: bool) -> Result<(), OutputRefused> {
    let path = output.to_owned();
    let (Some(parent), Some(_)) = (output.parent(), output.file_name()) else {
        return Err(OutputRefused::NoName { path });
    };
    if !output.is_absolute() {
        return Err(OutputRefused::NoName { path });
    }
    let parent_meta = match fs::metadata(parent) {
        Ok(meta) if meta.is_dir() => meta,
        Err(source)
            if !matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Err(look(parent, source));
        }
        found => {
            let parent = parent.to_owned();
            return Err(match found {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    OutputRefused::ParentMissing { path, parent }
                }
                _ => OutputRefused::ParentNoFolder { path, parent },
            });
        }
    };
    let meta = match fs::symlink_metadata(output) {
        Ok(meta) => meta,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(look(output, source)),
    };
    match () {
        () if !meta.is_dir() => Err(OutputRefused::NoFolder { path }),
        () if !overwrite => Err(OutputRefused::Exists { path }),
        () if meta.dev() != parent_meta.dev() => Err(OutputRefused::MountPoint { path }),
        () => match may_be_replaced(output) {
            Ok(true) => Ok(()),
            Ok(false) => Err(OutputRefused::NoOutput { path }),
            Err(source) => Err(look(output, source)),
        },
    }
}

/// Whether what is there is the output of a finished job, or an empty folder.
pub(crate) fn may_be_replaced(output: &Path) -> io::Result<bool> {
    if !fs::symlink_metadata(output)?.is_dir() {
        return Ok(false);
    }
    let mut entries = fs::read_dir(output)?;
    Ok(entries.next().is_none() || output.join(MANIFEST_NAME).is_file())
}

/// With `--overwrite`: whether the folder that is to go holds what is to be read, by links or directly.
/// Cost: a comparison for each file, and one resolved path for each input.
pub(crate) fn check_holds_no_input(
    output: &Path,
    inputs: &[InputName],
    files: &[InputFile],
) -> Result<(), OutputRefused> {
    // Where there is no folder, it holds nothing.
    let Ok(resolved) = fs::canonicalize(output) else {
        return Ok(());
    };
    let below = |path: &Path| path.starts_with(output) || path.starts_with(&resolved);
    let file = files.iter().find(|file| below(file.path.as_path()));
    let input = inputs.iter().find(|input| {
        fs::canonicalize(input.absolute.as_path()).is_ok_and(|path| path.starts_with(&resolved))
    });
    let found = file
        .map(|file| &file.name)
        .or(input.map(|input| &input.typed));
    match found {
        None => Ok(()),
        Some(input) => Err(OutputRefused::HoldsInput {
            path: output.to_owned(),
            input: input.clone(),
        }),
    }
}

/// Makes the staging folder, and tries in it what the commit will do.
pub(crate) fn stage(
    files: &dyn Files,
    output: &Path,
    overwrite: bool,
    state: Option<&Path>,
) -> Result<Staging, OutputRefused> {
    let staging = Staging::create(files, output).map_err(|source| OutputRefused::Staging {
        path: output.to_owned(),
        source,
    })?;
    let marked = match state {
        Some(state) => staging.mark(files, state),
        None => Ok(()),
    };
    let marked = marked.map_err(|error| ("keep a file", error));
    match marked.and_then(|()| probe(files, &staging, overwrite && output.exists())) {
        Ok(()) => Ok(staging),
        Err((doing, source)) => {
            if let Err(error) = staging.remove(files) {
                tracing::warn!(%error, "cannot remove a staging folder");
            }
            Err(OutputRefused::Unable {
                path: output.to_owned(),
                doing,
                source,
            })
        }
    }
}

fn probe(
    files: &dyn Files,
    staging: &Staging,
    exchange: bool,
) -> Result<(), (&'static str, io::Error)> {
    let (one, other) = (staging.root().join("one"), staging.root().join("other"));
    let renames = files
        .create_folder(&one)
        .and_then(|()| files.rename_new(&one, &other));
    renames.map_err(|error| ("rename a folder", error))?;
    if exchange {
        let exchanges = files
            .create_folder(&one)
            .and_then(|()| files.exchange(&one, &other));
        exchanges.map_err(|error| ("exchange two folders in one step", error))?;
        files
            .remove_tree(&one)
            .map_err(|error| ("remove a folder", error))?;
    }
    files
        .remove_tree(&other)
        .map_err(|error| ("remove a folder", error))
}

fn look(path: &Path, source: io::Error) -> OutputRefused {
    OutputRefused::Look {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::SystemFiles;

    /// `want`: a part of the refusal's message, or "" for none; without and with `overwrite`.
    #[track_caller]
    fn check_both(output: &Path, want: [&str; 2]) {
        for (overwrite, want) in [false, true].into_iter().zip(want) {
            match check(output, overwrite) {
                Ok(()) => assert_eq!("", want, "overwrite {overwrite}"),
                Err(error) => assert!(
                    !want.is_empty() && error.to_string().contains(want),
                    "overwrite {overwrite}: {error}"
                ),
            }
        }
    }

    #[test]
    fn only_what_a_job_made_may_be_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        check_both(&path("new"), ["", ""]);
        check_both(Path::new("relative"), ["absolute", "absolute"]);
        check_both(Path::new("/"), ["absolute", "absolute"]);
        check_both(&path("no/parent"), ["does not exist", "does not exist"]);
        fs::write(path("file"), "x").unwrap();
        check_both(&path("file"), ["not a folder", "not a folder"]);
        check_both(&path("file/below"), ["not a folder", "not a folder"]);
        fs::create_dir(path("empty")).unwrap();
        check_both(&path("empty"), ["exists", ""]);
        fs::create_dir(path("done")).unwrap();
        fs::write(path("done").join(MANIFEST_NAME), "{}").unwrap();
        check_both(&path("done"), ["exists", ""]);
        fs::create_dir(path("home")).unwrap();
        fs::write(path("home/letter"), "x").unwrap();
        check_both(&path("home"), ["exists", "not the output of a job"]);
        std::os::unix::fs::symlink(path("done"), path("link")).unwrap();
        check_both(&path("link"), ["not a folder", "not a folder"]);
    }

    #[test]
    fn an_output_that_holds_inputs_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        fs::create_dir(&output).unwrap();
        fs::write(output.join("part-00000"), "x").unwrap();
        std::os::unix::fs::symlink(&output, folder.path().join("link")).unwrap();
        for (typed, held) in [("out/part-00000", true), ("link", true), ("other", false)] {
            let absolute = RawPath::from(folder.path().join(typed));
            let input = InputName {
                typed: RawPath::from(Path::new(typed)),
                absolute,
                input: 0,
                format: None,
            };
            let refused = check_holds_no_input(&output, &[input], &[]).is_err();
            assert_eq!(refused, held, "{typed}");
        }
    }

    #[test]
    fn the_probe_leaves_an_empty_staging_folder() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out");
        fs::create_dir(&output).unwrap();
        let staging = stage(&SystemFiles, &output, true, None).unwrap();
        let names: Vec<_> = fs::read_dir(staging.root())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["lock"]);
    }
}
