//! Records that a job of tables passes over.

use mapfold_job::{Emitter, Job, Record};

/// The counter of records that are left out because there is nothing in them.
pub(crate) const EMPTY: &str = "empty-records";

/// Whether there is nothing in a record, which is counted, or it is the first of its file and names the columns (`header`).
#[inline]
pub(crate) fn is_passed_over<J: Job>(
    record: &Record<'_>,
    header: bool,
    out: &mut Emitter<'_, J>,
) -> bool {
    let empty = record.bytes.is_empty();
    if empty {
        out.count(EMPTY, 1);
    }
    empty || header && record.offset == 0
}
