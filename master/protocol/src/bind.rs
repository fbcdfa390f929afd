//! Opens listening sockets: at a port, or as a file that nobody else can reach or replace.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, TcpSocket, UnixSocket};

use crate::Address;
use crate::accept::ListeningSocket;

/// Connections that the kernel may hold for us.
const BACKLOG: u32 = 1024;

/// Why a listener could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Something else listens there.
    #[error("{address} is taken: another process listens there; stop it or use another address")]
    Taken {
        /// Where.
        address: Address,
    },
    /// The path is there and is no socket; it is not touched.
    #[error("cannot listen at {}: a file that is no socket is there", path.display())]
    NoSocket {
        /// Where.
        path: PathBuf,
    },
    /// Others could replace the socket.
    #[error("cannot listen in {}: others may write there; use a folder of your own with mode 0700", folder.display())]
    OpenFolder {
        /// Where.
        folder: PathBuf,
    },
    /// Anything else.
    #[error("cannot listen at {address}")]
    Io {
        /// Where.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
}

/// A socket that listens.
pub(crate) struct Bound {
    pub(crate) socket: ListeningSocket,
    /// Where, with the port it has.
    pub(crate) local: Address,
    /// Removed when dropped.
    pub(crate) file: Option<SocketFile>,
}

/// Opens a socket; see [`crate::Listener::bind`].
pub(crate) async fn bind(address: &Address) -> Result<Bound, BindError> {
    match address {
        Address::Tcp(host_port) => bind_tcp(address, host_port).await,
        Address::Unix(path) => bind_unix(address, path).await,
    }
}

async fn bind_tcp(address: &Address, host_port: &str) -> Result<Bound, BindError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::AddrInUse => BindError::Taken {
            address: address.clone(),
        },
        _ => BindError::Io {
            address: address.clone(),
            source,
        },
    };
    let resolved = tokio::net::lookup_host(host_port).await.map_err(io)?.next();
    let at = resolved.ok_or_else(|| io(io::ErrorKind::NotFound.into()))?;
    let listener = listen_tcp(at).map_err(io)?;
    let local = Address::Tcp(listener.local_addr().map_err(io)?.to_string());
    Ok(Bound {
        socket: ListeningSocket::Tcp(listener),
        local,
        file: None,
    })
}

fn listen_tcp(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // A master that restarts must get its port back while old connections linger.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

async fn bind_unix(address: &Address, path: &Path) -> Result<Bound, BindError> {
    let io = |source| BindError::Io {
        address: address.clone(),
        source,
    };
    secure_folder(path, io)?;
    clear_stale(address, path).await?;
    let socket = UnixSocket::new_stream().map_err(io)?;
    socket.bind(path).map_err(io)?;
    let file = SocketFile::new(path).map_err(io)?;
    // Before listening: until then no one can connect, whatever the umask was.
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).map_err(io)?;
    let listener = socket.listen(BACKLOG).map_err(io)?;
    Ok(Bound {
        socket: ListeningSocket::Unix(listener),
        local: address.clone(),
        file: Some(file),
    })
}

/// Makes the folder of a socket if it is missing, and refuses one in which others could replace the socket.
fn secure_folder(path: &Path, io: impl Fn(io::Error) -> BindError) -> Result<(), BindError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
        _ => {}
    }
    let found = std::fs::metadata(folder).map_err(&io)?;
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    match ours && found.mode() & 0o022 == 0 {
        true => Ok(()),
        false => Err(BindError::OpenFolder {
            folder: folder.to_owned(),
        }),
    }
}

/// Removes a socket that nobody listens at any more.
async fn clear_stale(address: &Address, path: &Path) -> Result<(), BindError> {
    let io = |source| BindError::Io {
        address: address.clone(),
        source,
    };
    let found = match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.map_err(io)?,
    };
    if !found.file_type().is_socket() {
        return Err(BindError::NoSocket {
            path: path.to_owned(),
        });
    }
    match tokio::net::UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(io)
        }
        Ok(_) => Err(BindError::Taken {
            address: address.clone(),
        }),
        Err(source) => Err(io(source)),
    }
}

/// The file of a Unix socket; removed when dropped, unless another took its place.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            inode: std::fs::symlink_metadata(path)?.ino(),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            // Nobody is left to tell, and the next start replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
