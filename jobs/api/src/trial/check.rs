//! One job in many ways.

use std::num::NonZeroU32;

use mapfold_terms::ByteSize;

use super::{How, Stage, TrialError, Tried};
use crate::Job;

/// So little that nearly every record spills.
const LITTLE: ByteSize = ByteSize(1);

const TOO_MUCH: &str = "so the job depends on more than its records and parameters, such as time, chance, the order of a hash map, or \
                        what it kept of an earlier record";

const FOLDED: &str =
    "so the combiner is not associative, or the job keeps something from record to record";

const CUT: &str = "so the job keeps something from record to record, or depends on which of them share a map task";

const SHARED_OUT: &str = "so rows depend on which keys share a reduce task, as those of `finish_reduce` may; \
     if they are meant to, test the job with `run`";

/// The job as `how` says, after it left the same rows in all other ways.
pub(super) fn check<J: Job>(stage: &Stage<J>, how: How) -> Result<Tried<J>, TrialError> {
    let as_it_is = stage.run(how)?;
    let again = stage.run(how)?;
    let (first, second) = ("the first time".to_owned(), "the second".to_owned());
    same_parts(&as_it_is, &again, first, second, TOO_MUCH)?;
    if as_it_is.digests != again.digests {
        return Err(TrialError::Differs {
            one: "the first time".to_owned(),
            other: "the second".to_owned(),
            first: "what `map` emits differs already, though the rows do not".to_owned(),
            cause: TOO_MUCH,
        });
    }
    for other in others(how, stage.bytes) {
        let tried = stage.run(other)?;
        // The same splits left the same rows before, in as many parts as `how` says.
        let cause = match J::FOLD {
            _ if other.reducers != how.reducers => SHARED_OUT,
            Some(_) => FOLDED,
            None => CUT,
        };
        // Where ranges begin follows from a sample, which follows from the splits; so do the parts where there are no reduce tasks.
        if other.reducers == how.reducers && !J::TOTAL_ORDER && !J::MAP_ONLY {
            same_parts(&as_it_is, &tried, told(how), told(other), cause)?;
        } else {
            same_rows(&as_it_is, &tried, told(how), told(other), cause)?;
        }
    }
    Ok(as_it_is)
}

/// Other ways to run a job over so many bytes.
fn others(how: How, bytes: u64) -> impl Iterator<Item = How> {
    let sizes = [1, bytes / 2, bytes / 3, bytes / 7, bytes];
    let cut = sizes.map(|size| How {
        split_size: Some(ByteSize(size.max(1))),
        ..how
    });
    let spilled = [cut[1], cut[4]].map(|how| How {
        memory: LITTLE,
        ..how
    });
    let shared_out = [1, 2, 5].map(|count| How {
        reducers: NonZeroU32::new(count).expect("it is not 0"),
        ..cut[2]
    });
    cut.into_iter().chain(spilled).chain(shared_out)
}

/// Part by part.
fn same_parts<J: Job>(
    one: &Tried<J>,
    other: &Tried<J>,
    how_one: String,
    how_other: String,
    cause: &'static str,
) -> Result<(), TrialError> {
    if one.left_the_same(other) {
        return Ok(());
    }
    differ(
        &one.all_rows(),
        &other.all_rows(),
        how_one,
        how_other,
        cause,
    )
}

/// Whatever part they are in: which keys share one depends on the number of reduce tasks.
fn same_rows<J: Job>(
    one: &Tried<J>,
    other: &Tried<J>,
    how_one: String,
    how_other: String,
    cause: &'static str,
) -> Result<(), TrialError> {
    let (mut one, mut other) = (one.all_rows(), other.all_rows());
    // The rows of a job without reduce tasks are in order of the input, however that is cut.
    if !J::MAP_ONLY {
        one.sort();
        other.sort();
    }
    if one == other {
        return Ok(());
    }
    differ(&one, &other, how_one, how_other, cause)
}

fn differ(
    one: &[String],
    other: &[String],
    how_one: String,
    how_other: String,
    cause: &'static str,
) -> Result<(), TrialError> {
    let common = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let show = |rows: &[String]| match rows.get(common) {
        Some(row) => format!("`{}`", row.escape_debug()),
        None => "nothing".to_owned(),
    };
    Err(TrialError::Differs {
        one: how_one,
        other: how_other,
        first: format!("row {} is {} and {}", common + 1, show(one), show(other)),
        cause,
    })
}

fn told(how: How) -> String {
    let splits = match how.split_size {
        None => "with splits as by default".to_owned(),
        Some(ByteSize(1)) => "with a map task for each record".to_owned(),
        Some(ByteSize(bytes)) => format!("with splits of {bytes} bytes"),
    };
    let spills = if how.memory == LITTLE {
        ", spilling"
    } else {
        ""
    };
    let plural = if how.reducers.get() == 1 { "" } else { "s" };
    format!("{splits}{spills} and {} reduce task{plural}", how.reducers)
}
