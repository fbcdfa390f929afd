//! Messages as bytes on a socket: frames of a 4-byte big-endian length and one message.
//!
//! The envelope around a request or an answer is laid out here rather than left to tarpc, for three
//! reasons. No deadline is on the wire, so none can be hostile (tarpc panics on one above 2.18
//! years; callers bound their calls themselves and cancel what they gave up). An answer above the
//! frame limit becomes an error for its own caller; with tarpc's serialization it would end the
//! connection and every call on it. And an error arrives whole (tarpc's does not survive
//! variable-width integers).
//!
//! ```text
//! asker -> answerer   Ask::Call { id, request } | Ask::Cancel { id }
//! answerer -> asker   Reply { id, Ok(answer) | Err(what went wrong) }
//! ```
//!
//! bincode 2.0.1 with variable-width integers, behind this one module: its authors have stopped work
//! on it, and a successor is then a change of this file and of [`crate::handshake::PROTOCOL`]. Golden bytes of
//! every message are in the tests.

use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::enc::write::{SizeWriter, Writer};
use bincode::error::{DecodeError, EncodeError};
use bytes::{Buf, BufMut, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tarpc::{ClientMessage, Request, Response, ServerError, context};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::codec::{Decoder, Encoder};

/// Length of the longest frame, without its length prefix; the same both ways. Control messages are
/// small; a connection that announces more is closed.
pub const FRAME_MAX: usize = 1 << 20;

/// What a message may take of a frame; the rest is for the envelope and a call's other arguments.
pub const MESSAGE_MAX: usize = FRAME_MAX - 256;

/// Requests that one connection may have under way; those above are refused.
pub const IN_FLIGHT_MAX: usize = 64;

/// A connection may buffer so much, each way, whenever it likes. For a longer frame it needs a share of
/// its listener's [`ReadBudget`], and gives the memory back afterwards.
const BUFFER_FREE: usize = 64 << 10;

/// Length of the prefix.
const PREFIX: usize = 4;

/// bincode counts what is decoded by the width of the integers in memory, up to 16 bytes for one
/// on the wire; so 16 frames is the least limit that refuses no honest frame.
const DECODE_MAX: usize = 16 * FRAME_MAX;

const CONFIG: Configuration<LittleEndian, Varint, Limit<DECODE_MAX>> =
    bincode::config::standard().with_limit::<DECODE_MAX>();

/// The length of a message as it is sent, in bytes. Costs as much as encoding it.
pub fn encoded_len<T: Serialize + ?Sized>(message: &T) -> usize {
    let mut size = SizeWriter::default();
    match bincode::serde::encode_into_writer(message, &mut size, CONFIG) {
        Ok(()) => size.bytes_written,
        // A message that cannot be encoded at all fits nowhere.
        Err(_) => usize::MAX,
    }
}

/// Whether a message fits a frame as the argument of a call or its answer. What does not must be cut
/// or trimmed before it is sent.
pub fn fits<T: Serialize + ?Sized>(message: &T) -> bool {
    encoded_len(message) <= MESSAGE_MAX
}

/// How many of the first `items` fit one frame together, `count_max` at most.
pub fn prefix_that_fits<'a, T: Serialize + 'a>(
    items: impl IntoIterator<Item = &'a T>,
    count_max: usize,
) -> usize {
    let mut left = MESSAGE_MAX;
    items
        .into_iter()
        .take(count_max)
        .take_while(|item| match left.checked_sub(encoded_len(*item)) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
        .count()
}

/// Why a frame could not be sent or read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed.
    #[error("the connection failed")]
    Io(#[from] io::Error),
    /// A message to send is above [`FRAME_MAX`]; nothing was sent, and the connection goes on.
    #[error("a message of {len} bytes is above the limit of {FRAME_MAX}")]
    TooLong {
        /// Its length, in bytes.
        len: usize,
    },
    /// The peer announced a frame above [`FRAME_MAX`]: it does not speak this protocol.
    #[error("the peer announced a frame of {len} bytes, above the limit of {FRAME_MAX}")]
    Announced {
        /// The announced length, in bytes.
        len: usize,
    },
    /// A message could not be encoded.
    #[error("cannot encode a message")]
    Encode(#[source] EncodeError),
    /// The bytes of a frame are no message.
    #[error("a frame of {len} bytes holds no message")]
    Malformed {
        /// Length of the frame, in bytes.
        len: usize,
        /// What bincode found.
        source: DecodeError,
    },
    /// A frame holds more than its message.
    #[error("a frame of {len} bytes holds a message of {used}")]
    Trailing {
        /// Length of the frame, in bytes.
        len: usize,
        /// Length of the message, in bytes.
        used: usize,
    },
    /// Other connections are reading so many long frames that there is no room for this one.
    #[error("no room to read a frame of {len} bytes beside those that others are sending")]
    Crowded {
        /// The announced length, in bytes.
        len: usize,
    },
    /// tarpc made a kind of message that this version does not know.
    #[error("a message of an unknown kind was to be sent")]
    Unknown,
}

/// What an asker sends.
#[derive(Serialize, Deserialize)]
enum Ask<T> {
    Call { id: u64, request: T },
    Cancel { id: u64 },
}

/// What an answerer sends.
#[derive(Serialize, Deserialize)]
struct Reply<T> {
    id: u64,
    answer: Result<T, String>,
}

/// Memory for long frames that arrive, shared by all connections of a listener. Without it a thousand
/// peers that each send all but the last byte of a frame would hold a gigabyte.
#[derive(Clone, Debug)]
pub(crate) struct ReadBudget(Arc<Semaphore>);

impl ReadBudget {
    /// Room for `frames` of the longest frames at once.
    pub(crate) fn new(frames: usize) -> Self {
        Self(Arc::new(Semaphore::new(frames * FRAME_MAX)))
    }

    fn claim(&self, len: usize) -> Result<OwnedSemaphorePermit, FrameError> {
        let bytes = u32::try_from(len).map_err(|_| FrameError::Announced { len })?;
        self.0
            .clone()
            .try_acquire_many_owned(bytes)
            .map_err(|_| FrameError::Crowded { len })
    }
}

/// The asker's side: sends requests, reads answers.
pub(crate) struct AskerCodec<Req, Resp>(PhantomData<fn(Req) -> Resp>);

/// The answerer's side: reads requests, sends answers.
pub(crate) struct AnswererCodec<Req, Resp> {
    budget: ReadBudget,
    /// The share of the frame that is arriving.
    claimed: Option<OwnedSemaphorePermit>,
    messages: PhantomData<fn(Req) -> Resp>,
}

impl<Req, Resp> AskerCodec<Req, Resp> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<Req, Resp> AnswererCodec<Req, Resp> {
    pub(crate) fn new(budget: ReadBudget) -> Self {
        Self {
            budget,
            claimed: None,
            messages: PhantomData,
        }
    }
}

impl<Req: Serialize, Resp> Encoder<ClientMessage<Req>> for AskerCodec<Req, Resp> {
    type Error = FrameError;

    fn encode(&mut self, message: ClientMessage<Req>, to: &mut BytesMut) -> Result<(), FrameError> {
        let ask = match message {
            ClientMessage::Request(Request { id, message, .. }) => Ask::Call {
                id,
                request: message,
            },
            ClientMessage::Cancel { request_id, .. } => Ask::Cancel { id: request_id },
            _ => return Err(FrameError::Unknown),
        };
        put_frame(&ask, to)
    }
}

impl<Req, Resp: DeserializeOwned> Decoder for AskerCodec<Req, Resp> {
    type Item = Response<Resp>;
    type Error = FrameError;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<Response<Resp>>, FrameError> {
        let reply = take_frame::<Reply<Resp>>(from)?;
        Ok(reply.map(|Reply { id, answer }| Response {
            request_id: id,
            message: answer.map_err(|what| ServerError::new(io::ErrorKind::Other, what)),
        }))
    }
}

impl<Req, Resp: Serialize> Encoder<Response<Resp>> for AnswererCodec<Req, Resp> {
    type Error = FrameError;

    fn encode(&mut self, response: Response<Resp>, to: &mut BytesMut) -> Result<(), FrameError> {
        let id = response.request_id;
        let answer = response.message.map_err(|error| error.detail);
        match put_frame(&Reply { id, answer }, to) {
            Err(error @ (FrameError::TooLong { .. } | FrameError::Encode(_))) => {
                tracing::warn!(%error, "answer not sent");
                let answer: Result<(), _> = Err(format!("the answer was not sent: {error}"));
                put_frame(&Reply { id, answer }, to)
            }
            done => done,
        }
    }
}

impl<Req: DeserializeOwned, Resp> Decoder for AnswererCodec<Req, Resp> {
    type Item = ClientMessage<Req>;
    type Error = FrameError;

    fn decode(&mut self, from: &mut BytesMut) -> Result<Option<ClientMessage<Req>>, FrameError> {
        if self.claimed.is_none()
            && let Some(len) = announced(from)?
            && len > BUFFER_FREE
        {
            self.claimed = Some(self.budget.claim(len)?);
        }
        let ask = take_frame::<Ask<Req>>(from)?;
        if ask.is_some() {
            self.claimed = None;
        }
        Ok(ask.map(|ask| match ask {
            Ask::Call { id, request } => ClientMessage::Request(Request {
                context: crate::link::far_context(),
                id,
                message: request,
            }),
            Ask::Cancel { id } => ClientMessage::Cancel {
                trace_context: context::current().trace_context,
                request_id: id,
            },
        }))
    }
}

/// Appends one frame, or nothing.
fn put_frame<T: Serialize>(message: &T, to: &mut BytesMut) -> Result<(), FrameError> {
    if to.is_empty() && to.capacity() > BUFFER_FREE {
        *to = BytesMut::new();
    }
    let start = to.len();
    to.put_u32(0);
    let mut frame = Frame {
        to,
        end: start + PREFIX + FRAME_MAX,
        overrun: false,
    };
    let encoded = bincode::serde::encode_into_writer(message, &mut frame, CONFIG);
    let overrun = frame.overrun;
    if let Err(error) = encoded {
        to.truncate(start);
        return Err(match overrun {
            true => FrameError::TooLong {
                len: encoded_len(message),
            },
            false => FrameError::Encode(error),
        });
    }
    let len = u32::try_from(to.len() - start - PREFIX).expect("a frame is at most FRAME_MAX long");
    to[start..start + PREFIX].copy_from_slice(&len.to_be_bytes());
    Ok(())
}

/// The length of the first frame, once its prefix is there.
fn announced(from: &BytesMut) -> Result<Option<usize>, FrameError> {
    let Some(prefix) = from.first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    match usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX) {
        len @ ..=FRAME_MAX => Ok(Some(len)),
        len => Err(FrameError::Announced { len }),
    }
}

/// Takes the first frame, if it is complete. Memory grows with what has arrived, not with what was
/// announced.
fn take_frame<T: DeserializeOwned>(from: &mut BytesMut) -> Result<Option<T>, FrameError> {
    let Some(len) = announced(from)?.filter(|len| from.len() >= PREFIX + len) else {
        return Ok(None);
    };
    let message = decode(&from[PREFIX..PREFIX + len])?;
    match len > BUFFER_FREE {
        true => *from = BytesMut::from(&from[PREFIX + len..]),
        false => from.advance(PREFIX + len),
    }
    Ok(Some(message))
}

/// Reads one message that fills `frame`.
fn decode<T: DeserializeOwned>(frame: &[u8]) -> Result<T, FrameError> {
    let len = frame.len();
    let (message, used) = bincode::serde::decode_from_slice(frame, CONFIG)
        .map_err(|source| FrameError::Malformed { len, source })?;
    match used == len {
        true => Ok(message),
        false => Err(FrameError::Trailing { len, used }),
    }
}

/// Writes at the end of a buffer, up to a limit.
struct Frame<'a> {
    to: &'a mut BytesMut,
    end: usize,
    overrun: bool,
}

impl Writer for Frame<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if self.to.len() + bytes.len() > self.end {
            self.overrun = true;
            return Err(EncodeError::UnexpectedEnd);
        }
        self.to.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod samples;
#[cfg(test)]
mod tests;
