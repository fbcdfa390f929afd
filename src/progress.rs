//! What a person sees while a job runs: bars on a terminal, plain lines elsewhere.
//!
//! Both are made from the same [`JobStatus`]; nothing here asks for time or status, so a test can play
//! a whole job. Everything goes to stderr.
//!
//! ```text
//!    Planned 12 splits, 1.00 GiB in 41 files; 4 reducers; 2 slots
//!        Map [=================>          ]  7/12   612 MiB  301 MiB/s   0:02 left
//!      RETRY m7.2  worker w2 lost (no heartbeat for 10.0 s)
//! ```

mod bars;
mod phase;
mod plain;

use std::io::IsTerminal as _;
use std::time::Duration;

use mapfold_terms::{ByteSize, JobState, JobStatus, Notice, NoticeKind};

use crate::args::ProgressChoice;
use crate::count::counted;
use crate::hadoop::JobLog;
use crate::paint::Paint;
use crate::stderr::say;
use bars::Bars;
use plain::Plain;

/// Shows a job's progress.
pub(crate) struct Progress {
    view: View,
    paint: Paint,
    about: About,
    planned: bool,
    /// Whether the workers that are about to join are still to be waited for in silence.
    awaiting: bool,
}

/// What the command knows of a job's workers, where they are its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct About {
    /// Of each of them; told with the plan.
    pub(crate) memory: Option<ByteSize>,
    /// How many are about to join. That they do is no news.
    pub(crate) workers: u32,
}

enum View {
    None,
    Plain(Plain),
    Bars(Bars),
    /// Lines of a log in Hadoop's form.
    Log(JobLog),
}

impl Progress {
    /// Picks bars or lines.
    pub(crate) fn new(choice: ProgressChoice, paint: Paint, about: About) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let view = match choice {
            ProgressChoice::None => View::None,
            ProgressChoice::Bar | ProgressChoice::Auto if terminal => View::Bars(Bars::new(paint)),
            _ => View::Plain(Plain::default()),
        };
        Self {
            view,
            paint,
            about,
            planned: false,
            awaiting: about.workers > 0,
        }
    }

    /// Tells in a log.
    pub(crate) fn in_log(log: JobLog, about: About) -> Self {
        Self {
            view: View::Log(log),
            paint: Paint::Plain,
            about,
            planned: false,
            awaiting: about.workers > 0,
        }
    }

    /// Shows a newer status; `now` is the time since the job was submitted.
    pub(crate) fn update(&mut self, now: Duration, status: &JobStatus) {
        let news = self.news(status);
        if !self.planned && !self.awaiting && has_plan(status) {
            self.planned = true;
            self.say("Planned", &planned(status, self.about));
        }
        self.notices(&news);
        match &mut self.view {
            View::None => {}
            View::Plain(plain) => {
                for (word, text) in plain.update(now, status) {
                    self.say(word, &text);
                }
            }
            View::Bars(bars) => bars.update(now, status),
            View::Log(log) => log.update(now, status),
        }
    }

    /// The notices, but those about our own workers on their way.
    fn news(&mut self, status: &JobStatus) -> Vec<Notice> {
        let mut news = status.notices.clone();
        if self.awaiting {
            news.retain(|notice| !matches!(notice.kind, NoticeKind::Worker | NoticeKind::Waiting));
            let ended = matches!(status.state, JobState::Ended(_));
            self.awaiting = status.workers < self.about.workers && status.map.done == 0 && !ended;
        }
        news
    }

    /// A line of its own, above bars: a word in the left column and a text.
    pub(crate) fn say(&self, word: &str, text: &str) {
        if let View::Log(log) = &self.view {
            return log.note(word, text);
        }
        self.line(&format!(
            "{} {text}",
            self.paint.good(&format!("{word:>10}"))
        ));
    }

    /// As [`Progress::say`], for what is not as it should be.
    pub(crate) fn warn(&self, word: &str, text: &str) {
        if let View::Log(log) = &self.view {
            return log.warn(word, text);
        }
        self.line(&format!(
            "{} {text}",
            self.paint.warning(&format!("{word:>10}"))
        ));
    }

    fn line(&self, line: &str) {
        match &self.view {
            // A log has lines of its own.
            View::None | View::Log(_) => {}
            View::Plain(_) => say(&format!("{line}\n")),
            View::Bars(bars) => bars.line(line),
        }
    }

    fn notices(&self, notices: &[Notice]) {
        /// More lines than this at once push everything else off the screen.
        const LINES_MAX: usize = 8;
        for notice in notices.iter().take(LINES_MAX) {
            self.warn(word(notice.kind), &notice.text);
        }
        let more = notices.len().saturating_sub(LINES_MAX);
        if more > 0 {
            self.warn("", &format!("and {more} more of this kind"));
        }
    }
}

/// Whether it is known what is to be done.
fn has_plan(status: &JobStatus) -> bool {
    status.state != JobState::Planning && status.map.tasks + status.reduce.tasks > 0
}

fn word(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Retry => "RETRY",
        NoticeKind::Worker => "WORKER",
        NoticeKind::Rollback => "ROLLBACK",
        NoticeKind::Waiting => "WAITING",
        NoticeKind::Backup => "BACKUP",
        NoticeKind::Differs => "DIFFERS",
    }
}

fn planned(status: &JobStatus, about: About) -> String {
    let reducers = match status.reduce.tasks {
        0 => "no reducers".to_owned(),
        tasks => counted(tasks, "reducer"),
    };
    let mut text = format!(
        "{}, {} in {}; {reducers}; {}",
        counted(status.map.tasks, "split"),
        ByteSize(status.map.bytes_total),
        counted(status.files, "file"),
        counted(status.slots, "slot"),
    );
    if status.workers > 1 {
        text += &format!(" on {}", counted(status.workers, "worker"));
    }
    if let Some(memory) = about.memory {
        text += &format!("; memory {memory}");
        if about.workers > 1 {
            text += " for each worker";
        }
    }
    text
}
