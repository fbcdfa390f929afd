//! Exit codes: what scripts are told.

use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use mapfold_terms::FailReason;

/// How the program ends. The numbers are a promise to scripts; `--help` prints the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Done,
    JobFailed,
    Usage,
    Input,
    Output,
    NoSpace,
    Unreachable,
    Cancelled,
    Differs,
    Internal,
    DoNotRetry,
    TryAgain,
    Interrupted,
    Terminated,
}

impl Exit {
    /// Every code, in the order of `--help`.
    pub(crate) const TABLE: [(Self, &'static str); 14] = [
        (Self::Done, "done"),
        (Self::JobFailed, "the job failed"),
        (Self::Usage, "the command line is wrong"),
        (Self::Input, "input is missing or unreadable"),
        (Self::Output, "output exists or cannot be written"),
        (Self::NoSpace, "no space left"),
        (
            Self::Unreachable,
            "the master cannot be reached, or has no workers",
        ),
        (Self::Cancelled, "the job was cancelled"),
        (Self::Differs, "verification found a difference"),
        (Self::Internal, "internal error (please report it)"),
        (Self::DoNotRetry, "`mapfold task`: do not try again"),
        (
            Self::TryAgain,
            "`mapfold task`: try again, perhaps elsewhere",
        ),
        (Self::Interrupted, "ended by Ctrl-C"),
        (Self::Terminated, "ended by SIGTERM"),
    ];

    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::JobFailed => 1,
            Self::Usage => 2,
            Self::Input => 3,
            Self::Output => 4,
            Self::NoSpace => 5,
            Self::Unreachable => 7,
            Self::Cancelled => 8,
            Self::Differs => 9,
            Self::Internal => 10,
            Self::DoNotRetry => 20,
            Self::TryAgain => 75,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The code for a file that cannot be written.
    pub(crate) fn for_writing(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ => Self::Output,
        }
    }

    /// The table for `--help`.
    pub(crate) fn help() -> String {
        Self::TABLE
            .iter()
            .fold(String::new(), |mut text, (exit, meaning)| {
                let _ = writeln!(text, "  {:>3}  {meaning}", exit.code());
                text
            })
    }
}

impl From<FailReason> for Exit {
    fn from(reason: FailReason) -> Self {
        match reason {
            FailReason::TaskFailed | FailReason::Rollbacks => Self::JobFailed,
            FailReason::Input => Self::Input,
            FailReason::Output => Self::Output,
            FailReason::NoSpace => Self::NoSpace,
            FailReason::NoWorkers => Self::Unreachable,
            FailReason::Internal => Self::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct() {
        let mut codes: Vec<u8> = Exit::TABLE.iter().map(|(exit, _)| exit.code()).collect();
        codes.dedup();
        assert_eq!(codes.len(), Exit::TABLE.len());
        assert!(codes.is_sorted());
    }
}
