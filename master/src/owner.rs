//! The one task that owns the scheduler, the jobs and the workers' sessions.
//!
//! ```text
//! RPC handlers --\                       .--> orders into outboxes --\
//! blocking work --> inbox --> receive --> scheduler --> actions --> apply --> settle --> answers
//! deadline -------/                      '--> jobs' records ----------/
//! ```
//! Nobody else changes anything, so nothing is locked. A round takes what is in the inbox, up to a
//! bound, applies every action that follows, and only then speaks: answers, orders and commits leave in
//! [`Owner::settle`] alone (but for polls that end empty or refused, which say nothing). Whatever must
//! survive a restart (a job accepted, a task won or lost, a commit begun, a job ended) is therefore
//! recorded before anybody else can know it: records are appended where a round decides something, and
//! synced once a round, before `settle`; only orders need not wait for that if the round has recorded nothing but what
//! became of tasks ([`Owner::orders_may_leave`]). While the disk works, messages gather in the inbox, so the
//! busier the master, the more a sync is shared by. A master without a state folder has no journal: it takes its jobs with
//! it, and leaves at most staging folders, which the next job for the same output removes.
//!
//! Expiry comes last in a round, once the inbox was found empty, so a heartbeat that waits there is
//! never overtaken by its lease.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mapfold_protocol::service::Refusal;
use mapfold_scheduler::{Event, Moment, Scheduler, WorkerGone};
use mapfold_terms::{JobId, WorkerId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::Settings;
use crate::clock::Clock;
use crate::depot::Depot;
use crate::files::Files;
use crate::inbox::{Inbox, Message, Reply};
use crate::jobs::Jobs;
use crate::session::Session;
use crate::staging::Staging;

mod committing;
mod lifecycle;
mod recording;
mod recovery;
mod shutdown;
mod workers;

use committing::Begun;
pub(crate) use recording::Failed;
use recording::Recorder;
use shutdown::Shutdown;

/// Messages taken in one round.
const ROUND_MAX: usize = 256;

/// Rounds in a row that may find more messages waiting before expiry gets its turn all the same.
const BUSY_ROUNDS_MAX: u32 = 16;

/// Everything that a master knows.
pub(crate) struct Owner {
    settings: Settings,
    files: Arc<dyn Files>,
    depot: Depot,
    clock: Clock,
    inbox: mpsc::Receiver<Message>,
    /// For blocking work to report back.
    own: Inbox,
    scheduler: Scheduler,
    sessions: BTreeMap<WorkerId, Session>,
    last_worker: WorkerId,
    jobs: Jobs,
    recorder: Option<Recorder>,
    failed: Failed,
    /// Workers whose poll may have something to bring.
    unsent: BTreeSet<WorkerId>,
    /// What this round has to say, in order.
    answers: Vec<Box<dyn FnOnce() + Send>>,
    /// Commits that this round begins.
    commits: Vec<Begun>,
    /// Jobs whose end is told at the end of this round.
    just_ended: Vec<JobId>,
    /// Staging folders that nobody needs any more, of these jobs.
    cleanings: Vec<(JobId, Option<Staging>)>,
    shutdown: Option<Shutdown>,
}

impl Owner {
    pub(crate) fn new(
        settings: Settings,
        files: Arc<dyn Files>,
        depot: Depot,
        clock: Clock,
        (own, inbox): (Inbox, mpsc::Receiver<Message>),
        failed: Failed,
    ) -> Self {
        Self {
            files,
            depot,
            clock,
            inbox,
            own,
            scheduler: Scheduler::new(settings.epoch, 1, settings.scheduler.clone()),
            sessions: BTreeMap::new(),
            last_worker: settings.last_worker,
            jobs: Jobs::new(settings.jobs_remembered_max),
            recorder: None,
            failed,
            unsent: BTreeSet::new(),
            answers: Vec::new(),
            commits: Vec::new(),
            just_ended: Vec::new(),
            cleanings: Vec::new(),
            shutdown: None,
            settings,
        }
    }

    /// Runs until a shutdown is complete, or the journal fails: then nothing is told to anybody any more.
    pub(crate) async fn run(mut self) {
        let mut round = Vec::with_capacity(ROUND_MAX);
        let mut busy_rounds = 0;
        // What a recovery has led to.
        if self.sync().await.is_err() {
            return;
        }
        self.settle();
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
            if self.orders_may_leave() {
                self.flush();
            }
            if self.sync().await.is_err() {
                return;
            }
            self.settle();
        }
        if let Some(shutdown) = self.shutdown {
            shutdown.done();
        }
    }

    /// The first thing that happens without a message.
    fn wake_at(&self) -> Option<Instant> {
        let scheduler = self.scheduler.next_deadline();
        let farewell = self.shutdown.as_ref().and_then(Shutdown::farewell_ends);
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
                self.answer(reply, joined);
            }
            Message::Attach {
                worker,
                runs,
                reply,
            } => {
                let attached = self.attach(worker, runs);
                self.answer(reply, attached);
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
                reports,
                reply,
            } => {
                let done = self.ended(worker, reports);
                self.answer(reply, done);
            }
            Message::Locate {
                worker,
                job,
                from,
                reply,
            } => {
                let located = self.locate(worker, job, from);
                self.answer(reply, located);
            }
            Message::Leave { worker, reply } => {
                // A repeated leave finds nobody, and has what it wants.
                self.gone(worker, WorkerGone::Left);
                self.answer(reply, Ok(()));
            }
            Message::Beat { beat, at, reply } => {
                let heard = self.beat(&beat, at);
                self.answer(reply, heard);
            }
            Message::Submit(spec, reply) => {
                let accepted = self.submit(spec);
                self.answer(reply, accepted);
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
                self.answer(reply, done);
            }
            Message::Drain { worker, reply } => {
                let drained = self.drain(worker);
                self.answer(reply, drained);
            }
            Message::Jobs(reply) => {
                let jobs = self.jobs.list(Instant::now());
                self.answer(reply, Ok(jobs));
            }
            Message::Workers(reply) => {
                let workers = self.workers();
                self.answer(reply, Ok(workers));
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

    /// Answers at the end of the round. An asker that is gone asks again.
    fn answer<T: Send + 'static>(&mut self, reply: Reply<T>, answer: Result<T, Refusal>) {
        self.answers
            .push(Box::new(move || drop(reply.send(answer))));
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

    /// Answers polls that wait for orders.
    fn flush(&mut self) {
        for worker in std::mem::take(&mut self.unsent) {
            if let Some(session) = self.sessions.get_mut(&worker) {
                session.flush();
            }
        }
    }

    /// Lets out what the round has led to, which is recorded: commits, answers, orders, news.
    fn settle(&mut self) {
        for (job, staging) in std::mem::take(&mut self.cleanings) {
            self.clean(job, staging);
        }
        for begun in std::mem::take(&mut self.commits) {
            self.begin(begun);
        }
        for answer in self.answers.drain(..) {
            answer();
        }
        self.flush();
        let now = Instant::now();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if self.jobs.active().any(|job| due(job.tell_at())) {
            let workers = self.scheduler.capacity();
            for job in self.jobs.active_mut() {
                job.tell(now, workers);
            }
        }
        for job in std::mem::take(&mut self.just_ended) {
            if let Some(job) = self.jobs.active_job(job) {
                self.depot.release(job.spec.key, &job.spec.files);
            }
            self.jobs.retire(job);
        }
    }
}
