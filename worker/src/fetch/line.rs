//! A connection to a holder, on which requests and replies take turns.

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
}

impl Line {
    pub(super) fn ask(&mut self, request: &Request) -> Result<Head, BrokenError> {
        let sent = self.stream.write_all(&request.encode());
        // A holder that refuses the connection says so before it reads.
        let mut bytes = [0; HEAD_LEN];
        match (sent, self.stream.read_exact(&mut bytes)) {
            (_, Ok(())) => {}
            (Err(error), _) | (Ok(()), Err(error)) => return Err(BrokenError::Io(error)),
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
