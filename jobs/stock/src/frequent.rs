//! `frequent`: the keys with the most records.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use mapfold_job::{Block, Emitter, Fold, Job, JobError, Partition, Record, Rows, Values, params};

use crate::column::Delimiter;
use crate::fields::Typed;
use crate::topk::some;

params! {
    /// Parameters of `frequent`.
    pub struct FrequentParams {
        /// So many keys.
        pub k: u32 = 10,
        /// Where the key stands: a column, counted from 1, or the name of a field; nothing is the whole record.
        pub key: String = String::new(),
        /// What stands between columns: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
        /// Records are JSON objects.
        pub json: bool = false,
        /// The first line of each file names the columns and is left out.
        pub header: bool = false,
    }
}

/// Finds what comes most often.
pub struct Frequent {
    k: usize,
    /// None is the whole record.
    key: Option<Typed<1>>,
    header: bool,
}

/// The best so far, the worst of them on top: the less often, and of equals the one whose bytes come last.
type Best = BinaryHeap<(Reverse<u64>, Vec<u8>)>;

impl Job for Frequent {
    type Params = FrequentParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "frequent";
    const SUMMARY: &'static str = "the keys with the most records";
    const HELP: &'static str = "A row is a key, a TAB, and the number of its records, the key with the most first; of equals the one whose bytes come first. It is the `-p k=10` \
        of all, exactly. The key is the whole record, or a column (`-p key=1`), or a field by its name (`-p key=url`): that of a header which the format knows \
        (`--format csv`), else that of JSON objects.\n\n\
        All rows are in the first part file: one reduce task sees the counts of all keys, which map tasks have added up, and holds `k` of them.\n\n\
        A record without that column or field is an error; `--skip-bad N` puts it aside. With the delimiter `,` or `;` columns may stand in double quotes.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);
    const PARTITION: Option<Partition<Self>> = Some(|_, _, _| 0);

    fn new(params: FrequentParams) -> Result<Self, JobError> {
        Ok(Self {
            k: some(params.k)?,
            key: Typed::if_any(&params.key, params.delimiter, params.json)?,
            header: params.header,
        })
    }

    #[inline]
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        if self.header && record.offset == 0 {
            return Ok(());
        }
        match &self.key {
            None => out.emit(record.bytes, 1),
            Some(key) => {
                let [key] = key.within(record.header())?.of(record.bytes)?;
                out.emit(&key, 1);
            }
        }
        Ok(())
    }

    #[inline]
    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let Some(key) = &self.key else {
            return block.records().try_for_each(|record| {
                out.begin_record(&record);
                self.map(&record, out)
            });
        };
        key.each(block, out, |record, key, out| {
            if !(self.header && record.offset == 0) {
                let [key] = key.of(record.bytes)?;
                out.emit(&key, 1);
            }
            Ok(())
        })
    }

    fn reduce(
        &self,
        key: &[u8],
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let count = Reverse(counts.owned().sum::<u64>());
        let best = rows.state::<Best>();
        // Keys come in order, so of equal counts those that are there already are better.
        if best.len() < self.k {
            best.push((count, key.to_vec()));
        } else if best.peek().is_some_and(|(worst, _)| count < *worst) {
            best.pop();
            best.push((count, key.to_vec()));
        }
        Ok(())
    }

    fn finish_reduce(&self, rows: &mut Rows<'_>) -> Result<(), JobError> {
        let best = rows.take_state::<Best>();
        for (Reverse(count), key) in best.into_sorted_vec() {
            rows.row(key, count);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mapfold_job::Trial;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_with_the_most_records_come_first() {
        let text = "key,n\nb,1\r\na,2\nc,1\nb,3\nd,1\na,2\na,\u{fffd}\n";
        let trial = Trial::<Frequent>::of(text)
            .param("delimiter", ",")
            .param("header", true);
        let by_key = trial.param("key", 1).param("k", 3);
        assert_eq!(by_key.check().unwrap().rows(), ["a\t3", "b\t2", "c\t1"]);
        let whole = Trial::<Frequent>::of("x\n\nx\n\n\n").check().unwrap();
        assert_eq!(whole.rows(), ["\t3", "x\t2"]);
        let error = by_key.param("key", 3).run().map(drop).unwrap_err();
        assert!(format!("{error:?}").contains("there is no column 3"));
        let error = Trial::<Frequent>::of("")
            .param("k", 0)
            .run()
            .map(drop)
            .unwrap_err();
        assert!(format!("{error:?}").contains("`k` is 1 to 1000000"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn rows_are_those_of_a_plain_sort(keys in proptest::collection::vec("[a-d]{1,2}", 0..80), k in 1..9_usize) {
            let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
            for key in &keys {
                *counts.entry(key).or_default() += 1;
            }
            let mut want: Vec<_> = counts.into_iter().collect();
            want.sort_by_key(|(key, count)| (Reverse(*count), *key));
            let want: Vec<String> = want.iter().take(k).map(|(key, count)| format!("{key}\t{count}")).collect();
            let lines: String = keys.iter().map(|key| format!("{key}\n")).collect();
            let trial = Trial::<Frequent>::of(lines).param("k", k).split_size(40).reducers(3);
            prop_assert_eq!(trial.run().unwrap().rows(), want);
        }
    }
}
