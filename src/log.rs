//! Log lines on stderr, for those who ask for them.

use std::env;

use tracing_subscriber::EnvFilter;

use crate::paint::Paint;
use crate::settings::Shown;

/// Logs from now on: as much as `-v` or `MAPFOLD_LOG` says (which takes filters such as
/// `mapfold_worker=debug`), else `default`. Nothing is set up for no logs at all.
pub(crate) fn start(shown: &Shown, default: Level) {
    let level = match (shown.quiet, shown.verbose) {
        (true, _) => Level::Warn,
        (false, 0) => default,
        (false, 1) => Level::Info,
        (false, 2) => Level::Debug,
        (false, _) => Level::Trace,
    };
    let filter = match (env::var("MAPFOLD_LOG"), level) {
        (Ok(filter), _) if !filter.is_empty() => EnvFilter::new(filter),
        (_, Level::Off) => return,
        // That a peer has gone is no news for tarpc to tell: the master and the worker say what it means.
        (_, Level::Warn) => EnvFilter::new("warn,tarpc=error"),
        (_, Level::Info) => EnvFilter::new("info,tarpc=error"),
        (_, Level::Debug) => EnvFilter::new("debug,tarpc=error"),
        (_, Level::Trace) => EnvFilter::new("trace"),
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(shown.paint == Paint::Ansi)
        .with_target(shown.verbose > 1)
        .init();
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Off,
    Warn,
    Info,
    Debug,
    Trace,
}
