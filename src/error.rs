//! What a person is told when something does not work, and the exit code that programs are told.
//!
//! ```text
//! error: job failed: map task m7 failed 4 of 4 attempts
//!   caused by: index out of bounds: the len is 3 but the index is 3
//!          at: logs/monday.csv, byte 88213004: "GET /a,200"
//!        hint: ...
//! ```

use std::error::Error;
use std::fmt::Write as _;
use std::io;

use mapfold_terms::{Failure, RecordAt, excerpt};

use crate::exit::Exit;
use crate::paint::Paint;

/// Why a command did not do what it was asked: an exit code, and what to print (nothing, if `what` is
/// empty: the reader of a pipe has gone, or a signal was already told).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    exit: Exit,
    what: String,
    causes: Vec<String>,
    at: Option<String>,
    hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            causes: Vec::new(),
            at: None,
            hint: None,
        }
    }

    /// Ends the program without a word.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// A panic of ours.
    pub(crate) fn bug() -> Self {
        Self::new(Exit::Internal, "internal error: this is a bug in Mapfold")
            .hint("please report it with the lines above and the command that was typed")
    }

    /// Something that cannot be written to stdout. A reader that has left (`| head`) is no error.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::silent(Exit::Done);
        }
        Self::new(Exit::for_writing(error), "cannot write to standard output").because(error)
    }

    /// Adds an error and its chain of sources.
    pub(crate) fn because(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Some libraries repeat their source in their own message; once is enough.
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds a failure that was reported by an attempt.
    pub(crate) fn failure(mut self, failure: &Failure) -> Self {
        self.causes.extend(failure.chain.iter().cloned());
        self.at = failure.at.as_ref().map(place);
        self.hint = self.hint.or_else(|| failure.hint.clone());
        self
    }

    /// A job that was refused before it began: its failure says all.
    pub(crate) fn refused(exit: Exit, failure: &Failure) -> Self {
        let mut problem = Self::new(exit, "").failure(failure);
        if !problem.causes.is_empty() {
            problem.what = problem.causes.remove(0);
        }
        problem
    }

    /// Says in which of several jobs it was.
    pub(crate) fn within(mut self, stage: &str) -> Self {
        if !self.what.is_empty() {
            self.what = format!("{stage}: {}", self.what);
        }
        self
    }

    /// Adds a cause that is no error value.
    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// A hint, if nothing more exact was said before.
    pub(crate) fn hint_if_none(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// A hint after any other.
    pub(crate) fn also(mut self, hint: &str) -> Self {
        match &mut self.hint {
            Some(before) => *before = format!("{before}\n{hint}"),
            none => *none = Some(hint.to_owned()),
        }
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// The text for stderr; empty if there is nothing to say.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let mut text = String::new();
        if self.what.is_empty() {
            return text;
        }
        let _ = writeln!(text, "{} {}", paint.error("error:"), self.what);
        let mut line = |label: &str, said: &str| {
            // What has lines of its own, such as a regular expression with a mark below, keeps its shape.
            let said = said.trim_end().replace('\n', "\n             ");
            let _ = writeln!(text, "{} {said}", paint.label(&format!("{label:>12}")));
        };
        self.causes
            .iter()
            .for_each(|cause| line("caused by:", cause));
        self.at.iter().for_each(|at| line("at:", at));
        self.hint.iter().for_each(|hint| line("hint:", hint));
        text
    }
}

/// `books/moby.txt, byte 512: "Call me Ishmael" (record 9 of the map task)`. The last tells nothing of the file, as a map task may read several.
fn place(at: &RecordAt) -> String {
    let mut text = at.file.display().to_string();
    let _ = match at.row_group {
        None => write!(text, ", byte {}", at.offset),
        Some(group) => write!(text, ", row {} (row group {group})", at.offset),
    };
    if !at.excerpt.is_empty() {
        let _ = write!(text, ": \"{}\"", excerpt(&at.excerpt));
    }
    if at.record > 0 {
        let _ = write!(text, " (record {} of the map task)", at.record);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use mapfold_terms::{FailClass, RawPath};

    use super::*;

    #[test]
    fn a_problem_prints_error_causes_place_and_hint() {
        let failure = Failure {
            class: FailClass::Job,
            chain: vec![
                "job panicked: index out of bounds".to_owned(),
                "inner".to_owned(),
            ],
            at: Some(RecordAt {
                file: RawPath::from(Path::new("logs/a.csv")),
                offset: 88_213_004,
                row_group: None,
                record: 412_991,
                excerpt: b"GET /a\t\xff".to_vec(),
            }),
            hint: Some("look there".to_owned()),
            backtrace: None,
        };
        let problem = Problem::new(
            Exit::JobFailed,
            "job failed: map task m7 failed 4 of 4 attempts",
        )
        .failure(&failure);
        assert_eq!(
            problem.render(Paint::Plain),
            "error: job failed: map task m7 failed 4 of 4 attempts\n\
             \x20 caused by: job panicked: index out of bounds\n\
             \x20 caused by: inner\n\
             \x20        at: logs/a.csv, byte 88213004: \"GET /a\\t\\xff\" (record 412991 of the map task)\n\
             \x20      hint: look there\n"
        );
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let problem = Problem::stdout(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(problem.exit(), Exit::Done);
        assert_eq!(problem.render(Paint::Plain), "");
    }
}
