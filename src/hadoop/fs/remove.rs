//! `-rm`, `-rmdir` and `-expunge`. There is no trash: what is removed is gone.

use std::fs;
use std::io::{self, Write as _};

use super::super::uri::Located;
use super::error::FsError;
use super::{Call, Done, Outcome};

/// There is none.
pub(super) fn empty_trash(_: &Call<'_>) -> Outcome {
    Ok(Done::default())
}

pub(super) fn remove(call: &Call<'_>) -> Outcome {
    let force = call.has("f");
    let with_folders = call.has("r") || call.has("R");
    let mut done = Done::default();
    if call.arguments.paths.is_empty() && !force {
        call.tell(&FsError::NotFound(String::new()));
        done.failed = true;
    }
    for typed in &call.arguments.paths {
        let found = match call.found(call.uris, typed) {
            Ok(found) => found,
            Err(FsError::NotFound(_)) if force => continue,
            Err(error) => {
                call.tell(&error);
                done.failed = true;
                continue;
            }
        };
        for located in found {
            let removed = match located.path.is_dir() && !with_folders {
                true => Err(FsError::IsDirectory(located.typed.clone())),
                false => not_a_root(call, &located).and_then(|()| all(&located)),
            };
            match removed {
                Ok(()) => {
                    writeln!(io::stdout(), "Deleted {}", located.typed).map_err(FsError::Stdout)?
                }
                Err(error) => {
                    call.tell(&error);
                    done.failed = true;
                }
            }
        }
    }
    Ok(done)
}

/// The root of a file system stays, and so does what stands for that of `hdfs:`.
fn not_a_root(call: &Call<'_>, located: &Located) -> Result<(), FsError> {
    let hdfs = call.uris.locate("hdfs:///")?;
    match hdfs.path.starts_with(&located.path) {
        true => Err(FsError::NotEmpty(located.typed.clone())),
        false => Ok(()),
    }
}

/// A file, or a folder with all that is in it; a link alone.
pub(super) fn all(located: &Located) -> Result<(), FsError> {
    let metadata = fs::symlink_metadata(&located.path).map_err(FsError::at(located))?;
    let removed = match metadata.is_dir() {
        true => fs::remove_dir_all(&located.path),
        false => fs::remove_file(&located.path),
    };
    removed.map_err(FsError::at(located))
}

pub(super) fn folders(call: &Call<'_>) -> Outcome {
    call.each_found(&call.arguments.paths, |located| {
        match fs::remove_dir(&located.path).map_err(FsError::at(located)) {
            Err(FsError::NotEmpty(_)) if call.has("ignore-fail-on-non-empty") => Ok(()),
            removed => removed,
        }
    })
}
