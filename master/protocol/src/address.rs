//! Where a master listens and how that is written: `unix:/path`, `host:port`, or a bare host.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;

/// The master's port, where none is given.
pub const DEFAULT_PORT: u16 = 7711;

/// The longest path that the kernel takes for a socket (`sun_path`, with its terminator).
const UNIX_PATH_MAX: usize = 107;

/// A place to listen at or to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// A Unix socket, on this machine.
    Unix(PathBuf),
    /// `host:port`; the host is a name, an IPv4 address, or an IPv6 address in brackets.
    Tcp(String),
}

/// Why a text is no [`Address`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no host.
    #[error("`{0}` is not an address: write HOST, HOST:PORT or unix:/PATH")]
    Host(String),
    /// The port is no number from 0 to 65535.
    #[error("`{port}` in `{text}` is not a port: use a number from 0 to 65535")]
    Port {
        /// What stands where the port should.
        port: String,
        /// The whole text.
        text: String,
    },
    /// The path of the socket is too long for the kernel.
    #[error("the socket path `{0}` is longer than {UNIX_PATH_MAX} bytes: use a shorter one")]
    UnixTooLong(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let no_host = || AddressError::Host(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                0 => Err(no_host()),
                1..=UNIX_PATH_MAX => Ok(Self::Unix(PathBuf::from(path))),
                _ => Err(AddressError::UnixTooLong(path.to_owned())),
            };
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Tcp(SocketAddr::new(ip, DEFAULT_PORT).to_string()));
        }
        let (host, port) = split_port(text);
        let host_is_sound = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .is_some_and(|ip| ip.parse::<Ipv6Addr>().is_ok()),
            None => {
                !host.is_empty()
                    && host
                        .chars()
                        .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
            }
        };
        if !host_is_sound {
            return Err(no_host());
        }
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => parse_port(port).ok_or_else(|| AddressError::Port {
                port: port.to_owned(),
                text: text.to_owned(),
            })?,
        };
        Ok(Self::Tcp(format!("{host}:{port}")))
    }
}

/// Host and port; a colon inside brackets belongs to the host.
fn split_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

/// Digits only, where `u16` would take a sign too.
fn parse_port(port: &str) -> Option<u16> {
    port.parse()
        .ok()
        .filter(|_| port.bytes().all(|byte| byte.is_ascii_digit()))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(host_port) => f.write_str(host_port),
        }
    }
}

impl Address {
    /// Whether only this machine can reach it. A name is resolved, which may block on DNS, and must
    /// have no address that is not loopback.
    ///
    /// # Errors
    /// The name cannot be resolved.
    pub fn is_loopback(&self) -> io::Result<bool> {
        match self {
            Self::Unix(_) => Ok(true),
            Self::Tcp(host_port) => Ok(host_port
                .to_socket_addrs()?
                .all(|address| address.ip().to_canonical().is_loopback())),
        }
    }
}

/// Why a listener may not be opened at an address.
#[derive(Debug, thiserror::Error)]
pub enum ListenRefused {
    /// The name has no address.
    #[error("cannot resolve `{address}`")]
    Unresolved {
        /// What was asked for.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// Other machines could connect, unauthenticated.
    #[error(
        "`{address}` can be reached from other machines, and connections are not encrypted or authenticated yet; \
         use a loopback address, or --insecure on a private network that you trust"
    )]
    NotLoopback {
        /// What was asked for.
        address: Address,
    },
    /// It is, or includes, an address of the public internet.
    #[error(
        "`{address}` is not an address of a private network; without encryption that is refused even with --insecure. \
         Name the private address to listen at"
    )]
    Public {
        /// What was asked for.
        address: Address,
    },
}

/// Decides whether a listener may be opened, while there is no TLS: at loopback addresses and Unix
/// sockets always, at addresses of private networks with `insecure`, elsewhere never (nor at
/// `0.0.0.0`, which takes in whatever public address the machine has or gets).
///
/// Returns the address with its name resolved; listen at that, as a name may mean something else a
/// moment later. May block on DNS.
///
/// # Errors
/// The address is refused, or cannot be resolved.
pub fn check_listen(address: &Address, insecure: bool) -> Result<Address, ListenRefused> {
    let Address::Tcp(host_port) = address else {
        return Ok(address.clone());
    };
    let unresolved = |source| ListenRefused::Unresolved {
        address: address.clone(),
        source,
    };
    let resolved: Vec<SocketAddr> = host_port.to_socket_addrs().map_err(unresolved)?.collect();
    let first = resolved
        .first()
        .ok_or_else(|| unresolved(io::ErrorKind::NotFound.into()))?;
    let reach = resolved.iter().map(|address| Reach::of(address.ip())).max();
    match reach {
        Some(Reach::Machine) => Ok(Address::Tcp(first.to_string())),
        Some(Reach::Private) if insecure => Ok(Address::Tcp(first.to_string())),
        Some(Reach::Private) => Err(ListenRefused::NotLoopback {
            address: address.clone(),
        }),
        Some(Reach::Public) | None => Err(ListenRefused::Public {
            address: address.clone(),
        }),
    }
}

/// Who can reach an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Machine,
    Private,
    Public,
}

impl Reach {
    fn of(ip: IpAddr) -> Self {
        let private = match ip.to_canonical() {
            ip if ip.is_loopback() => return Self::Machine,
            // The last is the range of carrier-grade NAT (RFC 6598), which overlay networks use.
            IpAddr::V4(ip) => {
                let [a, b, ..] = ip.octets();
                ip.is_private() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
            }
            IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
        };
        match private {
            true => Self::Private,
            false => Self::Public,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: Option<&str>) {
        let got = text.parse::<Address>();
        assert_eq!(
            got.as_ref().ok().map(ToString::to_string).as_deref(),
            want,
            "{text}: {got:?}"
        );
        if let Ok(address) = got {
            assert_eq!(address.to_string().parse::<Address>(), Ok(address));
        }
    }

    #[test]
    fn addresses_parse_as_people_write_them() {
        check("localhost", Some("localhost:7711"));
        check("localhost:80", Some("localhost:80"));
        check("10.0.0.1", Some("10.0.0.1:7711"));
        check("10.0.0.1:0", Some("10.0.0.1:0"));
        check("::1", Some("[::1]:7711"));
        check("[::1]", Some("[::1]:7711"));
        check("[::1]:80", Some("[::1]:80"));
        check(
            "node-3.rack_1.example:65535",
            Some("node-3.rack_1.example:65535"),
        );
        check("unix:/run/m.sock", Some("unix:/run/m.sock"));
        check("unix:m.sock", Some("unix:m.sock"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "", ":", ":80", "a:", "a:b", "a:65536", "a:-1", "a:+1:2", "a b", "http://a", "[::1",
            "::1]:80", "[::1]80", "[a]:80", "unix:",
        ] {
            check(text, None);
        }
        check(&format!("unix:/{}", "a".repeat(107)), None);
        check("a:+1", None);
    }

    /// `None`: refused as public; `Some(false)`: needs `--insecure`; `Some(true)`: loopback.
    #[track_caller]
    fn check_reach(text: &str, want: Option<bool>) {
        let address = text.parse::<Address>().unwrap();
        let (without, with) = (check_listen(&address, false), check_listen(&address, true));
        let got = match (without, with) {
            (Ok(_), Ok(_)) => Some(true),
            (Err(ListenRefused::NotLoopback { .. }), Ok(_)) => Some(false),
            (Err(ListenRefused::Public { .. }), Err(ListenRefused::Public { .. })) => None,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(got, want, "{text}");
        assert_eq!(address.is_loopback().unwrap(), want == Some(true), "{text}");
    }

    #[test]
    fn listening_is_closed_by_default_and_never_public() {
        check_reach("unix:/tmp/m.sock", Some(true));
        check_reach("127.0.0.1", Some(true));
        check_reach("127.9.9.9:1", Some(true));
        check_reach("localhost", Some(true));
        check_reach("::1", Some(true));
        check_reach("::ffff:127.0.0.1", Some(true));
        check_reach("10.1.2.3", Some(false));
        check_reach("172.31.0.1", Some(false));
        check_reach("192.168.1.1", Some(false));
        check_reach("169.254.1.1", Some(false));
        check_reach("100.64.0.1", Some(false));
        check_reach("fd00::1", Some(false));
        check_reach("::ffff:10.0.0.1", Some(false));
        check_reach("0.0.0.0", None);
        check_reach("::", None);
        check_reach("8.8.8.8", None);
        check_reach("172.32.0.1", None);
        check_reach("100.128.0.1", None);
        check_reach("2001:db8::1", None);
    }
}
