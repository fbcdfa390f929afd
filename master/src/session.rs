//! One life of a worker, as the master sees it: where it is, its orders, and its poll that waits.

use std::collections::BTreeSet;

use mapfold_protocol::service::{DataAddress, JoinRequest, Orders, Refusal};
use mapfold_terms::{AttemptId, Order};
use tokio::time::Instant;

use crate::inbox::Reply;
use crate::outbox::Outbox;

/// Bytes of a worker's name, of its machine's, and of its data address. They bound an answer to
/// `locate`: 2,048 entries of these stay below the frame limit.
const TEXT_MAX: usize = 128;

/// Slots of one worker.
const SLOTS_MAX: u32 = 4096;

/// A live worker.
#[derive(Debug)]
pub(crate) struct Session {
    /// What it said of itself.
    pub(crate) hello: JoinRequest,
    /// When it was heard last, by any call.
    pub(crate) heard: Instant,
    /// Whether it has said anything since it joined.
    pub(crate) spoke: bool,
    outbox: Outbox,
    poll: Option<(u64, Reply<Orders>)>,
}

impl Session {
    /// A worker that joins, if what it says of itself is within bounds.
    pub(crate) fn new(hello: JoinRequest, now: Instant) -> Result<Self, Refusal> {
        check_length("the worker's name", hello.name.len(), TEXT_MAX)?;
        check_length("the machine's name", hello.machine.len(), TEXT_MAX)?;
        let data = match &hello.data {
            DataAddress::InProcess => 0,
            DataAddress::Unix(path) => path.as_bytes().len(),
            DataAddress::Tcp(address) => address.len(),
        };
        check_length("the worker's data address", data, TEXT_MAX)?;
        let slots = hello.slots.clamp(1, SLOTS_MAX);
        Ok(Self {
            hello: JoinRequest { slots, ..hello },
            heard: now,
            spoke: false,
            outbox: Outbox::default(),
            poll: None,
        })
    }

    /// It said something.
    pub(crate) fn hear(&mut self, now: Instant) {
        self.heard = now;
        self.spoke = true;
    }

    /// Adds an order; [`Session::flush`] sends it.
    pub(crate) fn order(&mut self, order: Order) {
        self.outbox.push(order);
    }

    /// A new poll takes the place of an older one, which is answered empty. [`Session::flush`] answers it.
    pub(crate) fn poll(&mut self, acked: u64, reply: Reply<Orders>) {
        self.outbox.acknowledge(acked);
        self.answer_empty();
        self.poll = Some((acked, reply));
    }

    /// Answers the poll that waits, if there are orders.
    pub(crate) fn flush(&mut self) {
        let Some((_, reply)) = &self.poll else {
            return;
        };
        if reply.is_closed() {
            self.poll = None;
        } else if let Some(orders) = self.outbox.batch()
            && let Some((_, reply)) = self.poll.take()
        {
            // If it is cut now, the next poll acknowledges nothing and gets them again.
            let _ = reply.send(Ok(orders));
        }
    }

    /// Whether it has left nothing of its orders unacknowledged.
    pub(crate) fn has_all(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Whether it is so far behind with its orders that it must be given up.
    pub(crate) fn is_overfull(&self) -> bool {
        self.outbox.is_overfull()
    }

    /// Ends the life: whoever polls for it learns why.
    pub(crate) fn end(self, why: Refusal) {
        if let Some((_, reply)) = self.poll {
            let _ = reply.send(Err(why));
        }
    }

    fn answer_empty(&mut self) {
        if let Some((acked, reply)) = self.poll.take() {
            let _ = reply.send(Ok(Orders {
                upto: acked,
                orders: Vec::new(),
            }));
        }
    }
}

fn check_length(what: &str, got: usize, max: usize) -> Result<(), Refusal> {
    if got <= max {
        return Ok(());
    }
    Err(Refusal::TooLong {
        what: what.to_owned(),
        got: got as u64,
        max: max as u64,
    })
}

/// The attempts of a heartbeat that the worker still answers for.
pub(crate) fn holds(beat: &mapfold_protocol::service::Heartbeat) -> BTreeSet<AttemptId> {
    let running = beat.running.iter().map(|progress| progress.attempt);
    running.chain(beat.ended.iter().copied()).collect()
}
