//! `dedup`: the first record of each key.

use mapfold_job::{Block, Emitter, Fold, Job, JobError, Record, Rows, Values, params};

use crate::column::Delimiter;
use crate::fields::Typed;

params! {
    /// Parameters of `dedup`.
    pub struct DedupParams {
        /// Where the key stands: a column, counted from 1, or the name of a field; nothing is the whole record.
        pub key: String = String::new(),
        /// What stands between columns: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
        /// Records are JSON objects.
        pub json: bool = false,
    }
}

/// Keeps the first.
pub struct Dedup {
    /// None is the whole record.
    key: Option<Typed<1>>,
}

impl Job for Dedup {
    type Params = DedupParams;
    type Key = Vec<u8>;
    /// The record, unless that is the key.
    type Value = Vec<u8>;

    const NAME: &'static str = "dedup";
    const SUMMARY: &'static str = "keep the first record of each key";
    const HELP: &'static str = "A row is a record as it was: the first with its key in the order of the input, which is that of the files as they were named (of a folder, by \
        name) and of the records in them. The key is the whole record, or a column (`-p key=1`), or a field by its name (`-p key=url`): that of a header which \
        the format knows (`--format csv`), else that of JSON objects. Rows are sorted by key within a part file, not in the order of the input.\n\n\
        A record without that column or field is an error; `--skip-bad N` puts it aside. With the delimiter `,` or `;` columns may stand in double quotes.";
    const FOLD: Option<Fold<Self>> = Some(|_, _, _first, _later| {});

    fn new(params: DedupParams) -> Result<Self, JobError> {
        Ok(Self {
            key: Typed::if_any(&params.key, params.delimiter, params.json)?,
        })
    }

    #[inline]
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        match &self.key {
            None => out.emit(record.bytes, b""),
            Some(key) => {
                let [key] = key.within(record.header())?.of(record.bytes)?;
                out.emit(&key, record.bytes);
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
            let [key] = key.of(record.bytes)?;
            out.emit(&key, record.bytes);
            Ok(())
        })
    }

    fn reduce(
        &self,
        key: &[u8],
        firsts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        if let Some(first) = firsts.next() {
            rows.record(if self.key.is_some() { first } else { key });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mapfold_job::{Format, Trial};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_of_each_key_is_kept() {
        let text = "b\t1\r\na\t2\nb\t3\n\na\t2\n\u{fffd}\n\n";
        let whole = Trial::<Dedup>::of(text).check().unwrap();
        assert_eq!(whole.rows(), ["", "a\t2", "b\t1", "b\t3", "\u{fffd}"]);
        let of_key = Trial::<Dedup>::of(text).param("key", 1).check().unwrap();
        assert_eq!(of_key.rows(), ["", "a\t2", "b\t1", "\u{fffd}"]);
        let json = "{\"id\":1,\"x\":\"a\"}\n{\"x\":\"b\",\"id\":1}\n";
        let json = Trial::<Dedup>::of(json)
            .param("key", "id")
            .param("json", true);
        assert_eq!(json.check().unwrap().rows(), ["{\"id\":1,\"x\":\"a\"}"]);
        let csv = Trial::<Dedup>::of("id,x\n1,a\n1,b\n").param("key", "id");
        assert_eq!(csv.format(Format::CSV).check().unwrap().rows(), ["1,a"]);
        let error = Trial::<Dedup>::of(text).param("key", 2).run().map(drop);
        assert!(format!("{:?}", error.unwrap_err()).contains("there is no column 2"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn rows_are_those_of_a_plain_program(files in proptest::collection::vec("([a-d]{0,2},[0-9]\n){0,20}", 1..4)) {
            let mut want = BTreeMap::new();
            let mut trial = Trial::<Dedup>::new().param("key", 1).param("delimiter", ",").split_size(40);
            for (number, file) in files.iter().enumerate() {
                trial = trial.file(&format!("{number}.csv"), file);
                for line in file.lines() {
                    want.entry(line.split(',').next().unwrap()).or_insert(line);
                }
            }
            let rows = trial.run().unwrap().rows();
            prop_assert_eq!(rows, want.values().map(|line| (*line).to_owned()).collect::<Vec<_>>());
        }
    }
}
