//! How Mapfold's master, workers and clients talk: the services, their messages, one codec, and the
//! transports that carry them (in one process, over a Unix socket, over TCP).
//!
//! ```text
//!   asker                                                        answerer
//!   Link<WorkerDeskClient>  --Connector::InProcess-->  InProcess  \
//!   Link<PulseClient>                                              >  a Desk (the master's)
//!   Link<ClientDeskClient>  --Connector::Net-------->  Listener   /
//! ```
//!
//! Over a socket, the first bytes are the [`handshake`]; then come frames of one message each
//! ([`codec`]). tarpc pairs answers with calls, and nothing else is left to it: its deadlines do not
//! hold for a peer that stalls, it never reconnects, and its listener ends with one bad connection.
//! So calls are bounded by [`Link::call`], connections are renewed by [`Link`], and [`Listener`]
//! gives each connection a task of its own, under caps that are all named constants.
//!
//! What deliberately is not here: bulk data (runs go over sockets of their own), TLS (until it
//! exists, [`check_listen`] keeps listeners off public networks), and any decision of the master.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

pub mod codec;
pub mod handshake;
pub mod service;

mod accept;
mod address;
mod attend;
mod backoff;
mod bind;
mod connect;
mod desk;
mod dialer;
mod hang_up;
mod inprocess;
mod link;
mod listen;
mod open_files;
mod socket;

pub use address::{Address, AddressError, DEFAULT_PORT, ListenRefused, check_listen};
pub use backoff::Backoff;
pub use bind::BindError;
pub use connect::{CONNECT_MAX, ConnectError, Connector};
pub use desk::{Answer, Desk, Role, Service};
pub use dialer::{Dialer, Socket};
pub use handshake::{Version, VersionMismatch};
pub use inprocess::InProcess;
pub use link::{CallError, Link};
pub use listen::{CONNECTIONS_MAX, DRAIN_MAX, IDLE_MAX, Listener, serve_stream};
pub use open_files::raise_open_files;
