//! The program of one attempt, and what becomes of what it prints.

use mapfold_job::JobError;

use crate::lines::Lines;
use crate::program::{Listener, Program, ProgramError, Start};
use crate::reporter::{self, Said};

/// A line of a program may be about as long as a record of a run.
const LINE_MAX: usize = 1 << 30;

/// A program, started when it is first needed.
#[derive(Debug, Default)]
pub(crate) struct Running {
    program: Option<Program>,
    lines: Lines,
}

/// Where what it tells goes.
pub(crate) trait Out {
    /// A line of stdout, without its end.
    fn line(&mut self, line: &[u8]);

    /// Adds to a counter.
    fn count(&mut self, group: &str, name: &str, amount: i64);

    /// Whether the attempt was told to stop.
    fn stopped(&self) -> bool;
}

/// How to understand a program.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    /// Begins a line of stderr that is a report.
    pub(crate) reporter: String,
    /// Whether it fails its attempt by ending with another code than 0.
    pub(crate) codes_matter: bool,
}

impl Running {
    /// Starts it, if it is not running yet.
    pub(crate) fn start(&mut self, start: &Start) -> Result<(), JobError> {
        if self.program.is_none() {
            self.program = Some(Program::start(start)?);
        }
        Ok(())
    }

    /// Feeds it.
    pub(crate) fn feed(
        &mut self,
        bytes: &[u8],
        manners: &Manners,
        out: &mut impl Out,
    ) -> Result<(), JobError> {
        let lines = &mut self.lines;
        match &mut self.program {
            Some(program) => program.feed(
                bytes,
                &mut Hearing {
                    lines,
                    manners,
                    out,
                },
            ),
            None => Ok(()),
        }
    }

    /// Feeds it no more, and hears it to its end.
    pub(crate) fn finish(mut self, manners: &Manners, out: &mut impl Out) -> Result<(), JobError> {
        let lines = &mut self.lines;
        if let Some(program) = self.program.take() {
            let ended = program.finish(&mut Hearing {
                lines,
                manners,
                out,
            });
            match ended {
                Err(error) if !manners.codes_matter && is_only_a_code(&error) => {}
                ended => ended?,
            }
        }
        self.lines.finish(|line| {
            out.line(line);
            Ok(())
        })
    }
}

fn is_only_a_code(error: &JobError) -> bool {
    let error = error.downcast_ref::<ProgramError>();
    matches!(error, Some(ProgramError::Failed { code: Some(_), .. }))
}

struct Hearing<'a, O> {
    lines: &'a mut Lines,
    manners: &'a Manners,
    out: &'a mut O,
}

impl<O: Out> Listener for Hearing<'_, O> {
    type Error = JobError;

    fn printed(&mut self, piece: &[u8]) -> Result<(), JobError> {
        self.lines.push(piece, |line| {
            self.out.line(line);
            Ok::<_, JobError>(())
        })?;
        if self.lines.open_bytes() > LINE_MAX {
            return Err(format!("it prints a line of more than {LINE_MAX} bytes").into());
        }
        Ok(())
    }

    fn said(&mut self, line: &str) {
        if let Said::Counter {
            group,
            name,
            amount,
        } = reporter::read(&self.manners.reporter, line)
        {
            self.out.count(group, name, amount);
        }
    }

    fn stopped(&self) -> bool {
        self.out.stopped()
    }
}
