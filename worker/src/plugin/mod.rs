//! Jobs that come in shared libraries.
//!
//! A plugin is known by the hash of its file. Before its code runs in this process, it is opened in a child ([`probe`]), so that
//! one that crashes on opening, or was built for something else, is refused with a message and harms nobody. A job of a plugin is
//! `name@hash` in the catalog, and in whatever names the job from there on: two versions of a plugin are two jobs.
//!
//! A library that was opened stays open as long as the process: thread-locals and threads of its own may need its code at any time.

mod catalog;
mod elf;
mod error;
mod exit;
mod file;
mod open;
mod probe;
mod runner;

pub use catalog::{NoPluginJob, PluginCatalog, PluginJob};
pub use elf::NoLibrary;
pub use error::OpenPluginError;
pub use file::PluginFile;
pub use probe::{Probed, TryJob, probe};

pub(crate) use exit::told_by_parent;
pub(crate) use open::Plugin;
pub(crate) use probe::look_inside;
