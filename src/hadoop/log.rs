//! Log lines on stderr in the form of Hadoop's, which tools read: `TIME LEVEL logger: message`.
//!
//! Never bars or colours, whatever stderr is: mrjob runs `hadoop jar` under a terminal of its own.

use std::time::Duration;

use mapfold_terms::{JobStatus, PhaseStatus};

use super::clock::Moment;
use super::ids::JobName;
use crate::stderr::say;

/// A word in the place of Java's class.
pub(super) const JOB: &str = "mapreduce.Job";
pub(super) const STREAM: &str = "streaming.StreamJob";
pub(super) const CONFIGURATION: &str = "Configuration.deprecation";

pub(super) fn info(logger: &str, message: &str) {
    line("INFO", logger, message);
}

pub(super) fn warn(logger: &str, message: &str) {
    line("WARN", logger, message);
}

pub(super) fn error(logger: &str, message: &str) {
    line("ERROR", logger, message);
}

fn line(level: &str, logger: &str, message: &str) {
    let time = Moment::now().to_millisecond();
    say(&format!("{time} {level} {logger}: {message}\n"));
}

/// How far a job is, a line at a time.
#[derive(Debug)]
pub(crate) struct JobLog {
    job: JobName,
    /// Percents of map and reduce that were told, and when.
    told: Option<((u64, u64), Duration)>,
}

impl JobLog {
    /// Hadoop asks for news once a second.
    const EVERY: Duration = Duration::from_secs(1);

    pub(super) fn new(job: JobName) -> Self {
        Self { job, told: None }
    }

    /// Tells the status, if it is time; `now` is the time since the job was submitted.
    pub(crate) fn update(&mut self, now: Duration, status: &JobStatus) {
        if let Some(message) = self.due(now, status) {
            info(JOB, &message);
        }
    }

    fn due(&mut self, now: Duration, status: &JobStatus) -> Option<String> {
        if self.told.is_none() {
            info(JOB, &format!("Running job: {}", self.job));
        }
        let percents = (percent(&status.map), percent(&status.reduce));
        let is_due = match self.told {
            None => true,
            Some((told, _)) if told == percents => false,
            Some((_, at)) => now >= at + Self::EVERY || percents.0 == 100,
        };
        if !is_due {
            return None;
        }
        self.told = Some((percents, now));
        Some(format!(" map {}% reduce {}%", percents.0, percents.1))
    }

    /// Something that happened.
    pub(crate) fn note(&self, word: &str, text: &str) {
        info(JOB, format!("{word} {text}").trim());
    }

    /// Something that should not have happened, in a line. What failed attempts said is told in full at the end.
    pub(crate) fn warn(&self, word: &str, text: &str) {
        let text = text.lines().next().unwrap_or_default();
        warn(JOB, format!("{word} {text}").trim());
    }
}

/// 100 only at the end.
fn percent(phase: &PhaseStatus) -> u64 {
    let (part, whole) = match (phase.tasks, phase.bytes_total) {
        (0, _) => return 0,
        (tasks, _) if phase.done == tasks => return 100,
        (tasks, 0) => (u64::from(phase.done), u64::from(tasks)),
        (_, total) => (phase.bytes.min(total), total),
    };
    let percent = u128::from(part) * 100 / u128::from(whole);
    u64::try_from(percent).unwrap_or(99).min(99)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mapfold_terms::{JobId, JobState};

    fn status(done: u32, bytes: u64) -> JobStatus {
        JobStatus {
            job: JobId(1),
            version: 1,
            state: JobState::Running,
            files: 1,
            map: PhaseStatus {
                tasks: 2,
                done,
                bytes,
                bytes_total: 200,
                ..PhaseStatus::default()
            },
            reduce: PhaseStatus::default(),
            workers: 1,
            slots: 1,
            notices: Vec::new(),
            said: None,
        }
    }

    #[test]
    fn percents_are_told_once_a_second_and_at_the_end_of_maps() {
        let mut log = JobLog::new(JobName::new());
        let mut told = |millis, status: &JobStatus| {
            log.due(Duration::from_millis(millis), status)
                .unwrap_or_default()
        };
        assert_eq!(told(0, &status(0, 0)), " map 0% reduce 0%");
        assert_eq!(told(500, &status(0, 20)), "");
        assert_eq!(told(1000, &status(0, 20)), " map 10% reduce 0%");
        assert_eq!(told(3000, &status(0, 20)), "");
        assert_eq!(told(3000, &status(0, 200)), " map 99% reduce 0%");
        assert_eq!(told(3001, &status(2, 200)), " map 100% reduce 0%");
    }
}
