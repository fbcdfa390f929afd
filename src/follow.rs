//! Waiting for a job: shows how far it is, and turns signals into a clean end.

use std::process::ExitStatus;
use std::time::{Duration, Instant};

use mapfold_master::MasterHandle;
use mapfold_protocol::CallError;
use mapfold_protocol::service::POLL_MAX;
use mapfold_terms::{JobId, JobReport, JobState, JobStatus};

use crate::client::{Client, is_away, out_of_sight};
use crate::error::Problem;
use crate::exit::Exit;
use crate::local_workers::{LocalWorkers, News};
use crate::progress::Progress;
use crate::signals::{Caught, Signals};
use crate::worker::AWAY_MAX;

/// A cancelled job that does not end within this time is left.
const CANCEL_MAX: Duration = Duration::from_secs(10);

/// How a job that was followed ended.
pub(crate) struct Followed {
    pub(crate) report: JobReport,
    /// Why we cancelled it, if we did.
    pub(crate) cancelled: Option<Why>,
}

/// What becomes of a job that a signal interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interrupted {
    /// It is cancelled, and what it has begun is removed.
    Cancel,
    /// It is left as it is, for another command to go on with.
    Leave,
}

/// Why we cancelled a job.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Why {
    /// A signal asked for it.
    Signal(Exit),
    /// None of our worker processes is left; this is how the last one ended.
    NoWorkers(ExitStatus),
}

/// Follows a job to its end. The first signal cancels it, unless it is to be left; a second one soon after gives up waiting.
pub(crate) async fn follow(
    client: &Client,
    job: JobId,
    progress: &mut Progress,
    signals: &mut Signals,
    mut workers: Workers<'_>,
    interrupted: Interrupted,
) -> Result<Followed, Problem> {
    let mut watch = Watch::new(client, job);
    let mut cancelled: Option<(Why, tokio::time::Instant)> = None;
    loop {
        let why = tokio::select! {
            biased;
            caught = signals.next() => match caught {
                Caught::Again(exit) => return Err(Problem::silent(exit)),
                Caught::Once(exit) if interrupted == Interrupted::Leave => {
                    progress.warn("Leaving", "the job as it is; the same command goes on with it");
                    return Err(Problem::silent(exit));
                }
                Caught::Once(exit) => {
                    progress.warn("Cancelling", "the job; once more within 2 s ends at once");
                    Why::Signal(exit)
                }
            },
            news = news(&mut workers) => match ended(news, &mut workers, progress).await {
                Some(last) => Why::NoWorkers(last),
                None => continue,
            },
            news = watch.next() => {
                let Some(status) = shown(news?, progress) else { continue };
                progress.update(watch.elapsed(), &status);
                if let JobState::Ended(report) = status.state {
                    let cancelled = cancelled.map(|(why, _)| why);
                    return Ok(Followed { report: *report, cancelled });
                }
                continue;
            }
            () = until(cancelled.map(|(_, deadline)| deadline)) => {
                let what = format!("the job did not end within {} s of being cancelled", CANCEL_MAX.as_secs());
                return Err(Problem::new(Exit::Cancelled, what));
            }
        };
        tokio::select! {
            done = client.cancel(job) => done?,
            caught = signals.next() => return Err(Problem::silent(caught.exit())),
        }
        cancelled.get_or_insert((why, tokio::time::Instant::now() + CANCEL_MAX));
    }
}

/// Follows a job to its end and leaves it alone.
pub(crate) async fn watch(
    client: &Client,
    job: JobId,
    progress: &mut Progress,
) -> Result<JobStatus, Problem> {
    let mut watch = Watch::new(client, job);
    loop {
        let Some(status) = shown(watch.next().await?, progress) else {
            continue;
        };
        progress.update(watch.elapsed(), &status);
        if matches!(status.state, JobState::Ended(_)) {
            return Ok(status);
        }
    }
}

/// What is new of a job.
enum Seen {
    Status(JobStatus),
    /// The master does not answer.
    Away,
    /// It answers again.
    Back(JobStatus),
}

/// The status, if it is known; tells of a master that is away.
fn shown(seen: Seen, progress: &Progress) -> Option<JobStatus> {
    match seen {
        Seen::Status(status) => Some(status),
        Seen::Away => {
            let minutes = AWAY_MAX.as_secs() / 60;
            let text = format!(
                "the master does not answer; waiting up to {minutes} min for it to come back"
            );
            progress.warn("WAITING", &text);
            None
        }
        Seen::Back(status) => {
            progress.warn("WAITING", "the master answers again");
            Some(status)
        }
    }
}

/// A master that does not answer is told of after this time: a connection that was merely cut is no news.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// What was seen of a job.
struct Watch<'a> {
    client: &'a Client,
    job: JobId,
    began: Instant,
    version: u64,
    notices: u64,
    generation: u64,
    /// Since when the master has not answered, and whether that was told.
    away: Option<(Instant, bool)>,
}

impl<'a> Watch<'a> {
    fn new(client: &'a Client, job: JobId) -> Self {
        Self {
            client,
            job,
            began: Instant::now(),
            version: 0,
            notices: 0,
            generation: client.generation(),
            away: None,
        }
    }

    /// The next status that differs, or news of the master. The link waits with jitter before it connects again. Cancel safe.
    async fn next(&mut self) -> Result<Seen, Problem> {
        loop {
            // Another start of the master counts its versions anew; from zero on it answers at once.
            let known = self.away.is_none() && self.generation == self.client.generation();
            let (seen, within) = match known {
                true => (self.version, POLL_MAX + Client::ANSWER_MAX),
                false => (0, 2 * TOLD_AFTER),
            };
            let answer = self.client.watch(within, self.job, seen, self.notices);
            match answer.await {
                Ok(status) => return Ok(self.answered(status)),
                Err(error) if is_away(&error) => {
                    let (since, told) = self.away.get_or_insert_with(|| (Instant::now(), false));
                    if since.elapsed() > AWAY_MAX {
                        return Err(out_of_sight(&error));
                    }
                    if since.elapsed() > TOLD_AFTER && !std::mem::replace(told, true) {
                        return Ok(Seen::Away);
                    }
                    if matches!(error, CallError::Refused(_)) {
                        // It ends, and the link knows of no reason to wait.
                        tokio::time::sleep(TOLD_AFTER / 4).await;
                    }
                }
                Err(error) => return Err(self.lost(out_of_sight(&error))),
            }
        }
    }

    fn answered(&mut self, status: JobStatus) -> Seen {
        let told = self.away.take().is_some_and(|(_, told)| told);
        self.generation = self.client.generation();
        if status.version < self.version {
            // And its notices.
            self.notices = 0;
        }
        self.version = status.version;
        if let Some(last) = status.notices.last() {
            self.notices = last.number + 1;
        }
        match told {
            true => Seen::Back(status),
            false => Seen::Status(status),
        }
    }

    /// Of a job that was seen, "unknown" means that another master answers now.
    fn lost(&self, problem: Problem) -> Problem {
        if self.version == 0 || problem.exit() != Exit::Usage {
            return problem;
        }
        let what = format!(
            "{} is lost: the master was started again, and has forgotten it",
            self.job
        );
        Problem::new(Exit::Unreachable, what).hint("run the job again")
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Our worker processes, and the master that they joined.
type Workers<'a> = Option<(&'a mut LocalWorkers, &'a MasterHandle)>;

/// News of our worker processes; never any, once none is left. Cancel safe.
async fn news(workers: &mut Workers<'_>) -> News {
    match workers {
        Some((workers, _)) if !workers.all_ended() => workers.news().await,
        _ => std::future::pending().await,
    }
}

/// Shows the news and tells the master who is gone; returns how the last of all workers ended.
async fn ended(news: News, workers: &mut Workers<'_>, progress: &Progress) -> Option<ExitStatus> {
    let (number, name, status) = match news {
        News::Line(line) => {
            progress.say("", &line);
            return None;
        }
        News::Ended {
            number,
            name,
            status,
        } => (number, name, status),
    };
    progress.warn(
        "WORKER",
        &format!("local worker {number} has ended ({status})"),
    );
    let (workers, master) = workers.as_ref()?;
    master.worker_exited(&name).await;
    workers.all_ended().then_some(status)
}

/// Ready at `deadline`; never, without one.
async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
