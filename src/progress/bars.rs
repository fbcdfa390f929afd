//! Progress as bars that are drawn over themselves, for terminals.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mapfold_terms::JobStatus;

use super::phase::{Phase, Phases, said};
use crate::paint::Paint;
use crate::stderr::say;

/// A bar a phase, and below them a line with what a task says of itself, if one does.
pub(super) struct Bars {
    phases: Phases,
    screen: MultiProgress,
    style: ProgressStyle,
    bars: Vec<ProgressBar>,
    said: Option<ProgressBar>,
}

impl Bars {
    /// A job that ends sooner shows no bars; they would only flash.
    const DELAY: Duration = Duration::from_millis(150);
    const REDRAWS_PER_SECOND: u8 = 10;

    pub(super) fn new(paint: Paint) -> Self {
        let template = match paint {
            Paint::Plain => "{prefix:>10} [{bar:28}] {wide_msg}",
            Paint::Ansi => "{prefix:>10.green.bold} [{bar:28}] {wide_msg}",
        };
        let style = ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let target = ProgressDrawTarget::stderr_with_hz(Self::REDRAWS_PER_SECOND);
        Self {
            phases: Phases::default(),
            screen: MultiProgress::with_draw_target(target),
            style,
            bars: Vec::new(),
            said: None,
        }
    }

    pub(super) fn update(&mut self, now: Duration, status: &JobStatus) {
        let phases = self.phases.update(now, status);
        if now < Self::DELAY {
            return;
        }
        for (at, phase) in phases.into_iter().enumerate() {
            if self.bars.len() == at {
                let bar = ProgressBar::new(Phase::WHOLE);
                let bar = match &self.said {
                    Some(said) => self.screen.insert_before(said, bar),
                    None => self.screen.add(bar),
                };
                bar.set_style(self.style.clone());
                bar.set_prefix(phase.name);
                self.bars.push(bar);
            }
            self.bars[at].set_message(phase.figures);
            self.bars[at].set_position(phase.done);
        }
        match (said(status), &self.said) {
            (Some(text), Some(line)) => line.set_message(text),
            (Some(text), None) => {
                let line = self.screen.add(ProgressBar::new(0));
                line.set_style(Self::said_style());
                line.set_message(text);
                self.said = Some(line);
            }
            (None, Some(line)) => {
                line.finish_and_clear();
                self.screen.remove(line);
                self.said = None;
            }
            (None, None) => {}
        }
    }

    fn said_style() -> ProgressStyle {
        ProgressStyle::with_template("           {wide_msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
    }

    /// Prints a line above the bars.
    pub(super) fn line(&self, line: &str) {
        self.screen.suspend(|| say(&format!("{line}\n")));
    }
}

/// Takes the bars off the screen.
impl Drop for Bars {
    fn drop(&mut self) {
        for bar in self.bars.drain(..).chain(self.said.take()) {
            bar.finish_and_clear();
        }
        // Nobody reads stderr any more if this fails.
        let _ = self.screen.clear();
    }
}
