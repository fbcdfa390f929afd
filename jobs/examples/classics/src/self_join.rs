//! Larger sets from smaller ones: a step of finding sets of items that come together.

use std::collections::BTreeSet;

use mapfold_job::{Emitter, Job, JobError, NoParams, Record, Rows, Values};

/// Joins sets that differ in their last item.
pub struct SelfJoin;

impl Job for SelfJoin {
    type Params = NoParams;
    /// All items but the last.
    type Key = Vec<u8>;
    /// The last.
    type Value = Vec<u8>;

    const NAME: &'static str = "self-join";
    const SUMMARY: &'static str = "sets of k + 1 items, from sets of k that differ in the last";
    const HELP: &'static str = "A record is a set: items in order, with commas between. A row is a set, TAB, and one item more, for each two sets that have all but the last item in \
        common; items are in order, and each set comes once.";

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let last = record.bytes.iter().rposition(|byte| *byte == b',');
        let last = last.ok_or("a set has two items or more")?;
        out.emit(&record.bytes[..last], &record.bytes[last + 1..]);
        Ok(())
    }

    fn reduce(
        &self,
        items: &[u8],
        lasts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let lasts: BTreeSet<Vec<u8>> = lasts.owned().collect();
        for (place, one) in lasts.iter().enumerate() {
            let set = [items, one].join(&b',');
            lasts
                .iter()
                .skip(place + 1)
                .for_each(|other| rows.row(&set, other));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::Trial;

    use super::*;

    #[test]
    fn sets_that_differ_in_the_last_item_make_larger_ones() {
        let tried = Trial::<SelfJoin>::of("a,c\na,b\nb,c\na,d\na,b\n")
            .check()
            .unwrap();
        assert_eq!(tried.rows(), ["a,b\tc", "a,b\td", "a,c\td"]);
        assert!(Trial::<SelfJoin>::of("a\n").run().is_err());
    }
}
