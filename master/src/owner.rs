//! The one task that owns the scheduler, the jobs and the workers' sessions.
//!
//! ```text
//! RPC handlers --\                       .--> orders into outboxes --\
//! blocking work --> inbox --> receive --> scheduler --> actions --> apply --> settle --> answers
//! deadline -------/                      '--> jobs' records ----------/
//! ```
//! Nobody else changes anything, so nothing is locked. A round takes what is in the inbox, up to a
//! bound, applies every action that follows, and only then answers: `settle` is the one place where
//! anything leaves the master. Whatever must survive a restart (a job accepted, a task won or lost, a
//! commit begun, a job ended) is therefore known before it: a journal would be appended to where
//! [`Owner::receive`] takes a submit and [`Owner::apply`] an action, and be fsynced once a round, at the
//! top of [`Owner::settle`]. There is none yet: a master that dies takes its jobs with it, and leaves at
//! most staging folders, which the next job for the same output removes.
//!
//! Expiry comes last in a round, once the inbox was found empty, so a heartbeat that waits there is
//! never overtaken by its lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mapfold_protocol::codec::prefix_that_fits;
use mapfold_protocol::service::{
    DataAddress, Heartbeat, JoinReply, JoinRequest, LOCATIONS_MAX, Location, Refusal,
};
use mapfold_scheduler::{Event, Moment, Scheduler, WorkerGone};
use mapfold_terms::{AttemptId, ByteSize, Digest, JobId, Order, Outcome, WorkerId, WorkerStatus};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::Settings;
use crate::clock::Clock;
use crate::files::Files;
use crate::inbox::{Inbox, Message, Reply};
use crate::jobs::Jobs;
use crate::session::{Session, holds};
use crate::tally::Reported;

mod lifecycle;

/// Messages taken in one round.
const ROUND_MAX: usize = 256;

/// Rounds in a row that may find more messages waiting before expiry gets its turn all the same.
const BUSY_ROUNDS_MAX: u32 = 16;

/// Everything that a master knows.
pub(crate) struct Owner {
    settings: Settings,
    files: Arc<dyn Files>,
    clock: Clock,
    inbox: mpsc::Receiver<Message>,
    /// For blocking work to report back.
    own: Inbox,
    scheduler: Scheduler,
    sessions: BTreeMap<WorkerId, Session>,
    last_worker: WorkerId,
    jobs: Jobs,
    /// Workers whose poll may have something to bring.
    unsent: BTreeSet<WorkerId>,
    answers: Vec<Answer>,
    /// Jobs whose end is told at the end of this round.
    just_ended: Vec<JobId>,
    shutdown: Option<Shutdown>,
}

/// An answer that acknowledges a change.
enum Answer {
    Done(Reply<()>, Result<(), Refusal>),
    Job(Reply<JobId>, Result<JobId, Refusal>),
    Join(Reply<JoinReply>, Result<JoinReply, Refusal>),
}

/// The master ends: first its jobs, then its workers, then itself.
struct Shutdown {
    asked: Vec<oneshot::Sender<()>>,
    /// Set when the workers were told to stop.
    farewell_ends: Option<Instant>,
}

impl Owner {
    pub(crate) fn new(
        settings: Settings,
        files: Arc<dyn Files>,
        clock: Clock,
        (own, inbox): (Inbox, mpsc::Receiver<Message>),
    ) -> Self {
        Self {
            files,
            clock,
            inbox,
            own,
            scheduler: Scheduler::new(settings.epoch, 1, settings.scheduler.clone()),
            sessions: BTreeMap::new(),
            last_worker: WorkerId(0),
            jobs: Jobs::new(settings.jobs_remembered_max),
            unsent: BTreeSet::new(),
            answers: Vec::new(),
            just_ended: Vec::new(),
            shutdown: None,
            settings,
        }
    }

    /// Runs until a shutdown is complete.
    pub(crate) async fn run(mut self) {
        let mut round = Vec::with_capacity(ROUND_MAX);
        let mut busy_rounds = 0;
        while !self.is_over() {
            let wake = self.wake_at();
            tokio::select! {
                biased;
                _ = self.inbox.recv_many(&mut round, ROUND_MAX) => {}
                () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
            }
            busy_rounds = if round.len() < ROUND_MAX {
                0
            } else {
                busy_rounds + 1
            };
            for message in round.drain(..) {
                self.receive(message);
            }
            if busy_rounds == 0 || busy_rounds > BUSY_ROUNDS_MAX {
                self.expire();
            }
            self.advance_shutdown();
            self.settle();
        }
        let asked = self.shutdown.map(|shutdown| shutdown.asked);
        for asker in asked.unwrap_or_default() {
            let _ = asker.send(());
        }
    }

    /// The first thing that happens without a message.
    fn wake_at(&self) -> Option<Instant> {
        let scheduler = self.scheduler.next_deadline();
        let farewell = self.shutdown.as_ref().and_then(|it| it.farewell_ends);
        let told = self.jobs.active().filter_map(|job| job.tell_at()).min();
        [scheduler.map(|at| self.clock.instant(at)), farewell, told]
            .into_iter()
            .flatten()
            .min()
    }

    fn receive(&mut self, message: Message) {
        match message {
            Message::Join(hello, reply) => {
                let joined = self.join(hello);
                self.answers.push(Answer::Join(reply, joined));
            }
            Message::Poll {
                worker,
                acked,
                reply,
            } => self.poll(worker, acked, reply),
            Message::PollCut { worker } => {
                if self.sessions.contains_key(&worker) {
                    tracing::info!(%worker, "lost the connection to a worker; its lease goes on");
                }
            }
            Message::Ended {
                worker,
                attempt,
                outcome,
                reply,
            } => {
                let done = self.ended(worker, attempt, *outcome);
                self.answers.push(Answer::Done(reply, done));
            }
            Message::Locate {
                worker,
                job,
                from,
                reply,
            } => {
                let _ = reply.send(self.locate(worker, job, from));
            }
            Message::Leave { worker, reply } => {
                // A repeated leave finds nobody, and has what it wants.
                self.gone(worker, WorkerGone::Left);
                self.answers.push(Answer::Done(reply, Ok(())));
            }
            Message::Beat { beat, at, reply } => {
                let _ = reply.send(self.beat(&beat, at));
            }
            Message::Submit(spec, reply) => {
                let accepted = self.submit(spec);
                self.answers.push(Answer::Job(reply, accepted));
            }
            Message::Watch {
                job,
                seen,
                notices,
                wait,
                reply,
            } => self.watch(job, seen, notices, wait, reply),
            Message::Cancel(job, reply) => {
                let done = self.cancel(job);
                self.answers.push(Answer::Done(reply, done));
            }
            Message::Workers(reply) => {
                let _ = reply.send(Ok(self.workers()));
            }
            Message::WorkerExited { name } => self.worker_exited(&name),
            Message::Planned(job, planned) => self.planned(job, planned),
            Message::Committed(job, outcome) => {
                self.handle(Event::CommitEnded { job, outcome });
            }
            Message::Cleaned(job) => self.cleaned(job),
            Message::Shutdown(asker) => self.begin_shutdown(asker),
        }
    }

    /// Tells the scheduler a fact, and does what follows from it.
    fn handle(&mut self, event: Event) {
        self.handle_at(self.clock.now(), event);
    }

    fn handle_at(&mut self, at: Moment, event: Event) {
        self.scheduler.handle(at, event);
        self.apply_actions();
    }

    fn expire(&mut self) {
        let now = self.clock.now();
        if self.scheduler.next_deadline().is_some_and(|at| at <= now) {
            self.scheduler.tick(now);
            self.apply_actions();
        }
    }

    fn apply_actions(&mut self) {
        while let Some(action) = self.scheduler.poll_action() {
            self.apply(action);
        }
    }

    /// Lets out what the round has led to: acknowledgements, orders, news.
    fn settle(&mut self) {
        for answer in self.answers.drain(..) {
            answer.send();
        }
        for worker in std::mem::take(&mut self.unsent) {
            if let Some(session) = self.sessions.get_mut(&worker) {
                session.flush();
            }
        }
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.jobs.active().any(|job| due(job.tell_at())) {
            let workers = self.scheduler.capacity();
            for job in self.jobs.active_mut() {
                job.tell(now, workers);
            }
        }
        for job in std::mem::take(&mut self.just_ended) {
            self.jobs.retire(job);
        }
    }
}

/// Workers.
impl Owner {
    fn join(&mut self, hello: JoinRequest) -> Result<JoinReply, Refusal> {
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
        match known {
            Some((worker, false)) => return Ok(self.terms(worker)),
            Some((worker, true)) => self.gone(worker, WorkerGone::Exited),
            None => {}
        }
        let session = Session::new(hello, Instant::now())?;
        let slots = session.hello.slots;
        self.last_worker = WorkerId(self.last_worker.0 + 1);
        let worker = self.last_worker;
        tracing::info!(%worker, name = session.hello.name, slots, "worker joined");
        self.sessions.insert(worker, session);
        self.handle(Event::WorkerJoined { worker, slots });
        self.workers_changed();
        Ok(self.terms(worker))
    }

    fn terms(&self, worker: WorkerId) -> JoinReply {
        JoinReply {
            worker,
            lease: self.settings.scheduler.lease,
            beat_every: self.settings.beat_every,
        }
    }

    fn poll(
        &mut self,
        worker: WorkerId,
        acked: u64,
        reply: Reply<mapfold_protocol::service::Orders>,
    ) {
        let Some(session) = self.sessions.get_mut(&worker) else {
            let _ = reply.send(Err(Refusal::UnknownWorker(worker)));
            return;
        };
        session.hear(Instant::now());
        session.poll(acked, reply);
        self.unsent.insert(worker);
    }

    fn ended(
        &mut self,
        worker: WorkerId,
        attempt: AttemptId,
        outcome: Outcome,
    ) -> Result<(), Refusal> {
        let known = self.sessions.get_mut(&worker);
        let live = known.is_some();
        if let Some(session) = known {
            session.hear(Instant::now());
        }
        if let Some(work) = self.jobs.work(attempt.job) {
            // Cloned, as the scheduler takes the outcome and only then says whether it counts.
            let reported = match &outcome {
                Outcome::Mapped(report) => Some(Reported::Mapped(report.clone())),
                Outcome::Reduced(report) => Some(Reported::Reduced(report.clone())),
                Outcome::Failed(_) | Outcome::FetchFailed(_) | Outcome::Cancelled => None,
            };
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
        match live {
            true => Ok(()),
            false => Err(Refusal::UnknownWorker(worker)),
        }
    }

    /// Map tasks from `from` on. Cost: one answer's entries.
    fn locate(
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

    fn beat(&mut self, beat: &Heartbeat, at: Moment) -> Result<(), Refusal> {
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
        let event = Event::Heartbeat {
            worker: beat.worker,
            holds: holds(beat),
        };
        self.handle_at(at, event);
        self.give_up_overfull(beat.worker);
        Ok(())
    }

    fn workers(&self) -> Vec<WorkerStatus> {
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
                })
            })
            .collect();
        workers.truncate(prefix_that_fits(&workers, usize::MAX));
        workers
    }

    fn worker_exited(&mut self, name: &str) {
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
    fn gone(&mut self, worker: WorkerId, why: WorkerGone) {
        if self.sessions.contains_key(&worker) {
            self.handle(Event::WorkerGone { worker, why });
        }
    }

    /// The worker is dead to this master.
    fn fence(&mut self, worker: WorkerId) {
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
    fn order(&mut self, worker: WorkerId, order: Order) {
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

/// The end.
impl Owner {
    fn begin_shutdown(&mut self, asker: oneshot::Sender<()>) {
        let shutdown = self.shutdown.get_or_insert_with(|| Shutdown {
            asked: Vec::new(),
            farewell_ends: None,
        });
        shutdown.asked.push(asker);
        let jobs: Vec<JobId> = self.jobs.active().map(|job| job.id).collect();
        for job in jobs {
            let _ = self.cancel(job);
        }
    }

    /// Once no job is left, tells the workers to stop.
    fn advance_shutdown(&mut self) {
        let idle = self.jobs.active().next().is_none();
        let Some(shutdown) = &mut self.shutdown else {
            return;
        };
        if !idle || shutdown.farewell_ends.is_some() {
            return;
        }
        shutdown.farewell_ends = Some(Instant::now() + self.settings.farewell_max);
        let workers: Vec<WorkerId> = self.sessions.keys().copied().collect();
        for worker in workers {
            self.order(worker, Order::Stop);
        }
    }

    /// Every worker has left or has taken the order to stop, or has had its time.
    fn is_over(&self) -> bool {
        let farewell_ends = self.shutdown.as_ref().and_then(|it| it.farewell_ends);
        farewell_ends.is_some_and(|ends| {
            self.sessions.values().all(Session::has_all) || ends <= Instant::now()
        })
    }
}

impl Answer {
    /// An asker that is gone asks again.
    fn send(self) {
        match self {
            Self::Done(reply, done) => drop(reply.send(done)),
            Self::Job(reply, job) => drop(reply.send(job)),
            Self::Join(reply, joined) => drop(reply.send(joined)),
        }
    }
}
