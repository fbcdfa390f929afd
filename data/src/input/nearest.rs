//! What somebody who mistyped the name of an input may have meant.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use mapfold_terms::{InputName, RawPath};

/// Entries of a folder that are looked at.
const ENTRIES_MAX: usize = 10_000;

/// `input` as typed, with its first part that does not exist replaced by the most similar one that does.
/// `None` if no part is missing, as with a file that is taken for a folder.
pub(super) fn nearest(input: &InputName) -> Option<RawPath> {
    let mut missing = input.absolute.as_path();
    let mut folder = missing.parent()?;
    let mut parts_after = 0;
    while !folder.is_dir() {
        (missing, folder) = (folder, folder.parent()?);
        parts_after += 1;
    }
    if missing.symlink_metadata().is_ok() {
        return None;
    }
    let wrong = missing.file_name()?;
    let right = most_similar(folder, &wrong.to_string_lossy())?;

    let mut typed: Vec<_> = input
        .typed
        .as_path()
        .components()
        .map(|part| part.as_os_str())
        .collect();
    let at = typed.len().checked_sub(parts_after + 1)?;
    if typed[at] != wrong {
        return None;
    }
    typed[at] = &right;
    Some(typed.iter().collect::<PathBuf>().into())
}

/// The name in `folder` that takes the fewest typing errors to make `wrong` of it; at most one in three
/// letters may be wrong.
fn most_similar(folder: &Path, wrong: &str) -> Option<OsString> {
    let entries = folder.read_dir().ok()?.take(ENTRIES_MAX).flatten();
    let errors_max = wrong.chars().count().div_ceil(3);
    entries
        .map(|entry| entry.file_name())
        .map(|name| (strsim::osa_distance(&name.to_string_lossy(), wrong), name))
        .filter(|(errors, _)| *errors <= errors_max)
        .min()
        .map(|(_, name)| name)
}
