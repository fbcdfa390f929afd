//! Why a plugin is not used.

use std::io;
use std::path::PathBuf;

use mapfold_job::border::abi::{MAJOR, MINOR};
use mapfold_terms::{FailClass, Failure};

use super::elf::NoLibrary;

/// Why a plugin is not used. The checks are made in this order.
#[derive(Debug, thiserror::Error)]
pub enum OpenPluginError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is no library for this machine.
    #[error("{} is not a shared library for this machine", path.display())]
    NoLibrary {
        /// The file.
        path: PathBuf,
        /// What it is.
        source: NoLibrary,
    },
    /// It is no longer the file that was looked at.
    #[error("{} has changed since it was first looked at", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The system's loader refuses it.
    #[error("cannot open {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// In the loader's words.
        source: libloading::Error,
    },
    /// It is a library, but no plugin.
    #[error("{} is not a Mapfold plugin: it has no symbol `{symbol}`", path.display())]
    NoSymbol {
        /// The file.
        path: PathBuf,
        /// What it should export.
        symbol: String,
    },
    /// Its table does not begin like one.
    #[error("{} is not a Mapfold plugin: its table does not begin like one", path.display())]
    Magic {
        /// The file.
        path: PathBuf,
    },
    /// Another interface.
    #[error("{} has plugin interface {major}.{minor}, and this Mapfold has {MAJOR}.{MINOR}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its interface.
        major: u16,
        /// The same.
        minor: u16,
    },
    /// Its table lacks functions.
    #[error("{} is damaged: its table of {size} bytes lacks functions", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// Bytes of the table.
        size: u32,
    },
    /// What it tells of itself cannot be read.
    #[error("{} tells nothing about itself that can be read", path.display())]
    About {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// It reads or writes something else than this engine.
    #[error("{} has version {plugin} of {format}, and this Mapfold has {engine}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it is about.
        format: String,
        /// Its version.
        plugin: u32,
        /// Ours.
        engine: u32,
    },
    /// It was built for another system.
    #[error("{} was built for {plugin}, and this Mapfold for {engine}", path.display())]
    Target {
        /// The file.
        path: PathBuf,
        /// Its target.
        plugin: String,
        /// Ours.
        engine: String,
    },
    /// Its list of jobs failed.
    #[error("{} cannot list its jobs: {message}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// In its words.
        message: String,
    },
    /// A panic in it would end this process.
    #[error("{} was built with panic=abort: a panic in it would end this process", path.display())]
    Aborts {
        /// The file.
        path: PathBuf,
    },
    /// Opening it ended the process that tried, or took too long.
    #[error("opening {} {how}", path.display())]
    Crashed {
        /// The file.
        path: PathBuf,
        /// What happened to that process, and its last words.
        how: String,
    },
    /// There is no process to try it in.
    #[error("cannot start a process to look into {}", path.display())]
    Probe {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl OpenPluginError {
    /// What a person may do about it.
    pub fn hint(&self) -> Option<String> {
        const REBUILD: &str = "rebuild it with the API of this Mapfold";
        let hint = match self {
            Self::NoLibrary {
                source: NoLibrary::Source,
                ..
            } => "build it first: its crate needs `crate-type = [\"cdylib\", \"rlib\"]`",
            Self::NoLibrary {
                source: NoLibrary::Machine(_) | NoLibrary::System(_),
                ..
            }
            | Self::Target { .. } => {
                "build it on this machine, or for it with `cargo build --target`"
            }
            Self::NoLibrary { .. } => {
                "name the .so file that `cargo build --release` leaves in target/release"
            }
            Self::NoSymbol { .. } | Self::Magic { .. } => {
                "a plugin's lib.rs has the line `mapfold_job::plugin!(MyJob);`"
            }
            Self::Version { .. }
            | Self::Format { .. }
            | Self::Table { .. }
            | Self::About { .. } => REBUILD,
            Self::Aborts { .. } => {
                "remove `panic = \"abort\"` from its profile, or add --isolate to run it in processes of its own"
            }
            Self::Crashed { .. } => {
                "either the file is damaged, or what it runs when it is loaded, such as a constructor, fails"
            }
            Self::Open { .. } => {
                "its dependencies must be found, it must be whole (`ldd FILE` tells), and its folder must not be mounted noexec"
            }
            Self::Read { .. } | Self::Changed { .. } | Self::List { .. } | Self::Probe { .. } => {
                return None;
            }
        };
        Some(hint.to_owned())
    }

    /// Flattened, for travel and for people.
    pub fn failure(&self) -> Failure {
        Failure {
            hint: self.hint(),
            ..Failure::new(FailClass::Job, self)
        }
    }
}
