//! A segment as far as it has come, in memory or, beyond the attempt's share, in a scratch file. It outlives
//! the connection that brought it, so that the next one resumes by offset.

use std::io::{self, Read};
use std::sync::atomic::Ordering;

use mapfold_data::run::{RunBytes, SegmentHead};
use mapfold_data::scratch::{ScratchError, ScratchFile};

use super::error::FetchError;
use super::fetcher::Fetching;
use super::trouble::{BrokenError, Trouble};

/// What is read from a socket at a time on the way to a file, which is mapped later: a touch of the mapping brings in as much as
/// was written at once.
const COPY_BYTES: usize = 64 << 10;

/// A segment as far as it has come.
pub(super) struct Received {
    pub(super) head: SegmentHead,
    place: Place,
}

enum Place {
    Memory(Vec<u8>),
    File { file: ScratchFile, len: u64 },
}

impl Received {
    /// Room for a segment, in memory if the attempt has some left.
    pub(super) fn new(head: SegmentHead, fetching: &Fetching<'_>) -> Result<Self, ScratchError> {
        let in_memory =
            fetching
                .memory
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(head.bytes)
                });
        let place = match (in_memory, usize::try_from(head.bytes)) {
            (Ok(_), Ok(bytes)) => Place::Memory(Vec::with_capacity(bytes)),
            _ => Place::File {
                file: fetching.scratch.create("fetched")?,
                len: 0,
            },
        };
        Ok(Self { head, place })
    }

    pub(super) const fn len(&self) -> u64 {
        match &self.place {
            Place::Memory(bytes) => bytes.len() as u64,
            Place::File { len, .. } => *len,
        }
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.len() == self.head.bytes
    }

    /// Takes all of `from`.
    pub(super) fn fill(&mut self, from: &mut impl Read) -> Result<(), Trouble> {
        let broken = |error| Trouble::from(BrokenError::Io(error));
        let (file, len) = match &mut self.place {
            // The room is there, so it never grows; what came before an error stays.
            Place::Memory(bytes) => return from.read_to_end(bytes).map(drop).map_err(broken),
            Place::File { file, len } => (file, len),
        };
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let count = match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(broken(error)),
            };
            if let Err(source) = file.write_all(&buffer[..count]) {
                let path = file.path.as_path().to_owned();
                return Err(FetchError::Write { path, source }.into());
            }
            *len += count as u64;
        }
    }

    pub(super) fn into_bytes(self) -> Result<RunBytes, FetchError> {
        match self.place {
            Place::Memory(bytes) => Ok(RunBytes::from(bytes)),
            Place::File { file, .. } => RunBytes::from_scratch(file).map_err(FetchError::Map),
        }
    }
}
