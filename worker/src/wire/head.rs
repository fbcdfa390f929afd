//! The fixed start of a reply: what became of the request, and what follows.

use mapfold_data::run::SegmentHead;
use mapfold_terms::Digest;

use super::layout::{Put, Take, WireError};
use super::request::{CHUNK_MAX, Request, Start};

/// Length of a reply's head.
pub(crate) const HEAD_LEN: usize = 88;

/// The most bytes of a path in a reply.
pub(crate) const PATH_MAX: u32 = 4096;

const MAGIC: [u8; 4] = *b"MFdr";

/// The fixed start of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Whether there is anything.
    pub(crate) status: Status,
    /// What follows.
    pub(crate) form: Form,
    /// As asked.
    pub(crate) start: Start,
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

impl Head {
    /// A head that says that the request of bytes from `start` got nothing, and why.
    pub(crate) const fn refuse(start: Start, status: Status) -> Self {
        Self {
            status,
            form: Form::Bytes,
            start,
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
        matches!(self.status, Status::Busy | Status::BadRequest) || self.start == request.start
    }

    /// As sent.
    pub(crate) fn encode(&self) -> [u8; HEAD_LEN] {
        let mut out = Put::<HEAD_LEN>::new(MAGIC);
        out.put(&[self.status.code(), u8::from(self.form == Form::Path)]);
        self.start.put(&mut out);
        out.length(self.length);
        out.put(&self.digest.0.to_le_bytes());
        out.put(&self.segment.records.to_le_bytes());
        out.put(&self.segment.checksum.to_le_bytes());
        out.put(&self.segment.bytes.to_le_bytes());
        out.seal()
    }

    /// From bytes received.
    pub(crate) fn decode(bytes: &[u8; HEAD_LEN]) -> Result<Self, WireError> {
        let mut from = Take::open(bytes, MAGIC)?;
        let [status, form] = from.take();
        let status = Status::from_code(status).ok_or(WireError::Field("status"))?;
        let (form, length_max) = match form {
            0 => (Form::Bytes, CHUNK_MAX),
            1 => (Form::Path, PATH_MAX),
            _ => return Err(WireError::Field("form")),
        };
        Ok(Self {
            status,
            form,
            start: Start::take(&mut from),
            length: from.length(length_max)?,
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
    pub(super) const ALL: [Self; 6] = [
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
