//! Ids as Hadoop writes them: `job_1795422600000_0001`, `attempt_1795422600000_0001_m_000007_0`.

use std::fmt;

use mapfold_streaming::ids;
use mapfold_terms::{AttemptId, TaskKind};

use super::clock::Moment;

/// A job of this process, by when it was started and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JobName {
    /// Milliseconds since 1970.
    millis: u128,
    /// Four digits, from the process's id: jobs that start at once differ.
    number: u32,
}

impl JobName {
    pub(super) fn new() -> Self {
        Self {
            millis: Moment::now().millis(),
            number: std::process::id() % 10_000,
        }
    }

    /// `1795422600000_0001`
    fn digits(self) -> String {
        format!("{}_{:04}", self.millis, self.number)
    }

    /// `application_1795422600000_0001`
    pub(super) fn application(self) -> String {
        format!("application_{}", self.digits())
    }

    /// `attempt_1795422600000_0001_m_000007_0`
    pub(super) fn attempt(self, attempt: AttemptId) -> String {
        let is_map = attempt.task.kind == TaskKind::Map;
        let task = ids::task(&self.digits(), is_map, attempt.task.index);
        ids::attempt(&task, attempt.number)
    }
}

/// `job_1795422600000_0001`
impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job_{}", self.digits())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_terms::{JobId, TaskId, Token};

    use super::*;

    #[test]
    fn ids_have_the_form_that_others_parse() {
        let job = JobName {
            millis: 1_795_422_600_000,
            number: 42,
        };
        assert_eq!(job.to_string(), "job_1795422600000_0042");
        assert_eq!(job.application(), "application_1795422600000_0042");
        let attempt = AttemptId {
            token: Token::NONE,
            job: JobId(1),
            task: TaskId::reduce(7),
            number: 2,
        };
        let want = "attempt_1795422600000_0042_r_000007_1";
        assert_eq!(job.attempt(attempt), want);
    }
}
