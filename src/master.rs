//! `mapfold master`: decides for a cluster until it is stopped.

use std::fs;
use std::io::{self, Write as _};
use std::path::{self, Path};
use std::time::SystemTime;

use mapfold_master::{JournalError, Master, MasterHandle, ServeError, Settings};
use mapfold_protocol::{Address, BindError, raise_open_files};
use mapfold_terms::{MasterEpoch, WorkerId};

use crate::args::MasterArgs;
use crate::error::Problem;
use crate::exit::Exit;
use crate::log;
use crate::paint::Paint;
use crate::runtime::block_on;
use crate::settings::{Shown, address};
use crate::signals::Signals;
use crate::stderr::say;
use crate::worker::listen_refused;

pub(crate) fn master(args: &MasterArgs, shown: &Shown) -> Result<Exit, Problem> {
    log::start(shown, log::Level::Info);
    let listen = address(&args.listen)?;
    raise_open_files();
    block_on(async {
        let mut signals = Signals::catch()?;
        let master = match &args.state {
            Some(state) => reopen(state, args)?,
            None => Master::start(identified(args)?),
        };
        let local = master
            .serve(&listen, args.insecure)
            .await
            .map_err(|error| refused(&error))?;
        // On stdout, alone: a script that chose port 0 reads it from there.
        writeln!(io::stdout(), "{local}").map_err(|error| Problem::stdout(&error))?;
        if !shown.quiet {
            say(&invitation(&local, args.insecure, shown.paint));
        }
        let exit = tokio::select! {
            caught = signals.next() => caught.exit(),
            error = master.failed() => return Err(no_journal(&error)),
        };
        if args.state.is_some() {
            // Its jobs are the next start's. Whatever was told to anybody is in the journal.
            return Err(Problem::silent(exit));
        }
        tokio::select! {
            () = master.shutdown() => {}
            // The user will not wait.
            _ = signals.next() => {}
        }
        Err(Problem::silent(exit))
    })
}

/// A master that goes on with the jobs in a state folder, which is made if need be.
fn reopen(state: &Path, args: &MasterArgs) -> Result<MasterHandle, Problem> {
    let cannot_make = |error: io::Error| {
        let what = format!("cannot make the state folder {}", state.display());
        Problem::new(Exit::for_writing(&error), what).because(&error)
    };
    let state = path::absolute(state).map_err(cannot_make)?;
    if let Some(parent) = state.parent() {
        fs::create_dir_all(parent).map_err(cannot_make)?;
    }
    Master::open(settings(args), &state).map_err(|error| no_journal(&error))
}

/// Why a master cannot work with its state folder, or not any more.
pub(crate) fn no_journal(error: &JournalError) -> Problem {
    match error {
        JournalError::InUse { folder } => Problem::new(
            Exit::Usage,
            format!("the state folder {} is in use", folder.display()),
        )
        .because(error)
        .hint("a folder serves one master at a time; has the old one ended?"),
        JournalError::Damaged { path, .. } => Problem::new(
            Exit::Input,
            format!("the journal {} cannot be read", path.display()),
        )
        .because(error)
        .hint("nothing was changed; move the file away to start without its jobs"),
        JournalError::Io { source, .. } => Problem::new(
            Exit::for_writing(source),
            "the master cannot keep its journal",
        )
        .because(error)
        .hint("jobs go on when it is started again with the same --state"),
        JournalError::Poisoned { .. } => {
            Problem::new(Exit::Internal, "the master cannot keep its journal").because(error)
        }
    }
}

fn settings(args: &MasterArgs) -> Settings {
    let bounds = mapfold_scheduler::Settings::with_lease(args.lease);
    Settings {
        files_max: args.files_max,
        ..Settings::new(bounds)
    }
}

/// Settings of a master that does not take workers of an earlier one at the same address for its own: they
/// go on calling, and would act under each other's names.
fn identified(args: &MasterArgs) -> Result<Settings, Problem> {
    /// As many as people can read.
    const WORKERS: u32 = 1_000_000;
    let random = getrandom::u32().map_err(|error| {
        Problem::new(Exit::Internal, "the system gives no random bytes").because(&error)
    })?;
    // Grows from start to start; good until 2106.
    let seconds = SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_secs();
    let epoch = MasterEpoch(u32::try_from(seconds).unwrap_or(u32::MAX));
    Ok(Settings {
        epoch,
        since: epoch,
        last_worker: WorkerId(random % WORKERS),
        ..settings(args)
    })
}

/// What to do next, and what to beware of.
fn invitation(local: &Address, insecure: bool, paint: Paint) -> String {
    let insecure = if insecure { " --insecure" } else { "" };
    let mut text = format!(
        "{} mapfold worker --master {local}{insecure}\n{} mapfold run JOB INPUT... -o DIR --master {local}{insecure}\n",
        paint.good("   workers"),
        paint.good("      jobs"),
    );
    if !insecure.is_empty() {
        text += &format!(
            "{} connections are neither encrypted nor authenticated: whoever reaches this port can run jobs as you\n",
            paint.warning("  insecure"),
        );
    }
    text
}

fn refused(error: &ServeError) -> Problem {
    match error {
        ServeError::Refused(refused) => listen_refused(refused),
        ServeError::Bind(BindError::Taken { address }) => Problem::new(
            Exit::Usage,
            format!("{address} is taken: another process listens there"),
        )
        .hint("is a master running already? `mapfold workers` asks it; --listen names another address"),
        ServeError::Bind(error) => Problem::new(Exit::Usage, "cannot listen").because(error),
    }
}
