//! `mapfold status`, `jobs`, `cancel`, `workers` and `drain`: what a cluster is doing.

use std::io::{self, Write as _};

use mapfold_protocol::Connector;
use mapfold_terms::{
    ByteSize, JobEnd, JobEntry, JobId, JobStage, JobState, JobStatus, PhaseStatus, WorkerId,
    WorkerState, WorkerStatus,
};

use crate::args::{ClusterArgs, ProgressChoice, StatusArgs};
use crate::client::Client;
use crate::count::counted;
use crate::duration::show;
use crate::error::Problem;
use crate::exit::Exit;
use crate::follow::watch;
use crate::progress::{About, Progress};
use crate::runtime::block_on;
use crate::settings::{Shown, master_address};
use crate::signals::Signals;

/// Shows a job, once or until it ends.
pub(crate) fn status(args: &StatusArgs, shown: &Shown) -> Result<Exit, Problem> {
    block_on(async {
        let client = connect(&args.cluster).await?;
        let status = if args.watch {
            let mut progress = Progress::new(
                shown.progress(ProgressChoice::Auto),
                shown.paint,
                About::default(),
            );
            tokio::select! {
                status = watch(&client, args.job, &mut progress) => status?,
                caught = interrupted() => return caught,
            }
        } else {
            client.status(args.job).await?
        };
        print(&status_text(&status))?;
        Ok(Exit::Done)
    })
}

/// Ends the watching, not the job.
async fn interrupted() -> Result<Exit, Problem> {
    Ok(Signals::catch()?.next().await.exit())
}

/// Cancels a job.
pub(crate) fn cancel(job: JobId, cluster: &ClusterArgs) -> Result<Exit, Problem> {
    block_on(async {
        connect(cluster).await?.cancel(job).await?;
        Ok(Exit::Done)
    })
}

/// Lists the workers.
pub(crate) fn workers(cluster: &ClusterArgs) -> Result<Exit, Problem> {
    block_on(async {
        let workers = connect(cluster).await?.workers().await?;
        print(&workers_text(&workers))?;
        Ok(Exit::Done)
    })
}

/// Lists the jobs.
pub(crate) fn jobs(cluster: &ClusterArgs) -> Result<Exit, Problem> {
    block_on(async {
        let jobs = connect(cluster).await?.jobs().await?;
        print(&jobs_text(&jobs))?;
        Ok(Exit::Done)
    })
}

/// Has a worker leave without loss.
pub(crate) fn drain(worker: WorkerId, cluster: &ClusterArgs) -> Result<Exit, Problem> {
    block_on(async {
        connect(cluster).await?.drain(worker).await?;
        Ok(Exit::Done)
    })
}

async fn connect(cluster: &ClusterArgs) -> Result<Client, Problem> {
    let address = master_address(&cluster.master, cluster.insecure)?;
    Client::connect(Connector::Net(address)).await
}

fn print(text: &str) -> Result<(), Problem> {
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Problem::stdout(&error))
}

fn status_text(status: &JobStatus) -> String {
    let state = match &status.state {
        JobState::Planning => "planning".to_owned(),
        JobState::Running => "running".to_owned(),
        JobState::Committing => "committing".to_owned(),
        JobState::Ended(report) => match &report.end {
            JobEnd::Succeeded { .. } => {
                format!(
                    "succeeded after {}, {}",
                    show(report.elapsed),
                    counted(report.rows, "row")
                )
            }
            JobEnd::Failed { what, failure, .. } => match failure {
                Some(failure) => format!("failed: {what}: {failure}"),
                None => format!("failed: {what}"),
            },
            JobEnd::Cancelled => format!("cancelled after {}", show(report.elapsed)),
        },
    };
    let phase = |phase: &PhaseStatus| {
        format!(
            "{} of {} done, {} running, {}",
            phase.done,
            phase.tasks,
            phase.running,
            ByteSize(phase.bytes)
        )
    };
    format!(
        "{}  {state}\n  map      {}\n  reduce   {}\n  workers  {} with {}\n",
        status.job,
        phase(&status.map),
        phase(&status.reduce),
        status.workers,
        counted(status.slots, "slot"),
    )
}

fn workers_text(workers: &[WorkerStatus]) -> String {
    let mut text = format!(
        "{:8} {:28} {:>5} {:>7}  {:8}  last heard of\n",
        "worker", "process", "slots", "running", "state"
    );
    for worker in workers {
        let state = match worker.state {
            WorkerState::Working => "working",
            WorkerState::Draining => "draining",
            WorkerState::Excluded => "excluded",
        };
        text += &format!(
            "{:8} {:28} {:>5} {:>7}  {state:8}  {} ago\n",
            worker.worker.to_string(),
            worker.name,
            worker.slots,
            worker.running,
            show(worker.silent),
        );
    }
    text
}

fn jobs_text(jobs: &[JobEntry]) -> String {
    let mut text = format!(
        "{:8} {:16} {:10} {:>10} {:>12} {:>12}  output\n",
        "job", "name", "state", "time", "map", "reduce"
    );
    for job in jobs {
        let stage = match job.stage {
            JobStage::Planning => "planning",
            JobStage::Running => "running",
            JobStage::Committing => "committing",
            JobStage::Succeeded => "succeeded",
            JobStage::Failed => "failed",
            JobStage::Cancelled => "cancelled",
        };
        let of = |(done, all): (u32, u32)| format!("{done} of {all}");
        text += &format!(
            "{:8} {:16} {stage:10} {:>10} {:>12} {:>12}  {}\n",
            job.job.to_string(),
            job.name,
            show(job.elapsed),
            of(job.maps),
            of(job.reduces),
            job.output.display(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn tables_line_up() {
        let workers = [WorkerStatus {
            worker: WorkerId(2),
            name: "host-1:4711".to_owned(),
            slots: 8,
            running: 3,
            silent: Duration::from_millis(450),
            state: WorkerState::Draining,
        }];
        let jobs = [JobEntry {
            job: JobId(3),
            name: "wordcount".to_owned(),
            stage: JobStage::Running,
            elapsed: Duration::from_secs(12),
            maps: (12, 12),
            reduces: (1, 4),
            output: std::path::PathBuf::from("/out/counts").into(),
        }];
        assert_eq!(
            jobs_text(&jobs),
            "job      name             state            time          map       reduce  output\n\
             j3       wordcount        running        12.0 s     12 of 12       1 of 4  /out/counts\n"
        );
        assert_eq!(
            workers_text(&workers),
            "worker   process                      slots running  state     last heard of\n\
             w2       host-1:4711                      8       3  draining  450 ms ago\n"
        );
        let phase = PhaseStatus {
            tasks: 12,
            done: 7,
            running: 2,
            bytes: 1 << 20,
            ..PhaseStatus::default()
        };
        let status = JobStatus {
            job: JobId(3),
            version: 9,
            state: JobState::Running,
            files: 41,
            map: phase,
            reduce: PhaseStatus {
                tasks: 4,
                ..PhaseStatus::default()
            },
            workers: 3,
            slots: 6,
            notices: Vec::new(),
            said: None,
        };
        assert_eq!(
            status_text(&status),
            "j3  running\n  map      7 of 12 done, 2 running, 1.00 MiB\n  reduce   0 of 4 done, 0 running, 0 B\n  \
             workers  3 with 6 slots\n"
        );
    }
}
