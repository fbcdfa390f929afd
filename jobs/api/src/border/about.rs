//! What a build of this crate tells about itself.

use std::collections::BTreeMap;

use mapfold_data::manifest::MANIFEST_VERSION;
use mapfold_data::run::RUN_VERSION;
use serde::{Deserialize, Serialize};

/// Of the messages of the border ([`Ask`](super::Ask), [`Told`](super::Told)); grows when a reader of the one before could not read them.
const MESSAGES_VERSION: u32 = 1;
/// Of how a key falls into a partition (`mapfold_data::partition`).
const PARTITION_VERSION: u32 = 1;
/// Of how keys become bytes ([`Key`](crate::Key)).
const KEY_VERSION: u32 = 1;

/// What both sides of the border read or write, and in which version.
pub type Formats = BTreeMap<String, u32>;

/// A build: of a plugin, or of the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Version of `mapfold-job`.
    pub api: String,
    /// As `rustc --version` prints it. Shown, not checked: only C types and messages cross.
    pub rustc: String,
    /// The target triple.
    pub target: String,
    /// `0` to `3`, `s` or `z`.
    pub opt_level: String,
    /// Whether debug assertions are in.
    pub debug_assertions: bool,
    /// Whether a panic unwinds, so that it can be caught. Otherwise it ends the process.
    pub panic_unwinds: bool,
    /// What is read and written.
    pub formats: Formats,
}

impl About {
    /// This build.
    pub fn this_build() -> Self {
        let formats = [
            ("key", KEY_VERSION),
            ("manifest", MANIFEST_VERSION),
            ("messages", MESSAGES_VERSION),
            ("partition", PARTITION_VERSION),
            ("run", u32::from(RUN_VERSION)),
        ];
        Self {
            api: env!("CARGO_PKG_VERSION").to_owned(),
            rustc: env!("MAPFOLD_RUSTC").to_owned(),
            target: env!("MAPFOLD_TARGET").to_owned(),
            opt_level: env!("MAPFOLD_OPT_LEVEL").to_owned(),
            debug_assertions: cfg!(debug_assertions),
            panic_unwinds: cfg!(panic = "unwind"),
            formats: formats
                .map(|(name, version)| (name.to_owned(), version))
                .into(),
        }
    }
}
