//! Signs of life, from a thread, a runtime and a connection of their own: full slots, bulk transfers and a
//! stuck order or report cannot delay them.
//!
//! The same thread watches the worker's own lease. It is measured from *sending* the last beat that was
//! acknowledged, the master's from *receiving* it, so the worker always stops first, without any
//! agreement of clocks. This serves economy only; what keeps a late result out is its token.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mapfold_protocol::service::{Heartbeat, PulseClient, Refusal};
use mapfold_protocol::{CallError, Connector, Link};
use mapfold_terms::WorkerId;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, warn};

use crate::life::Life;

/// Attempts listed as ended in one beat. More than are ever unacknowledged, unless the master is gone;
/// then no beat gets through either.
const ENDED_MAX: usize = 4096;

/// The least between two beats, whatever the master says.
const BEAT_EVERY_MIN: Duration = Duration::from_millis(1);

/// Starts beating; the thread ends soon after the life.
///
/// # Errors
/// No thread, or no runtime for it.
pub(crate) fn start(connector: Connector, life: Arc<Life>) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name("heartbeat".to_owned())
        .spawn(move || {
            runtime.block_on(beat(&Link::new(connector), &life));
            // A name that is being looked up must not keep the thread.
            runtime.shutdown_background();
        })
}

/// Beats until the life is over.
pub(crate) async fn beat(link: &Link<PulseClient>, life: &Life) {
    let mut me = life.identity();
    let mut ticks = tokio::time::interval(me.terms.beat_every.max(BEAT_EVERY_MIN));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut lease = Lease::new(me.joined, me.terms.lease);
    loop {
        tokio::select! {
            biased;
            () = life.over() => return,
            _ = ticks.tick() => {}
        }
        let now = life.identity();
        if now.terms.worker != me.terms.worker {
            me = now;
            lease = Lease::new(me.joined, me.terms.lease);
        }
        lease.enforce(life);
        let sent = Instant::now();
        let worker = me.terms.worker;
        let beat = what_is_held(life, worker);
        let answer = link.call(lease.answer_max(sent), |pulse, context| async move {
            pulse.beat(context, beat).await
        });
        let answer = tokio::select! {
            biased;
            () = life.over() => return,
            answer = answer => answer,
        };
        match answer {
            Ok(()) => lease.renew(sent),
            // The lease goes on: its end must not wait for another id.
            Err(CallError::Refused(Refusal::UnknownWorker(_))) => life.is_unknown(worker),
            Err(error) => debug!(%error, "a heartbeat was not acknowledged"),
        }
    }
}

fn what_is_held(life: &Life, worker: WorkerId) -> Heartbeat {
    let (running, mut ended) = life.attempts.holds();
    let said = life.attempts.said();
    ended.truncate(ENDED_MAX);
    Heartbeat {
        worker,
        running,
        ended,
        said,
    }
}

/// The worker's view of its lease.
struct Lease {
    renewed: Instant,
    length: Duration,
}

impl Lease {
    const fn new(renewed: Instant, length: Duration) -> Self {
        Self { renewed, length }
    }

    /// A beat sent at `sent` was acknowledged.
    const fn renew(&mut self, sent: Instant) {
        self.renewed = sent;
    }

    /// Stops the attempts if the lease has run out. Their runs stay: if the master comes back in time they
    /// still count, and if not it says so.
    fn enforce(&self, life: &Life) {
        if self.renewed.elapsed() > self.length {
            let stopped = life.attempts.cancel_all();
            if stopped > 0 {
                warn!(worker = %life.worker(), stopped, "the lease ran out");
            }
        }
    }

    /// How long to wait for an answer to a beat sent at `sent`: several tries fit a lease, and the lease is
    /// looked at as soon as it ends.
    fn answer_max(&self, sent: Instant) -> Duration {
        let try_max = self.length / 4;
        match (self.renewed + self.length).checked_duration_since(sent) {
            Some(left) if !left.is_zero() => left.min(try_max),
            _ => try_max,
        }
    }
}
