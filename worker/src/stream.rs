//! A blocking byte stream to another worker: a Unix socket on the same machine, else TCP.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use mapfold_protocol::service::DataAddress;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, socket_with,
};

/// One connection of the data plane.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Same machine.
    Unix(UnixStream),
    /// Any machine.
    Tcp(TcpStream),
}

impl Stream {
    /// Connects, trying each address of a name for at most `timeout`.
    pub(crate) fn connect(address: &DataAddress, timeout: Duration) -> io::Result<Self> {
        match address {
            DataAddress::InProcess => Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "the holder serves no runs outside its process",
            )),
            DataAddress::Unix(path) => connect_unix(path.as_path()).map(Self::Unix),
            DataAddress::Tcp(address) => connect_tcp(address, timeout).map(Self::Tcp),
        }
    }

    /// Whether an idle connection can be used again: still open, with nothing left to read.
    pub(crate) fn is_quiet(&self) -> bool {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let received = match self {
            Self::Unix(stream) => recv(stream, &mut [0_u8; 1], flags),
            Self::Tcp(stream) => recv(stream, &mut [0_u8; 1], flags),
        };
        matches!(received, Err(Errno::WOULDBLOCK))
    }

    /// Bounds each read and each write.
    pub(crate) fn set_timeouts(&self, read: Duration, write: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(read))?;
                stream.set_write_timeout(Some(write))
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(read))?;
                stream.set_write_timeout(Some(write))
            }
        }
    }

    /// Another handle of the same connection.
    pub(crate) fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Unix(stream) => stream.try_clone().map(Self::Unix),
            Self::Tcp(stream) => stream.try_clone().map(Self::Tcp),
        }
    }

    /// Cuts the connection, whoever reads or writes it.
    pub(crate) fn shutdown(&self) {
        // It may be cut already.
        let _ = match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

/// Never waits: when the holder's queue of connections is full this fails with `WouldBlock`, where a plain
/// connect would hang for as long as the holder is stopped.
fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &address)?;
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

fn connect_tcp(address: &str, timeout: Duration) -> io::Result<TcpStream> {
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(failed) => error = failed,
        }
    }
    Err(error)
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
