//! Progress as bars that are drawn over themselves, for terminals.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mapfold_terms::JobStatus;

use super::phase::{Phase, Phases};
use crate::paint::Paint;
use crate::stderr::say;

/// A bar a phase.
pub(super) struct Bars {
    phases: Phases,
    screen: MultiProgress,
    style: ProgressStyle,
    bars: Vec<ProgressBar>,
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
        }
    }

    pub(super) fn update(&mut self, now: Duration, status: &JobStatus) {
        let phases = self.phases.update(now, status);
        if now < Self::DELAY {
            return;
        }
        for (at, phase) in phases.into_iter().enumerate() {
            if self.bars.len() == at {
                let bar = self.screen.add(ProgressBar::new(Phase::WHOLE));
                bar.set_style(self.style.clone());
                bar.set_prefix(phase.name);
                self.bars.push(bar);
            }
            self.bars[at].set_message(phase.figures);
            self.bars[at].set_position(phase.done);
        }
    }

    /// Prints a line above the bars.
    pub(super) fn line(&self, line: &str) {
        self.screen.suspend(|| say(&format!("{line}\n")));
    }
}

/// Takes the bars off the screen.
impl Drop for Bars {
    fn drop(&mut self) {
        for bar in self.bars.drain(..) {
            bar.finish_and_clear();
        }
        // Nobody reads stderr any more if this fails.
        let _ = self.screen.clear();
    }
}
