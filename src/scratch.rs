//! The command's own private folder in the temporary folder: sockets, standard input, output on its way
//! to stdout. Made when first needed, removed at the end; what a killed process leaves is removed by the
//! next one ([`mapfold_data::scratch`]).

use std::env;
use std::path::{Path, PathBuf};

use mapfold_data::scratch::{Scratch, ScratchError, ScratchFile, ScratchRoot};

use crate::error::Problem;
use crate::exit::Exit;

/// A private folder (mode 0700) and what is in it; removed when dropped.
pub(crate) struct PrivateFolder {
    path: PathBuf,
    scratch: Scratch,
    /// Keeps the folder, which comes and goes with its first and last file.
    _anchor: ScratchFile,
}

impl PrivateFolder {
    /// Makes one in the temporary folder.
    pub(crate) fn make() -> Result<Self, Problem> {
        Self::make_in(&env::temp_dir())
    }

    /// Makes one whose path leaves room for the name of a socket, which the system bounds to 107 bytes.
    pub(crate) fn make_for_sockets() -> Result<Self, Problem> {
        Self::make_in(&base_for_sockets())
    }

    fn make_in(base: &Path) -> Result<Self, Problem> {
        let root = ScratchRoot::open(base).map_err(|error| no_scratch(&error))?;
        let scratch = root.scratch("cli");
        let anchor = scratch
            .create("anchor")
            .map_err(|error| no_scratch(&error))?;
        let path = anchor
            .path
            .as_path()
            .parent()
            .map(Path::to_owned)
            .unwrap_or_default();
        Ok(Self {
            path,
            scratch,
            _anchor: anchor,
        })
    }

    /// A new empty file in it.
    pub(crate) fn file(&self, name: &str) -> Result<ScratchFile, Problem> {
        self.scratch
            .create(name)
            .map_err(|error| no_scratch(&error))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The temporary folder, or one with a shorter name.
pub(crate) fn base_for_sockets() -> PathBuf {
    /// What [`ScratchRoot`] adds is about 30 bytes, a worker's folder and socket as many.
    const BASE_MAX: usize = 45;
    let temporary = env::temp_dir();
    match temporary.as_os_str().len() {
        0..=BASE_MAX => temporary,
        _ => PathBuf::from("/tmp"),
    }
}

pub(crate) fn no_scratch(error: &ScratchError) -> Problem {
    let exit = if error.is_no_space() {
        Exit::NoSpace
    } else {
        Exit::Output
    };
    Problem::new(exit, "cannot make temporary files")
        .because(error)
        .hint("TMPDIR names the folder for temporary files")
}
