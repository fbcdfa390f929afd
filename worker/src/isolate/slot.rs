//! The child: makes attempts one after the other until its slot hangs up.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use mapfold_job::border::{Ask, RunAt, Told, answer};
use mapfold_job::{BuildError, Catalog, Monitor, Runner};
use mapfold_terms::{ByteSize, FailClass, Failure};
use rustix::process::{Resource, Rlimit, setrlimit};

use super::message::{self, News, SlotAsk};
use super::whereabouts;
use crate::plugin::{self, PluginCatalog, PluginFile, look_inside};
use crate::slots::STACK_BYTES;

/// Why a child cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// The limit of memory is refused.
    #[error("cannot limit the memory of this process")]
    Limit(#[source] io::Error),
    /// Standard input is no socket to a slot, or broke.
    #[error("cannot talk to the slot")]
    Talk(#[from] io::Error),
    /// A bug of ours.
    #[error("the thread for attempts has ended")]
    Ended,
}

/// Serves attempts that are asked for over standard input, a socket, until it is closed. The process may have `data_max` bytes of data
/// from then on.
///
/// # Errors
/// See [`SlotError`].
pub fn run_slot(catalog: Arc<dyn Catalog>, data_max: ByteSize) -> Result<(), SlotError> {
    let limit = Rlimit {
        current: Some(data_max.bytes()),
        maximum: Some(data_max.bytes()),
    };
    setrlimit(Resource::Data, limit).map_err(|error| SlotError::Limit(error.into()))?;
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    plugin::told_by_parent();
    // The job's code finds nothing to read there.
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?).map_err(io::Error::from)?;
    let serving = thread::Builder::new()
        .name("attempt".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || serve(&catalog, socket))?;
    Ok(serving.join().map_err(|_| SlotError::Ended)??)
}

fn serve(catalog: &Arc<dyn Catalog>, mut asks: UnixStream) -> io::Result<()> {
    let talk = Arc::new(Talk(Mutex::new(asks.try_clone()?)));
    let teller = Arc::clone(&talk);
    whereabouts::answer(move |stack| teller.stands(stack));
    let mut ready: Option<Ready> = None;
    while let Some(ask) = message::read::<SlotAsk>(&mut asks)? {
        let news = match ask {
            SlotAsk::Attempt {
                job,
                params,
                plugin,
                ask,
            } => {
                let catalog = with_plugin(catalog, plugin);
                match Ready::take(&mut ready, &*catalog, job, params) {
                    Ok(ready) => {
                        talk.say(&News::Begun)?;
                        News::Ended(attempt(&*ready.runner, &ask, &talk))
                    }
                    Err(error) => News::Ended(Told::Refused(error)),
                }
            }
            SlotAsk::Make { job, params } => News::Made(
                Ready::take(&mut ready, &**catalog, job, params)
                    .map(|ready| ready.runner.keeps_records()),
            ),
            SlotAsk::Probe { file, attempt } => {
                News::Probed(Box::new(look_inside(&file, attempt.as_ref())))
            }
        };
        talk.say(&news)?;
    }
    Ok(())
}

/// The catalog with the jobs of a plugin that came with a job. It is opened when one of them is made.
fn with_plugin(catalog: &Arc<dyn Catalog>, plugin: Option<PluginFile>) -> Arc<dyn Catalog> {
    match plugin {
        Some(plugin) => Arc::new(PluginCatalog::in_a_child(Arc::clone(catalog), [plugin])),
        None => Arc::clone(catalog),
    }
}

/// The job of the last attempt: most are followed by one of the same job.
struct Ready {
    job: String,
    params: BTreeMap<String, String>,
    runner: Arc<dyn Runner>,
}

impl Ready {
    /// The job, made if the last one was another.
    fn take<'a>(
        ready: &'a mut Option<Self>,
        catalog: &dyn Catalog,
        job: String,
        params: BTreeMap<String, String>,
    ) -> Result<&'a Self, BuildError> {
        let last = ready.take();
        let last = last.filter(|ready| ready.job == job && ready.params == params);
        Ok(ready.insert(match last {
            Some(last) => last,
            None => Self {
                runner: catalog.build(&job, &params)?,
                job,
                params,
            },
        }))
    }
}

fn attempt(runner: &dyn Runner, ask: &Ask, talk: &Talk) -> Told {
    let answered = answer(runner, ask, Vec::new(), talk);
    match answered.told {
        // Nothing was allowed to stay in memory, so this is a bug, unless there is no run.
        Told::Mapped {
            run: RunAt::Beside,
            report,
        } if report.staged.is_none() => {
            Told::Failed(Failure::new(FailClass::Worker, &StayedInMemory))
        }
        told => told,
    }
}

/// A run that the slot cannot be given.
#[derive(Debug, thiserror::Error)]
#[error("the run of an isolated attempt is not in a file")]
struct StayedInMemory;

/// What the attempt says on its way. Whoever does not want it any more kills this process.
struct Talk(Mutex<UnixStream>);

impl Talk {
    fn say(&self, news: &News) -> io::Result<()> {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        message::write(&mut *socket, news)
    }

    /// Tells the stack of the attempt, unless it was just about to say something itself.
    fn stands(&self, stack: String) {
        if let Ok(mut socket) = self.0.try_lock() {
            let _ = message::write(&mut *socket, &News::Stands(stack));
        }
    }
}

impl Monitor for Talk {
    fn progress(&self, records: u64, bytes: u64) {
        // If the slot has gone, so has this process.
        let _ = self.say(&News::Progress { records, bytes });
    }

    fn status(&self, text: &str) {
        let _ = self.say(&News::Status(text.to_owned()));
    }

    fn cancelled(&self) -> bool {
        false
    }
}
