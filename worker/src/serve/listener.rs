//! The socket that readers connect to: a Unix one with a name of its own in a folder, or a TCP one.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use mapfold_protocol::service::DataAddress;
use mapfold_terms::RawPath;

use super::server::ServeError;
use crate::machine::random_secret;
use crate::stream::Stream;

/// A socket that was bound.
pub(super) enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// How to make the accepting thread look up.
pub(super) enum Wake {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

pub(super) fn bind_unix(folder: &Path) -> Result<(Listener, DataAddress, Wake), ServeError> {
    // Short, since a socket's path may have 107 bytes; random, since processes share the folder.
    let name = format!("d{:012x}", random_secret() >> 80);
    let path = folder.join(name);
    let bind = || {
        let listener = UnixListener::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    let listener = bind().map_err(|source| ServeError::Bind {
        at: path.display().to_string(),
        source,
    })?;
    let address = DataAddress::Unix(RawPath::from(path.as_path()));
    Ok((Listener::Unix(listener), address, Wake::Unix(path)))
}

pub(super) fn bind_tcp(
    listen: &str,
    advertise: Option<&str>,
) -> Result<(Listener, DataAddress, Wake), ServeError> {
    let bind = || {
        let listener = TcpListener::bind(listen)?;
        let local = listener.local_addr()?;
        Ok((listener, local))
    };
    let (listener, local) = bind().map_err(|source| ServeError::Bind {
        at: listen.to_owned(),
        source,
    })?;
    let shown = match advertise {
        Some(host) => format!("{host}:{}", local.port()),
        // Nobody can connect to "all addresses"; the name of this machine is the best guess.
        None if local.ip().is_unspecified() => {
            let system = rustix::system::uname();
            format!("{}:{}", system.nodename().to_string_lossy(), local.port())
        }
        None => local.to_string(),
    };
    let mut wake = local;
    if wake.ip().is_unspecified() {
        wake.set_ip(match wake {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    Ok((
        Listener::Tcp(listener),
        DataAddress::Tcp(shown),
        Wake::Tcp(wake),
    ))
}

impl Listener {
    pub(super) fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
        }
    }
}

impl Wake {
    pub(super) fn wake(&self) -> io::Result<()> {
        match self {
            Self::Unix(path) => UnixStream::connect(path).map(drop),
            Self::Tcp(address) => TcpStream::connect(address).map(drop),
        }
    }

    /// Removes what the socket leaves in the file system.
    pub(super) fn remove(&self) {
        if let Self::Unix(path) = self {
            let _ = fs::remove_file(path);
        }
    }
}
