//! A master that does as the test says.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use mapfold_protocol::service::{
    ClientDesk, ClientDeskRequest, ClientDeskResponse, DataAddress, FileIds, FilePiece, Heartbeat,
    HeldRuns, JoinReply, JoinRequest, Location, Orders, POLL_MAX, Pulse, PulseRequest,
    PulseResponse, Refusal, Report, Reports, WorkerDesk, WorkerDeskRequest, WorkerDeskResponse,
};
use mapfold_protocol::{Answer, Desk};
use mapfold_terms::{
    AttemptId, ByteSize, Digest, FileId, JobBrief, JobId, JobSpec, JobStatus, MapReport,
    MasterEpoch, Order, Outcome, PartitionId, Split, WorkerId, WorkerStatus,
};
use tarpc::context::Context;
use tarpc::server::Serve;
use tokio::sync::Notify;

use super::DEADLINE;

/// The master of a test. Handles share their state.
#[derive(Clone)]
pub(super) struct Master(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Notified whenever something happened.
    changed: Notify,
}

pub(super) struct State {
    pub(super) lease: Duration,
    pub(super) beat_every: Duration,
    pub(super) joined: Vec<JoinRequest>,
    /// The ids that are alive.
    pub(super) live: BTreeSet<WorkerId>,
    orders: BTreeMap<WorkerId, Vec<(u64, Order)>>,
    next_order: u64,
    pub(super) beats: Vec<Heartbeat>,
    pub(super) beats_lost: bool,
    pub(super) ended: Vec<(WorkerId, AttemptId, Outcome)>,
    /// So many reports fail before one is taken.
    pub(super) reports_lost: usize,
    pub(super) located: Vec<Location>,
    pub(super) epoch: MasterEpoch,
    pub(super) attached: Vec<(AttemptId, Digest)>,
    pub(super) left: Vec<WorkerId>,
    /// Files of jobs.
    pub(super) files: BTreeMap<FileId, Vec<u8>>,
    /// Pieces that were asked for: from where.
    pub(super) pieces: Vec<u64>,
    /// So many pieces are damaged; so many more get lost.
    pub(super) pieces_damaged: usize,
    pub(super) pieces_lost: usize,
}

impl Master {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                lease: Duration::from_secs(3600),
                beat_every: Duration::from_millis(10),
                joined: Vec::new(),
                live: BTreeSet::new(),
                orders: BTreeMap::new(),
                next_order: 0,
                beats: Vec::new(),
                beats_lost: false,
                ended: Vec::new(),
                reports_lost: 0,
                located: Vec::new(),
                epoch: MasterEpoch(1),
                attached: Vec::new(),
                left: Vec::new(),
                files: BTreeMap::new(),
                pieces: Vec::new(),
                pieces_damaged: 0,
                pieces_lost: 0,
            }),
            changed: Notify::new(),
        }))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.0.changed.notify_waiters();
        result
    }

    /// Waits until `look` finds what it looks for.
    pub(super) async fn until<T>(&self, look: impl Fn(&State) -> Option<T>) -> T {
        let looking = async {
            loop {
                let mut changed = pin!(self.0.changed.notified());
                changed.as_mut().enable();
                if let Some(found) = look(&self.state()) {
                    return found;
                }
                changed.await;
            }
        };
        let found = tokio::time::timeout(DEADLINE, looking).await;
        found.expect("it happens before the deadline")
    }

    pub(super) fn order(&self, worker: WorkerId, order: Order) {
        self.change(|state| {
            state.next_order += 1;
            let number = state.next_order;
            state
                .orders
                .entry(worker)
                .or_default()
                .push((number, order));
        });
    }

    /// Another start of it, which knows no workers, and whose orders are numbered anew.
    pub(super) fn restart(&self) {
        self.change(|state| {
            state.epoch.0 += 1;
            state.live.clear();
            state.orders.clear();
            state.next_order = 0;
        });
    }

    /// The n-th worker that joined.
    pub(super) async fn joined(&self, number: u32) -> WorkerId {
        self.until(|state| state.joined.get(number as usize - 1).map(drop))
            .await;
        WorkerId(number)
    }

    pub(super) async fn outcome(&self, attempt: AttemptId) -> Outcome {
        self.until(|state| {
            let mut ended = state.ended.iter();
            ended
                .find(|(_, ended, _)| *ended == attempt)
                .map(|(_, _, outcome)| outcome.clone())
        })
        .await
    }

    /// Runs a map attempt and notes where its run is.
    pub(super) async fn map(
        &self,
        worker: WorkerId,
        brief: &JobBrief,
        map: AttemptId,
    ) -> MapReport {
        self.order(worker, map_order(brief, map));
        let report = match self.outcome(map).await {
            Outcome::Mapped(report) => report,
            other => panic!("{other:?}"),
        };
        self.change(|state| {
            let hello = &state.joined[worker.0 as usize - 1];
            let location = Location {
                attempt: Some(map),
                holder: worker,
                machine: hello.machine.clone(),
                data: hello.data.clone(),
                data_secret: hello.data_secret,
                digest: report.run.digest,
                bytes: ByteSize(report.run.bytes),
            };
            let index = map.task.index as usize;
            if state.located.len() <= index {
                state.located.resize(index + 1, nowhere());
            }
            state.located[index] = location;
        });
        report
    }

    pub(super) async fn reduce(
        &self,
        worker: WorkerId,
        brief: &JobBrief,
        reduce: AttemptId,
    ) -> Outcome {
        self.order(worker, reduce_order(brief, reduce));
        self.outcome(reduce).await
    }
}

fn nowhere() -> Location {
    Location {
        attempt: None,
        holder: WorkerId(0),
        machine: String::new(),
        data: DataAddress::InProcess,
        data_secret: 0,
        digest: Digest(0),
        bytes: ByteSize(0),
    }
}

pub(super) fn map_order(brief: &JobBrief, attempt: AttemptId) -> Order {
    Order::Map {
        attempt,
        split: Split {
            index: attempt.task.index,
            pieces: Vec::new(),
        },
        brief: brief.clone(),
    }
}

pub(super) fn reduce_order(brief: &JobBrief, attempt: AttemptId) -> Order {
    Order::Reduce {
        attempt,
        partition: PartitionId(attempt.task.index),
        brief: brief.clone(),
    }
}

impl State {
    fn known(&self, worker: WorkerId) -> Result<(), Refusal> {
        match self.live.contains(&worker) {
            true => Ok(()),
            false => Err(Refusal::UnknownWorker(worker)),
        }
    }
}

impl WorkerDesk for Master {
    async fn join(self, _: Context, hello: JoinRequest) -> Result<JoinReply, Refusal> {
        Ok(self.change(|state| {
            let dead = hello.returning.as_ref();
            // Whoever was declared dead joins once more.
            let earlier = |epoch| epoch < state.epoch;
            let goes_on = dead.is_some_and(|it| earlier(it.epoch));
            let worker = match dead.is_some_and(|it| it.epoch == state.epoch) {
                true => WorkerId(u32::MAX),
                false => {
                    state.joined.push(hello);
                    WorkerId(u32::try_from(state.joined.len()).unwrap())
                }
            };
            state.live.insert(worker);
            JoinReply {
                worker,
                lease: state.lease,
                beat_every: state.beat_every,
                epoch: state.epoch,
                since: MasterEpoch(1),
                goes_on,
            }
        }))
    }

    async fn attach(self, _: Context, worker: WorkerId, runs: HeldRuns) -> Result<(), Refusal> {
        self.change(|state| {
            state.known(worker)?;
            state.attached.extend(runs.0);
            Ok(())
        })
    }

    async fn poll(self, _: Context, worker: WorkerId, acked: u64) -> Result<Orders, Refusal> {
        let started = Instant::now();
        loop {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            {
                let state = self.state();
                state.known(worker)?;
                let orders = state.orders.get(&worker).into_iter().flatten();
                let new: Vec<_> = orders.filter(|(number, _)| *number > acked).collect();
                if let Some((upto, _)) = new.last() {
                    return Ok(Orders {
                        upto: *upto,
                        orders: new.into_iter().map(|(_, order)| order.clone()).collect(),
                    });
                }
            }
            let left = POLL_MAX.saturating_sub(started.elapsed());
            if tokio::time::timeout(left, changed).await.is_err() {
                return Ok(Orders {
                    upto: acked,
                    orders: Vec::new(),
                });
            }
        }
    }

    async fn ended(self, _: Context, worker: WorkerId, reports: Reports) -> Result<(), Refusal> {
        let lost = self.change(|state| {
            state.known(worker)?;
            let lost = state.reports_lost > 0;
            match lost {
                true => state.reports_lost -= 1,
                false => state.ended.extend(
                    reports
                        .0
                        .into_iter()
                        .map(|Report { attempt, outcome }| (worker, attempt, outcome)),
                ),
            }
            Ok(lost)
        })?;
        // The protocol turns it into an error for the caller, as it would any bug of a master.
        assert!(!lost, "the test wants this report to get lost");
        Ok(())
    }

    async fn locate(
        self,
        _: Context,
        worker: WorkerId,
        _: JobId,
        from: u32,
    ) -> Result<Vec<Location>, Refusal> {
        let state = self.state();
        state.known(worker)?;
        // Pages of two, so that there are several.
        let page = state.located.iter().skip(from as usize).take(2);
        Ok(page.cloned().collect())
    }

    async fn file(self, _: Context, id: FileId, from: u64) -> Result<FilePiece, Refusal> {
        let (mut piece, lost) = self.change(|state| {
            let file = state.files.get(&id).ok_or(Refusal::UnknownFile(id))?;
            let from_here = usize::try_from(from).unwrap();
            let piece = file[from_here..file.len().min(from_here + 1000)].to_vec();
            state.pieces.push(from);
            let lost = state.pieces_lost > 0;
            state.pieces_lost -= usize::from(lost);
            Ok((piece, lost))
        })?;
        assert!(!lost, "the test wants this piece to get lost");
        self.change(|state| {
            if state.pieces_damaged > 0 {
                state.pieces_damaged -= 1;
                piece[0] ^= 1;
            }
        });
        Ok(FilePiece(piece))
    }

    async fn drain(self, _: Context, _: WorkerId) -> Result<(), Refusal> {
        Err(Refusal::ShuttingDown)
    }

    async fn leave(self, _: Context, worker: WorkerId) -> Result<(), Refusal> {
        self.change(|state| state.left.push(worker));
        Ok(())
    }
}

impl Pulse for Master {
    async fn beat(self, _: Context, beat: Heartbeat) -> Result<(), Refusal> {
        let lost = self.change(|state| {
            let known = state.known(beat.worker);
            state.beats.push(beat);
            known.map(|()| state.beats_lost)
        })?;
        assert!(!lost, "the test wants this beat to get lost");
        Ok(())
    }
}

impl ClientDesk for Master {
    async fn lacks(self, _: Context, files: FileIds) -> Result<FileIds, Refusal> {
        Ok(files)
    }

    async fn send_file(
        self,
        _: Context,
        id: FileId,
        _: ByteSize,
        _: u64,
        _: FilePiece,
    ) -> Result<u64, Refusal> {
        Err(Refusal::DamagedFile(id))
    }

    async fn submit(self, _: Context, _: JobSpec) -> Result<JobId, Refusal> {
        Err(Refusal::ShuttingDown)
    }

    async fn watch(self, _: Context, _: JobId, _: u64, _: u64) -> Result<JobStatus, Refusal> {
        Err(Refusal::ShuttingDown)
    }

    async fn cancel(self, _: Context, _: JobId) -> Result<(), Refusal> {
        Err(Refusal::ShuttingDown)
    }

    async fn drain_worker(self, _: Context, _: WorkerId) -> Result<(), Refusal> {
        Err(Refusal::ShuttingDown)
    }

    async fn jobs(self, _: Context) -> Result<Vec<mapfold_terms::JobEntry>, Refusal> {
        Err(Refusal::ShuttingDown)
    }

    async fn workers(self, _: Context) -> Result<Vec<WorkerStatus>, Refusal> {
        Err(Refusal::ShuttingDown)
    }
}

impl Desk for Master {
    fn worker(self, context: Context, request: WorkerDeskRequest) -> Answer<WorkerDeskResponse> {
        Box::pin(WorkerDesk::serve(self).serve(context, request))
    }

    fn pulse(self, context: Context, request: PulseRequest) -> Answer<PulseResponse> {
        Box::pin(Pulse::serve(self).serve(context, request))
    }

    fn client(self, context: Context, request: ClientDeskRequest) -> Answer<ClientDeskResponse> {
        Box::pin(ClientDesk::serve(self).serve(context, request))
    }
}
