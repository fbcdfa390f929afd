//! `-mkdir` and `-touchz`.

use std::fs;

use super::super::uri::Located;
use super::error::FsError;
use super::{Call, Outcome};

pub(super) fn folders(call: &Call<'_>) -> Outcome {
    each(call, |folder| {
        let is_folder = folder.path.is_dir();
        if folder.path.symlink_metadata().is_ok() && !(is_folder && call.has("p")) {
            return Err(match is_folder {
                true => FsError::Exists(folder.typed.clone()),
                false => FsError::NotDirectory(folder.typed.clone()),
            });
        }
        let made = match call.has("p") {
            true => fs::create_dir_all(&folder.path),
            false => {
                root(call)?;
                fs::create_dir(&folder.path)
            }
        };
        made.map_err(FsError::at(folder))
    })
}

/// The folder that stands for `hdfs:///` is there, as the root of a file system is.
fn root(call: &Call<'_>) -> Result<(), FsError> {
    let root = call.uris.locate("hdfs:///")?;
    fs::create_dir_all(&root.path).map_err(FsError::at(&root))
}

pub(super) fn empty_files(call: &Call<'_>) -> Outcome {
    each(call, |file| {
        match fs::metadata(&file.path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(FsError::IsDirectory(file.typed.clone()));
            }
            Ok(metadata) if metadata.len() > 0 => {
                return Err(FsError::Exists(file.typed.clone()));
            }
            _ => {}
        }
        make_parent(file)?;
        fs::write(&file.path, "").map_err(FsError::at(file))
    })
}

/// Folders on the way to a file are made, as by the object stores and by all clients that write.
pub(super) fn make_parent(file: &Located) -> Result<(), FsError> {
    let parent = file.path.parent().unwrap_or(&file.path);
    fs::create_dir_all(parent).map_err(FsError::at(file))
}

/// Does it with all paths as they are typed: they need not exist.
fn each(call: &Call<'_>, act: impl Fn(&Located) -> Result<(), FsError>) -> Outcome {
    call.each(&call.arguments.paths, |typed| {
        act(&call.uris.locate(typed)?)
    })
}
