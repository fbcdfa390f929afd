//! Where programs are found, looked up before one is started: the guard of a program ends as programs may, so its end would not tell.

use std::env;
use std::ffi::OsStr;
use std::iter;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Why a program cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProgram {
    /// It is not there.
    #[error("there is no such program")]
    Missing,
    /// There is only a file that may not be run.
    #[error("it is not executable")]
    NotExecutable(PathBuf),
}

/// Looks for a program in the folder that it is started in, then, if its name has no slash, in those of `search`, which is like `PATH`.
///
/// # Errors
/// It is not found.
pub fn find(program: &OsStr, folder: &Path, search: Option<&OsStr>) -> Result<(), NoProgram> {
    let search = search.filter(|_| !program.as_encoded_bytes().contains(&b'/'));
    let folders = search.into_iter().flat_map(env::split_paths);
    let mut why = NoProgram::Missing;
    for folder in iter::once(folder.to_owned()).chain(folders) {
        let path = folder.join(program);
        if can_run(&path) {
            return Ok(());
        }
        if path.is_file() && why == NoProgram::Missing {
            why = NoProgram::NotExecutable(path);
        }
    }
    Err(why)
}

/// Whether it is a program that we may run.
pub(crate) fn can_run(path: &Path) -> bool {
    path.is_file() && access(path, Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn programs_are_in_the_folder_or_on_the_path() {
        let top = tempfile::tempdir().unwrap();
        let (here, bin) = (top.path().join("here"), top.path().join("bin"));
        for (folder, name, mode) in [
            (&here, "map", 0o755),
            (&here, "sum", 0o644),
            (&bin, "sum", 0o755),
            (&bin, "text", 0o644),
        ] {
            fs::create_dir_all(folder).unwrap();
            fs::write(folder.join(name), "").unwrap();
            fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
        }
        let find = |name: &str| find(name.as_ref(), &here, Some(bin.as_os_str()));
        assert_eq!(find("map"), Ok(()));
        assert_eq!(find("./map"), Ok(()));
        assert_eq!(find("sum"), Ok(()));
        assert_eq!(
            find("./sum"),
            Err(NoProgram::NotExecutable(here.join("./sum")))
        );
        assert_eq!(
            find("text"),
            Err(NoProgram::NotExecutable(bin.join("text")))
        );
        assert_eq!(find("../bin"), Err(NoProgram::Missing));
        assert_eq!(find(""), Err(NoProgram::Missing));
    }
}
