//! `stats`: count, sum, extremes, mean and quantiles of numbers, by group.

mod counts;
mod packed;
mod quantiles;
mod spread;
mod summary;

use mapfold_job::{Block, Emitter, Field, Fold, Job, JobError, Record, Rows, Values, params};

use crate::column::Delimiter;
use crate::fields::{Fields, Typed};
use crate::number::Number;
use crate::passed_over::is_passed_over;
use quantiles::Quantiles;
use summary::{OneNumber, SomeNumbers, Summary};

params! {
    /// Parameters of `stats`.
    pub struct StatsParams {
        /// Where the number stands: a column, counted from 1, or the name of a field.
        pub value: String,
        /// Where the group stands, as `value`; nothing is all records as one.
        pub key: String = String::new(),
        /// Quantiles to tell, such as `0.5,0.9,0.99`; 0.5 is the median.
        pub quantiles: Quantiles = Quantiles::default(),
        /// So many different numbers of a group are kept as they are for the quantiles; beyond that to four significant digits.
        pub exact: u32 = 100_000,
        /// What stands between columns: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
        /// Records are JSON objects.
        pub json: bool = false,
        /// The first line of each file names the columns and is left out.
        pub header: bool = false,
    }
}

/// Describes numbers.
pub struct Stats {
    fields: Wanted,
    quantiles: Quantiles,
    exact_max: usize,
    header: bool,
}

/// The number, and perhaps the group.
enum Wanted {
    OfAll(Typed<1>),
    OfEach(Typed<2>),
}

impl Job for Stats {
    type Params = StatsParams;
    type Key = Vec<u8>;
    type Value = Summary;

    const NAME: &'static str = "stats";
    const SUMMARY: &'static str =
        "count, sum, least, greatest, mean and quantiles of numbers, by group";
    const HELP: &'static str = "A row is a group, a TAB, and of its numbers: how many they are, their sum, the least, the greatest, the mean, and the quantiles that are \
        wanted, with TABs between. Number (`-p value=3`) and group (`-p key=1`) are columns, or have names (`-p value=bytes`): those of a header that the format \
        knows (`--format csv`), else those of JSON objects, a record each (JSON lines, Parquet). With the delimiter `,` or `;` columns may stand in double quotes, as in CSV.\n\n\
        Numbers are decimal, of up to 38 digits, perhaps with a power of ten (1e-7). Sums are exact, whatever the order of the records: 0.1 and \
        0.2 are 0.3. A mean is rounded to six digits more after the point than its sum has, halves to the even digit. The quantile \
        0.5 is the least number that at least half of all are not above: one that occurs, with nothing put between two. Quantiles of a group of more than \
        `-p exact=100000` different numbers are those of its numbers to four significant digits (off by at most 0.05 %); they too are the same for \
        every order.\n\n\
        A record without these columns or fields, or with what is no number, is an error; `--skip-bad N` puts it aside. Empty records are \
        left out and counted by the counter `empty-records`.";
    const FOLD: Option<Fold<Self>> = Some(|job, _, sum, more| sum.join(more, job.exact_max));

    fn new(params: StatsParams) -> Result<Self, JobError> {
        let StatsParams {
            value,
            key,
            delimiter,
            json,
            ..
        } = &params;
        let fields = if key.is_empty() {
            Wanted::OfAll(Typed::new([value], *delimiter, *json)?)
        } else {
            Wanted::OfEach(Typed::new([value, key], *delimiter, *json)?)
        };
        if params.exact == 0 {
            return Err("`exact` is at least 1".into());
        }
        Ok(Self {
            fields,
            quantiles: params.quantiles,
            exact_max: params.exact as usize,
            header: params.header,
        })
    }

    #[inline]
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        match &self.fields {
            Wanted::OfAll(typed) => self.of_all(record, &*typed.within(record.header())?, out),
            Wanted::OfEach(typed) => self.of_each(record, &*typed.within(record.header())?, out),
        }
    }

    #[inline]
    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        match &self.fields {
            Wanted::OfAll(typed) => typed.each(block, out, |record, fields, out| {
                self.of_all(record, fields, out)
            }),
            Wanted::OfEach(typed) => typed.each(block, out, |record, fields, out| {
                self.of_each(record, fields, out)
            }),
        }
    }

    fn reduce(
        &self,
        group: &[u8],
        summaries: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        for mut summary in summaries.owned() {
            let mut columns = Vec::new();
            let Summary {
                count,
                sum,
                least,
                greatest,
                ..
            } = &summary;
            (count, sum, least, greatest).write(&mut columns);
            columns.push(b'\t');
            sum.mean(*count).write(&mut columns);
            self.write_quantiles(&mut summary, &mut columns);
            rows.row(group, columns);
        }
        Ok(())
    }
}

impl Stats {
    #[inline]
    fn of_all(
        &self,
        record: &Record<'_>,
        fields: &Fields<1>,
        out: &mut Emitter<'_, Self>,
    ) -> Result<(), JobError> {
        if !is_passed_over(record, self.header, out) {
            let [text] = fields.of(record.bytes)?;
            out.emit(b"", self.one(fields.number(0, &text)?));
        }
        Ok(())
    }

    #[inline]
    fn of_each(
        &self,
        record: &Record<'_>,
        fields: &Fields<2>,
        out: &mut Emitter<'_, Self>,
    ) -> Result<(), JobError> {
        if !is_passed_over(record, self.header, out) {
            let [text, group] = fields.of(record.bytes)?;
            out.emit(&group, self.one(fields.number(0, &text)?));
        }
        Ok(())
    }

    #[inline]
    fn one(&self, number: Number) -> SomeNumbers<'static> {
        SomeNumbers::One(OneNumber {
            number,
            spread: !self.quantiles.is_empty(),
        })
    }

    /// Each with a TAB before it.
    fn write_quantiles(&self, summary: &mut Summary, out: &mut Vec<u8>) {
        let Some(spread) = &mut summary.spread else {
            return;
        };
        spread.settle(self.exact_max);
        let ranks = self.quantiles.ranks(summary.count);
        let mut texts = vec![Vec::new(); ranks.len()];
        let mut number_at = spread.ranks();
        for (rank, place) in ranks {
            if let Some(number) = number_at(rank) {
                number.write(&mut texts[place]);
            }
        }
        for text in texts {
            out.push(b'\t');
            out.extend_from_slice(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mapfold_job::{Format, Trial};
    use proptest::prelude::*;

    use super::*;
    use crate::passed_over::EMPTY;

    fn trial(text: &str) -> Trial<Stats> {
        Trial::of(text).param("key", 1).param("value", 2)
    }

    #[test]
    fn numbers_are_described_by_group() {
        let text = "a\t0.1\nb\t-7\r\na\t0.2\n\na\t1e1\n";
        let tried = trial(text).check().unwrap();
        assert_eq!(
            tried.rows(),
            ["a\t3\t10.3\t0.1\t10\t3.4333333", "b\t1\t-7\t-7\t-7\t-7"]
        );
        assert_eq!(tried.counter(EMPTY), 1);
        let tried = trial(text)
            .param("quantiles", "0.5,0,1,0.34")
            .check()
            .unwrap();
        assert_eq!(
            tried.rows()[0],
            "a\t3\t10.3\t0.1\t10\t3.4333333\t0.2\t0.1\t10\t0.2"
        );
        let all = Trial::<Stats>::of(text).param("value", 2).check().unwrap();
        assert_eq!(all.rows(), ["\t4\t3.3\t-7\t10\t0.825"]);
    }

    #[test]
    fn csv_and_json_are_read() {
        let csv = "\u{feff}name,price\n\"a,b\",1.50\n\"say \"\"hi\"\"\",\"2\"\n\"a,b\",0.25\n";
        let trial = trial(csv).param("delimiter", ",").param("header", true);
        let rows = trial.check().unwrap().rows();
        assert_eq!(
            rows,
            [
                "a,b\t2\t1.75\t0.25\t1.5\t0.875",
                "say \"hi\"\t1\t2\t2\t2\t2"
            ]
        );
        let json =
            "{\"who\":\"ann\",\"n\":1}\n{\"n\":2.5e-1,\"who\":\"ann\"}\n{\"who\":7,\"n\":\"3\"}\n";
        let trial = Trial::<Stats>::of(json)
            .param("json", true)
            .param("key", "who")
            .param("value", "n");
        assert_eq!(
            trial.check().unwrap().rows(),
            ["7\t1\t3\t3\t3\t3", "ann\t2\t1.25\t0.25\t1\t0.625"]
        );
    }

    #[test]
    fn a_header_names_columns_and_files_may_have_others() {
        let trial = Trial::<Stats>::new()
            .file("a.csv", "name,price\n\"a,b\",1.50\nc,2\n")
            .file("b.csv", "price,sold,name\n3,9,c\n")
            .file("none.csv", "what\n")
            .format(Format::CSV)
            .param("key", "name")
            .param("value", "price");
        assert_eq!(
            trial.check().unwrap().rows(),
            ["a,b\t1\t1.5\t1.5\t1.5\t1.5", "c\t2\t5\t2\t3\t2.5"]
        );
        let error = trial.param("value", "prize").run().map(drop).unwrap_err();
        assert!(format!("{error:?}").contains("no column `prize`; it has"));
    }

    #[test]
    fn bad_records_and_parameters_are_told() {
        let error = |trial: Trial<Stats>| format!("{:?}", trial.run().map(drop).unwrap_err());
        assert!(error(trial("a\t1\nb\n")).contains("there is no column 2"));
        assert!(error(trial("a\t1\nb\tx\n")).contains("column 2 is no number: `x`"));
        assert!(error(trial("a\t1").param("json", true)).contains("it is no JSON object"));
        assert!(error(trial("").param("value", 0)).contains("counted from 1"));
        assert!(error(trial("").param("exact", 0)).contains("`exact` is at least 1"));
        assert!(
            error(trial("").param("quantiles", "50")).contains("a list of numbers from 0 to 1")
        );
    }

    #[test]
    fn many_different_numbers_are_told_to_four_digits_in_any_order() {
        let numbers: Vec<u64> = (0..3000).map(|n| 10_000_019 * (n * 7919 % 3001)).collect();
        let lines = |numbers: &[u64]| {
            numbers
                .iter()
                .map(|n| format!("x\t{n}\n"))
                .collect::<String>()
        };
        let quantiles = "0,0.25,0.5,0.9,1";
        let of = |text: &str, exact| {
            trial(text)
                .param("quantiles", quantiles)
                .param("exact", exact)
        };
        let exact = of(&lines(&numbers), 3000).run().unwrap().rows();
        let rounded = of(&lines(&numbers), 2999).check().unwrap().rows();
        assert_ne!(exact, rounded);
        let columns = |row: &str| {
            row.split('\t')
                .skip(6)
                .map(|q| q.parse().unwrap())
                .collect::<Vec<f64>>()
        };
        for (exact, rounded) in columns(&exact[0]).into_iter().zip(columns(&rounded[0])) {
            assert!(
                (exact - rounded).abs() <= exact * 0.0005,
                "{exact} {rounded}"
            );
        }
        let backwards: Vec<u64> = numbers.iter().rev().copied().collect();
        assert_eq!(of(&lines(&backwards), 2999).run().unwrap().rows(), rounded);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn rows_are_those_of_a_plain_program(
            records in proptest::collection::vec((0..4_u8, -5000..5000_i64), 1..80), quantile in 0..=100_usize
        ) {
            let mut groups: BTreeMap<u8, Vec<i64>> = BTreeMap::new();
            for (group, hundredths) in &records {
                groups.entry(*group).or_default().push(*hundredths);
            }
            // Numbers with two places; the mean with five, which six more than any sum has are not less than.
            let text = |hundredths: i64| {
                let mut text = format!("{}{}.{:02}", if hundredths < 0 { "-" } else { "" }, hundredths.abs() / 100, hundredths.abs() % 100);
                text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
                if text == "-0" { "0".to_owned() } else { text }
            };
            let mut want = Vec::new();
            for (group, numbers) in &mut groups {
                numbers.sort_unstable();
                let count = numbers.len();
                let sum: i64 = numbers.iter().sum();
                let rank = (quantile * count).div_ceil(100).max(1);
                let [least, greatest, at] = [numbers[0], numbers[numbers.len() - 1], numbers[rank - 1]].map(text);
                want.push((format!("{group}\t{count}\t{}\t{least}\t{greatest}", text(sum)), sum as f64 / 100.0 / count as f64, at));
            }
            let lines: String = records.iter().map(|(group, number)| format!("{group}\t{number}e-2\n")).collect();
            let trial = trial(&lines).param("quantiles", quantile as f64 / 100.0).split_size(50);
            let rows = trial.run().unwrap().rows();
            prop_assert_eq!(rows.len(), want.len());
            for (row, (front, mean, at)) in rows.iter().zip(want) {
                let columns: Vec<&str> = row.split('\t').collect();
                prop_assert_eq!(columns[..5].join("\t"), front);
                prop_assert!((columns[5].parse::<f64>().unwrap() - mean).abs() < 1e-6);
                prop_assert_eq!(columns[6], at);
            }
        }
    }
}
