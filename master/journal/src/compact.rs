//! Which records a new file needs.

use std::collections::BTreeSet;

use mapfold_terms::JobId;

use crate::record::Record;

/// The records that say as much as `records` of all jobs in progress and of the last `ended_max` that ended: of the
/// latter what was asked and how it ended; and the last processes that are to leave. Leaves out what a new file begins with
/// ([`Record::Began`], [`Record::Starts`], [`Record::Workers`]), and the beginnings of plans and manifests that were cut off. O(records).
pub fn compact(mut records: Vec<Record>, ended_max: usize) -> Vec<Record> {
    let mut ended = Vec::new();
    let mut planned = BTreeSet::new();
    let mut committing = BTreeSet::new();
    let mut drains = 0;
    for record in &records {
        match record {
            Record::Drains { .. } => drains += 1,
            Record::Ended { job, .. } => ended.push(*job),
            Record::Planned { job, .. } => drop(planned.insert(*job)),
            Record::Committing { job } => drop(committing.insert(*job)),
            _ => {}
        }
    }
    let old = ended.len().saturating_sub(ended_max);
    let forgotten: BTreeSet<JobId> = ended[..old].iter().copied().collect();
    let remembered: BTreeSet<JobId> = ended[old..].iter().copied().collect();
    let mut old_drains = drains - Record::DRAINS_KEPT.min(drains);
    records.retain(|record| match (record, record.job()) {
        (Record::Drains { .. }, _) if old_drains > 0 => {
            old_drains -= 1;
            false
        }
        (Record::Drains { .. }, _) => true,
        (_, None) => false,
        (_, Some(job)) if forgotten.contains(&job) => false,
        (Record::Accepted { .. } | Record::Ended { .. }, _) => true,
        (_, Some(job)) if remembered.contains(&job) => false,
        (Record::Splits { .. }, Some(job)) => planned.contains(&job),
        (Record::Manifest { .. }, Some(job)) => committing.contains(&job),
        _ => true,
    });
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn jobs_that_ended_shrink_and_the_oldest_go() {
        let job = |id| samples::records_of(JobId(id));
        let unended = |id| {
            let mut records = job(id);
            assert!(matches!(records.pop(), Some(Record::Ended { .. })));
            records
        };
        let all = [samples::start(), job(1), job(2), unended(3)].concat();
        let kept = compact(all, 1);
        let of = |id| kept.iter().filter(move |it| it.job() == Some(JobId(id)));
        assert_eq!((of(1).count(), of(2).count()), (0, 2));
        assert!(of(3).eq(unended(3).iter()));
        assert!(kept.iter().all(|record| record.job().is_some()));
        assert_eq!(compact(kept.clone(), 1), kept);
    }

    #[test]
    fn the_last_processes_that_are_to_leave_stay() {
        let drains = |process| Record::Drains { process };
        let all: Vec<Record> = (0..1_500).map(drains).collect();
        let last: Vec<Record> = (476..1_500).map(drains).collect();
        assert_eq!(compact(all, 1), last);
    }

    #[test]
    fn pieces_whose_end_was_cut_off_go() {
        let whole = samples::records_of(JobId(1));
        let place = |is: fn(&Record) -> bool| whole.iter().position(is).unwrap();
        let planned = place(|record| matches!(record, Record::Planned { .. }));
        let kept = compact(whole[..planned].to_vec(), 9);
        assert!(!kept.iter().any(|it| matches!(it, Record::Splits { .. })));
        let committing = place(|record| matches!(record, Record::Committing { .. }));
        let kept = compact(whole[..committing].to_vec(), 9);
        assert!(kept.iter().any(|it| matches!(it, Record::Splits { .. })));
        assert!(!kept.iter().any(|it| matches!(it, Record::Manifest { .. })));
    }
}
