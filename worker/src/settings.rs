//! What a worker is told at its start.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use mapfold_terms::ByteSize;

use crate::Isolation;

/// What a worker is told at its start; checked by whoever makes it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// For people: host and process.
    pub name: String,
    /// Attempts at once.
    pub slots: NonZeroUsize,
    /// Of the whole process, as the system counts it (resident), while it works; at least
    /// [`memory_least`](crate::memory_least).
    pub memory: ByteSize,
    /// Temporary files live in a folder of this user below this one.
    pub scratch: PathBuf,
    /// Bytes that runs, spills and fetched segments may take there, all together; `None`: as many as there is room for.
    pub temp_max: Option<ByteSize>,
    /// Where files come from that go with jobs.
    pub files: JobFilesAt,
    /// Where runs are served.
    pub serve: ServeAt,
    /// A master that has answered nothing for so long is given up, and the worker ends.
    pub patience: Duration,
}

/// Where a worker has files from that go with jobs.
#[derive(Clone, Debug)]
pub enum JobFilesAt {
    /// It reads them where the client has found them, who has started it on the same machine. Plugins are in its catalog.
    Paths,
    /// It gets them from the master. Jobs of plugins among them run in children.
    Master(Isolation),
}

/// Where a worker serves its runs to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServeAt {
    /// Nowhere: there are no others.
    InProcess,
    /// At a socket of its own in this folder, which only this user should be able to enter.
    Unix {
        /// Exists; its path leaves 14 of a socket path's 107 bytes.
        folder: PathBuf,
    },
    /// At a TCP address.
    Tcp {
        /// `address:port`; port 0 for any that is free.
        listen: String,
        /// The host that others connect to, where it is not the one listened at; by default this machine's
        /// name, if all its addresses are listened at.
        advertise: Option<String>,
    },
}
