//! Serves this worker's runs to reducers elsewhere, on a listener of its own: bulk never shares a
//! connection or a thread with orders and heartbeats.
//!
//! Blocking threads, one a connection and at most `CONNECTIONS_MAX`: a transfer is a copy from memory (or
//! a mapped file) to a socket, for which a runtime has nothing to offer. A reader beyond the limit is
//! told [`Status::Busy`](crate::wire::Status::Busy) and comes back; a reader that stalls is cut off by a timeout and resumes by offset.

mod answer;
mod listener;
mod server;

pub use server::ServeError;

pub(crate) use server::Server;
