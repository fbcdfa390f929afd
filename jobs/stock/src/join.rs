//! `join`: records of two inputs with the same key.

mod keys;
mod sided;

use std::borrow::Cow;

use mapfold_job::{
    Block, Emitter, Field, Job, JobError, KeyPart, ParamValue, Record, Rows, Values, params,
};

use crate::column::Delimiter;
use crate::fields::Fields;
use crate::passed_over::is_passed_over;
use keys::{KeyFields, SideKey};
use sided::{Side, Sided};

params! {
    /// Parameters of `join`.
    pub struct JoinParams {
        /// Which rows: `inner`, `left`, `right` or `full` join, or `semi` or `anti` for left records with or without a right one.
        pub kind: Kind = Kind::Inner,
        /// The columns of left records that are the key, counted from 1, with commas between; or names of fields.
        pub left: KeyFields = KeyFields::first(),
        /// Those of right records.
        pub right: KeyFields = KeyFields::first(),
        /// What stands between columns, and between the two records of a row: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
        /// What stands for a left record where there is none.
        pub no_left: String = String::new(),
        /// What stands for a right record where there is none.
        pub no_right: String = String::new(),
        /// The first line of each file names the columns and is left out.
        pub header: bool = false,
    }
}

/// Which rows a join has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pairs.
    Inner,
    /// Pairs, and left records without a right one.
    Left,
    /// Pairs, and right records without a left one.
    Right,
    /// Pairs, and records without one of the other side.
    Full,
    /// Left records that have a right one.
    Semi,
    /// Left records that have none.
    Anti,
}

const KINDS: [(&str, Kind); 6] = [
    ("inner", Kind::Inner),
    ("left", Kind::Left),
    ("right", Kind::Right),
    ("full", Kind::Full),
    ("semi", Kind::Semi),
    ("anti", Kind::Anti),
];

impl ParamValue for Kind {
    const KIND: &'static str = "KIND";
    const EXPECTED: &'static str = "inner, left, right, full, semi or anti";

    fn parse(typed: &str) -> Option<Self> {
        let kind = KINDS.iter().find(|(name, _)| *name == typed)?;
        Some(kind.1)
    }

    fn show(&self) -> String {
        let kind = KINDS.iter().find(|(_, kind)| kind == self);
        kind.map_or_else(String::new, |(name, _)| (*name).to_owned())
    }
}

/// Joins two inputs.
pub struct Join {
    kind: Kind,
    /// Of each side.
    keys: [SideKey; 2],
    delimiter: u8,
    no_left: String,
    no_right: String,
    header: bool,
}

impl Job for Join {
    type Params = JoinParams;
    type Key = Vec<u8>;
    type Value = Sided;

    const NAME: &'static str = "join";
    const SUMMARY: &'static str = "records of two inputs with the same key, side by side";
    const HELP: &'static str = "Inputs are typed as `left=PATH` and `right=PATH`, each as often as wanted. A row is a left record as it was, the delimiter, and a right record as \
        it was, for each pair with the same key: columns (`-p left=1 -p right=2`, or several: `-p left=1,3 -p right=2,1`) that are the same bytes. \
        With `-p kind=left`, `right` or `full` a record of that side without one of the other is a row too; `-p no_right=NULL` says what stands for \
        what is missing, which is nothing otherwise. `-p kind=semi` and `anti` have left records as they were: those with a right one, and those without. \
        Rows are sorted by key within a part file; of one key, by left and then by right record in the order of the input (right ones first by right).\n\n\
        The left records of one key are held in memory: let the side that has few of each be the left one.\n\n\
        Fields may have names, too (`-p left=id -p right=user`): those of columns where the file has a header that the format knows (`--format left=csv`; what stands \
        between its columns is the format's affair then), else those of JSON objects, a record each (JSON lines, Parquet). So a CSV file is joined with JSON lines; what is \
        compared is the text, 7 with \"7\".\n\n\
        A record without these columns or fields is an error; `--skip-bad N` puts it aside. With the delimiter `,` or `;` columns may stand in double quotes. Empty records are \
        left out and counted by the counter `empty-records`.";
    const INPUTS: &'static [&'static str] = &["left", "right"];

    fn new(params: JoinParams) -> Result<Self, JobError> {
        if params.left.len() != params.right.len() {
            return Err("`left` and `right` name as many columns each".into());
        }
        let left = SideKey::new(&params.left, params.delimiter)?;
        let right = SideKey::new(&params.right, params.delimiter)?;
        Ok(Self {
            kind: params.kind,
            keys: [left, right],
            delimiter: params.delimiter.0,
            no_left: params.no_left,
            no_right: params.no_right,
            header: params.header,
        })
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let fields = self.keys[record.input()].fields(record.header())?;
        self.take(record, &fields, &mut Vec::new(), out)
    }

    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let mut records = block.records().peekable();
        // A file without records need not have the columns.
        let Some(first) = records.peek() else {
            return Ok(());
        };
        let fields = self.keys[first.input()].fields(block.header())?;
        let mut key = Vec::new();
        records.try_for_each(|record| {
            out.begin_record(&record);
            self.take(&record, &fields, &mut key, out)
        })
    }

    fn reduce(
        &self,
        _key: &[u8],
        records: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let mut lefts: Vec<Vec<u8>> = Vec::new();
        let mut any_right = false;
        // All of the left come before the first of the right.
        while let Some((side, record)) = records.next() {
            match (side, self.kind) {
                (Side::Left, _) => lefts.push(record.to_vec()),
                (Side::Right, Kind::Semi | Kind::Anti) => {
                    any_right = true;
                    break;
                }
                (Side::Right, kind) => {
                    any_right = true;
                    if lefts.is_empty() && matches!(kind, Kind::Right | Kind::Full) {
                        self.write(self.no_left.as_bytes(), record, rows);
                    }
                    lefts.iter().for_each(|left| self.write(left, record, rows));
                }
            }
        }
        match self.kind {
            Kind::Left | Kind::Full if !any_right => {
                lefts
                    .iter()
                    .for_each(|left| self.write(left, self.no_right.as_bytes(), rows));
            }
            Kind::Semi if any_right => lefts.iter().for_each(|left| rows.record(left)),
            Kind::Anti if !any_right => lefts.iter().for_each(|left| rows.record(left)),
            _ => {}
        }
        Ok(())
    }
}

impl Join {
    #[inline]
    fn take(
        &self,
        record: &Record<'_>,
        fields: &[Cow<'_, Fields<1>>],
        key: &mut Vec<u8>,
        out: &mut Emitter<'_, Self>,
    ) -> Result<(), JobError> {
        if is_passed_over(record, self.header, out) {
            return Ok(());
        }
        let side = match record.input() {
            0 => Side::Left,
            _ => Side::Right,
        };
        if let [field] = fields {
            let [text] = field.of(record.bytes)?;
            out.emit(&text, (side, record.bytes));
            return Ok(());
        }
        key.clear();
        for field in fields {
            let [text] = field.of(record.bytes)?;
            Vec::<u8>::encode_part(&text, key);
        }
        out.emit(key, (side, record.bytes));
        Ok(())
    }

    fn write(&self, left: &[u8], right: &[u8], rows: &mut Rows<'_>) {
        rows.record(Pair {
            left,
            delimiter: self.delimiter,
            right,
        });
    }
}

/// Two records side by side.
struct Pair<'a> {
    left: &'a [u8],
    delimiter: u8,
    right: &'a [u8],
}

impl Field for Pair<'_> {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.left);
        out.push(self.delimiter);
        out.extend_from_slice(self.right);
    }
}

#[cfg(test)]
mod tests {
    use mapfold_job::{Format, Trial};
    use proptest::prelude::*;

    use super::*;
    use crate::passed_over::EMPTY;

    fn trial(left: &str, right: &str, kind: &str) -> Trial<Join> {
        Trial::new()
            .input("left", left)
            .input("right", right)
            .param("kind", kind)
    }

    #[test]
    fn records_with_one_key_stand_side_by_side() {
        let users = "7\tAnn\r\n8\tBob\n\n9\tCid\n";
        let orders = "tea\t7\nink\t6\njam\t7\npen\t9\n";
        for (kind, want) in [
            (
                "inner",
                &["7\tAnn\ttea\t7", "7\tAnn\tjam\t7", "9\tCid\tpen\t9"][..],
            ),
            (
                "left",
                &[
                    "7\tAnn\ttea\t7",
                    "7\tAnn\tjam\t7",
                    "8\tBob\tNULL",
                    "9\tCid\tpen\t9",
                ],
            ),
            (
                "right",
                &[
                    "-\t-\tink\t6",
                    "7\tAnn\ttea\t7",
                    "7\tAnn\tjam\t7",
                    "9\tCid\tpen\t9",
                ],
            ),
            (
                "full",
                &[
                    "-\t-\tink\t6",
                    "7\tAnn\ttea\t7",
                    "7\tAnn\tjam\t7",
                    "8\tBob\tNULL",
                    "9\tCid\tpen\t9",
                ],
            ),
            ("semi", &["7\tAnn", "9\tCid"]),
            ("anti", &["8\tBob"]),
        ] {
            let trial = trial(users, orders, kind);
            let trial = trial
                .param("right", 2)
                .param("no_left", "-\t-")
                .param("no_right", "NULL");
            let tried = trial.check().unwrap();
            assert_eq!(tried.rows(), want, "{kind}");
            assert_eq!(tried.counter(EMPTY), 1);
        }
    }

    #[test]
    fn keys_may_be_several_columns() {
        let left = "h,i\na,b,1\nab,,2\n\"a\",b,3\n";
        let right = "h,i\nb,x,a\n,x,ab\n";
        let trial = trial(left, right, "inner")
            .param("delimiter", ",")
            .param("header", true);
        let trial = trial.param("left", "1,2").param("right", "3,1");
        assert_eq!(
            trial.check().unwrap().rows(),
            ["a,b,1,b,x,a", "\"a\",b,3,b,x,a", "ab,,2,,x,ab"]
        );
    }

    #[test]
    fn fields_of_tables_with_a_header_and_of_json_are_found_by_name() {
        let users = "name,\"id\"\n\"Ann, of York\",7\nBob,8\n";
        let orders = "{\"user\":7,\"item\":\"tea\"}\n{\"item\":\"ink\",\"user\":\"9\"}\n\n{\"user\":\"7\"}\n";
        let joined = |left, right| {
            let trial = trial(users, orders, "inner").format_of("left", Format::CSV);
            trial.param("left", left).param("right", right)
        };
        let want = [
            "\"Ann, of York\",7\t{\"user\":7,\"item\":\"tea\"}",
            "\"Ann, of York\",7\t{\"user\":\"7\"}",
        ];
        assert_eq!(joined("id", "user").check().unwrap().rows(), want);
        assert_eq!(joined("2", "user").check().unwrap().rows(), want);
        // A file without rows has no columns that could be missing.
        let nobody = joined("id", "user").input("left", "");
        assert_eq!(nobody.run().unwrap().rows(), want);
        let told = |trial: Trial<Join>| format!("{:?}", trial.run().map(drop).unwrap_err());
        let why = told(joined("mail", "user"));
        assert!(why.contains("no column `mail`; it has name, id"), "{why}");
        let why = told(joined("id", "customer"));
        assert!(why.contains("there is no field `customer`"), "{why}");
        let why = told(joined("id", "user").input("right", "7\ttea\n"));
        assert!(why.contains("no JSON object"), "{why}");
    }

    #[test]
    fn what_cannot_be_joined_is_told() {
        let error = |trial: Trial<Join>| format!("{:?}", trial.run().map(drop).unwrap_err());
        assert!(
            error(trial("a\n", "b\n", "inner").param("right", 2)).contains("there is no column 2")
        );
        assert!(error(trial("", "", "outer")).contains("inner, left, right, full, semi or anti"));
        assert!(error(trial("", "", "left").param("left", "1,2")).contains("as many columns each"));
        assert!(error(trial("", "", "left").param("left", "0")).contains("counted from 1"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn rows_are_those_of_two_loops(
            left in proptest::collection::vec((0..9_u8, 0..9_u8), 0..20), right in proptest::collection::vec((0..9_u8, 0..9_u8), 0..20)
        ) {
            let text = |records: &[(u8, u8)]| records.iter().map(|(key, rest)| format!("{key}\t{rest}\n")).collect::<String>();
            for (kind, _) in KINDS {
                let mut want = Vec::new();
                for (key, rest) in &left {
                    let pairs: Vec<_> = right.iter().filter(|(other, _)| other == key).collect();
                    match (kind, pairs.is_empty()) {
                        ("semi", false) | ("anti", true) => want.push(format!("{key}\t{rest}")),
                        ("semi" | "anti", _) => {}
                        ("left" | "full", true) => want.push(format!("{key}\t{rest}\t")),
                        _ => want.extend(pairs.iter().map(|(_, other)| format!("{key}\t{rest}\t{key}\t{other}"))),
                    }
                }
                let lonely = right.iter().filter(|(key, _)| left.iter().all(|(other, _)| other != key));
                if matches!(kind, "right" | "full") {
                    want.extend(lonely.map(|(key, rest)| format!("\t{key}\t{rest}")));
                }
                want.sort();
                let trial = trial(&text(&left), &text(&right), kind).split_size(20);
                let mut rows = trial.run().unwrap().rows();
                rows.sort();
                prop_assert_eq!(rows, want);
            }
        }
    }
}
