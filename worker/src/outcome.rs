//! Makes an outcome fit a message: texts from jobs and paths may be of any length, a frame may not.

use mapfold_terms::{Counters, FailClass, Failure, Outcome, RecordAt};

/// Causes told of one failure.
const CHAIN_MAX: usize = 16;
/// Bytes of one text in a failure.
const TEXT_MAX: usize = 4 << 10;
/// Counters of one attempt, and bytes of all their names. A job that exceeds them fails, since counters that
/// were dropped would make its sums wrong.
const COUNTERS_MAX: usize = 10_000;
const COUNTER_NAMES_MAX: usize = 256 << 10;

/// The outcome as it is reported by the worker called `worker`.
pub(crate) fn fit(worker: &str, mut outcome: Outcome) -> Outcome {
    match &mut outcome {
        Outcome::Mapped(report) if !counters_fit(&report.counters) => too_many_counters(),
        Outcome::Reduced(report) if !counters_fit(&report.counters) => too_many_counters(),
        Outcome::Mapped(_) | Outcome::Reduced(_) | Outcome::Cancelled => outcome,
        Outcome::FetchFailed(failure) => {
            cut(&mut failure.message);
            outcome
        }
        Outcome::Failed(failure) => {
            if failure.class.is_workers() {
                // The scheduler adds which attempt and which of the master's workers it was.
                let who = format!("{worker} cannot carry it out");
                failure.chain.insert(0, who);
            }
            fit_failure(failure);
            outcome
        }
    }
}

fn fit_failure(failure: &mut Failure) {
    if failure.chain.len() > CHAIN_MAX {
        // The outermost says what failed, the innermost why.
        let middle = CHAIN_MAX / 2..failure.chain.len() - CHAIN_MAX / 2;
        failure.chain.drain(middle);
    }
    failure.chain.iter_mut().for_each(cut);
    if let Some(hint) = &mut failure.hint {
        cut(hint);
    }
    if let Some(backtrace) = &mut failure.backtrace {
        cut(backtrace);
    }
    if let Some(at) = &mut failure.at {
        at.excerpt.truncate(RecordAt::EXCERPT_MAX);
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT_MAX {
        text.truncate(text.floor_char_boundary(TEXT_MAX));
        text.push_str(" ...");
    }
}

fn counters_fit(counters: &Counters) -> bool {
    let names: usize = counters.0.keys().map(String::len).sum();
    counters.0.len() <= COUNTERS_MAX && names <= COUNTER_NAMES_MAX
}

fn too_many_counters() -> Outcome {
    Outcome::Failed(Failure {
        class: FailClass::Job,
        chain: vec![format!(
            "the job counts under too many names: {COUNTERS_MAX} names of {COUNTER_NAMES_MAX} bytes together are the limit"
        )],
        at: None,
        hint: Some("emit counts by key as rows instead".to_owned()),
        backtrace: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(class: FailClass, chain: Vec<String>) -> Outcome {
        Outcome::Failed(Failure {
            class,
            chain,
            at: None,
            hint: None,
            backtrace: None,
        })
    }

    #[test]
    fn long_failures_keep_their_ends() {
        let chain = (0..40)
            .map(|n| format!("{n}{}", "é".repeat(5000)))
            .collect();
        let Outcome::Failed(failure) = fit("w", failed(FailClass::Job, chain)) else {
            panic!("still a failure");
        };
        assert_eq!(failure.chain.len(), CHAIN_MAX);
        assert!(failure.chain[0].starts_with("0é"));
        assert!(failure.chain[CHAIN_MAX - 1].starts_with("39é"));
        assert!(failure.chain.iter().all(|text| text.len() <= TEXT_MAX + 4));
    }

    #[test]
    fn a_failure_of_the_worker_names_it() {
        let outcome = failed(FailClass::Worker, vec!["no space".to_owned()]);
        let Outcome::Failed(failure) = fit("box-4711", outcome) else {
            panic!("still a failure");
        };
        assert_eq!(
            failure.to_string(),
            "box-4711 cannot carry it out: no space"
        );
    }
}
