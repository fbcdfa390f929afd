//! What is told of a job that has ended: as text for a person, as JSON for a program.
//!
//! ```text
//!   Finished in 4.31 s   91 225 rows, 1.02 MiB in 4 parts, root b3:9f2c0d1e   counts/
//!        Map 3.02 s   12 tasks, 1.00 GiB at 339 MiB/s, 21 000 000 records in, 184 312 406 out
//!    Shuffle          38.2 MiB, 1 204 402 records after folding
//!     Reduce 1.10 s   4 tasks, 38.2 MiB at 34.7 MiB/s, 91 225 keys
//!    Slowest m9 1.20 s (books/war.txt.gz, 180 MiB), m3 612 ms, m4 598 ms; median 571 ms
//!       Slow m9: 2.1x the median map ...
//! ```

mod json;
mod remarks;

use std::time::Duration;

use mapfold_data::manifest::SKIPPED_NAME;
use mapfold_terms::{ByteSize, Counters, JobReport, TaskKind, TaskTiming};

pub(crate) use json::to_json;
use remarks::remarks;

use crate::count::{counted, grouped};
use crate::duration::show;
use crate::meter::{per_second, show_rate};
use crate::paint::Paint;

/// The report of a job that succeeded; `target` is where its rows are, as typed.
pub(crate) fn succeeded(report: &JobReport, root: &[u8; 32], target: &str, paint: Paint) -> String {
    let mut text = Lines {
        paint,
        text: String::new(),
    };
    text.good(
        "Finished",
        &format!(
            "in {}   {}, {} in {}, root b3:{}   {target}",
            show(report.elapsed),
            counted(report.rows, "row"),
            report.bytes_out,
            counted(parts(report), "part"),
            short_hash(root),
        ),
    );
    figures(report, &mut text);
    text.text
}

/// One line of a job of a chain whose rows others have read.
pub(crate) fn earlier(job: &str, report: &JobReport, paint: Paint) -> String {
    let mut text = Lines {
        paint,
        text: String::new(),
    };
    text.good(
        "Before",
        &format!(
            "{}   {job}: {} in, {}, {} out",
            show(report.elapsed),
            report.bytes_in,
            counted(report.rows, "row"),
            report.bytes_out,
        ),
    );
    text.text
}

/// What a job did that failed or was cancelled; why is told as an error.
pub(crate) fn ended_early(report: &JobReport, word: &str, paint: Paint) -> String {
    let mut text = Lines {
        paint,
        text: String::new(),
    };
    text.warning(
        word,
        &format!("after {}; there is no output", show(report.elapsed)),
    );
    for (label, remark) in remarks(report) {
        text.warning(label, &remark);
    }
    text.text
}

/// That attempts failed, though the job did not, and how to see why.
pub(crate) fn replay(count: usize, command: &str, paint: Paint) -> String {
    let mut text = Lines {
        paint,
        text: String::new(),
    };
    let failed = counted(count as u64, "failed attempt");
    text.warning("Replay", &format!("{failed}: {command}"));
    text.text
}

/// Part files: one for each reduce task, or, where there are none, for each map task.
fn parts(report: &JobReport) -> u32 {
    match report.reduces {
        0 => report.maps,
        reduces => reduces,
    }
}

fn figures(report: &JobReport, text: &mut Lines) {
    text.good("Map", &map_line(report));
    if report.reduces > 0 {
        text.good("Shuffle", &shuffle_line(report));
        text.good("Reduce", &reduce_line(report));
    }
    for (name, (rows, bytes)) in &report.named {
        text.good(
            "Output",
            &format!("{name}: {}, {bytes}", counted(*rows, "row")),
        );
    }
    let slowest = [TaskKind::Map, TaskKind::Reduce].map(|kind| slowest_line(report, kind));
    for (at, line) in slowest.into_iter().flatten().enumerate() {
        text.good(if at == 0 { "Slowest" } else { "" }, &line);
    }
    if let Some(line) = largest_line(report) {
        text.good("Largest", &line);
    }
    for (name, count) in &report.counters.0 {
        let (group, name) = Counters::split(name);
        let group = group.map_or_else(String::new, |group| format!("{group}: "));
        let sign = if *count < 0 { "-" } else { "" };
        let count = grouped(count.unsigned_abs());
        text.good("Counter", &format!("{group}{name} = {sign}{count}"));
    }
    if report.skipped > 0 {
        let records = counted(report.skipped, "record");
        let told = format!("{records}, listed in {SKIPPED_NAME} of the output folder");
        text.warning("Skipped", &told);
    }
    for (label, remark) in remarks(report) {
        text.warning(label, &remark);
    }
}

fn map_line(report: &JobReport) -> String {
    let rate = at_rate(report.bytes_in, report.map_elapsed);
    let commit = match report.reduces {
        0 => format!("; commit {}", show(report.commit_elapsed)),
        _ => String::new(),
    };
    format!(
        "{}   {}, {} in {}{rate}, {} in, {} out{commit}",
        show(report.map_elapsed),
        counted(report.maps, "task"),
        report.bytes_in,
        counted(report.files, "file"),
        counted(report.records_in, "record"),
        grouped(report.records_mapped),
    )
}

fn shuffle_line(report: &JobReport) -> String {
    let mut line = format!(
        "{} in {}",
        report.bytes_shuffled,
        counted(report.records_shuffled, "record")
    );
    if report.records_shuffled < report.records_mapped {
        line += " after folding";
    }
    if report.bytes_remote.bytes() > 0 {
        line += &format!(", {} over sockets", report.bytes_remote);
    }
    if report.bytes_spilled.bytes() > 0 {
        line += &format!(", {} spilled", report.bytes_spilled);
    }
    line
}

fn reduce_line(report: &JobReport) -> String {
    let rate = at_rate(report.bytes_shuffled, report.reduce_elapsed);
    format!(
        "{}   {}{rate}, {}, {}; commit {}",
        show(report.reduce_elapsed),
        counted(report.reduces, "task"),
        counted(report.groups, "key"),
        counted(report.rows, "row"),
        show(report.commit_elapsed),
    )
}

/// ` at 339 MiB/s`, if anything was handled.
fn at_rate(bytes: ByteSize, time: Duration) -> String {
    if bytes == ByteSize(0) || time.is_zero() {
        return String::new();
    }
    format!(" at {}", show_rate(per_second(bytes.bytes(), time)))
}

/// The slowest tasks of a kind, where there are several to compare.
fn slowest_line(report: &JobReport, kind: TaskKind) -> Option<String> {
    /// Enough to see a pattern.
    const SHOWN_MAX: usize = 3;
    let (tasks, median) = match kind {
        TaskKind::Map => (report.maps, report.map_median),
        TaskKind::Reduce => (report.reduces, report.reduce_median),
    };
    let of_kind = |timing: &&TaskTiming| timing.task.kind == kind;
    let mut slowest = report.slowest.iter().filter(of_kind).take(SHOWN_MAX);
    let first = slowest.next().filter(|_| tasks > 1)?;
    let mut line = format!("{} {} ({})", first.task, show(first.elapsed), about(first));
    for next in slowest {
        line += &format!(", {} {}", next.task, show(next.elapsed));
    }
    Some(format!("{line}; median {}", show(median)))
}

/// What a task read: `books/war.txt.gz, 180 MiB`.
fn about(timing: &TaskTiming) -> String {
    /// Longer names keep their end, which tells more than their beginning.
    const NAME_MAX: usize = 40;
    let chars = timing.about.chars().count();
    match chars {
        0 => timing.bytes.to_string(),
        1..=NAME_MAX => format!("{}, {}", timing.about, timing.bytes),
        _ => {
            let tail: String = timing.about.chars().skip(chars + 1 - NAME_MAX).collect();
            format!("\u{2026}{tail}, {}", timing.bytes)
        }
    }
}

/// The largest partitions, where there are several.
fn largest_line(report: &JobReport) -> Option<String> {
    const SHOWN_MAX: usize = 3;
    let largest: Vec<String> = report
        .largest
        .iter()
        .take(SHOWN_MAX)
        .map(|(partition, bytes)| {
            format!(
                "{partition} {bytes} ({} %)",
                percent(*bytes, report.bytes_shuffled)
            )
        })
        .collect();
    (report.reduces > 1 && !largest.is_empty()).then(|| largest.join(", "))
}

/// A hundred times `part / whole`, rounded.
fn percent(part: ByteSize, whole: ByteSize) -> u128 {
    let whole = u128::from(whole.bytes().max(1));
    (u128::from(part.bytes()) * 100 + whole / 2) / whole
}

/// Enough of a hash to compare two reports by eye; the manifest has all of it.
fn short_hash(hash: &[u8; 32]) -> String {
    hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lines with a word in the left column.
struct Lines {
    paint: Paint,
    text: String,
}

impl Lines {
    fn good(&mut self, word: &str, said: &str) {
        self.text += &format!("{} {said}\n", self.paint.good(&format!("{word:>10}")));
    }

    fn warning(&mut self, word: &str, said: &str) {
        self.text += &format!("{} {said}\n", self.paint.warning(&format!("{word:>10}")));
    }
}

#[cfg(test)]
mod tests;
