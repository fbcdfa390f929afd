//! What a worker may say at length is cut before it is told to others, so that a status always fits a
//! frame: 32 lines of a failure, 256 KiB of counters, and small change.

use mapfold_protocol::codec::encoded_len;
use mapfold_terms::{Failure, JobEnd, JobReport};

/// Bytes of one line of a failure, and lines of its chain.
const LINE_MAX: usize = 4096;
const CHAIN_MAX: usize = 32;

/// Lines of the chain of each of several failures, and bytes of all of them: the last words of a program may be the second line.
const CHAIN_TIGHT_MAX: usize = 8;
const BYTES_TIGHT_MAX: usize = 8 << 10;

/// Encoded bytes of the job's own counters in a report. The manifest has them all.
const COUNTERS_BYTES_MAX: usize = 256 << 10;

/// Cuts a failure.
pub(crate) fn trim(mut failure: Failure) -> Failure {
    failure.chain.truncate(CHAIN_MAX);
    failure.chain = failure.chain.into_iter().map(cut).collect();
    failure.hint = failure.hint.map(cut);
    failure.backtrace = failure.backtrace.map(cut);
    failure.at = failure
        .at
        .filter(|at| at.file.as_bytes().len() + at.excerpt.len() <= 2 * LINE_MAX);
    failure
}

/// Cuts what the end of a job says.
pub(crate) fn trim_end(end: JobEnd) -> JobEnd {
    match end {
        JobEnd::Failed {
            what,
            failure,
            reason,
        } => JobEnd::Failed {
            what: cut(what),
            failure: failure.map(trim),
            reason,
        },
        JobEnd::Succeeded { .. } | JobEnd::Cancelled => end,
    }
}

/// Cuts one of several failures.
pub(crate) fn trim_tight(failure: Failure) -> Failure {
    let mut failure = trim(failure);
    failure.chain.truncate(CHAIN_TIGHT_MAX);
    let mut room = BYTES_TIGHT_MAX;
    for line in &mut failure.chain {
        line.truncate(line.floor_char_boundary(room));
        room -= line.len();
    }
    failure
}

/// Cuts a line.
pub(crate) fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(LINE_MAX));
    text
}

/// Leaves out the last counters by name, as far as needed.
pub(crate) fn trim_counters(report: &mut JobReport) {
    let counters = &mut report.counters.0;
    let all = counters.len();
    while encoded_len(counters) > COUNTERS_BYTES_MAX {
        let middle = counters.keys().nth(counters.len() / 2).cloned();
        counters.split_off(&middle.unwrap_or_default());
    }
    if counters.len() < all {
        tracing::warn!(all, kept = counters.len(), "counters left out of a report");
    }
}

#[cfg(test)]
mod tests {
    use mapfold_scheduler::JobStats;
    use mapfold_terms::{
        AttemptId, FailClass, FailReason, FailedAttempt, Format, JobId, Plan, TaskId, Token,
        WorkerId,
    };
    use tokio::time::Instant;

    use super::*;
    use crate::tally::Tally;

    #[test]
    fn the_longest_report_leaves_room_in_a_frame() {
        let failure = Failure {
            class: FailClass::Job,
            chain: vec!["x".repeat(1 << 20); 100],
            at: None,
            hint: Some("y".repeat(1 << 20)),
            backtrace: Some("z".repeat(1 << 20)),
        };
        let failed = FailedAttempt {
            attempt: AttemptId {
                token: Token::NONE,
                job: JobId(1),
                task: TaskId::map(0),
                number: 1,
            },
            worker: WorkerId(1),
            failure: trim_tight(failure.clone()),
        };
        let end = JobEnd::Failed {
            what: cut("é".repeat(1 << 20)),
            failure: Some(trim(failure)),
            reason: FailReason::TaskFailed,
        };
        let plan = Plan {
            format: Format::Lines,
            splits: Vec::new(),
            files: 0,
            bytes: 0,
            reducers: 0,
        };
        let now = Instant::now();
        let mut report = Tally::new(0, 0).report(&plan, JobStats::default(), end, now, now);
        report.failed = vec![failed; FailedAttempt::MAX];
        for n in 0..20_000 {
            report
                .counters
                .add(&format!("a rather long name {n:040}"), 1);
        }
        trim_counters(&mut report);
        assert!(report.counters.0.len() > 2000);
        assert!(encoded_len(&report) < 512 << 10);
    }
}
