//! What a reader asks of a holder: bytes of one partition of one run.

use mapfold_terms::{JobId, MasterEpoch, PartitionId, Token};

use super::layout::{Put, Take, WireError};

/// Length of a request.
pub(crate) const REQUEST_LEN: usize = 72;

/// The most bytes that one request may ask for: a few milliseconds at 1 GB/s, so a slow reader holds
/// little, and large enough that the round trip does not show.
pub(crate) const CHUNK_MAX: u32 = 4 << 20;

const MAGIC: [u8; 4] = *b"MFdq";

/// Which bytes of which run are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// What the holder gave the master for its readers.
    pub(crate) secret: u128,
    /// Whether the path of the run's file will do.
    pub(crate) want: Want,
    /// The job.
    pub(crate) job: JobId,
    /// First byte wanted.
    pub(crate) start: Start,
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

/// A byte of a run; a reply repeats that of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    /// The map attempt whose run it is.
    pub(crate) token: Token,
    /// The partition.
    pub(crate) partition: PartitionId,
    /// From the first byte of the partition's segment.
    pub(crate) offset: u64,
}

impl Request {
    /// As sent.
    pub(crate) fn encode(&self) -> [u8; REQUEST_LEN] {
        let mut out = Put::<REQUEST_LEN>::new(MAGIC);
        out.put(&(self.want as u16).to_le_bytes());
        out.put(&self.secret.to_le_bytes());
        out.put(&self.job.0.to_le_bytes());
        self.start.put(&mut out);
        out.length(self.length);
        out.seal()
    }

    /// From bytes received.
    pub(crate) fn decode(bytes: &[u8; REQUEST_LEN]) -> Result<Self, WireError> {
        let mut from = Take::open(bytes, MAGIC)?;
        let want = match from.u16() {
            0 => Want::Bytes,
            1 => Want::Path,
            2 => Want::Verified,
            _ => return Err(WireError::Field("want")),
        };
        Ok(Self {
            want,
            secret: u128::from_le_bytes(from.take()),
            job: JobId(from.u64()),
            start: Start::take(&mut from),
            length: from.length(CHUNK_MAX)?,
        })
    }
}

impl Start {
    /// What a reply to an unread request repeats.
    pub(crate) const NONE: Self = Self {
        token: Token::NONE,
        partition: PartitionId(0),
        offset: 0,
    };

    pub(super) fn put<const N: usize>(&self, out: &mut Put<N>) {
        out.put(&self.token.epoch.0.to_le_bytes());
        out.put(&self.partition.0.to_le_bytes());
        out.put(&self.token.counter.to_le_bytes());
        out.put(&self.offset.to_le_bytes());
    }

    pub(super) fn take(from: &mut Take<'_>) -> Self {
        let epoch = MasterEpoch(from.u32());
        let partition = PartitionId(from.u32());
        let counter = from.u64();
        Self {
            token: Token { epoch, counter },
            partition,
            offset: from.u64(),
        }
    }
}
