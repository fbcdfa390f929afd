//! Gets one partition of one run from whoever holds it.
//!
//! Three ways, the cheapest that works: a run of this worker comes straight from its store; one that a
//! neighbour on the same machine keeps in a file is mapped by path; the rest comes over a socket in
//! pieces, resumed by offset when the connection breaks, into memory or, beyond the attempt's share, into a
//! scratch file.
//!
//! Whatever the way, the run must have the digest that the master named, and what came over a socket is
//! verified before it is handed on. A failure is told as one of [`FetchCause`] only when the holder is at
//! fault, since that makes a map task run again; trouble of this worker is its own.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mapfold_data::run::{ReadRunError, Run, RunBytes, Segment, SegmentHead};
use mapfold_data::scratch::{Scratch, ScratchError, ScratchFile};
use mapfold_job::Monitor;
use mapfold_protocol::service::Location;
use mapfold_terms::{AttemptId, ByteSize, FetchCause, FetchFailure, PartitionId, WorkerId};
use tracing::debug;

use crate::backoff::Backoff;
use crate::store::RunStore;
use crate::stream::Stream;
use crate::wire::{CHUNK_MAX, Form, HEAD_LEN, Head, Request, Status, Want, WireError};

/// Tries in a row, none of which brought a byte, after which a holder is unreachable. With refused
/// connections that is below 0.4 s; with a silent holder four times [`STALL_MAX`].
const TRIES_MAX: u32 = 4;
const RETRY_BASE: Duration = Duration::from_millis(50);
const RETRY_CAP: Duration = Duration::from_millis(400);
/// A connection that brings no bytes for so long is given up. Several times a long pause of a live holder.
const STALL_MAX: Duration = Duration::from_secs(3);
/// The longest for a connection to come about, per address.
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// How long a holder may say that it is busy, in a row. Being busy is never a reason to run its map tasks again.
const BUSY_MAX: Duration = Duration::from_secs(30);
/// How often a segment may arrive damaged though its holder says that it is whole.
const DAMAGED_MAX: u32 = 3;
/// Connections kept for later, per holder: one for each thread that fetches at once.
const IDLE_PER_HOLDER_MAX: usize = 4;
/// Connections kept for later, over all holders.
const IDLE_MAX: usize = 64;
/// What is read from a socket at a time on the way to a file.
const COPY_BYTES: usize = 256 << 10;

/// Fetches for all reduce attempts of one life of the worker, and keeps connections for the next one.
pub(crate) struct Fetcher {
    worker: WorkerId,
    machine: String,
    runs: Arc<RunStore>,
    idle: Mutex<BTreeMap<WorkerId, Vec<Stream>>>,
}

/// One reduce attempt's fetching.
pub(crate) struct Fetching<'a> {
    /// The partition that is reduced.
    pub(crate) partition: PartitionId,
    /// For what is too large for memory.
    pub(crate) scratch: &'a Scratch,
    /// Memory left for segments that come over a socket.
    pub(crate) memory: &'a AtomicU64,
    /// Says when to stop.
    pub(crate) monitor: &'a dyn Monitor,
}

/// A segment that was fetched.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// Marked with its map task.
    pub(crate) segment: Segment,
    /// Bytes that came over a socket.
    pub(crate) remote: ByteSize,
}

/// Why a segment could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The attempt was told to stop.
    #[error("cancelled")]
    Cancelled,
    /// The holder cannot give it.
    #[error("{}", .0.message)]
    Run(FetchFailure),
    /// No room for it here.
    #[error("cannot keep what was fetched")]
    Scratch(#[from] ScratchError),
    /// It could not be written here.
    #[error("cannot write {}", path.display())]
    Write {
        /// The scratch file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The scratch file could not be read back.
    #[error("cannot read back what was fetched")]
    Map(#[source] ReadRunError),
    /// This worker has no socket to ask with.
    #[error("cannot open a socket to fetch with")]
    NoSocket(#[source] io::Error),
    /// The holder had too many readers for as long as we were willing to wait.
    #[error("worker {holder} has been too busy for {} s", BUSY_MAX.as_secs())]
    Busy {
        /// The holder.
        holder: WorkerId,
    },
}

impl Fetcher {
    /// A fetcher of `worker` on `machine`, whose own runs are `runs`.
    pub(crate) fn new(worker: WorkerId, machine: String, runs: Arc<RunStore>) -> Self {
        Self {
            worker,
            machine,
            runs,
            idle: Mutex::default(),
        }
    }

    /// Whether a run is in this process.
    pub(crate) fn is_own(&self, location: &Location) -> bool {
        location.holder == self.worker
    }

    /// Gets a segment of the run of `map`, which is at `location`. Blocks.
    pub(crate) fn fetch(
        &self,
        map: AttemptId,
        location: &Location,
        fetching: &Fetching<'_>,
    ) -> Result<Fetched, FetchError> {
        let source = Source { map, location };
        if self.is_own(location) {
            return self.own(&source, fetching.partition);
        }
        Transfer::new(self, source, fetching).run()
    }

    fn own(&self, source: &Source<'_>, partition: PartitionId) -> Result<Fetched, FetchError> {
        let held = self.runs.get(source.map.job, source.map.token);
        let held =
            held.ok_or_else(|| source.failure(FetchCause::NotFound, "it has no such run"))?;
        source.segment_of(held.run(), partition)
    }

    fn take_idle(&self, holder: WorkerId) -> Option<Stream> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.get_mut(&holder)?.pop()
    }

    fn put_idle(&self, holder: WorkerId, stream: Stream) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let count: usize = idle.values().map(Vec::len).sum();
        let streams = idle.entry(holder).or_default();
        if count < IDLE_MAX && streams.len() < IDLE_PER_HOLDER_MAX {
            streams.push(stream);
        }
    }
}

/// The run that is asked for.
#[derive(Clone, Copy)]
struct Source<'a> {
    map: AttemptId,
    location: &'a Location,
}

impl Source<'_> {
    fn failure(&self, cause: FetchCause, what: impl std::fmt::Display) -> FetchError {
        let (map, holder) = (self.map, self.location.holder);
        FetchError::Run(FetchFailure {
            map,
            holder,
            cause,
            message: format!("cannot fetch the run of {map} from worker {holder}: {what}"),
        })
    }

    /// The segment of a run that is open here, if it is the right run.
    fn segment_of(&self, run: &Run, partition: PartitionId) -> Result<Fetched, FetchError> {
        let want = self.location.digest;
        if run.token() != self.map.token || run.digest() != want || partition.0 >= run.partitions()
        {
            let got = run.digest();
            let what = format_args!("it holds another run, with digest {got}, not {want}");
            return Err(self.failure(FetchCause::Corrupt, what));
        }
        Ok(Fetched {
            segment: run.segment(partition).with_map(self.map.task.index),
            remote: ByteSize(0),
        })
    }
}

/// One segment on its way over a socket.
struct Transfer<'a> {
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

/// Why one try brought nothing.
enum Trouble {
    /// For good.
    Fatal(FetchError),
    /// The connection broke or spoke nonsense.
    Broken(BrokenError),
    /// The holder has too many readers.
    Busy,
    /// The bytes do not match their checksums.
    Damaged(ReadRunError),
}

/// What is wrong with a connection.
#[derive(Debug, thiserror::Error)]
enum BrokenError {
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    #[error("the connection broke: {0}")]
    Io(io::Error),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the reply is not to this request")]
    Answer,
    #[error("it does not understand the request")]
    BadRequest,
}

impl From<BrokenError> for Trouble {
    fn from(error: BrokenError) -> Self {
        Self::Broken(error)
    }
}

impl From<FetchError> for Trouble {
    fn from(error: FetchError) -> Self {
        Self::Fatal(error)
    }
}

impl<'a> Transfer<'a> {
    fn new(fetcher: &'a Fetcher, source: Source<'a>, fetching: &'a Fetching<'a>) -> Self {
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

    fn run(mut self) -> Result<Fetched, FetchError> {
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
        loop {
            let request = self.request(received.as_ref().map_or(0, Received::len));
            let head = line.ask(&request)?;
            self.judge(&head)?;
            if head.form == Form::Path {
                let path = line.read_path(head.length)?;
                self.fetcher
                    .put_idle(self.source.location.holder, line.stream);
                return Ok(Try::Path(path));
            }
            let piece = self.receive(received, &head)?;
            line.read_piece(piece, head.length)?;
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
                return Ok(Line { stream });
            }
        }
        let connected = Stream::connect(&location.data, CONNECT_MAX).and_then(|stream| {
            stream.set_timeouts(STALL_MAX, STALL_MAX)?;
            Ok(stream)
        });
        match connected {
            Ok(stream) => Ok(Line { stream }),
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
            token: self.source.map.token,
            partition: self.fetching.partition,
            offset,
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

/// Failed tries since the last that brought something.
struct Tries {
    failed: u32,
    busy_since: Option<Instant>,
    backoff: Backoff,
}

impl Tries {
    const fn new() -> Self {
        Self {
            failed: 0,
            busy_since: None,
            backoff: Backoff::new(RETRY_BASE, RETRY_CAP),
        }
    }

    /// Waits before the next try; false if there have been enough.
    fn again(&mut self) -> bool {
        self.failed += 1;
        if self.failed >= TRIES_MAX {
            return false;
        }
        thread::sleep(self.backoff.delay());
        true
    }

    /// The same after a holder said that it is busy.
    fn again_busy(&mut self) -> bool {
        if self.busy_since.get_or_insert_with(Instant::now).elapsed() > BUSY_MAX {
            return false;
        }
        thread::sleep(self.backoff.delay());
        true
    }
}

/// A connection to a holder.
struct Line {
    stream: Stream,
}

impl Line {
    fn ask(&mut self, request: &Request) -> Result<Head, BrokenError> {
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

    fn read_path(&mut self, length: u32) -> Result<PathBuf, BrokenError> {
        let mut bytes = vec![0; length as usize];
        self.stream
            .read_exact(&mut bytes)
            .map_err(BrokenError::Io)?;
        Ok(PathBuf::from(OsStr::from_bytes(&bytes)))
    }

    /// Reads `length` bytes; keeps those that came before a failure.
    fn read_piece(&mut self, piece: &mut Received, length: u32) -> Result<(), Trouble> {
        let mut limited = (&mut self.stream).take(u64::from(length));
        piece.fill(&mut limited)?;
        match limited.limit() {
            0 => Ok(()),
            _ => Err(BrokenError::Io(io::ErrorKind::UnexpectedEof.into()).into()),
        }
    }
}

/// A segment as far as it has come.
struct Received {
    head: SegmentHead,
    place: Place,
}

enum Place {
    Memory(Vec<u8>),
    File { file: ScratchFile, len: u64 },
}

impl Received {
    /// Room for a segment, in memory if the attempt has some left.
    fn new(head: SegmentHead, fetching: &Fetching<'_>) -> Result<Self, ScratchError> {
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

    const fn len(&self) -> u64 {
        match &self.place {
            Place::Memory(bytes) => bytes.len() as u64,
            Place::File { len, .. } => *len,
        }
    }

    const fn is_whole(&self) -> bool {
        self.len() == self.head.bytes
    }

    /// Takes all of `from`.
    fn fill(&mut self, from: &mut impl Read) -> Result<(), Trouble> {
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
            if let Err(source) = file.file.write_all(&buffer[..count]) {
                let path = file.path.as_path().to_owned();
                return Err(FetchError::Write { path, source }.into());
            }
            *len += count as u64;
        }
    }

    fn into_bytes(self) -> Result<RunBytes, FetchError> {
        match self.place {
            Place::Memory(bytes) => Ok(RunBytes::from(bytes)),
            Place::File { file, .. } => RunBytes::from_scratch(file).map_err(FetchError::Map),
        }
    }
}

#[cfg(test)]
mod tests;
