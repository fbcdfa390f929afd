//! `mapfold master`: decides for a cluster until it is stopped.

use std::io::{self, Write as _};

use mapfold_master::{Master, ServeError, Settings};
use mapfold_protocol::BindError;

use crate::args::MasterArgs;
use crate::error::Problem;
use crate::exit::Exit;
use crate::log;
use crate::runtime::block_on;
use crate::settings::{Shown, address};
use crate::signals::Signals;
use crate::worker::listen_refused;

pub(crate) fn master(args: &MasterArgs, shown: &Shown) -> Result<Exit, Problem> {
    log::start(shown, log::Level::Info);
    let listen = address(&args.listen)?;
    block_on(async {
        let mut signals = Signals::catch()?;
        let master = Master::start(Settings::new(mapfold_scheduler::Settings::with_lease(
            args.lease,
        )));
        let local = master
            .serve(&listen, args.insecure)
            .await
            .map_err(|error| refused(&error))?;
        // On stdout, alone: a script that chose port 0 reads it from there.
        writeln!(io::stdout(), "{local}").map_err(|error| Problem::stdout(&error))?;
        let exit = signals.next().await.exit();
        tokio::select! {
            () = master.shutdown() => {}
            // The user will not wait.
            _ = signals.next() => {}
        }
        Err(Problem::silent(exit))
    })
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
