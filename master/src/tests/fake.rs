//! A worker that runs tasks by making up their reports, and writes small part files.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use mapfold_data::part::attempt_part_name;
use mapfold_protocol::service::{
    DataAddress, Heartbeat, JoinReply, JoinRequest, Pulse, Refusal, Report, Reports, WorkerDesk,
};
use mapfold_terms::{
    AttemptId, ByteSize, Counters, Digest, FailClass, Failure, InputsDigest, JobBrief, MapReport,
    MasterEpoch, Order, Outcome, PartSummary, Progress, ReduceReport, RunSummary, Staged, TaskId,
    WorkerId,
};
use tarpc::context;
use tokio::task::JoinHandle;

use crate::{MasterDesk, MasterHandle};

/// What a fake worker does with an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Runs it well.
    Run,
    /// Reports a failure of the job's code.
    Fail,
    /// Runs it for ever.
    Hang,
}

/// One life of a worker.
#[derive(Clone)]
pub(super) struct Fake {
    pub(super) desk: MasterDesk,
    pub(super) id: WorkerId,
    terms: JoinReply,
    acked: u64,
}

impl Fake {
    pub(super) async fn join(master: &MasterHandle, name: &str, slots: u32) -> Self {
        let desk = master.desk();
        let terms = desk
            .clone()
            .join(context::current(), hello(name, slots))
            .await
            .unwrap();
        Self {
            desk,
            id: terms.worker,
            terms,
            acked: 0,
        }
    }

    /// A worker that has joined.
    pub(super) fn of(master: &MasterHandle, terms: JoinReply) -> Self {
        Self {
            desk: master.desk(),
            id: terms.worker,
            terms,
            acked: 0,
        }
    }

    /// The start of the master that it works for.
    pub(super) fn epoch(&self) -> MasterEpoch {
        self.terms.epoch
    }

    /// The next orders, acknowledging those before.
    pub(super) async fn poll(&mut self) -> Result<Vec<Order>, Refusal> {
        let poll = self
            .desk
            .clone()
            .poll(context::current(), self.id, self.acked);
        let orders = poll.await?;
        self.acked = orders.upto;
        Ok(orders.orders)
    }

    pub(super) async fn report(&self, attempt: AttemptId, outcome: Outcome) -> Result<(), Refusal> {
        let desk = self.desk.clone();
        let reports = Reports(vec![Report { attempt, outcome }]);
        desk.ended(context::current(), self.id, reports).await
    }

    pub(super) async fn beat(&self, running: &[AttemptId]) -> Result<(), Refusal> {
        let running = running.iter().map(|attempt| Progress {
            bytes_total: 0,
            steps: 1,
            attempt: *attempt,
            records: 1,
            bytes: 10,
        });
        let beat = Heartbeat {
            worker: self.id,
            running: running.collect(),
            ended: Vec::new(),
            said: Vec::new(),
        };
        self.desk.clone().beat(context::current(), beat).await
    }

    /// Takes orders until it is told to stop or fenced, beating all the while. `act` decides what becomes
    /// of each task.
    pub(super) fn start(
        self,
        act: impl Fn(TaskId, u32) -> Act + Send + Sync + 'static,
    ) -> JoinHandle<()> {
        let hung = Arc::new(std::sync::Mutex::new(Vec::new()));
        let beating = tokio::spawn(self.clone().keep_beating(Arc::clone(&hung)));
        tokio::spawn(async move {
            self.take_orders(act, &hung).await;
            beating.abort();
        })
    }

    async fn keep_beating(self, hung: Arc<std::sync::Mutex<Vec<AttemptId>>>) {
        loop {
            tokio::time::sleep(self.terms.beat_every).await;
            let running = hung.lock().unwrap().clone();
            if self.beat(&running).await.is_err() {
                return;
            }
        }
    }

    async fn take_orders(
        mut self,
        act: impl Fn(TaskId, u32) -> Act,
        hung: &std::sync::Mutex<Vec<AttemptId>>,
    ) {
        while let Ok(orders) = self.poll().await {
            for order in orders {
                let (Order::Map { attempt, .. } | Order::Reduce { attempt, .. }) = order else {
                    match order {
                        Order::Stop => {
                            let desk = self.desk.clone();
                            desk.leave(context::current(), self.id).await.unwrap();
                            return;
                        }
                        Order::Cancel(attempt) => {
                            hung.lock().unwrap().retain(|it| *it != attempt);
                            let _ = self.report(attempt, Outcome::Cancelled).await;
                        }
                        _ => {}
                    }
                    continue;
                };
                let outcome = match act(attempt.task, attempt.number) {
                    Act::Run => self.run(&order).await,
                    Act::Fail => Outcome::Failed(Failure {
                        class: FailClass::Job,
                        chain: vec!["planted".to_owned()],
                        at: None,
                        hint: None,
                        backtrace: None,
                    }),
                    Act::Hang => {
                        hung.lock().unwrap().push(attempt);
                        continue;
                    }
                };
                if self.report(attempt, outcome).await.is_err() {
                    return;
                }
            }
        }
    }

    /// The outcome of a task that goes well.
    pub(super) async fn run(&self, order: &Order) -> Outcome {
        match order {
            Order::Map { attempt, split, .. } => {
                Outcome::Mapped(map_report(*attempt, split.bytes()))
            }
            Order::Reduce { attempt, brief, .. } => {
                Outcome::Reduced(self.reduce(*attempt, brief).await)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn reduce(&self, attempt: AttemptId, brief: &JobBrief) -> ReduceReport {
        let mut consumed = InputsDigest::default();
        let mut runs = 0;
        while runs < brief.maps {
            let desk = self.desk.clone();
            let located = desk.locate(context::current(), self.id, brief.job, runs);
            for location in located.await.unwrap() {
                assert_eq!(location.attempt.unwrap().task, TaskId::map(runs));
                consumed.add(runs, location.digest);
                runs += 1;
            }
        }
        let folder = brief.staging.as_path();
        let rows = format!("row\t{}\n", attempt.task.index);
        let partition = mapfold_terms::PartitionId(attempt.task.index);
        let name = attempt_part_name(attempt.token, partition, brief.parts);
        fs::write(folder.join(name), &rows).unwrap();
        ReduceReport {
            consumed,
            runs,
            records_in: u64::from(runs),
            fetched: ByteSize(100 + u64::from(attempt.task.index)),
            fetched_remote: ByteSize(7),
            groups: 1,
            staged: Staged::of(PartSummary {
                rows: 1,
                bytes: rows.len() as u64,
                unpacked_bytes: rows.len() as u64,
                hash: [attempt.task.index.to_le_bytes()[0]; 32],
            }),
            spilled: ByteSize(3),
            counters: counters(),
            fetch_elapsed: Duration::ZERO,
            elapsed: Duration::from_secs(u64::from(attempt.task.index)),
        }
    }
}

pub(super) fn hello(name: &str, slots: u32) -> JoinRequest {
    JoinRequest {
        name: name.to_owned(),
        slots,
        machine: "machine".to_owned(),
        data: DataAddress::InProcess,
        data_secret: u128::from(getrandom::u64().unwrap()),
        returning: None,
    }
}

pub(super) fn map_report(attempt: AttemptId, bytes: u64) -> MapReport {
    MapReport {
        records_in: 1,
        bytes_in: bytes,
        records_out: 5,
        run: RunSummary {
            records: 4,
            bytes: 50,
            digest: Digest(u128::from(attempt.task.index) + 1),
        },
        spilled: ByteSize(2),
        spills: 1,
        counters: counters(),
        elapsed: Duration::from_secs(u64::from(attempt.task.index)),
        skipped: Vec::new(),
        staged: None,
    }
}

fn counters() -> Counters {
    let mut counters = Counters::default();
    counters.add("tasks", 1);
    counters
}
