//! A network in memory, under paused time: it delays, holds back, breaks and doubles what passes, as its seed says.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::FutureExt;
use mapfold_protocol::{Address, Connector, Dialer, Socket, serve_stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};

use mapfold_master::MasterDesk;

/// Bytes on their way in one direction.
const IN_FLIGHT: usize = 64 << 10;

/// Numbers from a seed (SplitMix64).
#[derive(Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    /// From `low` to below `high`.
    pub(super) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low)
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.range(0, 100) < percent
    }

    pub(super) fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.range(low, high))
    }
}

/// The way of one machine to the master. Clones are of the same.
#[derive(Clone)]
pub(super) struct Line(Arc<Mutex<State>>);

struct State {
    rng: Rng,
    /// Until then things go wrong.
    calm_at: Instant,
    /// Who answers; nobody while the master is down.
    desk: Option<MasterDesk>,
    /// Nothing passes, in either direction, until then. Connections stand.
    held_until: [Instant; 2],
    /// Connections are ended when this changes.
    cuts: watch::Sender<u64>,
    /// What the master does for connections.
    serving: Vec<AbortHandle>,
    pub(super) opened: u64,
    pub(super) doubled: u64,
}

impl Line {
    pub(super) fn new(seed: u64, calm_at: Instant) -> Self {
        Self(Arc::new(Mutex::new(State {
            rng: Rng::new(seed),
            calm_at,
            desk: None,
            held_until: [Instant::now(); 2],
            cuts: watch::Sender::new(0),
            serving: Vec::new(),
            opened: 0,
            doubled: 0,
        })))
    }

    pub(super) fn connector(&self) -> Connector {
        let line = self.clone();
        let name = Address::Tcp("master:1".to_owned());
        Connector::Dialed(Dialer::new(name, move || line.clone().dial().boxed()))
    }

    /// The master answers from now on; or is gone, with all its connections.
    pub(super) fn leads_to(&self, desk: Option<MasterDesk>) {
        if desk.is_none() {
            self.cut();
            for serving in self.state().serving.drain(..) {
                serving.abort();
            }
        }
        self.state().desk = desk;
    }

    /// Breaks all connections.
    pub(super) fn cut(&self) {
        self.state().cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Nothing passes for so long, towards the master or back or both, and nobody is told.
    pub(super) fn hold(&self, directions: [bool; 2], time: Duration) {
        let mut state = self.state();
        for (held, _) in (state.held_until.iter_mut().zip(directions)).filter(|(_, held)| *held) {
            *held = Instant::now() + time;
        }
    }

    /// Connections made, and made twice.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.opened, state.doubled)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn dial(self) -> io::Result<Box<dyn Socket>> {
        let slow = self.faulty(5);
        let delay = self.state().rng.millis(1, if slow { 12_000 } else { 50 });
        sleep(delay).await;
        self.passes(0).await;
        self.passes(1).await;
        let doubled = self.faulty(15);
        let (ours, theirs) = duplex(IN_FLIGHT);
        let server = self.answerer()?;
        self.state().opened += 1;
        let (from_asker, to_asker) = split(theirs);
        let (from_master, to_master) = split(server);
        let mut copies = vec![to_master];
        if doubled {
            // Whatever the asker says is heard once more, over a connection whose answers nobody reads.
            let (mut answers, requests) = split(self.answerer()?);
            tokio::spawn(
                async move { tokio::io::copy(&mut answers, &mut tokio::io::sink()).await },
            );
            copies.push(requests);
            self.state().doubled += 1;
        }
        self.pump(from_asker, copies, 0);
        self.pump(from_master, vec![to_asker], 1);
        Ok(Box::new(ours))
    }

    /// The end of a connection at which the master answers the other.
    fn answerer(&self) -> io::Result<DuplexStream> {
        let mut state = self.state();
        let desk = state.desk.clone();
        let desk = desk.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (ours, theirs) = duplex(IN_FLIGHT);
        let serving = tokio::spawn(serve_stream(Box::new(theirs), desk));
        state.serving.push(serving.abort_handle());
        Ok(ours)
    }

    /// Carries bytes in one direction until the connection is cut: in order, each piece after a while.
    fn pump(
        &self,
        mut from: ReadHalf<DuplexStream>,
        to: Vec<WriteHalf<DuplexStream>>,
        direction: usize,
    ) {
        let ways: Vec<_> = (0..)
            .zip(to)
            .map(|(copy, to)| self.way(to, direction, copy))
            .collect();
        let mut cuts = self.state().cuts.subscribe();
        cuts.mark_unchanged();
        tokio::spawn(async move {
            let mut piece = vec![0; 4096];
            loop {
                let read = tokio::select! {
                    biased;
                    _ = cuts.changed() => return,
                    read = from.read(&mut piece) => read.unwrap_or(0),
                };
                if read == 0 {
                    return;
                }
                for way in &ways {
                    // One that is closed takes no more.
                    let _ = way.send(piece[..read].to_vec());
                }
            }
        });
    }

    /// One copy of a direction. Ends when its sender is gone and all is delivered, or with a cut.
    fn way(
        &self,
        mut to: WriteHalf<DuplexStream>,
        direction: usize,
        copy: u64,
    ) -> mpsc::UnboundedSender<Vec<u8>> {
        let (sender, mut pieces) = mpsc::unbounded_channel::<Vec<u8>>();
        let line = self.clone();
        let mut cuts = self.state().cuts.subscribe();
        cuts.mark_unchanged();
        tokio::spawn(async move {
            let deliver = async {
                while let Some(piece) = pieces.recv().await {
                    let slow = line.faulty(2);
                    let longest = if slow { 4_000 } else { 20 } + 3_000 * copy;
                    let delay = line.state().rng.millis(1, longest);
                    sleep(delay).await;
                    line.passes(direction).await;
                    if to.write_all(&piece).await.is_err() {
                        return;
                    }
                }
            };
            tokio::select! {
                biased;
                _ = cuts.changed() => {}
                () = deliver => {}
            }
            // The other side reads the end.
            let _ = to.shutdown().await;
        });
        sender
    }

    /// Returns when something can pass in that direction.
    async fn passes(&self, direction: usize) {
        loop {
            let until = self.state().held_until[direction];
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// Whether something goes wrong that does so that often.
    fn faulty(&self, percent: u64) -> bool {
        let mut state = self.state();
        Instant::now() < state.calm_at && state.rng.chance(percent)
    }
}
