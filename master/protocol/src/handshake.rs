//! The first bytes on every socket: who speaks which version. Laid out by hand, so that any two
//! versions can at least tell each other that they differ.
//!
//! ```text
//! hello   "mapfold\n"  protocol: u16 BE  role: u8     len: u8  engine version, len bytes of ASCII
//! reply   "mapfold\n"  protocol: u16 BE  verdict: u8  len: u8  engine version, len bytes of ASCII
//! ```
//!
//! This layout never changes. After a welcome come frames ([`crate::codec`]); after anything else the answerer
//! closes. The protocol number grows with every change to a message or its encoding. Clients need
//! the same protocol; workers need the same `major.minor` of the engine too, as they run the stock
//! jobs that are compiled into it, and all attempts of a job must compute the same. So patch releases may be
//! rolled through a cluster; anything larger restarts it.

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::Role;

/// The version of the messages and their encoding.
pub const PROTOCOL: u16 = 13;

/// The engine's version.
pub const ENGINE: &str = env!("CARGO_PKG_VERSION");

/// Either side gives up on a handshake after so long.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(5);

const MAGIC: [u8; 8] = *b"mapfold\n";
const FIXED: usize = MAGIC.len() + 4;
const ENGINE_LEN_MAX: usize = 32;

/// A version as one side tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Of the messages; see [`PROTOCOL`].
    pub protocol: u16,
    /// Of the engine, for example `0.1.0`.
    pub engine: String,
}

impl Version {
    /// This engine's.
    pub fn ours() -> Self {
        Self {
            protocol: PROTOCOL,
            engine: ENGINE.to_owned(),
        }
    }

    /// Whether the two may work together in a role; see the module.
    fn suits(&self, other: &Self, role: Role) -> bool {
        let minor = |engine: &str| {
            engine
                .splitn(3, '.')
                .take(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        self.protocol == other.protocol
            && (role == Role::Client || minor(&self.engine) == minor(&other.engine))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (protocol {})", self.engine, self.protocol)
    }
}

/// The two sides cannot work together. Trying again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is mapfold {ours}, the other side is mapfold {theirs}; install the same version on both"
)]
pub struct VersionMismatch {
    /// This side.
    pub ours: Version,
    /// The other side.
    pub theirs: Version,
}

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The two sides cannot work together.
    #[error(transparent)]
    Version(#[from] VersionMismatch),
    /// What is there speaks something else.
    #[error("what answers there is not mapfold")]
    NotMapfold,
    /// It has as many connections as it takes.
    #[error("it has as many connections as it takes; try again later")]
    Busy,
    /// It ends.
    #[error("it is shutting down")]
    ShuttingDown,
    /// It closed the connection without an answer.
    #[error("it closed the connection before it answered")]
    Closed,
    /// It did not answer in time.
    #[error("it did not answer within {} s", HANDSHAKE_MAX.as_secs())]
    Timeout,
    /// The connection failed.
    #[error("the connection failed")]
    Io(#[source] io::Error),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// What the answerer says to a hello that it understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Welcome,
    VersionMismatch,
    Busy,
    ShuttingDown,
}

/// The asker's side.
pub(crate) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut S,
    role: Role,
) -> Result<(), HandshakeError> {
    let exchange = async {
        socket
            .write_all(&encode(&Version::ours(), role_byte(role)))
            .await?;
        read(socket).await
    };
    let (theirs, verdict) = timeout(HANDSHAKE_MAX, exchange)
        .await
        .map_err(|_| HandshakeError::Timeout)??;
    match verdict {
        0 => Ok(()),
        2 => Err(HandshakeError::Busy),
        3 => Err(HandshakeError::ShuttingDown),
        // 1, or a verdict that only a later version knows.
        _ => Err(HandshakeError::Version(VersionMismatch {
            ours: Version::ours(),
            theirs,
        })),
    }
}

/// The answerer's side: reads the hello, sends the verdict that `judge` gives for the role if the
/// versions suit each other, and returns the role if it is welcome.
pub(crate) async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut S,
    judge: impl FnOnce(Role) -> Verdict,
) -> Result<Role, HandshakeError> {
    let exchange = async {
        let (theirs, role) = read(socket).await?;
        let ours = Version::ours();
        let role = role_of(role).filter(|role| ours.suits(&theirs, *role));
        let verdict = role.map_or(Verdict::VersionMismatch, judge);
        socket
            .write_all(&encode(&ours, verdict_byte(verdict)))
            .await?;
        match (verdict, role) {
            (Verdict::Welcome, Some(role)) => Ok(role),
            (Verdict::Busy, _) => Err(HandshakeError::Busy),
            (Verdict::ShuttingDown, _) => Err(HandshakeError::ShuttingDown),
            _ => Err(HandshakeError::Version(VersionMismatch { ours, theirs })),
        }
    };
    timeout(HANDSHAKE_MAX, exchange)
        .await
        .map_err(|_| HandshakeError::Timeout)?
}

fn encode(version: &Version, byte: u8) -> Vec<u8> {
    let engine = version.engine.as_bytes();
    let engine = &engine[..engine.len().min(ENGINE_LEN_MAX)];
    let len = u8::try_from(engine.len()).expect("at most ENGINE_LEN_MAX");
    [
        &MAGIC[..],
        &version.protocol.to_be_bytes(),
        &[byte, len],
        engine,
    ]
    .concat()
}

/// Reads a hello or a reply: its version, and its role or verdict. Stops at the first byte that is not mapfold's.
async fn read<S: AsyncRead + Unpin>(socket: &mut S) -> Result<(Version, u8), HandshakeError> {
    let mut fixed = [0; FIXED];
    let (magic, rest) = fixed.split_at_mut(MAGIC.len());
    socket.read_exact(magic).await?;
    if magic != MAGIC {
        return Err(HandshakeError::NotMapfold);
    }
    socket.read_exact(rest).await?;
    let &mut [high, low, byte, len] = rest else {
        unreachable!("FIXED is four more than the magic");
    };
    let mut engine = [0; ENGINE_LEN_MAX];
    let engine = engine
        .get_mut(..usize::from(len))
        .ok_or(HandshakeError::NotMapfold)?;
    socket.read_exact(engine).await?;
    let engine = std::str::from_utf8(engine)
        .ok()
        .filter(|engine| engine.bytes().all(|byte| byte.is_ascii_graphic()))
        .ok_or(HandshakeError::NotMapfold)?;
    let version = Version {
        protocol: u16::from_be_bytes([high, low]),
        engine: engine.to_owned(),
    };
    Ok((version, byte))
}

fn role_byte(role: Role) -> u8 {
    match role {
        Role::Worker => 1,
        Role::Pulse => 2,
        Role::Client => 3,
    }
}

fn role_of(byte: u8) -> Option<Role> {
    [Role::Worker, Role::Pulse, Role::Client]
        .into_iter()
        .find(|role| role_byte(*role) == byte)
}

fn verdict_byte(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Welcome => 0,
        Verdict::VersionMismatch => 1,
        Verdict::Busy => 2,
        Verdict::ShuttingDown => 3,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::duplex;

    use super::*;

    fn version(protocol: u16, engine: &str) -> Version {
        Version {
            protocol,
            engine: engine.to_owned(),
        }
    }

    #[test]
    fn the_layout_never_changes() {
        assert_eq!(
            encode(&version(0x0102, "1.2.3"), 3),
            b"mapfold\n\x01\x02\x03\x051.2.3"
        );
        assert_eq!(
            [Role::Worker, Role::Pulse, Role::Client].map(role_byte),
            [1, 2, 3]
        );
        use Verdict::*;
        assert_eq!(
            [Welcome, VersionMismatch, Busy, ShuttingDown].map(verdict_byte),
            [0, 1, 2, 3]
        );
    }

    /// Whether an engine suits this one as a worker, and as a client.
    #[track_caller]
    fn check(theirs: Version, worker: bool, client: bool) {
        let ours = version(PROTOCOL, "1.4.2");
        assert_eq!(ours.suits(&theirs, Role::Worker), worker, "{theirs}");
        assert_eq!(ours.suits(&theirs, Role::Pulse), worker, "{theirs}");
        assert_eq!(ours.suits(&theirs, Role::Client), client, "{theirs}");
    }

    #[test]
    fn workers_need_the_same_minor_version_and_clients_the_same_protocol() {
        check(version(PROTOCOL, "1.4.2"), true, true);
        check(version(PROTOCOL, "1.4.9"), true, true);
        check(version(PROTOCOL, "1.5.2"), false, true);
        check(version(PROTOCOL, "2.4.2"), false, true);
        check(version(PROTOCOL, "1"), false, true);
        check(version(PROTOCOL, ""), false, true);
        check(version(PROTOCOL + 1, "1.4.2"), false, false);
    }

    #[tokio::test]
    async fn each_verdict_arrives_as_its_error() {
        for verdict in [Verdict::Welcome, Verdict::Busy, Verdict::ShuttingDown] {
            let (mut asker, mut answerer) = duplex(64);
            let (asked, answered) = tokio::join!(
                ask(&mut asker, Role::Pulse),
                answer(&mut answerer, |_| verdict)
            );
            match verdict {
                Verdict::Welcome => {
                    asked.unwrap();
                    assert_eq!(answered.unwrap(), Role::Pulse);
                }
                Verdict::Busy => assert!(matches!(asked, Err(HandshakeError::Busy))),
                _ => assert!(matches!(asked, Err(HandshakeError::ShuttingDown))),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_greeting_that_is_not_finished_is_given_up() {
        let hello = encode(&Version::ours(), 1);
        for sent in 0..hello.len() {
            let (mut other, mut socket) = duplex(64);
            other.write_all(&hello[..sent]).await.unwrap();
            let start = tokio::time::Instant::now();
            let error = answer(&mut socket, |_| Verdict::Welcome).await.unwrap_err();
            assert!(matches!(error, HandshakeError::Timeout), "{error}");
            assert_eq!(start.elapsed().as_secs(), HANDSHAKE_MAX.as_secs());
            let error = ask(&mut socket, Role::Worker).await.unwrap_err();
            assert!(matches!(error, HandshakeError::Timeout), "{error}");
        }
    }

    #[tokio::test]
    async fn a_peer_that_closes_is_told_apart_from_one_that_is_silent() {
        let (other, mut socket) = duplex(64);
        drop(other);
        let error = ask(&mut socket, Role::Worker).await.unwrap_err();
        assert!(matches!(error, HandshakeError::Closed), "{error}");
    }

    proptest! {
        #[test]
        fn other_bytes_are_refused_never_a_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..64),
            magic in any::<bool>(),
        ) {
            if magic {
                bytes.splice(0..0, MAGIC);
            }
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(read(&mut &bytes[..]));
        }
    }
}
