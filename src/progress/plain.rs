//! Progress as plain lines, for logs and pipes: few, and each whole in itself.

use std::time::Duration;

use mapfold_terms::JobStatus;

use super::phase::{Phase, Phases, said};

/// Decides when a line is due: every 5 s or 5 %, whichever is later, and when a phase ends, unless the report will come soon enough: of a job that is
/// shorter than that nothing is told, whenever one happens to look.
#[derive(Debug, Default)]
pub(super) struct Plain {
    phases: Phases,
    shown: Vec<Shown>,
}

/// The last line of a phase.
#[derive(Debug)]
struct Shown {
    at: Duration,
    done: u64,
}

impl Plain {
    const EVERY: Duration = Duration::from_secs(5);
    const STEP: u64 = Phase::WHOLE / 20;

    /// The lines that are due: word and text.
    pub(super) fn update(
        &mut self,
        now: Duration,
        status: &JobStatus,
    ) -> Vec<(&'static str, String)> {
        let phases = self.phases.update(now, status);
        let mut lines = Vec::new();
        for (at, phase) in phases.into_iter().enumerate() {
            let Some(shown) = self.shown.get_mut(at) else {
                self.shown.push(Shown {
                    at: now,
                    done: phase.done,
                });
                continue;
            };
            let ended = phase.done == Phase::WHOLE && shown.done < Phase::WHOLE;
            let due = now >= shown.at + Self::EVERY && phase.done >= shown.done + Self::STEP;
            if due || ended && now >= Self::EVERY {
                *shown = Shown {
                    at: now,
                    done: phase.done,
                };
                lines.push((
                    phase.name,
                    format!("{:>3} %   {}", phase.done / 10, phase.figures),
                ));
            }
        }
        if let (Some((_, line)), Some(said)) = (lines.last_mut(), said(status)) {
            *line += &format!("   {said}");
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use mapfold_terms::{JobId, JobState, PhaseStatus};

    use super::*;

    fn status(map_done: u32) -> JobStatus {
        JobStatus {
            job: JobId(1),
            version: 1,
            state: JobState::Running,
            files: 1,
            map: PhaseStatus {
                tasks: 100,
                done: map_done,
                bytes: u64::from(map_done),
                bytes_total: 100,
                ..PhaseStatus::default()
            },
            reduce: PhaseStatus {
                tasks: 1,
                ..PhaseStatus::default()
            },
            workers: 1,
            slots: 1,
            notices: Vec::new(),
            said: None,
        }
    }

    #[test]
    fn a_phase_of_a_short_job_ends_without_a_line() {
        for (millis, lines) in [(4999, 0), (5000, 1)] {
            let mut plain = Plain::default();
            assert_eq!(plain.update(Duration::ZERO, &status(98)), []);
            let ended = plain.update(Duration::from_millis(millis), &status(100));
            assert_eq!(ended.len(), lines, "{ended:?}");
        }
    }

    #[test]
    fn lines_come_every_five_seconds_and_five_percent_and_at_the_end() {
        let mut plain = Plain::default();
        let mut said = Vec::new();
        for second in 0..=100_u32 {
            let now = Duration::from_millis(u64::from(second) * 500);
            for (word, text) in plain.update(now, &status(second)) {
                said.push(format!(
                    "{word} {}",
                    text.split_whitespace().next().unwrap_or("")
                ));
            }
        }
        let tens: Vec<_> = (1..=10).map(|ten| format!("Map {}", ten * 10)).collect();
        assert_eq!(said, tens);
    }
}
