//! One segment on its way over a socket: try after try, until it is whole or there have been enough.
//!
//! A holder's neighbour asks for the run file's path first. Damage is answered by asking for bytes that the
//! holder has verified, which tells damage at the holder from damage on the way.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mapfold_data::run::{ReadRunError, Run, RunBytes, Segment};
use mapfold_terms::{ByteSize, FetchCause};
use tracing::debug;

use super::error::FetchError;
use super::fetcher::{Fetched, Fetcher, Fetching};
use super::line::Line;
use super::received::Received;
use super::source::Source;
use super::tries::Tries;
use super::trouble::{BrokenError, Trouble};
use crate::stream::Stream;
use crate::wire::{CHUNK_MAX, Form, Head, Request, Start, Status, Want};

/// A connection that brings no bytes for so long is given up. Several times a long pause of a live holder.
pub(super) const STALL_MAX: Duration = Duration::from_secs(3);
/// The longest for a connection to come about, per address.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(2);

/// How often a segment may arrive damaged though its holder says that it is whole.
const DAMAGED_MAX: u32 = 3;

/// One segment on its way over a socket.
pub(super) struct Transfer<'a> {
    fetcher: &'a Fetcher,
    source: Source<'a>,
    fetching: &'a Fetching<'a>,
    want: Want,
    tries: Tries,
    damaged: u32,
}

/// How one try ended.
enum Try {
    /// The whole segment is here.
    Whole(Fetched),
    /// The run's file may be opened.
    Path(PathBuf),
}

impl<'a> Transfer<'a> {
    pub(super) fn new(
        fetcher: &'a Fetcher,
        source: Source<'a>,
        fetching: &'a Fetching<'a>,
    ) -> Self {
        let neighbour = source.location.machine == fetcher.machine;
        Self {
            fetcher,
            source,
            fetching,
            want: if neighbour { Want::Path } else { Want::Bytes },
            tries: Tries::new(),
            damaged: 0,
        }
    }

    pub(super) fn run(mut self) -> Result<Fetched, FetchError> {
        let mut received = None;
        loop {
            if self.fetching.monitor.cancelled() {
                return Err(FetchError::Cancelled);
            }
            let before = received.as_ref().map_or(0, Received::len);
            let outcome = self.attempt(&mut received);
            if received.as_ref().map_or(0, Received::len) > before {
                self.tries = Tries::new();
            }
            match outcome {
                Ok(Try::Whole(fetched)) => return Ok(fetched),
                Ok(Try::Path(path)) => match self.open(&path) {
                    Ok(fetched) => return Ok(fetched),
                    Err(error) => {
                        debug!(%error, "cannot open a neighbour's run, asking for its bytes");
                        self.want = Want::Bytes;
                    }
                },
                Err(Trouble::Fatal(error)) => return Err(error),
                Err(Trouble::Broken(error)) => {
                    debug!(%error, holder = %self.source.location.holder, "fetch interrupted");
                    if !self.tries.again() {
                        return Err(self.source.failure(FetchCause::Unreachable, error));
                    }
                }
                Err(Trouble::Busy) => {
                    if !self.tries.again_busy() {
                        let holder = self.source.location.holder;
                        return Err(FetchError::Busy { holder });
                    }
                }
                Err(Trouble::Damaged(error)) => {
                    received = None;
                    self.want = Want::Verified;
                    self.damaged += 1;
                    if self.damaged == DAMAGED_MAX {
                        return Err(self.source.failure(FetchCause::Corrupt, error));
                    }
                }
            }
        }
    }

    /// Asks for pieces over one connection until the segment is whole.
    fn attempt(&self, received: &mut Option<Received>) -> Result<Try, Trouble> {
        let mut line = self.connect()?;
        let mut request = self.request(received.as_ref().map_or(0, Received::len));
        line.ask(&request);
        loop {
            let head = line.answer(&request)?;
            self.judge(&head)?;
            if head.form == Form::Path {
                let path = line.read_path(head.length)?;
                self.fetcher
                    .put_idle(self.source.location.holder, line.stream);
                return Ok(Try::Path(path));
            }
            let piece = self.receive(received, &head)?;
            let next = piece.len() + u64::from(head.length);
            if head.length > 0 && next < piece.head.bytes {
                request = self.request(next);
                line.ask(&request);
            }
            line.read_piece(piece, head.length)?;
            self.fetching.monitor.progress(0, 0);
            if piece.is_whole() {
                self.fetcher
                    .put_idle(self.source.location.holder, line.stream);
                break;
            }
            if head.length == 0 {
                return Err(BrokenError::Answer.into());
            }
            if self.fetching.monitor.cancelled() {
                return Err(FetchError::Cancelled.into());
            }
        }
        let whole = received.take().expect("the loop ends with a whole segment");
        self.finish(whole)
    }

    /// An idle connection, unless it was closed meanwhile, or a new one.
    fn connect(&self) -> Result<Line, Trouble> {
        let location = self.source.location;
        while let Some(stream) = self.fetcher.take_idle(location.holder) {
            if stream.is_quiet() {
                return Ok(Line::new(stream));
            }
        }
        let connected = Stream::connect(&location.data, CONNECT_MAX).and_then(|stream| {
            stream.set_timeouts(STALL_MAX, STALL_MAX)?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Line::new(stream)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Trouble::Busy),
            Err(error) if is_own_fault(&error) => Err(FetchError::NoSocket(error).into()),
            Err(error) => Err(BrokenError::Connect(error).into()),
        }
    }

    fn request(&self, offset: u64) -> Request {
        Request {
            secret: self.source.location.data_secret,
            want: if offset == 0 { self.want } else { Want::Bytes },
            job: self.source.map.job,
            start: Start {
                token: self.source.map.token,
                partition: self.fetching.partition,
                offset,
            },
            length: CHUNK_MAX,
        }
    }

    /// What a reply's head means.
    fn judge(&self, head: &Head) -> Result<(), Trouble> {
        let not_found = |what| Err(self.source.failure(FetchCause::NotFound, what).into());
        let corrupt = |what| Err(self.source.failure(FetchCause::Corrupt, what).into());
        match head.status {
            Status::Ok if head.digest != self.source.location.digest => {
                corrupt("its run has another digest")
            }
            Status::Ok => Ok(()),
            Status::NotFound => not_found("it has no such run"),
            // The address belongs to another process by now.
            Status::BadSecret => not_found("another worker is at its address"),
            Status::Corrupt => corrupt("its bytes there are not what was written"),
            Status::Busy => Err(Trouble::Busy),
            Status::BadRequest => Err(BrokenError::BadRequest.into()),
        }
    }

    /// Where the bytes after `head` go.
    fn receive<'r>(
        &self,
        received: &'r mut Option<Received>,
        head: &Head,
    ) -> Result<&'r mut Received, Trouble> {
        if received.is_none() {
            let room = Received::new(head.segment, self.fetching);
            *received = Some(room.map_err(FetchError::Scratch)?);
        }
        let piece = received.as_mut().expect("it was just made");
        if piece.head != head.segment || piece.len() + u64::from(head.length) > piece.head.bytes {
            return Err(BrokenError::Answer.into());
        }
        Ok(piece)
    }

    fn finish(&self, whole: Received) -> Result<Try, Trouble> {
        let (map, head) = (self.source.map.task.index, whole.head);
        let bytes = whole.into_bytes()?;
        let segment = Segment::from_parts(map, self.fetching.partition, head, bytes);
        let segment = segment.map_err(Trouble::Damaged)?;
        segment.verify().map_err(Trouble::Damaged)?;
        Ok(Try::Whole(Fetched {
            segment,
            remote: ByteSize(head.bytes),
        }))
    }

    /// Maps a neighbour's run file.
    fn open(&self, path: &Path) -> Result<Fetched, OpenError> {
        let run = Run::open(RunBytes::open(path)?)?;
        Ok(self.source.segment_of(&run, self.fetching.partition)?)
    }
}

/// Why a neighbour's run cannot be opened by path.
#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Read(#[from] ReadRunError),
    #[error(transparent)]
    Other(#[from] FetchError),
}

/// Whether it is this worker that lacks something, not the holder.
fn is_own_fault(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let own = [Errno::MFILE, Errno::NFILE, Errno::NOMEM, Errno::NOBUFS];
    let code = error.raw_os_error();
    own.iter().any(|errno| code == Some(errno.raw_os_error()))
}
