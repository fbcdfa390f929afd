//! What `-input` stands for, by the rules of Hadoop's FileInputFormat: a list of files, all of them there.
//!
//! Other than `mapfold run`: a folder below a folder is an error unless it is asked for, and a hidden file is not there even if it is named outright. The
//! engine then gets plain files.

use std::path::PathBuf;

use mapfold_data::input::is_hidden;

use super::glob::{self, FolderError, GlobError};
use super::uri::{Located, Uris};

/// How folders are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Folders {
    /// With what is in folders below.
    pub(super) recursive: bool,
    /// Folders below are passed over, rather than an error.
    pub(super) ignore_below: bool,
}

/// Why the input cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputsError {
    /// Some are not there; a line each.
    #[error("{}", .0.join("\n"))]
    Absent(Vec<String>),
    /// A folder where a file should be.
    #[error("Not a file: {}", .0.typed)]
    NotAFile(Located),
    /// A folder cannot be read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// A name or a pattern leads nowhere.
    #[error(transparent)]
    Glob(#[from] GlobError),
}

/// The files that these stand for, as absolute paths, in the order given; those of a folder or a pattern in the byte order of their names.
///
/// # Errors
/// See [`InputsError`].
pub(super) fn find(
    uris: &Uris,
    inputs: &[String],
    folders: Folders,
) -> Result<Vec<PathBuf>, InputsError> {
    let mut found = Vec::new();
    let mut absent = Vec::new();
    let paths = inputs.iter().flat_map(|paths| glob::cut(paths, ','));
    for path in paths.map(|path| path.replace("\\,", ",")) {
        let mut named = glob::expand(uris, &path)?;
        named.retain(|it| !is_hidden(it.name().as_os_str()));
        if named.is_empty() {
            absent.push(match glob::is_pattern(&path) {
                true => format!("Input Pattern {path} matches 0 files"),
                false => format!("Input path does not exist: {path}"),
            });
        }
        found.extend(named);
    }
    if !absent.is_empty() {
        return Err(InputsError::Absent(absent));
    }
    let mut files = Vec::new();
    for named in &found {
        match named.path.is_dir() {
            true => read_folder(named, folders, &mut files)?,
            false => files.push(named.path.clone()),
        }
    }
    Ok(files)
}

fn read_folder(
    folder: &Located,
    folders: Folders,
    files: &mut Vec<PathBuf>,
) -> Result<(), InputsError> {
    let children = glob::children(folder)?;
    for child in children
        .into_iter()
        .filter(|it| !is_hidden(it.name().as_os_str()))
    {
        match child.path.is_dir() {
            false => files.push(child.path),
            true if folders.recursive => read_folder(&child, folders, files)?,
            true if folders.ignore_below => {}
            true => return Err(InputsError::NotAFile(child)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::environment::Environment;
    use super::*;

    #[test]
    fn inputs_are_found_by_the_rules_of_hadoop() {
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "d/a", "d/b", "d/_c", "d/.d", "n/a", "n/s/b", "n/_s/p", "x,y",
        ] {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let environment = Environment {
            folder: folder.path().to_owned(),
            ..Environment::default()
        };
        let uris = Uris::new(&environment, None).unwrap();
        let check = |inputs: &[&str], folders: Folders, want: &str| {
            let inputs: Vec<String> = inputs.iter().map(|it| (*it).to_owned()).collect();
            let said = match find(&uris, &inputs, folders) {
                Ok(files) => {
                    let names = files
                        .iter()
                        .map(|it| it.strip_prefix(folder.path()).unwrap());
                    let names: Vec<_> = names.map(|it| it.display().to_string()).collect();
                    names.join(" ")
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(said, want, "{inputs:?}");
        };
        let plain = Folders::default();
        let recursive = Folders {
            recursive: true,
            ..plain
        };
        let ignoring = Folders {
            ignore_below: true,
            ..plain
        };
        check(&["d"], plain, "d/a d/b");
        check(&["d/b,d/a", "d/a"], plain, "d/b d/a d/a");
        check(&[r"x\,y"], plain, "x,y");
        check(&["d/*"], plain, "d/a d/b");
        check(&["d/_*"], plain, "Input Pattern d/_* matches 0 files");
        check(&["d/_c"], plain, "Input path does not exist: d/_c");
        check(
            &["d", "e,f"],
            plain,
            "Input path does not exist: e\nInput path does not exist: f",
        );
        check(&["n"], plain, "Not a file: n/s");
        check(&["n"], recursive, "n/a n/s/b");
        check(&["n"], ignoring, "n/a");
        check(&["*/p"], plain, "Input Pattern */p matches 0 files");
        check(&["n/*/p"], plain, "n/_s/p");
    }
}
