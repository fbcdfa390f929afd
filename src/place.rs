//! Where a job's work is done: in this process, in worker processes of our own, or on a cluster.
//!
//! The master and what is asked of it are the same everywhere; what differs is who joins it and how it
//! is reached.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mapfold_job::Catalog;
use mapfold_master::{Master, MasterHandle};
use mapfold_protocol::{Address, Connector, raise_open_files};
use mapfold_terms::JobSpec;
use mapfold_worker::{JobFilesAt, ServeAt, WorkerError};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::client::Client;
use crate::error::Problem;
use crate::exit::Exit;
use crate::follow::{Followed, Interrupted, follow};
use crate::local_workers::{LocalWorkerSettings, LocalWorkers};
use crate::master::no_journal;
use crate::progress::Progress;
use crate::resume::Resume;
use crate::scratch::PrivateFolder;
use crate::send;
use crate::settings::{Place, RunSettings};
use crate::signals::Signals;
use crate::worker::{AWAY_MAX, process_name, worker_problem};

/// A master or worker of this process that does not end within this time is left behind: one that does not end has a job's code that
/// loops, and the process ends all the same.
const END_MAX: Duration = Duration::from_secs(5);

/// After this time it is told what is waited for.
const END_TOLD: Duration = Duration::from_secs(1);

/// Runs a job to its end. Where it runs in this process, `catalog` has it; worker processes find it among the stock jobs, or in
/// `plugin`.
pub(crate) async fn work(
    settings: &RunSettings,
    catalog: Arc<dyn Catalog>,
    plugin: Option<&Path>,
    spec: &JobSpec,
    progress: &mut Progress,
    signals: &mut Signals,
    verbose: u8,
) -> Result<Followed, Problem> {
    let interrupted = match settings.resume {
        true => Interrupted::Leave,
        false => Interrupted::Cancel,
    };
    let job = Asked { spec, interrupted };
    match &settings.place {
        Place::Here(resources) => {
            let master = master(settings, spec, mapfold_master::Settings::default())?;
            let worker = mapfold_worker::Settings {
                name: process_name(std::process::id()),
                slots: resources.slots,
                memory: resources.memory,
                scratch: std::env::temp_dir(),
                temp_max: settings.temp_max,
                files: JobFilesAt::Paths,
                serve: ServeAt::InProcess,
                patience: AWAY_MAX,
            };
            here(&master, worker, catalog, job, progress, signals).await
        }
        Place::Processes { count, each, lease } => {
            let folder = PrivateFolder::make_for_sockets()?;
            let master = master(
                settings,
                spec,
                match lease {
                    Some(lease) => mapfold_master::Settings::new(
                        mapfold_scheduler::Settings::with_lease(*lease),
                    ),
                    None => mapfold_master::Settings::default(),
                },
            )?;
            let workers = LocalWorkerSettings {
                master: Address::Unix(folder.path().join("master.sock")),
                folder: folder.path().to_owned(),
                resources: *each,
                temp_max: settings.temp_max,
                isolate: settings.isolate,
                plugin: plugin.map(Path::to_owned),
                verbose,
            };
            processes(&master, count.get(), &workers, job, progress, signals).await
        }
        Place::Cluster(address) => {
            let client = Client::connect(Connector::Net(address.clone())).await?;
            tokio::select! {
                sent = send::files(&client, &spec.files, progress) => sent?,
                caught = signals.next() => return Err(Problem::silent(caught.exit())),
            }
            job.submit(&client, progress, signals, None).await
        }
    }
}

/// A master of this process: one with a journal, if the job may be gone on with.
fn master(
    settings: &RunSettings,
    spec: &JobSpec,
    bounds: mapfold_master::Settings,
) -> Result<MasterHandle, Problem> {
    if !settings.resume {
        return Ok(Master::start(bounds));
    }
    let state = Resume::of(spec.output.as_path()).state();
    Master::open(bounds, &state).map_err(|error| no_journal(&error))
}

/// What is asked of a master.
#[derive(Clone, Copy)]
struct Asked<'a> {
    spec: &'a JobSpec,
    interrupted: Interrupted,
}

impl Asked<'_> {
    async fn submit(
        self,
        client: &Client,
        progress: &mut Progress,
        signals: &mut Signals,
        workers: Option<(&mut LocalWorkers, &MasterHandle)>,
    ) -> Result<Followed, Problem> {
        let job = client.submit(self.spec).await?;
        follow(client, job, progress, signals, workers, self.interrupted).await
    }
}

/// Master and worker in this process; nothing listens.
async fn here(
    master: &MasterHandle,
    worker: mapfold_worker::Settings,
    catalog: Arc<dyn Catalog>,
    job: Asked<'_>,
    progress: &mut Progress,
    signals: &mut Signals,
) -> Result<Followed, Problem> {
    // Never told to stop: the master does that.
    let worker = mapfold_worker::run(
        worker,
        catalog,
        master.connector(),
        pending(),
        watch::Sender::new(false).subscribe(),
    );
    let mut worker = tokio::spawn(worker);
    let client = Client::connect(master.connector()).await?;
    let followed = tokio::select! {
        followed = job.submit(&client, progress, signals, None) => followed?,
        ended = &mut worker => return Err(ended_alone(ended.ok())),
    };
    let ends = async {
        master.shutdown().await;
        let _ = worker.await;
    };
    end(ends, progress, signals).await;
    Ok(followed)
}

/// Waits for the end of a job's workers, but not for ever, and not if a signal comes.
async fn end(ends: impl Future<Output = ()>, progress: &Progress, signals: &mut Signals) {
    tokio::pin!(ends);
    if timeout(END_TOLD, &mut ends).await.is_ok() {
        return;
    }
    let most = END_MAX - END_TOLD;
    let text = format!(
        "up to {} s for tasks that have not stopped yet",
        most.as_secs()
    );
    progress.warn("Waiting", &text);
    tokio::select! {
        _ = timeout(most, ends) => {}
        _ = signals.next() => {}
    }
}

/// The only worker has ended before its job; `None`: it panicked.
fn ended_alone(ended: Option<Result<(), WorkerError>>) -> Problem {
    match ended {
        Some(Err(error)) => worker_problem(&error, "this process"),
        Some(Ok(())) | None => Problem::new(Exit::Internal, "the worker of this process has ended"),
    }
}

/// The master in this process, workers in processes of their own.
async fn processes(
    master: &MasterHandle,
    count: u32,
    settings: &LocalWorkerSettings,
    job: Asked<'_>,
    progress: &mut Progress,
    signals: &mut Signals,
) -> Result<Followed, Problem> {
    raise_open_files();
    master
        .serve(&settings.master, false)
        .await
        .map_err(|error| {
            Problem::new(Exit::Internal, "cannot serve local workers").because(&error)
        })?;
    let mut workers = LocalWorkers::start(count, settings).map_err(|error| {
        Problem::new(Exit::Internal, "cannot start local workers").because(&error)
    })?;
    let client = Client::connect(master.connector()).await?;
    let joined = Some((&mut workers, master));
    let followed = job.submit(&client, progress, signals, joined).await?;
    let ends = async {
        master.shutdown().await;
        workers.leave().await;
    };
    end(ends, progress, signals).await;
    Ok(followed)
}
