//! Gets one partition of one run from whoever holds it.
//!
//! Three ways, the cheapest that works: a run of this worker comes straight from its store; one that a
//! neighbour on the same machine keeps in a file is mapped by path; the rest comes over a socket in
//! pieces, resumed by offset when the connection breaks, into memory or, beyond the attempt's share, into a
//! scratch file.
//!
//! Whatever the way, the run must have the digest that the master named, and what came over a socket is
//! verified before it is handed on. A failure is told as one of [`FetchCause`](mapfold_terms::FetchCause)
//! only when the holder is at fault, since that makes a map task run again; trouble of this worker is its own.

mod error;
mod fetcher;
mod line;
mod received;
mod source;
#[cfg(test)]
mod tests;
mod transfer;
mod tries;
mod trouble;

pub(crate) use error::FetchError;
pub(crate) use fetcher::{Fetched, Fetcher, Fetching};
