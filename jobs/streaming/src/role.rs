//! A program of a job: what it is for, how it is started, and how it is understood.

use std::ffi::OsString;
use std::fmt;
use std::time::Duration;

use mapfold_job::{Attempt, AttemptError, JobError};

use crate::argv;
use crate::conf::{Conf, Printed};
use crate::ear::Ear;
use crate::environment::Environment;
use crate::program::Start;
use crate::workdir::Workdir;

/// The mapper, the combiner or the reducer.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    name: &'static str,
    command: String,
    /// The program and its arguments.
    argv: Vec<OsString>,
    workdir: Workdir,
    environment: Environment,
    /// How what it prints is understood.
    pub(crate) ear: Ear,
    /// Begins a line of stderr that is a report.
    pub(crate) reporter: String,
    /// Whether other lines also go to our own.
    pub(crate) passes_stderr: bool,
    /// Whether it fails its attempt by ending with another code than 0, and up to which try.
    codes_matter: bool,
    silence_max: Duration,
    tries: Option<u32>,
}

/// An attempt fails by what a program does.
#[derive(Debug, thiserror::Error)]
#[error("the {name} `{command}` failed{place}")]
pub(crate) struct RoleError {
    name: &'static str,
    command: String,
    place: Place,
    source: JobError,
}

/// What it was fed.
#[derive(Debug)]
enum Place {
    /// Keys and values of all over.
    Unknown,
    /// A piece of a file, and pieces of so many others.
    File {
        name: String,
        start: u64,
        end: u64,
        others: usize,
    },
}

impl Role {
    /// The program that `command` runs.
    ///
    /// # Errors
    /// It is empty.
    pub(crate) fn new(
        name: &'static str,
        command: &str,
        printed: &Printed,
        conf: &Conf,
    ) -> Result<Self, JobError> {
        let argv: Vec<OsString> = argv::split(command).into_iter().map(Into::into).collect();
        if argv.is_empty() {
            return Err(format!("the command of the {name} is empty").into());
        }
        Ok(Self {
            name,
            command: command.to_owned(),
            argv,
            workdir: Workdir::of(conf),
            environment: Environment::of(conf),
            ear: Ear::new(printed),
            reporter: conf.reporter.clone(),
            passes_stderr: conf.passes_stderr,
            codes_matter: conf.codes_matter,
            silence_max: conf.silence_max,
            tries: conf.job_log,
        })
    }

    /// How to start it for an attempt.
    ///
    /// # Errors
    /// The attempt can have no folder, or a file that belongs there is missing.
    pub(crate) fn start(&self, attempt: &Attempt<'_>) -> Result<Start, JobError> {
        let folder = self.workdir.make(attempt)?;
        let mut argv = self.argv.clone();
        if let Some(program) = argv.first_mut() {
            *program = self.workdir.program(&folder, program)?;
        }
        Ok(Start {
            argv,
            env: self.environment.of_attempt(attempt, &folder)?,
            folder,
            silence_max: self.silence_max,
            silence_ends: self.is_noted(attempt),
        })
    }

    /// Whether any end is as good as code 0.
    pub(crate) fn bears_failure(&self, attempt: &Attempt<'_>) -> bool {
        !self.codes_matter || self.is_noted(attempt)
    }

    /// Whether it is noted how it has ended, whatever that is: its task is not tried again.
    fn is_noted(&self, attempt: &Attempt<'_>) -> bool {
        self.tries.is_some_and(|tries| attempt.id().number >= tries)
    }

    /// What is told of an error in an attempt.
    pub(crate) fn failed(&self, attempt: &Attempt<'_>, source: JobError) -> JobError {
        let error = RoleError {
            name: self.name,
            command: self.command.clone(),
            place: Place::of(attempt),
            source,
        };
        AttemptError::new(error).into()
    }
}

impl Place {
    fn of(attempt: &Attempt<'_>) -> Self {
        let pieces = attempt.split().map_or(&[][..], |split| &split.pieces);
        match pieces {
            [] => Self::Unknown,
            [first, others @ ..] => Self::File {
                name: first.file.name.display().to_string(),
                start: first.start,
                end: first.end,
                others: others.len(),
            },
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::File {
                name,
                start,
                end,
                others,
            } => {
                write!(f, " on {name}, bytes {start} to {end}")?;
                match others {
                    0 => Ok(()),
                    1 => f.write_str(", and another file"),
                    more => write!(f, ", and {more} other files"),
                }
            }
        }
    }
}
