//! What was measured, for a terminal.

use std::time::Duration;

use mapfold_terms::ByteSize;

use super::Findings;
use super::race::Measured;
use super::rows::Comparison;
use super::work::Work;
use crate::count::{counted, grouped};
use crate::duration::show;

/// The whole text.
pub(crate) fn table(findings: &Findings<'_>) -> String {
    let runs = findings.args.runs.get();
    let mut text = format!(
        "{} of {} in {}; {}\n{}\n\n",
        findings.args.job,
        findings.bytes,
        counted(findings.files, "file"),
        if runs == 1 {
            "one run".to_owned()
        } else {
            format!("medians of {runs} runs")
        },
        findings.machine.line(),
    );
    text += &format!(
        "{:18} {:>9} {:>9} {:>9} {:>8} {:>9} {:>9} {:>9}  rows\n",
        "", "wall", "min", "max", "ratio", "user", "system", "memory"
    );
    let fastest = findings.fastest();
    for one in &findings.measured {
        let wall = one.wall();
        text += &format!(
            "{:18} {:>9} {:>9} {:>9} {:>8} {:>9} {:>9} {:>9}  {}\n",
            one.contender.name,
            seconds(wall.median),
            seconds(wall.min),
            seconds(wall.max),
            ratio(wall.median / fastest),
            seconds(one.user().median),
            seconds(one.system().median),
            bytes(one.peak_memory().median).to_string(),
            rows(one),
        );
    }
    text.push('\n');
    for one in &findings.measured {
        text += &format!("{:18} {}\n", one.contender.name, one.contender.typed);
    }
    if let Some(work) = findings.measured.iter().find_map(|one| one.work.as_ref()) {
        text += &format!("\nmapfold: {}\n", work_line(work));
    }
    text += &format!("{}\n{}\n", findings.rows_line(), findings.verdict());
    text
}

impl Findings<'_> {
    /// Median of the fastest contender.
    pub(super) fn fastest(&self) -> f64 {
        let medians = self.measured.iter().map(|one| one.wall().median);
        medians.fold(f64::INFINITY, f64::min)
    }

    /// Whether a contender has other rows.
    pub(super) fn differ(&self) -> bool {
        let differs = |one: &Measured| matches!(one.comparison, Some(Comparison::Differ(_)));
        self.measured.iter().any(differs)
    }

    /// Whose rows were compared, and how that ended.
    pub(super) fn rows_line(&self) -> String {
        let those = |is: fn(&Comparison) -> bool| -> String {
            let all = self.measured.iter();
            let all = all.filter(|one| one.comparison.as_ref().is_some_and(is));
            let names: Vec<_> = all.map(|one| one.contender.name.as_str()).collect();
            names.join(", ")
        };
        let parts = [
            (
                "OTHER ROWS than mapfold",
                those(|c| matches!(c, Comparison::Differ(_))),
            ),
            (
                "the same as mapfold, in any order",
                those(|c| matches!(c, Comparison::Same)),
            ),
            (
                "not compared, as there are none",
                those(|c| matches!(c, Comparison::NoRows)),
            ),
            (
                "not compared, as none is `key TAB value`",
                those(|c| matches!(c, Comparison::NotRows)),
            ),
        ];
        let said = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let said: Vec<_> = said
            .map(|(what, names)| format!("{names}: {what}"))
            .collect();
        format!("rows of {}", said.join("; "))
    }

    /// What the engine is worth beside one thread.
    pub(super) fn verdict(&self) -> String {
        let [own, baseline, ..] = self.measured.as_slice() else {
            return String::new();
        };
        let times = baseline.wall().median / own.wall().median;
        if times >= 1.0 {
            format!("mapfold is {} as fast as one thread", ratio(times))
        } else {
            format!("one thread is {} as fast as mapfold", ratio(1.0 / times))
        }
    }
}

/// What the engine did, as a line.
pub(super) fn work_line(work: &Work) -> String {
    format!(
        "{} and {}; {} in, {} emitted, {} ({}) shuffled, {} spilled; plan {}, map {}, reduce {}, commit {}",
        counted(work.map_tasks, "map task"),
        counted(work.reduce_tasks, "reduce task"),
        counted(work.records_in, "record"),
        grouped(work.records_mapped),
        grouped(work.records_shuffled),
        ByteSize(work.bytes_shuffled),
        ByteSize(work.bytes_spilled),
        seconds(work.seconds.plan),
        seconds(work.seconds.map),
        seconds(work.seconds.reduce),
        seconds(work.seconds.commit),
    )
}

/// How the rows of a contender stand.
pub(super) fn rows(one: &Measured) -> String {
    match &one.comparison {
        None => grouped(one.rows),
        Some(Comparison::Same) => "same".to_owned(),
        Some(Comparison::Differ(_)) => "DIFFER".to_owned(),
        Some(Comparison::NoRows | Comparison::NotRows) => "not compared".to_owned(),
    }
}

/// `1.46 x`, with three digits or so.
pub(super) fn ratio(times: f64) -> String {
    match times {
        t if t >= 99.95 => format!("{t:.0} x"),
        t if t >= 9.995 => format!("{t:.1} x"),
        t => format!("{t:.2} x"),
    }
}

pub(super) fn seconds(seconds: f64) -> String {
    show(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sizes are positive, and a fraction of a byte is dropped"
)]
pub(super) fn bytes(bytes: f64) -> ByteSize {
    ByteSize(bytes as u64)
}
