//! Workers: they join, poll, report, beat, and are gone.

use mapfold_protocol::codec::prefix_that_fits;
use mapfold_protocol::service::{
    DataAddress, Heartbeat, HeldRuns, JoinReply, JoinRequest, LOCATIONS_MAX, Location, Orders,
    Refusal, Report, Reports,
};
use mapfold_scheduler::{Event, Moment, WorkerGone};
use mapfold_terms::{
    AttemptId, ByteSize, Digest, JobId, Order, Outcome, WorkerId, WorkerState, WorkerStatus,
};
use tokio::time::Instant;

use super::Owner;
use crate::inbox::Reply;
use crate::session::{Session, holds};
use crate::tally::Reported;

impl Owner {
    pub(super) fn join(&mut self, mut hello: JoinRequest) -> Result<JoinReply, Refusal> {
        if self.shutdown.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        // The secret is drawn at random by each worker, so the same one is the same worker: either its
        // first join was not answered, or its earlier life is over.
        let known = self
            .sessions
            .iter()
            .find(|(_, it)| it.hello.data_secret == hello.data_secret)
            .map(|(worker, session)| (*worker, session.spoke));
        // What worked for this very start was declared dead, and what worked for one that this master knows nothing of is another's.
        let earlier = &self.settings.earlier;
        let returning = hello.returning.take();
        let returning = returning.filter(|it| earlier.contains(&it.epoch));
        let goes_on = returning.is_some();
        match known {
            Some((worker, false)) => return Ok(self.terms(worker, goes_on)),
            Some((worker, true)) => self.gone(worker, WorkerGone::Exited),
            None => {}
        }
        let session = Session::new(hello, Instant::now())?;
        let slots = session.hello.slots;
        let process = process_of(session.hello.data_secret);
        self.last_worker = WorkerId(self.last_worker.0 + 1);
        let worker = self.last_worker;
        self.record_worker(worker);
        tracing::info!(
            %worker, name = session.hello.name, slots, returning = returning.is_some(), "worker joined"
        );
        self.sessions.insert(worker, session);
        self.handle(match returning {
            Some(returning) => Event::WorkerReturned {
                worker,
                slots,
                holds: returning.holds.into_iter().collect(),
                process,
            },
            None => Event::WorkerJoined {
                worker,
                slots,
                process,
            },
        });
        self.workers_changed();
        Ok(self.terms(worker, goes_on))
    }

    fn terms(&self, worker: WorkerId, goes_on: bool) -> JoinReply {
        JoinReply {
            worker,
            lease: self.settings.scheduler.lease,
            beat_every: self.settings.beat_every,
            epoch: self.settings.epoch,
            since: self.settings.since,
            goes_on,
        }
    }

    pub(super) fn attach(&mut self, worker: WorkerId, runs: HeldRuns) -> Result<(), Refusal> {
        let Some(session) = self.sessions.get_mut(&worker) else {
            return Err(Refusal::UnknownWorker(worker));
        };
        session.hear(Instant::now());
        let runs = runs.0;
        self.handle(Event::RunsHeld { worker, runs });
        Ok(())
    }

    pub(super) fn poll(&mut self, worker: WorkerId, acked: u64, reply: Reply<Orders>) {
        let Some(session) = self.sessions.get_mut(&worker) else {
            return self.answer(reply, Err(Refusal::UnknownWorker(worker)));
        };
        session.hear(Instant::now());
        session.poll(acked, reply);
        self.unsent.insert(worker);
    }

    pub(super) fn ended(&mut self, worker: WorkerId, reports: Reports) -> Result<(), Refusal> {
        let known = self.sessions.get_mut(&worker);
        let live = known.is_some();
        if let Some(session) = known {
            session.hear(Instant::now());
        }
        for Report { attempt, outcome } in reports.0 {
            self.attempt_ended(worker, attempt, outcome);
        }
        match live {
            true => Ok(()),
            false => Err(Refusal::UnknownWorker(worker)),
        }
    }

    fn attempt_ended(&mut self, worker: WorkerId, attempt: AttemptId, outcome: Outcome) {
        if let Some(work) = self.jobs.work(attempt.job) {
            // Cloned, as the scheduler takes the outcome and only then says whether it counts.
            let reported = match &outcome {
                Outcome::Mapped(report) => Some(Reported::Mapped(report.clone())),
                Outcome::Reduced(report) => Some(Reported::Reduced(report.clone())),
                Outcome::Failed(_) | Outcome::FetchFailed(_) | Outcome::Cancelled => None,
            };
            if let Outcome::Failed(failure) = &outcome {
                work.tally.failed(worker, attempt, failure);
            }
            work.tally.judged(worker, attempt, reported);
        }
        self.handle(Event::AttemptEnded {
            worker,
            attempt,
            outcome,
        });
        if let Some(job) = self.jobs.active_job(attempt.job) {
            job.progressed();
        }
    }

    /// Map tasks from `from` on. Cost: one answer's entries.
    pub(super) fn locate(
        &mut self,
        worker: WorkerId,
        job: JobId,
        from: u32,
    ) -> Result<Vec<Location>, Refusal> {
        let Some(session) = self.sessions.get_mut(&worker) else {
            return Err(Refusal::UnknownWorker(worker));
        };
        session.hear(Instant::now());
        let work = self.jobs.work(job).ok_or(Refusal::UnknownJob(job))?;
        let maps = from as usize..work.plan.splits.len();
        let mut locations: Vec<Location> = maps
            .take(LOCATIONS_MAX)
            .map(|map| {
                let run = work.tally.run(map);
                run.and_then(|(attempt, holder, run)| {
                    let hello = &self.sessions.get(&holder)?.hello;
                    Some(Location {
                        attempt: Some(attempt),
                        holder,
                        machine: hello.machine.clone(),
                        data: hello.data.clone(),
                        data_secret: hello.data_secret,
                        digest: run.digest,
                        bytes: ByteSize(run.bytes),
                    })
                })
                .unwrap_or_else(nowhere)
            })
            .collect();
        locations.truncate(prefix_that_fits(&locations, LOCATIONS_MAX));
        Ok(locations)
    }

    pub(super) fn beat(&mut self, beat: &Heartbeat, at: Moment) -> Result<(), Refusal> {
        let Some(session) = self.sessions.get_mut(&beat.worker) else {
            return Err(Refusal::UnknownWorker(beat.worker));
        };
        session.hear(Instant::now());
        for progress in &beat.running {
            if let Some(job) = self.jobs.active_job(progress.attempt.job)
                && let Some(work) = job.work_mut()
                && work.tally.progressed(beat.worker, progress)
            {
                job.progressed();
            }
        }
        for said in &beat.said {
            if let Some(job) = self.jobs.active_job(said.attempt.job)
                && let Some(work) = job.work_mut()
                && work.tally.said(beat.worker, said)
            {
                job.progressed();
            }
        }
        let event = Event::Heartbeat {
            worker: beat.worker,
            holds: holds(beat),
            progress: beat.running.clone(),
        };
        self.handle_at(at, event);
        self.give_up_overfull(beat.worker);
        Ok(())
    }

    pub(super) fn workers(&self) -> Vec<WorkerStatus> {
        let now = Instant::now();
        let mut workers: Vec<WorkerStatus> = self
            .scheduler
            .workers()
            .filter_map(|live| {
                let session = self.sessions.get(&live.worker)?;
                Some(WorkerStatus {
                    worker: live.worker,
                    name: session.hello.name.clone(),
                    slots: live.slots,
                    running: live.running,
                    silent: now - session.heard,
                    state: match (live.draining, live.excluded) {
                        (true, _) => WorkerState::Draining,
                        (false, true) => WorkerState::Excluded,
                        (false, false) => WorkerState::Working,
                    },
                })
            })
            .collect();
        workers.truncate(prefix_that_fits(&workers, usize::MAX));
        workers
    }

    /// The worker is to leave as soon as nobody needs it.
    pub(super) fn drain(&mut self, worker: WorkerId) -> Result<(), Refusal> {
        if !self.sessions.contains_key(&worker) {
            return Err(Refusal::UnknownWorker(worker));
        }
        tracing::info!(%worker, "worker drains");
        self.handle(Event::WorkerDrains { worker });
        Ok(())
    }

    pub(super) fn worker_exited(&mut self, name: &str) {
        let named: Vec<WorkerId> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.hello.name == name)
            .map(|(worker, _)| *worker)
            .collect();
        for worker in named {
            self.gone(worker, WorkerGone::Exited);
        }
    }

    /// A live worker is certainly gone. The scheduler fences it.
    pub(super) fn gone(&mut self, worker: WorkerId, why: WorkerGone) {
        if self.sessions.contains_key(&worker) {
            self.handle(Event::WorkerGone { worker, why });
        }
    }

    /// The worker is dead to this master.
    pub(super) fn fence(&mut self, worker: WorkerId) {
        let Some(session) = self.sessions.remove(&worker) else {
            return;
        };
        tracing::info!(%worker, name = session.hello.name, "worker gone");
        session.end(Refusal::UnknownWorker(worker));
        for job in self.jobs.active_mut() {
            if let Some(work) = job.work_mut() {
                work.tally.worker_gone(worker);
            }
        }
        self.workers_changed();
    }

    /// Statuses show how many workers there are.
    fn workers_changed(&mut self) {
        self.jobs.active_mut().for_each(|job| job.progressed());
    }

    /// Puts an order into a worker's outbox. Orders to workers that are gone are of no use to anybody.
    pub(super) fn order(&mut self, worker: WorkerId, order: Order) {
        let Some(session) = self.sessions.get_mut(&worker) else {
            return;
        };
        session.order(order);
        self.unsent.insert(worker);
    }

    /// Workers that beat but do not take their orders are given up: their outboxes would grow for ever.
    fn give_up_overfull(&mut self, worker: WorkerId) {
        if self.sessions.get(&worker).is_some_and(Session::is_overfull) {
            tracing::warn!(%worker, "a worker does not take its orders");
            self.gone(worker, WorkerGone::Exited);
        }
    }
}

/// What tells a worker process from others, in all its lives; may be written down, which its secret may not.
fn process_of(data_secret: u128) -> u128 {
    let hash = blake3::hash(&data_secret.to_le_bytes());
    let (first, _) = hash.as_bytes().split_at(16);
    first
        .iter()
        .fold(0, |sum, byte| sum << 8 | u128::from(*byte))
}

/// Where the run of a map task without a winner is.
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
