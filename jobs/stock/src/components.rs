//! `components`: what hangs together, of pairs.

mod forest;

use mapfold_job::{Emitter, Job, JobError, Record, Rows, Values, params};

use crate::column::{Columns, Delimiter};
use crate::passed_over::is_passed_over;
use forest::Forest;

params! {
    /// Parameters of `components`.
    pub struct ComponentsParams {
        /// The column with one of a pair, counted from 1.
        pub one: u32 = 1,
        /// The column with the other.
        pub other: u32 = 2,
        /// What stands between columns: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
    }
}

/// Finds connected components.
pub struct Components {
    columns: Columns<2>,
}

impl Job for Components {
    type Params = ComponentsParams;
    /// All pairs are one group.
    type Key = ();
    /// The length of one, one, and the other.
    type Value = Vec<u8>;

    const NAME: &'static str = "components";
    const SUMMARY: &'static str =
        "connected components: which names hang together by pairs of them";
    const HELP: &'static str = "A row is the first name, in order of bytes, of those that hang together, a TAB, and one of them; also the first itself. Names hang together \
        that are a pair, two columns of a record (`-p one=1 -p other=2`), and those that hang together with the same name. Rows are sorted by both.\n\n\
        After `similar` that makes groups of near-duplicates: keep the rows whose columns are the same, and one of each group is left.\n\n\
        One reduce task finds them, and holds all names in memory. A record without these columns is an error; `--skip-bad N` puts it \
        aside. Empty records are left out and counted by the counter `empty-records`.";

    fn new(params: ComponentsParams) -> Result<Self, JobError> {
        Ok(Self {
            columns: Columns::new([params.one, params.other], params.delimiter)?,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if is_passed_over(record, false, out) {
            return Ok(());
        }
        let [one, other] = self.columns.of(record.bytes)?;
        out.emit((), &pair(&one, &other));
        Ok(())
    }

    fn reduce(
        &self,
        (): (),
        pairs: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let mut forest = Forest::default();
        while let Some(pair) = pairs.next() {
            let (one, other) = parted(pair);
            forest.join(one, other);
        }
        let mut members = forest.into_members();
        members.sort_unstable();
        members
            .iter()
            .for_each(|(first, member)| rows.row(first, member));
        Ok(())
    }
}

/// Two names as one text, after the length of the first.
fn pair(one: &[u8], other: &[u8]) -> Vec<u8> {
    [&(one.len() as u64).to_le_bytes()[..], one, other].concat()
}

fn parted(pair: &[u8]) -> (&[u8], &[u8]) {
    let (len, names) = pair.split_first_chunk().unwrap_or((&[0; 8], &[]));
    let len = usize::try_from(u64::from_le_bytes(*len)).unwrap_or(usize::MAX);
    names.split_at(len.min(names.len()))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use mapfold_job::Trial;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_hang_together_by_pairs() {
        let pairs = "c\tb\nx\ty\t0.9\n\nb\ta\nz\tz\nc\ta\n";
        let tried = Trial::<Components>::of(pairs).check().unwrap();
        assert_eq!(
            tried.rows(),
            ["a\ta", "a\tb", "a\tc", "x\tx", "x\ty", "z\tz"]
        );
        let error = Trial::<Components>::of("a\n").run().map(drop);
        assert!(format!("{:?}", error.unwrap_err()).contains("there is no column 2"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn rows_are_those_of_a_plain_program(pairs in proptest::collection::vec((0..30_u8, 0..30_u8), 0..40)) {
            // The least name that can be reached, found by passing it on until nothing changes.
            let names: BTreeSet<u8> = pairs.iter().flat_map(|(one, other)| [*one, *other]).collect();
            let mut least: BTreeMap<u8, u8> = names.iter().map(|name| (*name, *name)).collect();
            for _ in &names {
                for (one, other) in &pairs {
                    let both = least[one].min(least[other]);
                    least.extend([(*one, both), (*other, both)]);
                }
            }
            let mut want: Vec<String> = least.iter().map(|(name, first)| format!("n{first:02}\tn{name:02}")).collect();
            want.sort();
            let lines: String = pairs.iter().map(|(one, other)| format!("n{one:02} n{other:02}\n")).collect();
            let trial = Trial::<Components>::of(lines).param("delimiter", " ").split_size(40);
            prop_assert_eq!(trial.run().unwrap().rows(), want);
        }
    }
}
