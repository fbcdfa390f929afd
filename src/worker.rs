//! `mapfold worker`: runs attempts for a master until it is stopped.

use std::fs::DirBuilder;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _, UdpSocket};
use std::num::NonZeroU32;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mapfold_job::Catalog;
use mapfold_protocol::service::WorkerDeskClient;
use mapfold_protocol::{
    Address, CallError, ConnectError, Connector, Link, ListenRefused, check_listen,
    raise_open_files,
};
use mapfold_worker::{JobFilesAt, PluginCatalog, ServeAt, ServeError, Settings, WorkerError};
use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

use crate::args::WorkerArgs;
use crate::client::cannot_connect;
use crate::error::Problem;
use crate::exit::Exit;
use crate::local_workers::end_with_parent;
use crate::resources::Resources;
use crate::runtime::block_on;
use crate::scratch::{PrivateFolder, no_scratch};
use crate::settings::{Shown, address, master_address};
use crate::signals::{Caught, Signals};
use crate::{isolate, log, plugin};

/// The port where runs are served, if it is free.
const DATA_PORT: u16 = 7713;

/// A master that does not answer for so long is given up, with all that was finished for it: time enough to restart a
/// machine.
pub(crate) const AWAY_MAX: Duration = Duration::from_secs(5 * 60);

pub(crate) fn worker(
    args: &WorkerArgs,
    catalog: Arc<dyn Catalog>,
    shown: &Shown,
) -> Result<Exit, Problem> {
    if let Some(parent) = args.parent {
        // Whoever would read an error has gone.
        end_with_parent(parent).map_err(|_| Problem::silent(Exit::Terminated))?;
    }
    log::start(shown, log::Level::Info);
    let catalog = match &args.plugin {
        Some(file) => {
            let probed = plugin::probe(file, None)?;
            Arc::new(PluginCatalog::new(catalog, [probed]))
        }
        None => catalog,
    };
    let plugins = args.plugin.iter().cloned().collect();
    let isolation = isolate::isolation(plugins)?;
    let catalog = match args.isolate {
        true => isolation.catalog(catalog),
        false => catalog,
    };
    let master = master_address(&args.master, args.insecure)?;
    raise_open_files();
    let scratch = scratch_base(args.dir.as_deref())?;
    let sockets = sockets(args, &master)?;
    let sockets = sockets
        .as_ref()
        .map_or(scratch.as_path(), PrivateFolder::path);
    let places = places(args, &master, sockets)?;
    let resources =
        Resources::new(args.slots, args.memory, NonZeroU32::MIN).check(NonZeroU32::MIN)?;
    let mut settings = Settings {
        name: process_name(std::process::id()),
        slots: resources.slots,
        memory: resources.memory,
        scratch,
        temp_max: args.temp_max,
        files: match args.parent {
            Some(_) => JobFilesAt::Paths,
            None => JobFilesAt::Master(isolation),
        },
        serve: ServeAt::InProcess,
        patience: AWAY_MAX,
    };
    block_on(async {
        let mut signals = Signals::catch()?;
        tokio::select! {
            reached = reach(&master) => reached?,
            caught = signals.next() => return Ok(caught.exit()),
        }
        let mut places = places.into_iter().peekable();
        while let Some(place) = places.next() {
            settings.serve = place;
            let connector = Connector::Net(master.clone());
            match work(
                settings.clone(),
                Arc::clone(&catalog),
                connector,
                &mut signals,
                args.drain_max,
            )
            .await
            {
                Ok(exit) => return Ok(exit),
                Err(WorkerError::Serve(ServeError::Bind { source, .. }))
                    if source.kind() == io::ErrorKind::AddrInUse && places.peek().is_some() => {}
                Err(error) => return Err(worker_problem(&error, &master.to_string())),
            }
        }
        Err(Problem::new(
            Exit::Usage,
            "there is no place to serve runs at",
        ))
    })
}

/// Works until the master has no more work. Ctrl-C asks for an end now, in good order; SIGTERM lets the worker drain first, for
/// `drain_max` at most. A second signal does not wait for either.
async fn work(
    settings: Settings,
    catalog: Arc<dyn Catalog>,
    connector: Connector,
    signals: &mut Signals,
    drain_max: Duration,
) -> Result<Exit, WorkerError> {
    let (stop, stopped) = oneshot::channel();
    let stopped = async {
        // An error means that nobody will ask.
        if stopped.await.is_err() {
            pending::<()>().await;
        }
    };
    let (drain, drains) = watch::channel(false);
    let mut working = pin!(mapfold_worker::run(
        settings, catalog, connector, stopped, drains
    ));
    let mut stop = Some(stop);
    let mut exit = Exit::Done;
    let mut until: Option<(Instant, Exit)> = None;
    loop {
        let patience = async {
            match until {
                Some((until, _)) => tokio::time::sleep_until(until.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            ended = &mut working => return ended.map(|()| exit),
            () = patience => {
                warn!(?drain_max, "the worker leaves before its runs are done with");
                exit = until.take().map_or(exit, |(_, exit)| exit);
                if let Some(stop) = stop.take() {
                    let _ = stop.send(());
                }
            }
            caught = signals.next() => {
                let again = until.is_some() || stop.is_none();
                match caught {
                    Caught::Again(exit) => return Ok(exit),
                    Caught::Once(exit) if again => return Ok(exit),
                    Caught::Once(Exit::Terminated) => {
                        info!(?drain_max, "draining");
                        drain.send_replace(true);
                        until = Some((Instant::now() + drain_max, Exit::Terminated));
                    }
                    Caught::Once(signal) => {
                        exit = signal;
                        if let Some(stop) = stop.take() {
                            let _ = stop.send(());
                        }
                    }
                }
            }
        }
    }
}

/// Waits for a master that is about to start, and tells soon of one that is not there.
async fn reach(master: &Address) -> Result<(), Problem> {
    /// A script may start both at once.
    const START_MAX: Duration = Duration::from_secs(3);
    const AGAIN: Duration = Duration::from_millis(100);
    let deadline = Instant::now() + START_MAX;
    loop {
        let connector = Connector::Net(master.clone());
        match Link::<WorkerDeskClient>::connect(connector).await {
            Ok(_) => return Ok(()),
            Err(ConnectError::Unreachable { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(cannot_connect(&master.to_string(), &error)),
        }
    }
}

/// Name of a worker process for people, and for a parent that tells the master of its end: `host:4711`.
pub(crate) fn process_name(pid: u32) -> String {
    let host = rustix::system::uname();
    format!("{}:{pid}", host.nodename().to_string_lossy())
}

/// Where temporary files go; a folder that was named is made.
fn scratch_base(dir: Option<&Path>) -> Result<PathBuf, Problem> {
    let Some(dir) = dir else {
        return Ok(std::env::temp_dir());
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| {
            Problem::new(
                Exit::Output,
                format!("cannot make the folder {}", dir.display()),
            )
            .because(&error)
        })?;
    Ok(dir.to_owned())
}

/// A folder for sockets, unless `--dir` is one.
fn sockets(args: &WorkerArgs, master: &Address) -> Result<Option<PrivateFolder>, Problem> {
    match (master, &args.dir) {
        (Address::Unix(_), None) => PrivateFolder::make().map(Some),
        _ => Ok(None),
    }
}

/// Where runs may be served, in order of preference.
fn places(args: &WorkerArgs, master: &Address, sockets: &Path) -> Result<Vec<ServeAt>, Problem> {
    let tcp = |listen: String| ServeAt::Tcp {
        listen,
        advertise: None,
    };
    match (&args.data, master) {
        (Some(typed), _) => Ok(vec![tcp(checked(typed, args.insecure)?)]),
        (None, Address::Unix(_)) => Ok(vec![ServeAt::Unix {
            folder: sockets.to_owned(),
        }]),
        (None, Address::Tcp(host_port)) => {
            let ip = local_ip(host_port).map_err(|error| {
                Problem::new(
                    Exit::Unreachable,
                    format!("no way leads from here to {master}"),
                )
                .because(&error)
            })?;
            [DATA_PORT, 0]
                .map(|port| SocketAddr::new(ip, port).to_string())
                .iter()
                .map(|place| checked(place, args.insecure).map(tcp))
                .collect()
        }
    }
}

/// An address to listen at for other workers, if that is allowed.
fn checked(typed: &str, insecure: bool) -> Result<String, Problem> {
    let typed = match typed.contains(':') {
        true => typed.to_owned(),
        false => format!("{typed}:{DATA_PORT}"),
    };
    let address =
        check_listen(&address(&typed)?, insecure).map_err(|error| listen_refused(&error))?;
    match address {
        Address::Tcp(host_port) => Ok(host_port),
        Address::Unix(_) => Err(Problem::new(Exit::Usage, "--data takes HOST:PORT")),
    }
}

/// The address of this machine on the way to a master. Sends nothing.
fn local_ip(master: &str) -> io::Result<IpAddr> {
    let master = master
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let any: SocketAddr = match master {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any)?;
    socket.connect(master)?;
    Ok(socket.local_addr()?.ip())
}

/// Why nothing may listen there.
pub(crate) fn listen_refused(error: &ListenRefused) -> Problem {
    match error {
        ListenRefused::NotLoopback { address } => Problem::new(
            Exit::Usage,
            format!("`{address}` can be reached from other machines, and connections are neither encrypted nor authenticated yet"),
        )
        .hint("listen at 127.0.0.1, or add --insecure on a private network that you trust"),
        ListenRefused::Public { address } => Problem::new(
            Exit::Usage,
            format!("`{address}` is not an address of a private network; without encryption that is refused, even with --insecure"),
        )
        .hint("name the address that this machine has on its private network, such as 10.0.0.1:7711"),
        ListenRefused::Unresolved { address, source } => {
            Problem::new(Exit::Usage, format!("cannot find the host of `{address}`")).because(source)
        }
    }
}

/// Why a worker ended.
pub(crate) fn worker_problem(error: &WorkerError, master: &str) -> Problem {
    match error {
        WorkerError::Lost(CallError::Unreachable { source, .. }) => cannot_connect(master, source),
        WorkerError::Lost(error) => {
            Problem::new(Exit::Unreachable, format!("the master at {master} is lost"))
                .because(error)
        }
        WorkerError::Refused(refusal) => Problem::new(
            Exit::Unreachable,
            format!("the master at {master} does not take this worker"),
        )
        .because(refusal),
        WorkerError::Serve(ServeError::Bind { at, source })
            if source.kind() == io::ErrorKind::AddrInUse =>
        {
            Problem::new(
                Exit::Usage,
                format!("{at} is taken: another process listens there"),
            )
            .hint("name another address with --data, or port 0 for any that is free")
        }
        WorkerError::Scratch(error) => no_scratch(error),
        error => Problem::new(Exit::Internal, "the worker cannot go on").because(error),
    }
}
