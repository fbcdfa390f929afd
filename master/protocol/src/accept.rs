//! Takes connections from a listening socket, and waits when the system has none to give.

use std::io;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::time::{Instant, sleep_until};

use crate::socket::{Socket, tune};

/// Takes connections, and waits when the system is out of file descriptors or memory.
#[derive(Debug)]
pub(crate) struct Acceptor {
    socket: ListeningSocket,
    pause: Pause,
}

#[derive(Debug)]
pub(crate) enum ListeningSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    pub(crate) fn new(socket: ListeningSocket) -> Self {
        Self {
            socket,
            pause: Pause::default(),
        }
    }

    /// The next connection. Cancel safe.
    pub(crate) async fn accept(&mut self) -> Box<dyn Socket> {
        loop {
            self.pause.over().await;
            match self.socket.accept().await {
                Ok(socket) => {
                    self.pause.reset();
                    return socket;
                }
                Err(error) => self.pause.after(&error),
            }
        }
    }
}

impl ListeningSocket {
    async fn accept(&self) -> io::Result<Box<dyn Socket>> {
        match self {
            Self::Unix(listener) => Ok(Box::new(listener.accept().await?.0)),
            Self::Tcp(listener) => {
                let (socket, _) = listener.accept().await?;
                // Fails only for a peer that has gone already; the handshake finds that out.
                let _ = tune(&socket);
                Ok(Box::new(socket))
            }
        }
    }
}

/// A wait after failed accepts, 100 ms at first, doubling up to a second. Connections meanwhile wait in the
/// kernel's queue.
#[derive(Debug, Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(1);

    async fn over(&mut self) {
        if let Some(until) = self.until {
            sleep_until(until).await;
            self.until = None;
        }
    }

    fn reset(&mut self) {
        self.failures = 0;
    }

    fn after(&mut self, error: &io::Error) {
        // The peer left before it was accepted: nothing is wrong here.
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return;
        }
        if self.failures == 0 {
            tracing::warn!(%error, "cannot take connections; raise the limit of open files (ulimit -n) if it is too low");
        }
        let wait = Self::FIRST.saturating_mul(1 << self.failures.min(8));
        self.failures += 1;
        self.until = Some(Instant::now() + wait.min(Self::LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn out_of_file_descriptors_means_a_wait_not_a_spin() {
        let mut pause = Pause::default();
        let start = Instant::now();
        let mut tries = 0;
        while start.elapsed() < Duration::from_secs(10) {
            pause.over().await;
            pause.after(&io::Error::from_raw_os_error(24));
            tries += 1;
        }
        assert!((10..20).contains(&tries), "{tries}");
        pause.over().await;
        pause.reset();
        pause.after(&io::Error::from_raw_os_error(24));
        let start = Instant::now();
        pause.over().await;
        assert_eq!(start.elapsed().as_millis(), 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_left_before_it_was_accepted_delays_nobody() {
        let mut pause = Pause::default();
        pause.after(&io::ErrorKind::ConnectionAborted.into());
        let start = Instant::now();
        pause.over().await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
