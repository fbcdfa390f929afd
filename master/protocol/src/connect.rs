//! The asker's side of one connection.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tarpc::client::Config;
use tarpc::{ClientMessage, Response, Transport};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::codec::Framed;

use crate::codec::{AskerCodec, IN_FLIGHT_MAX};
use crate::handshake::{self, HandshakeError};
use crate::socket::{Socket, tune};
use crate::{Address, Dialer, InProcess, Service};

/// One try to connect, handshake included, takes no longer.
pub const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How a master is reached.
#[derive(Clone, Debug)]
pub enum Connector {
    /// In this process.
    InProcess(InProcess),
    /// Over a socket.
    Net(Address),
    /// Over whatever the dialer gives.
    Dialed(Dialer),
}

impl fmt::Display for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InProcess(_) => f.write_str("the master in this process"),
            Self::Net(address) => address.fmt(f),
            Self::Dialed(dialer) => dialer.name().fmt(f),
        }
    }
}

/// Why one try to connect failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens there, or the network does not reach it.
    #[error("cannot connect to {address}")]
    Unreachable {
        /// Where to.
        address: Address,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// It took longer than [`CONNECT_MAX`].
    #[error("cannot connect to {address} within {} s", CONNECT_MAX.as_secs())]
    Timeout {
        /// Where to.
        address: Address,
    },
    /// Something answers, but will not or cannot serve.
    #[error("{address} does not serve this process")]
    Handshake {
        /// Where to.
        address: Address,
        /// Why.
        source: Arc<HandshakeError>,
    },
}

/// One connection. Dropping it closes the socket, whatever is under way.
pub(crate) struct Connection<C> {
    pub(crate) client: C,
    dispatch: JoinHandle<()>,
}

impl<C> Connection<C> {
    /// Whether it has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.dispatch.is_finished()
    }
}

impl<C> Drop for Connection<C> {
    fn drop(&mut self) {
        self.dispatch.abort();
    }
}

impl Connector {
    /// Makes a connection, driven by a task on the current runtime.
    pub(crate) async fn open<C: Service>(&self) -> Result<Connection<C>, ConnectError> {
        match self {
            Self::InProcess(inprocess) => Ok(start(inprocess.open::<C>())),
            Self::Net(address) => greet(address, connect(address)).await,
            Self::Dialed(dialer) => greet(dialer.name(), dialer.dial()).await,
        }
    }
}

/// A socket after its handshake.
/// A connection over the socket that `connecting` gives, once the other side has welcomed it.
async fn greet<C: Service>(
    address: &Address,
    connecting: impl Future<Output = io::Result<Box<dyn Socket>>>,
) -> Result<Connection<C>, ConnectError> {
    let welcomed = async {
        let mut socket = connecting
            .await
            .map_err(|source| ConnectError::Unreachable {
                address: address.clone(),
                source: Arc::new(source),
            })?;
        handshake::ask(&mut socket, C::ROLE)
            .await
            .map_err(|source| ConnectError::Handshake {
                address: address.clone(),
                source: Arc::new(source),
            })?;
        Ok(socket)
    };
    let socket = timeout(CONNECT_MAX, welcomed)
        .await
        .map_err(|_| ConnectError::Timeout {
            address: address.clone(),
        })??;
    Ok(start(Framed::new(socket, AskerCodec::new())))
}

async fn connect(address: &Address) -> io::Result<Box<dyn Socket>> {
    match address {
        Address::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        Address::Tcp(host_port) => {
            let socket = TcpStream::connect(host_port).await?;
            tune(&socket)?;
            Ok(Box::new(socket))
        }
    }
}

fn start<C, T>(transport: T) -> Connection<C>
where
    C: Service,
    T: Transport<ClientMessage<C::Request>, Response<C::Response>> + Send + 'static,
{
    let mut config = Config::default();
    config.max_in_flight_requests = IN_FLIGHT_MAX;
    config.pending_request_buffer = IN_FLIGHT_MAX;
    let new = tarpc::client::new(config, transport);
    let dispatch = tokio::spawn(async move {
        if let Err(error) = new.dispatch.await {
            let error: &dyn std::error::Error = &error;
            tracing::debug!(error, "connection failed");
        }
    });
    Connection {
        client: C::stub(new.client),
        dispatch,
    }
}
