//! A desk that does as it is asked, and places where it can be reached.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mapfold_protocol::service::*;
use mapfold_protocol::{Address, Answer, CallError, Connector, Desk, InProcess, Link, Listener};
use mapfold_terms::{
    AttemptId, ByteSize, Digest, FileId, JobId, JobSpec, JobStatus, MasterEpoch, Outcome, TaskId,
    Token, WorkerId, WorkerStatus,
};
use tarpc::context::Context;
use tarpc::server::Serve;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// Long enough for any call on a loaded machine.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Answers at once, save for a poll with nothing acknowledged, which waits for the gate.
#[derive(Clone)]
pub(crate) struct TestDesk {
    pub(crate) gate: Arc<Semaphore>,
    /// Polls that wait at the gate.
    pub(crate) waiting: Arc<AtomicU32>,
}

impl TestDesk {
    pub(crate) fn new() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(0)),
            waiting: Arc::default(),
        }
    }

    /// Returns once as many polls wait.
    pub(crate) async fn until_waiting(&self, polls: u32) {
        until(|| self.waiting.load(Ordering::SeqCst) == polls).await;
    }
}

/// Waits for a condition, for a minute at most.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(2 * LONG, wait).await.unwrap();
}

/// Counts a poll that waits, until it is answered or dropped.
struct Waiting(Arc<AtomicU32>);

impl Waiting {
    fn new(count: &Arc<AtomicU32>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl WorkerDesk for TestDesk {
    async fn join(self, _: Context, hello: JoinRequest) -> Result<JoinReply, Refusal> {
        Ok(JoinReply {
            worker: WorkerId(hello.slots),
            lease: Duration::from_secs(10),
            beat_every: Duration::from_secs(1),
            epoch: MasterEpoch(1),
            since: MasterEpoch(1),
            goes_on: false,
        })
    }

    async fn attach(self, _: Context, _: WorkerId, _: HeldRuns) -> Result<(), Refusal> {
        Ok(())
    }

    async fn poll(self, _: Context, _: WorkerId, acked: u64) -> Result<Orders, Refusal> {
        if acked == 0 {
            let _waiting = Waiting::new(&self.waiting);
            self.gate.acquire().await.unwrap().forget();
        }
        Ok(Orders {
            upto: acked,
            orders: Vec::new(),
        })
    }

    async fn ended(self, _: Context, _: WorkerId, reports: Reports) -> Result<(), Refusal> {
        let bug = |report: &Report| report.outcome == Outcome::Cancelled;
        assert!(!reports.0.iter().any(bug), "a planted bug");
        Ok(())
    }

    /// As many locations as `from` says.
    async fn locate(
        self,
        _: Context,
        holder: WorkerId,
        _: JobId,
        from: u32,
    ) -> Result<Vec<Location>, Refusal> {
        let location = Location {
            attempt: None,
            holder,
            machine: "m".repeat(100),
            data: DataAddress::InProcess,
            data_secret: 0,
            digest: Digest(0),
            bytes: ByteSize(0),
        };
        Ok(vec![location; usize::try_from(from).unwrap()])
    }

    async fn file(self, _: Context, id: FileId, _: u64) -> Result<FilePiece, Refusal> {
        Err(Refusal::UnknownFile(id))
    }

    async fn drain(self, _: Context, _: WorkerId) -> Result<(), Refusal> {
        Err(Refusal::ShuttingDown)
    }

    async fn leave(self, _: Context, worker: WorkerId) -> Result<(), Refusal> {
        Err(Refusal::UnknownWorker(worker))
    }
}

impl Pulse for TestDesk {
    async fn beat(self, _: Context, _: Heartbeat) -> Result<(), Refusal> {
        Ok(())
    }
}

impl ClientDesk for TestDesk {
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
        Ok(JobId(1))
    }

    async fn watch(self, _: Context, job: JobId, _: u64, _: u64) -> Result<JobStatus, Refusal> {
        Err(Refusal::UnknownJob(job))
    }

    async fn cancel(self, _: Context, _: JobId) -> Result<(), Refusal> {
        Ok(())
    }

    async fn drain_worker(self, _: Context, _: WorkerId) -> Result<(), Refusal> {
        Err(Refusal::ShuttingDown)
    }

    async fn jobs(self, _: Context) -> Result<Vec<mapfold_terms::JobEntry>, Refusal> {
        Err(Refusal::ShuttingDown)
    }

    async fn workers(self, _: Context) -> Result<Vec<WorkerStatus>, Refusal> {
        Ok(Vec::new())
    }
}

impl Desk for TestDesk {
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

/// The ways in which a desk is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    InProcess,
    Unix,
    Tcp,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::InProcess, Kind::Unix, Kind::Tcp];

/// A desk that is being served.
pub(crate) struct Served {
    pub(crate) desk: TestDesk,
    pub(crate) connector: Connector,
    serving: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _folder: tempfile::TempDir,
}

impl Served {
    pub(crate) async fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = TestDesk::new();
        let address = match kind {
            Kind::InProcess => {
                let runtime = tokio::runtime::Handle::current();
                return Self {
                    connector: Connector::InProcess(InProcess::new(desk.clone(), runtime)),
                    desk,
                    serving: None,
                    _folder: folder,
                };
            }
            Kind::Unix => Address::Unix(folder.path().join("private/socket")),
            Kind::Tcp => Address::Tcp("127.0.0.1:0".to_owned()),
        };
        let (address, serving) = serve(&address, desk.clone()).await;
        Self {
            desk,
            connector: Connector::Net(address),
            serving: Some(serving),
            _folder: folder,
        }
    }

    pub(crate) fn address(&self) -> &Address {
        match &self.connector {
            Connector::Net(address) => address,
            Connector::InProcess(_) | Connector::Dialed(_) => panic!("no address"),
        }
    }

    pub(crate) fn host_port(&self) -> &str {
        match self.address() {
            Address::Tcp(host_port) => host_port,
            Address::Unix(_) => panic!("no host"),
        }
    }

    pub(crate) fn workers(&self) -> Link<WorkerDeskClient> {
        Link::new(self.connector.clone())
    }

    /// A poll that waits at the gate by now.
    pub(crate) async fn waiting_poll(&self, link: &Link<WorkerDeskClient>) -> Polling {
        let link = link.clone();
        let polling = tokio::spawn(async move { poll(&link, LONG, 0).await });
        self.desk.until_waiting(1).await;
        polling
    }

    /// Stops in good order.
    pub(crate) async fn stop(&mut self) {
        if let Some((stop, task)) = self.serving.take() {
            stop.send(()).unwrap();
            task.await.unwrap();
        }
    }

    /// Serves again at the same address.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        let (_, serving) = serve(self.address(), self.desk.clone()).await;
        self.serving = Some(serving);
    }
}

/// A poll under way.
pub(crate) type Polling = JoinHandle<Result<Orders, CallError>>;

/// With nothing acknowledged it waits at the gate.
pub(crate) async fn poll(
    link: &Link<WorkerDeskClient>,
    within: Duration,
    acked: u64,
) -> Result<Orders, CallError> {
    link.call(within, |desk, context| async move {
        desk.poll(context, WorkerId(1), acked).await
    })
    .await
}

async fn serve(
    address: &Address,
    desk: TestDesk,
) -> (Address, (oneshot::Sender<()>, JoinHandle<()>)) {
    let listener = Listener::bind(address).await.unwrap();
    let address = listener.local_address().clone();
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(listener.serve(desk, async {
        let _ = stopped.await;
    }));
    (address, (stop, task))
}

pub(crate) fn attempt() -> AttemptId {
    AttemptId {
        token: Token {
            epoch: MasterEpoch(1),
            counter: 1,
        },
        job: JobId(1),
        task: TaskId::map(0),
        number: 1,
    }
}

pub(crate) fn hello(name: String) -> JoinRequest {
    JoinRequest {
        name,
        slots: 7,
        machine: String::new(),
        data: DataAddress::InProcess,
        data_secret: 0,
        returning: None,
    }
}

pub(crate) fn beat() -> Heartbeat {
    Heartbeat {
        worker: WorkerId(1),
        running: Vec::new(),
        ended: Vec::new(),
        said: Vec::new(),
    }
}
