//! The children that make attempts: started, asked, heard, and ended.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mapfold_data::scratch::{Scratch, ScratchError};
use mapfold_job::border::Told;
use mapfold_job::{Monitor, TaskError};
use mapfold_terms::{ByteSize, FailClass, Failure, FileId};

use super::child::{Heard, SlotChild, Stacks};
use super::culprit::Trial;
use super::ended::{Ended, How, died, killed_after, stood_still};
use super::message::{News, SlotAsk};
use super::stillness::Stillness;
use super::{IsolateSettings, data_max_for};

/// A job that has not been made by then never will.
const MAKE_MAX: Duration = Duration::from_secs(20);
/// To put a stack into words takes a second or two, where there are many names.
const STACK_MAX: Duration = Duration::from_secs(10);

/// As many children as attempts ever ran at once.
#[derive(Debug)]
pub(super) struct Children {
    settings: IsolateSettings,
    /// Each with the plugin that it has open: one that came with its job has children of its own, so that what it leaves in a process
    /// harms no other job.
    idle: Mutex<Vec<(Option<FileId>, SlotChild)>>,
}

impl Children {
    /// No children yet.
    pub(super) fn new(settings: IsolateSettings) -> Self {
        Self {
            settings,
            idle: Mutex::default(),
        }
    }

    /// How they are started.
    pub(super) fn settings(&self) -> &IsolateSettings {
        &self.settings
    }

    /// Has a child make an attempt that may use `memory` and works in `scratch`; returns what it told at the end.
    pub(super) fn make(
        &self,
        ask: &SlotAsk,
        plugin: Option<FileId>,
        memory: ByteSize,
        scratch: &Scratch,
        monitor: &dyn Monitor,
    ) -> Result<Told, Stopped> {
        let idle = self.take(plugin);
        let asked = idle.and_then(|mut child| child.ask(ask).ok().map(|()| child));
        let child = match asked {
            Some(child) => child,
            None => self.start(ask, memory, Stacks::IfAsked)?,
        };
        let mut charge = scratch.charge();
        let limit = monitor.still_max();
        let mut stillness = Stillness::new(limit.map(killed_after));
        let (mut begun, mut done) = (false, 0);
        let mut stack = None;
        // Its time begins now, here and at the master.
        monitor.progress(0, 0);
        loop {
            match stillness.listen(&child) {
                Heard::News(News::Begun) => {
                    begun = true;
                    monitor.progress(0, 0);
                }
                Heard::News(News::Progress { records, bytes }) => {
                    done = records.max(done);
                    monitor.progress(records, bytes);
                }
                Heard::News(News::Status(text)) => monitor.status(&text),
                Heard::News(News::Ended(told)) => {
                    self.idle().push((plugin, child));
                    return Ok(told);
                }
                // It aborts.
                Heard::News(News::Stands(told)) => stack = Some(told),
                // Nobody has asked for them.
                Heard::Nothing | Heard::News(News::Probed(_) | News::Made(_)) => {}
                Heard::Ended => {
                    let mut failure = died(child);
                    failure.backtrace = stack.or(failure.backtrace);
                    return Err(Stopped::Ended(Box::new(Ended {
                        failure,
                        how: How::Died,
                        begun,
                        done,
                    })));
                }
            }
            if monitor.cancelled() {
                return Err(TaskError::Cancelled.into());
            }
            if let Some(limit) = limit
                && stillness.is_over()
            {
                let mut failure = stood_still(limit, begun);
                if begun {
                    failure.backtrace = stack_of(&child, monitor);
                }
                drop(child);
                return Err(Stopped::Ended(Box::new(Ended {
                    failure,
                    how: How::StoodStill { limit },
                    begun,
                    done,
                })));
            }
            if charge.is_bounded() {
                scratch
                    .measure(&mut charge)
                    .map_err(|error| no_file(&error))?;
            }
        }
    }

    /// Whether a new child does it again.
    pub(super) fn try_out(&self, ask: &SlotAsk, memory: ByteSize, watch: Watch<'_>) -> Trial {
        let Watch {
            how,
            search,
            monitor,
        } = watch;
        let Ok(child) = self.start(ask, memory, Stacks::No) else {
            return Trial::Unclear;
        };
        let mut stillness = Stillness::new(Some(MAKE_MAX));
        let (mut begun, mut done) = (false, 0);
        while !monitor.cancelled() && !search.is_over() {
            // Nobody is to think that the attempt stands still.
            monitor.progress(0, 0);
            match stillness.listen(&child) {
                Heard::News(News::Begun) => {
                    begun = true;
                    stillness = Stillness::new(Some(how.trial_max()));
                }
                Heard::News(News::Progress { records, .. }) => done = records.max(done),
                Heard::News(News::Ended(_)) => return Trial::Passed,
                Heard::News(
                    News::Status(_) | News::Stands(_) | News::Probed(_) | News::Made(_),
                )
                | Heard::Nothing => {}
                Heard::Ended => {
                    return match how {
                        How::Died => Trial::Repeats { done },
                        How::StoodStill { .. } => Trial::Unclear,
                    };
                }
            }
            if stillness.is_over() {
                return match how {
                    How::StoodStill { .. } if begun => Trial::Repeats { done },
                    _ => Trial::Unclear,
                };
            }
        }
        Trial::Unclear
    }

    /// An idle child with that plugin open. If there is none, one with another makes room for a new one.
    pub(super) fn take(&self, plugin: Option<FileId>) -> Option<SlotChild> {
        let mut idle = self.idle();
        let same = idle.iter().rposition(|(open, _)| *open == plugin);
        let other = match same {
            Some(same) => return Some(idle.swap_remove(same).1),
            None => idle.pop(),
        };
        drop(idle);
        drop(other);
        None
    }

    /// Ends the idle children that have a plugin open.
    pub(super) fn dismiss(&self, plugin: FileId) {
        let mut idle = self.idle();
        let goes = |it: &mut (Option<FileId>, SlotChild)| it.0 == Some(plugin);
        let gone: Vec<_> = idle.extract_if(.., goes).collect();
        drop(idle);
        drop(gone);
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Option<FileId>, SlotChild)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a child that does nothing else make a job.
    pub(super) fn keeps_records(&self, ask: &SlotAsk) -> Option<bool> {
        let child = self.start(ask, ByteSize(0), Stacks::No).ok()?;
        let mut stillness = Stillness::new(Some(MAKE_MAX));
        while !stillness.is_over() {
            match child.hear() {
                Heard::News(News::Made(made)) => return made.ok(),
                Heard::Ended => return None,
                Heard::News(_) | Heard::Nothing => {}
            }
        }
        None
    }

    fn start(
        &self,
        ask: &SlotAsk,
        memory: ByteSize,
        stacks: Stacks,
    ) -> Result<SlotChild, TaskError> {
        let data_max = self.settings.data_max.max(data_max_for(memory));
        let settings = IsolateSettings {
            data_max,
            ..self.settings.clone()
        };
        let mut child = SlotChild::start(&settings, stacks).map_err(|error| ours(&error))?;
        child.ask(ask).map_err(|error| ours(&error))?;
        Ok(child)
    }
}

/// Why an attempt has nothing to tell.
pub(super) enum Stopped {
    /// Its process has ended, for the job's code.
    Ended(Box<Ended>),
    /// Something else.
    Other(TaskError),
}

/// What a child is watched for that is to do it again, and until when.
pub(super) struct Watch<'a> {
    pub(super) how: How,
    pub(super) search: &'a mut Stillness,
    pub(super) monitor: &'a dyn Monitor,
}

impl From<TaskError> for Stopped {
    fn from(error: TaskError) -> Self {
        Self::Other(error)
    }
}

impl From<Stopped> for TaskError {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Ended(ended) => ended.failure.into(),
            Stopped::Other(error) => error,
        }
    }
}

/// Where the attempt of a child stands, if processes are asked for backtraces and it can still say.
fn stack_of(child: &SlotChild, monitor: &dyn Monitor) -> Option<String> {
    if !child.ask_where() {
        return None;
    }
    let mut stillness = Stillness::new(Some(STACK_MAX));
    while !stillness.is_over() && !monitor.cancelled() {
        // Nobody is to think that the attempt stands still.
        monitor.progress(0, 0);
        match child.hear() {
            Heard::News(News::Stands(stack)) => return Some(stack),
            Heard::Ended => return None,
            Heard::News(_) | Heard::Nothing => {}
        }
    }
    None
}

/// A temporary file is.
pub(crate) fn no_file(error: &ScratchError) -> TaskError {
    let failure = Failure {
        hint: error.hint().map(str::to_owned),
        ..Failure::new(FailClass::Worker, error)
    };
    failure.into()
}

/// Something of this worker's is lacking.
pub(super) fn ours(error: &dyn std::error::Error) -> TaskError {
    Failure::new(FailClass::Worker, error).into()
}
