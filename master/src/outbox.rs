//! The orders of one worker, numbered, kept until it acknowledges them.
//!
//! A poll that is cut loses nothing: the next one brings the same orders again. A worker that receives
//! an order twice does nothing the second time.

use std::collections::VecDeque;

use mapfold_protocol::codec::prefix_that_fits;
use mapfold_protocol::service::{ORDERS_MAX, Orders};
use mapfold_terms::{JobId, Order};

/// Orders that wait for one worker. One that takes so few of its orders is given up.
const PENDING_MAX: usize = 1 << 16;

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// By number; gaps are those that a `Forget` made pointless.
    pending: VecDeque<(u64, Order)>,
    /// Number of the last order pushed; the first is 1.
    last: u64,
}

impl Outbox {
    /// Adds an order. [`Order::Forget`] takes out what is still there for its job.
    pub(crate) fn push(&mut self, order: Order) {
        if let Order::Forget(job) = order {
            self.pending.retain(|(_, order)| job_of(order) != Some(job));
        }
        self.last += 1;
        self.pending.push_back((self.last, order));
    }

    /// Drops the orders up to number `acked`.
    pub(crate) fn acknowledge(&mut self, acked: u64) {
        while self
            .pending
            .front()
            .is_some_and(|(number, _)| *number <= acked)
        {
            self.pending.pop_front();
        }
    }

    /// The first batch, cut to fit a message, or `None` if there are no orders.
    pub(crate) fn batch(&self) -> Option<Orders> {
        let orders = self.pending.iter().map(|(_, order)| order);
        // At least one: that each order fits was made sure of when its job was planned.
        let count = prefix_that_fits(orders, ORDERS_MAX).max(1);
        let (upto, _) = self.pending.get(count - 1)?;
        let orders = self.pending.iter().take(count);
        Some(Orders {
            upto: *upto,
            orders: orders.map(|(_, order)| order.clone()).collect(),
        })
    }

    /// Whether all orders were acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether the worker is so far behind that it must be given up.
    pub(crate) fn is_overfull(&self) -> bool {
        self.pending.len() > PENDING_MAX
    }
}

/// The job that an order is about.
fn job_of(order: &Order) -> Option<JobId> {
    match order {
        Order::Map { attempt, .. }
        | Order::Reduce { attempt, .. }
        | Order::Cancel(attempt)
        | Order::Discard(attempt) => Some(attempt.job),
        Order::Forget(job) => Some(*job),
        Order::Stop => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mapfold_protocol::codec::FRAME_MAX;
    use mapfold_terms::{
        AttemptId, Codec, Format, JobBrief, MasterEpoch, PartitionId, Partitioning, RawPath,
        TaskId, Token,
    };

    use super::*;

    fn reduce(counter: u64, name_bytes: usize) -> Order {
        let job = JobId(counter % 2);
        Order::Reduce {
            attempt: AttemptId {
                token: Token {
                    epoch: MasterEpoch(1),
                    counter,
                },
                job,
                task: TaskId::reduce(0),
                number: 1,
            },
            partition: PartitionId(0),
            brief: JobBrief {
                job,
                name: "x".repeat(name_bytes),
                params: BTreeMap::new(),
                files: Vec::new(),
                format: Format::Lines,
                reducers: 1,
                partitioning: Partitioning::Hash,
                maps: 1,
                parts: Codec::Plain,
                skip_bad: 0,
                task_timeout: std::time::Duration::ZERO,
                staging: RawPath::from(std::path::PathBuf::from("/s")),
            },
        }
    }

    #[test]
    fn orders_stay_until_acknowledged() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.batch(), None);
        outbox.push(reduce(1, 1));
        outbox.push(reduce(2, 1));
        let batch = outbox.batch().unwrap();
        assert_eq!((batch.upto, batch.orders.len()), (2, 2));
        assert_eq!(outbox.batch().unwrap(), batch);
        outbox.acknowledge(1);
        assert_eq!(outbox.batch().unwrap().orders, [reduce(2, 1)]);
        outbox.acknowledge(99);
        assert!(outbox.is_empty());
        outbox.push(Order::Stop);
        assert_eq!(outbox.batch().unwrap().upto, 3);
    }

    #[test]
    fn batches_are_cut_to_fit_but_never_empty() {
        let mut outbox = Outbox::default();
        outbox.push(reduce(1, FRAME_MAX - 1000));
        for counter in 2..6 {
            outbox.push(reduce(counter, FRAME_MAX * 2 / 5));
        }
        let mut acked = 0;
        let mut cuts = Vec::new();
        while let Some(batch) = outbox.batch() {
            cuts.push(batch.orders.len());
            acked = batch.upto.max(acked);
            outbox.acknowledge(acked);
        }
        assert_eq!(cuts, [1, 2, 2]);
    }

    #[test]
    fn forget_takes_out_what_the_job_still_had() {
        let mut outbox = Outbox::default();
        outbox.push(reduce(1, 1));
        outbox.push(reduce(2, 1));
        outbox.push(Order::Forget(JobId(1)));
        let batch = outbox.batch().unwrap();
        assert_eq!(batch.orders, [reduce(2, 1), Order::Forget(JobId(1))]);
        assert_eq!(batch.upto, 3);
    }
}
