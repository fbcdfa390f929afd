//! The program of one attempt, and what becomes of what it prints.

use std::io::{self, Write as _};

use mapfold_job::{Attempt, JobError};

use crate::ear::Heard;
use crate::program::{Ending, Listener, Program, ProgramError};
use crate::reporter::{self, Said};
use crate::role::Role;

/// A program, started when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Running {
    program: Option<Program>,
    heard: Heard,
}

/// Where what it tells goes.
pub(crate) trait Out {
    /// A key and its value that it has printed. Both are most often slices of `text`.
    ///
    /// # Errors
    /// The attempt has failed.
    fn pair(&mut self, text: &[u8], key: &[u8], value: &[u8]) -> Result<(), JobError>;

    /// Adds to a counter.
    fn count(&mut self, group: &str, name: &str, amount: i64);

    /// It has ended, and the attempt goes on.
    fn ended(&mut self, _: &Ending) {}

    /// The attempt that it runs for.
    fn attempt(&self) -> &Attempt<'_>;
}

impl Running {
    /// Starts it, if it is not running yet.
    pub(crate) fn start(&mut self, role: &Role, out: &impl Out) -> Result<(), JobError> {
        if self.program.is_none() {
            let attempt = out.attempt();
            let started = role
                .start(attempt)
                .and_then(|start| Ok(Program::start(&start)?));
            self.program = Some(started.map_err(|error| role.failed(attempt, error))?);
        }
        Ok(())
    }

    /// Feeds it.
    pub(crate) fn feed(
        &mut self,
        role: &Role,
        bytes: &[u8],
        out: &mut impl Out,
    ) -> Result<(), JobError> {
        let heard = &mut self.heard;
        let Some(program) = &mut self.program else {
            return Ok(());
        };
        let fed = program.feed(bytes, &mut Hearing { heard, role, out });
        fed.map_err(|error| role.failed(out.attempt(), error))
    }

    /// Feeds it all that was gathered for it.
    pub(crate) fn feed_all(
        &mut self,
        role: &Role,
        gathered: &mut Vec<u8>,
        out: &mut impl Out,
    ) -> Result<(), JobError> {
        self.feed(role, gathered, out)?;
        gathered.clear();
        Ok(())
    }

    /// Feeds it no more, and hears it to its end.
    pub(crate) fn finish(self, role: &Role, out: &mut impl Out) -> Result<(), JobError> {
        let finished = self.hear_to_end(role, out);
        finished.map_err(|error| role.failed(out.attempt(), error))
    }

    fn hear_to_end(mut self, role: &Role, out: &mut impl Out) -> Result<(), JobError> {
        let heard = &mut self.heard;
        if let Some(program) = self.program.take() {
            let ending = program.finish(&mut Hearing { heard, role, out })?;
            if ending.code != 0 && !role.bears_failure(out.attempt()) {
                return Err(ProgramError::Failed(ending).into());
            }
            out.ended(&ending);
        }
        let pair = |key: &[u8], value: &[u8]| out.pair(&[], key, value);
        role.ear.finish(self.heard, pair)
    }
}

struct Hearing<'a, O> {
    heard: &'a mut Heard,
    role: &'a Role,
    out: &'a mut O,
}

impl<O: Out> Listener for Hearing<'_, O> {
    type Error = JobError;

    fn printed(&mut self, piece: &[u8]) -> Result<(), JobError> {
        let pair = |key: &[u8], value: &[u8]| self.out.pair(piece, key, value);
        self.role.ear.hear(self.heard, piece, pair)
    }

    fn said(&mut self, line: &str) -> bool {
        match reporter::read(&self.role.reporter, line) {
            Said::Counter {
                group,
                name,
                amount,
            } => self.out.count(group, name, amount),
            Said::Log => {
                if self.role.passes_stderr {
                    // Work goes on if nobody reads it.
                    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
                }
                return false;
            }
            Said::Status(text) => self.out.attempt().status(text),
            Said::NotUnderstood => {}
        }
        true
    }

    fn lives(&mut self) {
        self.out.attempt().progress();
    }

    fn stopped(&self) -> bool {
        self.out.attempt().cancelled()
    }
}
