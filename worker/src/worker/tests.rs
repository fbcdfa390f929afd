//! A real worker against a master that does as the test says, with toy jobs.

mod job_files;
mod master;
mod stack;
mod toys;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use mapfold_data::part::attempt_part_name;
use mapfold_protocol::{Address, InProcess, Listener};
use mapfold_terms::{
    AttemptId, Codec, FailClass, FetchCause, Format, InputsDigest, JobBrief, JobId, MasterEpoch,
    Order, Outcome, Partitioning, RawPath, ReduceReport, TaskId, WorkerId,
};
use tempfile::TempDir;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::master::{Master, State, map_order};
use self::toys::{RECORDS, ToyCatalog, Toys};
use super::*;
use crate::fixture::{JOB, attempt};
use crate::settings::ServeAt;

/// How long a test waits for what it expects; only failing tests take so long.
const DEADLINE: Duration = Duration::from_secs(30);
const PARTITIONS: u32 = 2;

/// A worker that runs beside the test.
struct Running {
    task: JoinHandle<Result<(), WorkerError>>,
    stop: oneshot::Sender<()>,
    toys: Arc<Toys>,
    folder: TempDir,
}

/// In a folder of its own; with `memory` for everything.
fn start(connector: Connector, slots: usize, memory: ByteSize) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        name: "test".to_owned(),
        slots: NonZeroUsize::new(slots).unwrap(),
        memory,
        scratch: folder.path().to_owned(),
        temp_max: None,
        files: JobFilesAt::Paths,
        serve: ServeAt::Unix {
            folder: folder.path().to_owned(),
        },
        patience: DEADLINE,
    };
    let toys = Arc::new(Toys::default());
    let catalog = Arc::new(ToyCatalog(Arc::clone(&toys)));
    let (stop, stopped) = oneshot::channel();
    let stopped = async {
        // A dropped sender stops it too.
        let _ = stopped.await;
    };
    let task = tokio::spawn(run(
        settings,
        catalog,
        connector,
        stopped,
        watch::Sender::new(false).subscribe(),
    ));
    Running {
        task,
        stop,
        toys,
        folder,
    }
}

fn start_with(master: &Master) -> Running {
    let connector = Connector::InProcess(InProcess::new(master.clone(), Handle::current()));
    start(connector, 2, ByteSize::mib(256))
}

/// A master and the worker that joined it.
async fn one_worker() -> (Master, Running, WorkerId) {
    let master = Master::new();
    let running = start_with(&master);
    let worker = master.joined(1).await;
    (master, running, worker)
}

impl Running {
    fn maps(&self) -> usize {
        self.toys.maps.load(Ordering::SeqCst)
    }

    /// Stops it and checks that it leaves nothing.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        let ended = tokio::time::timeout(DEADLINE, self.task).await.unwrap();
        ended.unwrap().unwrap();
        assert_eq!(files(self.folder.path()), Vec::<String>::new());
    }
}

/// Everything below a folder but the user's own scratch folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        if !(path.is_dir()
            && path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("mapfold-"))
        {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Run files that a worker keeps.
fn run_files(worker: &Running) -> usize {
    let all = files(worker.folder.path());
    all.iter()
        .filter(|name| Path::new(name).is_file() && !name.ends_with(".lock"))
        .count()
}

fn brief(name: &str, maps: u32, staging: &Path) -> JobBrief {
    JobBrief {
        task_timeout: Duration::ZERO,
        job: JOB,
        name: name.to_owned(),
        params: BTreeMap::new(),
        files: Vec::new(),
        format: Format::Lines,
        reducers: PARTITIONS,
        partitioning: Partitioning::Hash,
        maps,
        parts: Codec::Plain,
        skip_bad: 0,
        staging: RawPath::from(staging),
    }
}

fn simple(name: &str) -> JobBrief {
    brief(name, 1, Path::new("/nowhere"))
}

#[tokio::test]
async fn an_order_that_comes_again_is_not_executed_again() {
    let (master, running, worker) = one_worker().await;
    let (first, second) = (attempt(TaskId::map(0), 1), attempt(TaskId::map(1), 2));
    for _ in 0..3 {
        master.order(worker, map_order(&simple("count"), first));
    }
    master.outcome(first).await;
    master.order(worker, map_order(&simple("count"), first));
    master.order(worker, map_order(&simple("count"), second));
    master.outcome(second).await;
    assert_eq!(running.maps(), 2);
    assert_eq!(master.state().ended.len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_report_is_repeated_until_it_is_taken() {
    let master = Master::new();
    master.change(|state| state.reports_lost = 3);
    let running = start_with(&master);
    let worker = master.joined(1).await;
    let map = attempt(TaskId::map(0), 1);
    master.order(worker, map_order(&simple("count"), map));
    // While its report is under way, the heartbeat says that the attempt has ended.
    master
        .until(|state| state.beats.iter().find(|beat| beat.ended == [map]).cloned())
        .await;
    assert!(matches!(master.outcome(map).await, Outcome::Mapped(_)));
    assert_eq!(master.state().reports_lost, 0);
    let last = master.state().beats.len();
    master
        .until(|state| {
            state.beats[last..]
                .iter()
                .find(|beat| beat.ended.is_empty())
                .cloned()
        })
        .await;
    running.stop().await;
}

#[tokio::test]
async fn a_worker_goes_on_with_all_it_has_when_its_master_was_started_again() {
    let staging = tempfile::tempdir().unwrap();
    let brief = brief("count", 1, staging.path());
    let (master, running, first) = one_worker().await;
    let (map, spin) = (attempt(TaskId::map(0), 1), attempt(TaskId::map(1), 2));
    let report = master.map(first, &brief, map).await;
    let spinning = JobBrief {
        job: JobId(9),
        ..simple("spin")
    };
    master.order(first, map_order(&spinning, spin));
    master.until(spins).await;
    master.restart();
    let second = master.joined(2).await;
    let returning = master.state().joined[1].returning.clone().unwrap();
    assert_eq!(
        (returning.epoch, returning.holds),
        (MasterEpoch(1), vec![spin])
    );
    master
        .until(|state| {
            let mut beats = state.beats.iter();
            beats.rfind(|beat| beat.worker == second).cloned()
        })
        .await;
    assert_eq!(master.state().attached, [(map, report.run.digest)]);
    // It has its run, obeys orders however they are numbered, and still spins.
    master.change(|state| state.located[0].holder = second);
    let reduce = attempt(TaskId::reduce(0), 3);
    let reduced = master.reduce(second, &brief, reduce).await;
    assert!(matches!(reduced, Outcome::Reduced(_)), "{reduced:?}");
    master.order(second, Order::Cancel(spin));
    assert_eq!(master.outcome(spin).await, Outcome::Cancelled);
    assert_eq!(running.maps(), 2);
    running.stop().await;
}

#[tokio::test]
async fn an_unknown_worker_joins_again_with_nothing_of_its_old_life() {
    let staging = tempfile::tempdir().unwrap();
    let brief = brief("count", 1, staging.path());
    let master = Master::new();
    let running = start_with(&master);
    let first = master.joined(1).await;
    let (map, spin) = (attempt(TaskId::map(0), 1), attempt(TaskId::map(1), 2));
    master.map(first, &brief, map).await;
    let spinning = JobBrief {
        job: JobId(9),
        ..simple("spin")
    };
    master.order(first, map_order(&spinning, spin));
    master.until(spins).await;
    master.change(|state| state.live.clear());
    let second = master.joined(2).await;
    master
        .until(|state| {
            state
                .beats
                .iter()
                .find(|beat| beat.worker == second)
                .cloned()
        })
        .await;
    // The run is gone, and the attempt that spun was stopped and is never reported.
    let reduce = attempt(TaskId::reduce(0), 3);
    master.change(|state| state.located[0].holder = second);
    match master.reduce(second, &brief, reduce).await {
        Outcome::FetchFailed(failure) => {
            assert_eq!((failure.cause, failure.map), (FetchCause::NotFound, map));
        }
        other => panic!("{other:?}"),
    }
    assert!(
        master
            .state()
            .ended
            .iter()
            .all(|(_, attempt, _)| *attempt != spin)
    );
    assert_eq!(master.state().joined[1].slots, 2);
    // An order of the old life is not executed in the new one.
    master.order(second, map_order(&brief, map));
    let other = attempt(TaskId::map(0), 4);
    master.map(second, &brief, other).await;
    assert_eq!(running.maps(), 3);
    running.stop().await;
}

#[tokio::test]
async fn a_worker_ends_when_its_master_goes_on_from_an_older_state() {
    let master = Master::new();
    master.change(|state| state.epoch = MasterEpoch(5));
    let running = start_with(&master);
    master.joined(1).await;
    master.change(|state| {
        state.epoch = MasterEpoch(4);
        state.live.clear();
    });
    let ended = tokio::time::timeout(DEADLINE, running.task).await.unwrap();
    let Err(WorkerError::Older { found, known }) = ended.unwrap() else {
        panic!("it works for a master that may repeat itself");
    };
    assert_eq!((found, known), (MasterEpoch(4), MasterEpoch(5)));
    assert_eq!(master.state().left.len(), 1);
}

#[tokio::test]
async fn hearts_beat_while_all_slots_spin_and_attempts_can_be_cancelled() {
    let (master, running, worker) = one_worker().await;
    let spins = [attempt(TaskId::map(0), 1), attempt(TaskId::map(1), 2)];
    for spin in spins {
        master.order(worker, map_order(&simple("spin"), spin));
    }
    let progress = |state: &State| {
        let last = state.beats.last()?;
        let both = last.running.len() == 2 && last.running.iter().all(|one| one.records > 0);
        both.then(|| last.running.clone())
    };
    let early = master.until(progress).await;
    let beats = master.state().beats.len();
    master
        .until(|state| (state.beats.len() > beats + 10).then_some(()))
        .await;
    let late = master.until(progress).await;
    assert!(
        early
            .iter()
            .zip(&late)
            .all(|(early, late)| early.records < late.records)
    );
    master.order(worker, Order::Cancel(spins[0]));
    assert_eq!(master.outcome(spins[0]).await, Outcome::Cancelled);
    master.order(worker, Order::Forget(JOB));
    assert_eq!(master.outcome(spins[1]).await, Outcome::Cancelled);
    running.stop().await;
}

#[tokio::test]
async fn attempts_stop_when_the_workers_own_lease_runs_out() {
    let master = Master::new();
    master.change(|state| {
        state.lease = Duration::from_millis(300);
        state.beats_lost = true;
    });
    let running = start_with(&master);
    let worker = master.joined(1).await;
    let spin = attempt(TaskId::map(0), 1);
    master.order(worker, map_order(&simple("spin"), spin));
    assert_eq!(master.outcome(spin).await, Outcome::Cancelled);
    // It goes on beating, and the first beat that gets through makes the worker useful again.
    master.change(|state| {
        state.lease = Duration::from_secs(3600);
        state.beats_lost = false;
    });
    let beats = master.state().beats.len();
    master
        .until(|state| (state.beats.len() > beats + 2).then_some(()))
        .await;
    running.stop().await;
}

#[tokio::test]
async fn whatever_a_job_does_becomes_an_outcome() {
    let (master, running, worker) = one_worker().await;
    let failures = [
        ("panic", FailClass::Job, "panicked: no luck with split 0"),
        (
            "no-space",
            FailClass::Worker,
            "test cannot carry it out: no space left to write /tmp/x",
        ),
        ("unknown", FailClass::Job, "there is no job `unknown`"),
    ];
    for (token, (name, class, text)) in (1..).zip(failures) {
        let job = JobId(token);
        let map = AttemptId {
            job,
            ..attempt(TaskId::map(0), token)
        };
        master.order(
            worker,
            map_order(
                &JobBrief {
                    job,
                    ..simple(name)
                },
                map,
            ),
        );
        match master.outcome(map).await {
            Outcome::Failed(failure) => {
                assert_eq!((failure.class, failure.to_string().as_str()), (class, text));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    running.stop().await;
}

#[tokio::test]
async fn a_reduce_attempt_reads_runs_of_its_own_and_of_others() {
    let staging = tempfile::tempdir().unwrap();
    let brief = brief("count", 5, staging.path());
    let master = Master::new();
    let (one, two) = (start_with(&master), start_with(&master));
    master.joined(2).await;
    let mut consumed = InputsDigest::default();
    for index in 0..5 {
        let map = attempt(TaskId::map(index), u64::from(index) + 1);
        let report = master.map(WorkerId(1 + index % 2), &brief, map).await;
        consumed.add(index, report.run.digest);
    }
    for partition in 0..PARTITIONS {
        let reduce = attempt(TaskId::reduce(partition), 10 + u64::from(partition));
        let outcome = master.reduce(WorkerId(1 + partition), &brief, reduce).await;
        let Outcome::Reduced(report) = outcome else {
            panic!("{outcome:?}");
        };
        let ReduceReport {
            runs,
            records_in,
            fetched,
            fetched_remote,
            ..
        } = report;
        assert_eq!((runs, records_in), (5, 5 * u64::from(RECORDS)));
        assert_eq!(report.consumed, consumed);
        // Small runs are in memory, so those of the other worker came over its socket.
        assert!(fetched_remote > ByteSize(0) && fetched_remote < fetched);
        let name = attempt_part_name(
            reduce.token,
            mapfold_terms::PartitionId(partition),
            brief.parts,
        );
        let part = brief.staging.as_path().join(name);
        assert_eq!(fs::read_to_string(part).unwrap(), "5000");
    }
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn large_runs_are_files_until_they_are_discarded() {
    let staging = tempfile::tempdir().unwrap();
    // Larger than what the least memory keeps of one run.
    let brief = JobBrief {
        reducers: 8 * PARTITIONS,
        ..brief("count", 2, staging.path())
    };
    let master = Master::new();
    let connector = Connector::InProcess(InProcess::new(master.clone(), Handle::current()));
    let small = ByteSize::kib(64);
    let (one, two) = (
        start(connector.clone(), 1, small),
        start(connector, 1, small),
    );
    master.joined(2).await;
    let maps = [attempt(TaskId::map(0), 1), attempt(TaskId::map(1), 2)];
    for map in maps {
        master.map(WorkerId(1), &brief, map).await;
    }
    assert_eq!(run_files(&one) + run_files(&two), 2);
    // On one machine the other worker maps the files.
    let reduce = attempt(TaskId::reduce(1), 3);
    match master.reduce(WorkerId(2), &brief, reduce).await {
        Outcome::Reduced(report) => assert_eq!(report.fetched_remote, ByteSize(0)),
        other => panic!("{other:?}"),
    }
    master.order(WorkerId(1), Order::Discard(maps[0]));
    wait_for(|| run_files(&one) + run_files(&two) == 1).await;
    master.order(WorkerId(1), Order::Forget(JOB));
    wait_for(|| run_files(&one) + run_files(&two) == 0).await;
    one.stop().await;
    two.stop().await;
}

/// Keeps a worker busy until it is told to stop.
async fn spin(master: &Master, worker: WorkerId) {
    let spin = attempt(TaskId::map(0), 1);
    master.order(worker, map_order(&simple("spin"), spin));
    master.until(spins).await;
}

/// Whether a worker has told of an attempt that gets on.
fn spins(state: &State) -> Option<()> {
    let running = state.beats.iter().flat_map(|beat| &beat.running);
    running.into_iter().find(|one| one.records > 0).map(drop)
}

async fn wait_for(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap();
}

#[tokio::test]
async fn a_reduce_attempt_does_not_wait_for_a_map_task_without_a_run() {
    let staging = tempfile::tempdir().unwrap();
    let brief = brief("count", 3, staging.path());
    let (master, running, worker) = one_worker().await;
    for index in [0, 2] {
        let map = attempt(TaskId::map(index), u64::from(index) + 1);
        master.map(worker, &brief, map).await;
    }
    match master
        .reduce(worker, &brief, attempt(TaskId::reduce(0), 9))
        .await
    {
        Outcome::FetchFailed(failure) => {
            assert_eq!(
                (failure.map.task, failure.cause),
                (TaskId::map(1), FetchCause::NotFound)
            );
        }
        other => panic!("{other:?}"),
    }
    running.stop().await;
}

#[tokio::test]
async fn what_a_failed_reduce_attempt_wrote_is_removed_and_staging_is_never_made() {
    let staging = tempfile::tempdir().unwrap();
    let mut brief = brief("reduce-panics", 1, staging.path());
    let (master, running, worker) = one_worker().await;
    master.map(worker, &brief, attempt(TaskId::map(0), 1)).await;
    let outcome = master
        .reduce(worker, &brief, attempt(TaskId::reduce(0), 2))
        .await;
    assert!(matches!(outcome, Outcome::Failed(failure) if failure.class == FailClass::Job));
    assert_eq!(files(staging.path()), Vec::<String>::new());
    let gone = staging.path().join("gone");
    brief.staging = RawPath::from(gone.as_path());
    let outcome = master
        .reduce(worker, &brief, attempt(TaskId::reduce(0), 3))
        .await;
    assert!(matches!(outcome, Outcome::Failed(failure) if failure.class == FailClass::Output));
    assert!(!gone.exists());
    running.stop().await;
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_leaves() {
    let (master, running, worker) = one_worker().await;
    spin(&master, worker).await;
    master.order(worker, Order::Stop);
    let ended = tokio::time::timeout(DEADLINE, running.task).await.unwrap();
    ended.unwrap().unwrap();
    assert_eq!(master.state().left, [worker]);
    assert_eq!(files(running.folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn nothing_goes_on_without_the_future_that_runs_the_worker() {
    let (master, running, worker) = one_worker().await;
    spin(&master, worker).await;
    running.task.abort();
    wait_for(|| running.toys.cancelled.load(Ordering::SeqCst) == 1).await;
    wait_for(|| files(running.folder.path()).is_empty()).await;
}

#[tokio::test]
async fn a_broken_connection_aborts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let address = Address::Unix(folder.path().join("master"));
    let master = Master::new();
    let bind = async || Listener::bind(&address).await.unwrap();
    let serve = |listener: Listener| {
        let serving = listener.serve(master.clone(), std::future::pending());
        tokio::spawn(serving)
    };
    let first = serve(bind().await);
    let running = start(Connector::Net(address.clone()), 2, ByteSize::mib(64));
    let worker = master.joined(1).await;
    let (spin, map) = (attempt(TaskId::map(0), 1), attempt(TaskId::map(1), 2));
    let spinning = JobBrief {
        job: JobId(9),
        ..simple("spin")
    };
    master.order(worker, map_order(&spinning, spin));
    master.until(spins).await;
    first.abort();
    let _ = first.await;
    master.order(worker, map_order(&simple("count"), map));
    let second = serve(bind().await);
    assert!(matches!(master.outcome(map).await, Outcome::Mapped(_)));
    let beats = master.state().beats.len();
    let still = master.until(|state| state.beats.get(beats).cloned()).await;
    assert!(
        still
            .running
            .iter()
            .any(|progress| progress.attempt == spin)
    );
    assert_eq!(master.state().joined.len(), 1);
    running.stop().await;
    second.abort();
}

#[tokio::test]
async fn a_master_that_stays_away_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        name: "test".to_owned(),
        slots: NonZeroUsize::MIN,
        memory: ByteSize::mib(1),
        scratch: folder.path().to_owned(),
        temp_max: None,
        files: JobFilesAt::Paths,
        serve: ServeAt::InProcess,
        patience: Duration::from_millis(100),
    };
    let nobody = Connector::Net(Address::Unix(folder.path().join("nobody")));
    let catalog = Arc::new(ToyCatalog(Arc::default()));
    let ended = run(
        settings,
        catalog,
        nobody,
        std::future::pending(),
        watch::Sender::new(false).subscribe(),
    )
    .await;
    assert!(matches!(ended, Err(WorkerError::Lost(_))), "{ended:?}");
}

/// The time between an order and its outcome, for tasks that do nothing much; run by hand.
#[tokio::test]
#[ignore = "a measurement"]
async fn cost_of_a_task() {
    let (master, running, worker) = one_worker().await;
    let started = Instant::now();
    for token in 1..=1000 {
        let map = attempt(TaskId::map(0), token);
        master.order(worker, map_order(&simple("count"), map));
        master.outcome(map).await;
    }
    eprintln!("{:?} a task, one at a time", started.elapsed() / 1000);
    running.stop().await;
}
