//! The data plane's two fixed messages: a request for a piece of one partition of one run, and the
//! head of its reply.
//!
//! Laid out by hand, little-endian, and checksummed: a flipped bit in a request must not fetch another
//! partition, and TCP's own checksum lets one in 65,536 such flips pass. The reply's head repeats what
//! was asked, so a reply that belongs to another request is noticed.
//!
//! ```text
//! request  0 magic 4 | 4 version 2 | 6 want 2 | 8 secret 16 | 24 job 8 | 32 epoch 4 | 36 partition 4
//!          40 counter 8 | 48 offset 8 | 56 length 4 | 60 zero 4 | 64 xxh3 of bytes 0..64, 8     = 72
//! head     0 magic 4 | 4 version 2 | 6 status 1 | 7 form 1 | 8 epoch 4 | 12 partition 4 | 16 counter 8
//!          24 offset 8 | 32 length 4 | 36 zero 4 | 40 digest of the run 16 | 56 segment's records 8
//!          64 segment's checksum 8 | 72 segment's length 8 | 80 xxh3 of bytes 0..80, 8          = 88
//! ```
//! After the head come `length` bytes: of the segment from `offset` on, or of the run file's path.

use mapfold_data::run::SegmentHead;
use mapfold_terms::{Digest, JobId, MasterEpoch, PartitionId, Token};
use xxhash_rust::xxh3::xxh3_64;

/// Length of a request.
pub(crate) const REQUEST_LEN: usize = 72;
/// Length of a reply's head.
pub(crate) const HEAD_LEN: usize = 88;
/// The most bytes that one request may ask for: a few milliseconds at 1 GB/s, so a slow reader holds
/// little, and large enough that the round trip does not show.
pub(crate) const CHUNK_MAX: u32 = 4 << 20;
/// The most bytes of a path in a reply.
pub(crate) const PATH_MAX: u32 = 4096;

const REQUEST_MAGIC: [u8; 4] = *b"MFdq";
const HEAD_MAGIC: [u8; 4] = *b"MFdr";
const VERSION: u16 = 1;

/// Which bytes of which run are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// What the holder gave the master for its readers.
    pub(crate) secret: u128,
    /// Whether the path of the run's file will do.
    pub(crate) want: Want,
    /// The job.
    pub(crate) job: JobId,
    /// The map attempt whose run it is.
    pub(crate) token: Token,
    /// The partition.
    pub(crate) partition: PartitionId,
    /// First byte wanted, from the start of the partition's segment.
    pub(crate) offset: u64,
    /// Bytes wanted at most; not above [`CHUNK_MAX`].
    pub(crate) length: u32,
}

/// What kind of reply will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Want {
    /// The bytes.
    Bytes = 0,
    /// The path of the run's file, or the bytes when it is in memory: the asker is on the same machine.
    Path = 1,
    /// The bytes, once the holder has verified the whole segment: what came before was damaged, and this
    /// tells damage at the holder from damage on the way.
    Verified = 2,
}

/// The fixed start of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Whether there is anything.
    pub(crate) status: Status,
    /// What follows.
    pub(crate) form: Form,
    /// As asked.
    pub(crate) token: Token,
    /// As asked.
    pub(crate) partition: PartitionId,
    /// As asked.
    pub(crate) offset: u64,
    /// Bytes that follow.
    pub(crate) length: u32,
    /// Of the run that the segment is part of; zero, like what follows, unless the status is [`Status::Ok`].
    pub(crate) digest: Digest,
    /// The whole segment.
    pub(crate) segment: SegmentHead,
}

/// How a request was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// As asked.
    Ok,
    /// This worker has no such run.
    NotFound,
    /// The secret is wrong. The connection ends after it.
    BadSecret,
    /// The segment is not what was written.
    Corrupt,
    /// Too many readers at this moment; ask again later. The connection ends after it.
    Busy,
    /// The request makes no sense to this version. The connection ends after it.
    BadRequest,
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Bytes of the segment.
    Bytes,
    /// The path of the run's file.
    Path,
}

/// Why received bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The peer is something else.
    #[error("the peer does not speak the data protocol")]
    Magic,
    /// The peer is another version of us.
    #[error("the peer speaks version {0} of the data protocol, not {VERSION}")]
    Version(u16),
    /// Bits were flipped on the way.
    #[error("the message's checksum does not match")]
    Checksum,
    /// A field holds a value that has no meaning.
    #[error("the message's {0} has no meaning")]
    Field(&'static str),
}

impl Request {
    /// What a reply to an unread request repeats.
    pub(crate) const NONE: Self = Self {
        secret: 0,
        want: Want::Bytes,
        job: JobId(0),
        token: Token {
            epoch: MasterEpoch(0),
            counter: 0,
        },
        partition: PartitionId(0),
        offset: 0,
        length: 0,
    };

    /// As sent.
    pub(crate) fn encode(&self) -> [u8; REQUEST_LEN] {
        let mut out = Put::<REQUEST_LEN>::new();
        out.put(&REQUEST_MAGIC);
        out.put(&VERSION.to_le_bytes());
        out.put(&(self.want as u16).to_le_bytes());
        out.put(&self.secret.to_le_bytes());
        out.put(&self.job.0.to_le_bytes());
        out.put(&self.token.epoch.0.to_le_bytes());
        out.put(&self.partition.0.to_le_bytes());
        out.put(&self.token.counter.to_le_bytes());
        out.put(&self.offset.to_le_bytes());
        out.put(&self.length.to_le_bytes());
        out.put(&[0; 4]);
        out.seal()
    }

    /// From bytes received.
    pub(crate) fn decode(bytes: &[u8; REQUEST_LEN]) -> Result<Self, WireError> {
        let mut from = Take::open(bytes, REQUEST_MAGIC)?;
        let want = match from.u16() {
            0 => Want::Bytes,
            1 => Want::Path,
            2 => Want::Verified,
            _ => return Err(WireError::Field("want")),
        };
        let secret = u128::from_le_bytes(from.take());
        let job = JobId(from.u64());
        let epoch = MasterEpoch(from.u32());
        let partition = PartitionId(from.u32());
        let counter = from.u64();
        let offset = from.u64();
        let length = from.u32();
        if length > CHUNK_MAX {
            return Err(WireError::Field("length"));
        }
        Ok(Self {
            secret,
            want,
            job,
            token: Token { epoch, counter },
            partition,
            offset,
            length,
        })
    }
}

impl Head {
    /// A head that says that `request` got nothing, and why.
    pub(crate) fn refuse(request: &Request, status: Status) -> Self {
        Self {
            status,
            form: Form::Bytes,
            token: request.token,
            partition: request.partition,
            offset: request.offset,
            length: 0,
            digest: Digest(0),
            segment: SegmentHead {
                records: 0,
                checksum: 0,
                bytes: 0,
            },
        }
    }

    /// Whether this is a reply to `request`. One that was refused before it was read repeats zeros.
    pub(crate) fn answers(&self, request: &Request) -> bool {
        matches!(self.status, Status::Busy | Status::BadRequest)
            || (self.token == request.token
                && self.partition == request.partition
                && self.offset == request.offset)
    }

    /// As sent.
    pub(crate) fn encode(&self) -> [u8; HEAD_LEN] {
        let mut out = Put::<HEAD_LEN>::new();
        out.put(&HEAD_MAGIC);
        out.put(&VERSION.to_le_bytes());
        out.put(&[self.status.code(), u8::from(self.form == Form::Path)]);
        out.put(&self.token.epoch.0.to_le_bytes());
        out.put(&self.partition.0.to_le_bytes());
        out.put(&self.token.counter.to_le_bytes());
        out.put(&self.offset.to_le_bytes());
        out.put(&self.length.to_le_bytes());
        out.put(&[0; 4]);
        out.put(&self.digest.0.to_le_bytes());
        out.put(&self.segment.records.to_le_bytes());
        out.put(&self.segment.checksum.to_le_bytes());
        out.put(&self.segment.bytes.to_le_bytes());
        out.seal()
    }

    /// From bytes received.
    pub(crate) fn decode(bytes: &[u8; HEAD_LEN]) -> Result<Self, WireError> {
        let mut from = Take::open(bytes, HEAD_MAGIC)?;
        let [status, form] = from.take();
        let status = Status::from_code(status).ok_or(WireError::Field("status"))?;
        let (form, length_max) = match form {
            0 => (Form::Bytes, CHUNK_MAX),
            1 => (Form::Path, PATH_MAX),
            _ => return Err(WireError::Field("form")),
        };
        let epoch = MasterEpoch(from.u32());
        let partition = PartitionId(from.u32());
        let counter = from.u64();
        let offset = from.u64();
        let length = from.u32();
        let _zero: [u8; 4] = from.take();
        if length > length_max {
            return Err(WireError::Field("length"));
        }
        Ok(Self {
            status,
            form,
            token: Token { epoch, counter },
            partition,
            offset,
            length,
            digest: Digest(u128::from_le_bytes(from.take())),
            segment: SegmentHead {
                records: from.u64(),
                checksum: from.u64(),
                bytes: from.u64(),
            },
        })
    }
}

impl Status {
    const ALL: [Self; 6] = [
        Self::Ok,
        Self::NotFound,
        Self::BadSecret,
        Self::Corrupt,
        Self::Busy,
        Self::BadRequest,
    ];

    const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::NotFound => 1,
            Self::BadSecret => 2,
            Self::Corrupt => 3,
            Self::Busy => 4,
            Self::BadRequest => 5,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }
}

/// Fills a message from the front; the last 8 bytes are its checksum.
struct Put<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Put<N> {
    const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    fn put(&mut self, part: &[u8]) {
        self.bytes[self.len..self.len + part.len()].copy_from_slice(part);
        self.len += part.len();
    }

    fn seal(mut self) -> [u8; N] {
        assert_eq!(self.len, N - 8, "the layout fills the message");
        let sum = xxh3_64(&self.bytes[..N - 8]);
        self.put(&sum.to_le_bytes());
        self.bytes
    }
}

/// Takes a message apart from the front.
struct Take<'a>(&'a [u8]);

impl<'a> Take<'a> {
    /// Checks what comes first and last. The magic and version are judged before the checksum, so that
    /// a peer of another version is told apart from a broken line.
    fn open<const N: usize>(bytes: &'a [u8; N], magic: [u8; 4]) -> Result<Self, WireError> {
        let (body, mut sum) = (&bytes[..N - 8], Take(&bytes[N - 8..]));
        let mut from = Take(body);
        if from.take() != magic {
            return Err(WireError::Magic);
        }
        match from.u16() {
            VERSION => {}
            other => return Err(WireError::Version(other)),
        }
        if sum.u64() != xxh3_64(body) {
            return Err(WireError::Checksum);
        }
        Ok(from)
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self
            .0
            .split_first_chunk()
            .expect("the layout fits the message");
        self.0 = rest;
        *first
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            secret: 0x0123_4567_89ab_cdef_0011_2233_4455_6677,
            want: Want::Path,
            job: JobId(3),
            token: Token {
                epoch: MasterEpoch(2),
                counter: 99,
            },
            partition: PartitionId(7),
            offset: 1 << 40,
            length: CHUNK_MAX,
        }
    }

    fn head() -> Head {
        Head {
            status: Status::Ok,
            length: 12,
            digest: Digest(77),
            segment: SegmentHead {
                records: 5,
                checksum: 6,
                bytes: 1 << 33,
            },
            ..Head::refuse(&request(), Status::Ok)
        }
    }

    #[test]
    fn messages_read_back_as_written() {
        assert_eq!(Request::decode(&request().encode()), Ok(request()));
        assert_eq!(Head::decode(&head().encode()), Ok(head()));
        for status in Status::ALL {
            let head = Head::refuse(&request(), status);
            assert_eq!(Head::decode(&head.encode()), Ok(head));
        }
    }

    /// The layout is a promise between processes of one version: these bytes change only with `VERSION`.
    #[test]
    fn layouts_are_as_documented() {
        let bytes = request().encode();
        assert_eq!(&bytes[..8], b"MFdq\x01\0\x01\0");
        assert_eq!(bytes[8..24], request().secret.to_le_bytes());
        assert_eq!(bytes[24..32], 3_u64.to_le_bytes());
        assert_eq!(bytes[36..40], 7_u32.to_le_bytes());
        assert_eq!(bytes[40..48], 99_u64.to_le_bytes());
        assert_eq!(bytes[64..], xxh3_64(&bytes[..64]).to_le_bytes());
        let bytes = head().encode();
        assert_eq!(&bytes[..8], b"MFdr\x01\0\0\0");
        assert_eq!(bytes[32..36], 12_u32.to_le_bytes());
        assert_eq!(bytes[40..56], 77_u128.to_le_bytes());
        assert_eq!(bytes[64..72], 6_u64.to_le_bytes());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let bytes = request().encode();
        for bit in 0..REQUEST_LEN * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Request::decode(&bytes).is_err(), "bit {bit}");
        }
        let bytes = head().encode();
        for bit in 0..HEAD_LEN * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Head::decode(&bytes).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_length_above_the_limit_is_refused() {
        let request = Request {
            length: CHUNK_MAX + 1,
            ..request()
        };
        assert_eq!(
            Request::decode(&request.encode()),
            Err(WireError::Field("length"))
        );
    }

    #[test]
    fn a_reply_to_another_request_is_noticed() {
        let other = Request {
            partition: PartitionId(8),
            ..request()
        };
        assert!(head().answers(&request()));
        assert!(!head().answers(&other));
    }
}
