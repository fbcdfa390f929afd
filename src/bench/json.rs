//! What was measured, for programs: one JSON object. Fields are only ever added; a change of meaning raises `schema`. Times are
//! seconds, sizes bytes.

use serde::Serialize;

use super::Findings;
use super::contender::Kind;
use super::machine::Machine;
use super::race::Measured;
use super::rows::Comparison;
use super::summary::Summary;
use super::work::Work;

/// The number that tells a program how to read the object.
const SCHEMA: u32 = 1;

/// The object as one line.
pub(crate) fn json(findings: &Findings<'_>) -> String {
    let object = Object {
        schema: SCHEMA,
        job: &findings.args.job.named,
        inputs: findings
            .args
            .inputs
            .iter()
            .map(|input| input.display().to_string())
            .collect(),
        files: findings.files,
        bytes: findings.bytes.bytes(),
        runs: findings.args.runs.get(),
        machine: &findings.machine,
        rows_same: all_same(&findings.measured),
        contenders: findings.measured.iter().map(One::new).collect(),
    };
    let mut line = serde_json::to_string(&object).expect("strings and numbers always serialize");
    line.push('\n');
    line
}

fn all_same(measured: &[Measured]) -> Option<bool> {
    let others = measured.iter().filter(|one| one.comparison.is_some());
    let all: Vec<_> = others.map(rows_same).collect();
    match all.contains(&Some(false)) {
        true => Some(false),
        false => all.into_iter().collect::<Option<Vec<_>>>().map(|_| true),
    }
}

fn rows_same(one: &Measured) -> Option<bool> {
    match one.comparison {
        Some(Comparison::Same) => Some(true),
        Some(Comparison::Differ(_)) => Some(false),
        Some(Comparison::NoRows | Comparison::NotRows) | None => None,
    }
}

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    job: &'a str,
    inputs: Vec<String>,
    files: u64,
    bytes: u64,
    runs: u32,
    machine: &'a Machine,
    /// Whether all rows were compared and are the same; null where some could not be compared and no others differ.
    rows_same: Option<bool>,
    contenders: Vec<One<'a>>,
}

#[derive(Serialize)]
struct One<'a> {
    name: &'a str,
    /// `mapfold`, `one_thread` or `command`.
    kind: &'static str,
    command: &'a str,
    rows: u64,
    /// Whether they are those of the first; null for the first and where they cannot be compared.
    rows_same: Option<bool>,
    /// `reference`, `same`, `differ`, `no_rows` or `not_key_tab_value`; the last two could not be compared.
    rows_check: &'static str,
    wall: Measure,
    user: Measure,
    system: Measure,
    cpu: Measure,
    peak_memory: Measure,
    trials: Vec<Run>,
    /// What the engine said of its last run.
    work: Option<&'a Work>,
}

#[derive(Serialize)]
struct Measure {
    median: f64,
    min: f64,
    max: f64,
    mad: f64,
}

#[derive(Serialize)]
struct Run {
    wall: f64,
    user: f64,
    system: f64,
    peak_memory: u64,
}

impl<'a> One<'a> {
    fn new(one: &'a Measured) -> Self {
        Self {
            name: &one.contender.name,
            kind: match one.contender.kind {
                Kind::Mapfold(_) => "mapfold",
                Kind::OneThread(_) => "one_thread",
                Kind::Other(_) => "command",
            },
            command: &one.contender.typed,
            rows: one.rows,
            rows_same: rows_same(one),
            rows_check: match one.comparison {
                None => "reference",
                Some(Comparison::Same) => "same",
                Some(Comparison::Differ(_)) => "differ",
                Some(Comparison::NoRows) => "no_rows",
                Some(Comparison::NotRows) => "not_key_tab_value",
            },
            wall: one.wall().into(),
            user: one.user().into(),
            system: one.system().into(),
            cpu: one.cpu().into(),
            peak_memory: one.peak_memory().into(),
            trials: one
                .trials
                .iter()
                .map(|trial| Run {
                    wall: micros(trial.wall.as_secs_f64()),
                    user: micros(trial.user.as_secs_f64()),
                    system: micros(trial.system.as_secs_f64()),
                    peak_memory: trial.peak_memory.bytes(),
                })
                .collect(),
            work: one.work.as_ref(),
        }
    }
}

impl From<Summary> for Measure {
    fn from(summary: Summary) -> Self {
        Self {
            median: micros(summary.median),
            min: micros(summary.min),
            max: micros(summary.max),
            mad: micros(summary.mad),
        }
    }
}

/// To six digits after the point; more are noise.
fn micros(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
