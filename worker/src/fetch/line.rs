//! A connection to a holder. Replies come in the order of the requests; one request may be sent before the reply to the one
//! before has come, so that the holder is never idle for a round trip.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::received::Received;
use super::trouble::{BrokenError, Trouble};
use crate::stream::Stream;
use crate::wire::{HEAD_LEN, Head, Request};

/// A connection to a holder.
pub(super) struct Line {
    pub(super) stream: Stream,
    /// Why a request could not be sent.
    unsent: Option<io::Error>,
}

impl Line {
    pub(super) const fn new(stream: Stream) -> Self {
        Self {
            stream,
            unsent: None,
        }
    }

    /// Sends a request. That it could not be sent is told in place of its answer: a holder that refuses the connection
    /// says so before it reads.
    pub(super) fn ask(&mut self, request: &Request) {
        if let Err(error) = self.stream.write_all(&request.encode()) {
            self.unsent.get_or_insert(error);
        }
    }

    /// The head of the reply to the oldest request without one, which is `request`.
    pub(super) fn answer(&mut self, request: &Request) -> Result<Head, BrokenError> {
        let mut bytes = [0; HEAD_LEN];
        if let Err(error) = self.stream.read_exact(&mut bytes) {
            return Err(BrokenError::Io(self.unsent.take().unwrap_or(error)));
        }
        let head = Head::decode(&bytes)?;
        if !head.answers(request) {
            return Err(BrokenError::Answer);
        }
        Ok(head)
    }

    pub(super) fn read_path(&mut self, length: u32) -> Result<PathBuf, BrokenError> {
        let mut bytes = vec![0; length as usize];
        self.stream
            .read_exact(&mut bytes)
            .map_err(BrokenError::Io)?;
        Ok(PathBuf::from(OsStr::from_bytes(&bytes)))
    }

    /// Reads `length` bytes; keeps those that came before a failure.
    pub(super) fn read_piece(&mut self, piece: &mut Received, length: u32) -> Result<(), Trouble> {
        let mut limited = (&mut self.stream).take(u64::from(length));
        piece.fill(&mut limited)?;
        match limited.limit() {
            0 => Ok(()),
            _ => Err(BrokenError::Io(io::ErrorKind::UnexpectedEof.into()).into()),
        }
    }
}
