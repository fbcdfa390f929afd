//! `topk`: the records with the largest numbers.

mod largest;

use mapfold_job::{Block, Emitter, Fold, Job, JobError, Record, Rows, Values, params};

use crate::column::Delimiter;
use crate::fields::{Fields, Typed};
use crate::passed_over::is_passed_over;
use largest::{Entry, Largest, SomeLargest};

params! {
    /// Parameters of `topk`.
    pub struct TopKParams {
        /// So many records.
        pub k: u32 = 10,
        /// Where the number stands by which records are compared: a column, counted from 1, or the name of a field.
        pub by: String,
        /// The best of each group, which is what stands there; nothing is the best of all.
        pub group: String = String::new(),
        /// What stands between columns: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
        /// The smallest numbers instead.
        pub smallest: bool = false,
        /// The first line of each file names the columns and is left out.
        pub header: bool = false,
    }
}

/// More are better had by `sort`, after `distinct` for keys.
const K_MAX: u32 = 1_000_000;

/// A `k` that can be had.
pub(crate) fn some(k: u32) -> Result<usize, JobError> {
    match k {
        1..=K_MAX => Ok(k as usize),
        _ => Err(format!("`k` is 1 to {K_MAX}").into()),
    }
}

/// Finds the largest.
pub struct TopK {
    k: usize,
    fields: Wanted,
    smallest: bool,
    header: bool,
}

/// The number, and perhaps the group.
enum Wanted {
    OfAll(Typed<1>),
    OfEach(Typed<2>),
}

impl Job for TopK {
    type Params = TopKParams;
    type Key = Vec<u8>;
    type Value = Largest;

    const NAME: &'static str = "topk";
    const SUMMARY: &'static str = "the records with the largest numbers in a column";
    const HELP: &'static str = "A row is a record as it was, the one with the largest number first; `-p k=10` of all, or of each group (`-p group=1`). The number \
        is a column (`-p by=2`), or a field by its name (`-p by=price`): that of a header which the format knows (`--format csv`), else that of JSON \
        objects. It is a decimal number of up to 38 digits, compared exactly, perhaps with a power of ten (1e-7). Of equal numbers the record \
        whose bytes come first is the better. Groups are sorted within a part file.\n\n\
        A record without these columns, or with one that is no number, is an error; `--skip-bad N` puts it aside. Empty records are left out and counted by the \
        counter `empty-records`. With the delimiter `,` or `;` columns may stand in double quotes.\n\n\
        No task holds more than `k` records for each group.";
    const FOLD: Option<Fold<Self>> = Some(|job, _, best, more| best.join(more, job.k));

    fn new(params: TopKParams) -> Result<Self, JobError> {
        let k = some(params.k)?;
        let TopKParams {
            by,
            group,
            delimiter,
            ..
        } = &params;
        let fields = if group.is_empty() {
            Wanted::OfAll(Typed::new([by], *delimiter, false)?)
        } else {
            Wanted::OfEach(Typed::new([by, group], *delimiter, false)?)
        };
        Ok(Self {
            k,
            fields,
            smallest: params.smallest,
            header: params.header,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        match &self.fields {
            Wanted::OfAll(typed) => {
                let fields = typed.within(record.header())?;
                if !is_passed_over(record, self.header, out) {
                    out.emit(b"", SomeLargest::One(self.entry(&fields, record)?));
                }
                Ok(())
            }
            Wanted::OfEach(typed) => self.of_each(record, &*typed.within(record.header())?, out),
        }
    }

    /// Of all records most are worse than the best of their block so far, and need not be emitted.
    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        match &self.fields {
            Wanted::OfAll(typed) => {
                let mut best = Largest::default();
                typed.each(block, out, |record, fields, out| {
                    if !is_passed_over(record, self.header, out) {
                        best.add(self.entry(fields, record)?, self.k);
                    }
                    Ok(())
                })?;
                if !best.is_empty() {
                    out.emit(b"", SomeLargest::Lent(&best));
                }
                Ok(())
            }
            Wanted::OfEach(typed) => typed.each(block, out, |record, fields, out| {
                self.of_each(record, fields, out)
            }),
        }
    }

    fn reduce(
        &self,
        _group: &[u8],
        best: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        for best in best.owned() {
            best.into_records().for_each(|record| rows.record(record));
        }
        Ok(())
    }
}

impl TopK {
    #[inline]
    fn of_each(
        &self,
        record: &Record<'_>,
        fields: &Fields<2>,
        out: &mut Emitter<'_, Self>,
    ) -> Result<(), JobError> {
        if !is_passed_over(record, self.header, out) {
            let [text, group] = fields.of(record.bytes)?;
            let number = fields.number(0, &text)?;
            let entry = Entry::new(number, self.smallest, record.bytes);
            out.emit(&group, SomeLargest::One(entry));
        }
        Ok(())
    }

    #[inline]
    fn entry<'r>(
        &self,
        fields: &Fields<1>,
        record: &Record<'r>,
    ) -> Result<Entry<&'r [u8]>, JobError> {
        let [text] = fields.of(record.bytes)?;
        let number = fields.number(0, &text)?;
        Ok(Entry::new(number, self.smallest, record.bytes))
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;

    use mapfold_job::{Format, Trial};
    use proptest::prelude::*;

    use super::*;
    use crate::passed_over::EMPTY;

    const FRUIT: &str = "plum\t7\nfig\t12\napple\t-3\n\npear\t12.0\nlime\t1e1\r\nnut\t0.5\n";

    #[test]
    fn records_with_the_largest_numbers_come_first() {
        let trial = Trial::<TopK>::of(FRUIT).param("by", 2).param("k", 3);
        let tried = trial.check().unwrap();
        assert_eq!(tried.rows(), ["fig\t12", "pear\t12.0", "lime\t1e1"]);
        assert_eq!(tried.counter(EMPTY), 1);
        let tried = trial.param("smallest", true).check().unwrap();
        assert_eq!(tried.rows(), ["apple\t-3", "nut\t0.5", "plum\t7"]);
    }

    #[test]
    fn each_group_has_its_best() {
        let text = "what,size\na,1\n\"b,b\",5\na,3\na,2\n\"b,b\",5\nc,-1\n";
        let trial = Trial::<TopK>::of(text)
            .param("delimiter", ",")
            .param("header", true)
            .param("by", 2)
            .param("group", 1)
            .param("k", 2);
        let want = ["a,3", "a,2", "\"b,b\",5", "\"b,b\",5", "c,-1"];
        let mut rows = trial.check().unwrap().rows();
        rows.sort_by_key(|row| row.trim_start_matches('"').as_bytes()[0]);
        assert_eq!(rows, want);
    }

    #[test]
    fn fields_have_names_in_csv_and_json() {
        let csv = "what,size\na,1\n\"b,b\",5\na,3\n";
        let trial = |text: &str| Trial::<TopK>::of(text).param("by", "size").param("k", 1);
        let csv = trial(csv).format(Format::CSV);
        assert_eq!(csv.check().unwrap().rows(), ["\"b,b\",5"]);
        let each = csv.param("group", "what").check().unwrap();
        assert_eq!(each.rows(), ["a,3", "\"b,b\",5"]);
        let json = "{\"size\":7}\n{\"size\":7e1}\n";
        assert_eq!(trial(json).check().unwrap().rows(), ["{\"size\":7e1}"]);
    }

    #[test]
    fn bad_records_are_told_with_their_column() {
        for (text, want) in [
            ("a\t1\nb\n", "there is no column 2"),
            ("a\t1\nb\tmuch\n", "column 2 is no number: `much`"),
            ("a\t1\nb\t\n", "it is empty"),
            ("a\t1\nb\t\u{1}", "column 2 is no number: `\\x01`"),
        ] {
            let error = Trial::<TopK>::of(text).param("by", 2).run().map(drop);
            let error = format!("{:?}", error.unwrap_err());
            assert!(error.contains(want), "{error}");
        }
        for (name, value, want) in [("k", 0, "`k` is 1 to 1000000"), ("by", 0, "counted from 1")] {
            let trial = Trial::<TopK>::of("").param("by", 2).param(name, value);
            let error = format!("{:?}", trial.run().map(drop).unwrap_err());
            assert!(error.contains(want), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn rows_are_those_of_a_plain_sort(
            records in proptest::collection::vec(("[ab]{0,2}", -9..9_i64), 0..60), k in 1..9_usize
        ) {
            let lines: Vec<String> = records.iter().map(|(name, number)| format!("{name}\t{number}")).collect();
            let mut want: Vec<(&String, i64)> = lines.iter().zip(&records).map(|(line, record)| (line, record.1)).collect();
            want.sort_by_key(|(line, number)| (Reverse(*number), *line));
            want.truncate(k);
            let want: Vec<&String> = want.into_iter().map(|(line, _)| line).collect();
            let trial = Trial::<TopK>::of(lines.join("\n")).param("by", 2).param("k", k).split_size(40);
            let rows = trial.run().unwrap().rows();
            prop_assert_eq!(rows.iter().collect::<Vec<_>>(), want);
        }
    }
}
