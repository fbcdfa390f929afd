//! One phase of a job, as a line of figures: tasks, bytes, rate, time left.

use std::time::Duration;

use mapfold_terms::{AttemptStatus, ByteSize, JobStatus};

use crate::duration::clock;
use crate::meter::{Meter, show_rate};

/// The phases of a job as they are shown.
#[derive(Debug, Default)]
pub(super) struct Phases {
    map: Meter,
    shuffle: Meter,
}

/// What to show of one phase.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Phase {
    pub(super) name: &'static str,
    /// Between 0 and [`Phase::WHOLE`].
    pub(super) done: u64,
    /// `7/12   612 MiB  301 MiB/s   0:02 left`
    pub(super) figures: String,
}

impl Phase {
    /// `done` of a finished phase: parts of a thousand.
    pub(super) const WHOLE: u64 = 1000;
}

impl Phases {
    /// The phases that have begun, in order. Reduce attempts first take in their runs (the shuffle), so
    /// its bytes are theirs.
    pub(super) fn update(&mut self, now: Duration, status: &JobStatus) -> Vec<Phase> {
        let (map, reduce) = (status.map, status.reduce);
        self.map.record(now, map.bytes);
        let mut phases = vec![Phase {
            name: "Map",
            done: share(map.bytes, map.bytes_total, map.done, map.tasks),
            figures: format!(
                "{}   {}",
                tasks(map.done, map.tasks),
                flow(&self.map, map.bytes, map.bytes_total),
            ),
        }];
        let waits = map.done < map.tasks && reduce.running + reduce.done == 0;
        if waits || reduce.tasks == 0 {
            return phases;
        }
        self.shuffle.record(now, reduce.bytes);
        phases.push(Phase {
            name: "Shuffle",
            done: share(reduce.bytes, reduce.bytes_total, reduce.done, reduce.tasks),
            figures: format!(
                "{:w$}   {}",
                "",
                flow(&self.shuffle, reduce.bytes, reduce.bytes_total),
                w = tasks(map.done, map.tasks).len()
            ),
        });
        phases.push(Phase {
            name: "Reduce",
            done: share(0, 0, reduce.done, reduce.tasks),
            figures: tasks(reduce.done, reduce.tasks),
        });
        phases
    }
}

/// Parts of a thousand that are done, by bytes where their sum is known, else by tasks.
fn share(bytes: u64, bytes_total: u64, done: u32, tasks: u32) -> u64 {
    let (part, whole) = match bytes_total {
        _ if done == tasks => (1, 1),
        0 => (u64::from(done), u64::from(tasks)),
        total => (bytes.min(total), total),
    };
    let thousandths = u128::from(part) * u128::from(Phase::WHOLE) / u128::from(whole);
    u64::try_from(thousandths).unwrap_or(Phase::WHOLE)
}

fn tasks(done: u32, tasks: u32) -> String {
    let width = tasks.to_string().len();
    format!("{done:>width$}/{tasks}")
}

/// `612 MiB  301 MiB/s   0:02 left`
fn flow(meter: &Meter, bytes: u64, bytes_total: u64) -> String {
    let mut text = format!("{:>8}", ByteSize(bytes).to_string());
    let left = bytes_total.saturating_sub(bytes);
    if let Some(rate) = meter.rate() {
        text += &format!("  {:>10}", show_rate(rate));
        if let (1.., Some(time)) = (left, meter.left(left)) {
            text += &format!("   {} left", clock(time));
        }
    }
    text
}

/// `m7: half way`: the newest status of a task. It may hold anything, and is cut to what a line has room for.
pub(super) fn said(status: &JobStatus) -> Option<String> {
    /// Of a text.
    const CHARS_MAX: usize = 120;
    let AttemptStatus { attempt, text } = status.said.as_ref()?;
    let printable = |char: char| if char.is_control() { ' ' } else { char };
    let text: String = text.chars().map(printable).take(CHARS_MAX).collect();
    Some(format!("{}: {text}", attempt.task))
}

#[cfg(test)]
mod tests {
    use mapfold_terms::{AttemptId, JobId, JobState, MasterEpoch, PhaseStatus, TaskId, Token};

    use super::*;

    fn status(map: PhaseStatus, reduce: PhaseStatus) -> JobStatus {
        JobStatus {
            job: JobId(1),
            version: 1,
            state: JobState::Running,
            files: 41,
            map,
            reduce,
            workers: 1,
            slots: 2,
            notices: Vec::new(),
            said: None,
        }
    }

    #[test]
    fn a_phase_shows_tasks_bytes_rate_and_time_left() {
        let mut phases = Phases::default();
        let map = |done, mib: u64| PhaseStatus {
            tasks: 12,
            done,
            running: 2,
            records: 0,
            bytes: mib << 20,
            bytes_total: 1 << 30,
        };
        let reduce = PhaseStatus {
            tasks: 4,
            ..PhaseStatus::default()
        };
        phases.update(Duration::ZERO, &status(map(0, 0), reduce));
        let shown = phases.update(Duration::from_secs(2), &status(map(7, 602), reduce));
        assert_eq!(
            shown,
            [Phase {
                name: "Map",
                done: 587,
                figures: " 7/12    602 MiB   301 MiB/s   0:01 left".to_owned()
            }]
        );
        let shown = phases.update(Duration::from_secs(3), &status(map(12, 1024), reduce));
        let names: Vec<_> = shown.iter().map(|phase| (phase.name, phase.done)).collect();
        assert_eq!(names, [("Map", 1000), ("Shuffle", 0), ("Reduce", 0)]);
    }

    #[test]
    fn a_status_is_told_with_its_task_and_without_what_moves_a_cursor() {
        let phase = PhaseStatus::default();
        let mut status = status(phase, phase);
        assert_eq!(said(&status), None);
        status.said = Some(AttemptStatus {
            attempt: AttemptId {
                token: Token {
                    epoch: MasterEpoch(1),
                    counter: 1,
                },
                job: JobId(1),
                task: TaskId::reduce(3),
                number: 2,
            },
            text: "half \x1b[2J\r way".to_owned(),
        });
        assert_eq!(said(&status).unwrap(), "r3: half  [2J  way");
    }

    #[test]
    fn a_job_without_tasks_is_done() {
        let none = PhaseStatus::default();
        let shown = Phases::default().update(Duration::ZERO, &status(none, none));
        assert!(shown.iter().all(|phase| phase.done == Phase::WHOLE));
    }
}
