//! The crates that a job depends on, as they belong to this binary: packed into it, unpacked into a folder of this user's cache.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::error::Problem;
use crate::exit::Exit;

/// Name and bytes of each file; `build.rs` packs them.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/api_files.rs"));

/// The versions of other people's crates that this binary was built with.
pub(crate) static LOCK: &str = include_str!("../Cargo.lock");

/// A crate's folder names the API by this link in it, which is made anew where it is missing or points elsewhere.
pub(crate) const LINK: &str = ".mapfold/api";

/// Where this user's programs keep what they can make again.
pub(crate) fn cache() -> Result<PathBuf, Problem> {
    let given = |name: &str| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let folder = given("XDG_CACHE_HOME").or_else(|| Some(given("HOME")?.join(".cache")));
    match folder {
        Some(folder) => Ok(folder.join("mapfold")),
        None => Err(Problem::new(
            Exit::Usage,
            "there is no folder for what is unpacked and built",
        )
        .hint("set XDG_CACHE_HOME or HOME to an absolute path")),
    }
}

/// The folder of the crates, unpacked if it is not there yet. Another version has another folder.
pub(crate) fn unpacked() -> Result<PathBuf, Problem> {
    let cache = cache()?;
    let folder = cache.join(format!("api-{}", identity()));
    if folder.exists() {
        return Ok(folder);
    }
    let unpack = || {
        fs::create_dir_all(&cache)?;
        let draft = cache.join(format!("api-draft-{}", std::process::id()));
        let _ = fs::remove_dir_all(&draft);
        for (name, bytes) in FILES {
            let file = draft.join(name);
            fs::create_dir_all(file.parent().unwrap_or(&draft))?;
            fs::write(file, bytes)?;
        }
        let renamed = fs::rename(&draft, &folder);
        if renamed.is_err() {
            let _ = fs::remove_dir_all(&draft);
        }
        // Another process may have been quicker, with the same files.
        if folder.exists() { Ok(()) } else { renamed }
    };
    match unpack() {
        Ok(()) => Ok(folder),
        Err(error) => Err(cannot_make(&folder, &error)),
    }
}

/// Puts the link to the crates into the folder of a job's crate.
pub(crate) fn link(folder: &Path) -> Result<(), Problem> {
    let api = unpacked()?;
    let link = folder.join(LINK);
    if fs::read_link(&link).is_ok_and(|target| target == api) {
        return Ok(());
    }
    let make = || {
        fs::create_dir_all(link.parent().unwrap_or(folder))?;
        match fs::remove_file(&link) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::os::unix::fs::symlink(&api, &link)
    };
    make().map_err(|error| cannot_make(&link, &error))
}

pub(crate) fn cannot_make(path: &Path, error: &io::Error) -> Problem {
    let what = format!("cannot make {}", path.display());
    Problem::new(Exit::for_writing(error), what).because(error)
}

/// Tells these files from those of another version.
fn identity() -> String {
    let mut hash = Xxh3::new();
    for (name, bytes) in FILES {
        hash.update(&(name.len() as u64).to_le_bytes());
        hash.update(name.as_bytes());
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    format!("{:032x}", hash.digest128())
}
