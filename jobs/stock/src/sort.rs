//! `sort`: the records themselves, in order.

use std::collections::BTreeMap;

use mapfold_job::{
    DecodeValueError, Emitter, Field, Job, JobError, ParamValue, Params, Record, Rows, Value,
    Values, params,
};

use crate::column::Delimiter;

mod number;
mod order;

pub use order::RecordOrder;

use order::{Coding, Encoded, Part, SortKey};

params! {
    /// Parameters of `sort`.
    pub struct SortParams {
        /// Sort by these bytes of a record, as START:LEN, counted from 0.
        pub key: ByteRange = ByteRange::default(),
        /// Sort by this column of a record, counted from 1; 0 is none.
        pub column: u32 = 0,
        /// What stands between columns: one ASCII character, or `tab`.
        pub delimiter: Delimiter = Delimiter::TAB,
        /// Compare the numbers that keys begin with, as `sort -n` does.
        pub numeric: bool = false,
        /// Largest first.
        pub reverse: bool = false,
        /// Keep only the first record of each key.
        pub unique: bool = false,
    }
}

/// Bytes of a record: where they begin, and how many. None is the whole record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange(Option<(usize, usize)>);

impl ParamValue for ByteRange {
    const KIND: &'static str = "START:LEN";
    const EXPECTED: &'static str = "a range of bytes such as 0:10";

    fn parse(typed: &str) -> Option<Self> {
        let (start, len) = typed.split_once(':')?;
        let (start, len): (usize, usize) = (start.parse().ok()?, len.parse().ok()?);
        start.checked_add(len)?;
        (len > 0).then_some(Self(Some((start, len))))
    }

    fn show(&self) -> String {
        self.0
            .map_or_else(String::new, |(start, len)| format!("{start}:{len}"))
    }
}

impl RecordOrder {
    fn new(params: &SortParams) -> Result<Self, JobError> {
        let part = match (params.key, params.column) {
            (ByteRange(None), 0) => Part::Whole,
            (ByteRange(Some((start, len))), 0) => Part::Bytes { start, len },
            (ByteRange(None), column) => Part::Column {
                before: column as usize - 1,
                delimiter: params.delimiter.0,
            },
            (ByteRange(Some(_)), _) => {
                return Err("it sorts by `key` or by `column`, not by both".into());
            }
        };
        Ok(Self {
            part,
            coding: Coding {
                numeric: params.numeric,
                reverse: params.reverse,
            },
        })
    }

    /// The order that the job leaves with these parameters, as typed.
    ///
    /// # Errors
    /// They are not its parameters.
    pub fn of_params(typed: &BTreeMap<String, String>) -> Result<Self, JobError> {
        Self::new(&SortParams::parse(typed)?)
    }

    /// By what comes before the first TAB, as bytes or as a number.
    pub fn of_first_column(numeric: bool) -> Self {
        Self {
            part: Part::Column {
                before: 0,
                delimiter: b'\t',
            },
            coding: Coding {
                numeric,
                reverse: false,
            },
        }
    }
}

/// The job's name.
pub const SORT: &str = "sort";

/// Sorts records.
pub struct Sort {
    order: RecordOrder,
    unique: bool,
}

impl Job for Sort {
    type Params = SortParams;
    type Key = Encoded;
    type Value = Rest;

    const NAME: &'static str = SORT;
    const SUMMARY: &'static str =
        "sort records; the part files, one after another, are one sorted whole";
    const HELP: &'static str = "A row is a record as it was: a line with its line feed, or with --format fixed:N the bytes \
        of a record and nothing else. Keys compare as bytes (as `sort` does with LC_ALL=C); records of equal keys stay in the \
        order of the input.\n\n\
        The key is the whole record, or a range of its bytes (`-p key=0:10`), or a column (`-p column=2 -p delimiter=,`); where a \
        record has no such bytes, its key is empty. With `-p numeric=true` the key is the decimal number that these begin with, \
        however long, after blanks; none counts as 0.\n\n\
        Part files are ranges of keys, found from a sample of the input: `cat DIR/part-*` is sorted. \
        `mapfold verify DIR --sorted` checks it.";
    const TOTAL_ORDER: bool = true;

    fn new(params: SortParams) -> Result<Self, JobError> {
        Ok(Self {
            order: RecordOrder::new(&params)?,
            unique: params.unique,
        })
    }

    #[inline]
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let (key, rest) = self.order.take_apart(record.bytes);
        out.emit(key, rest);
        Ok(())
    }

    #[inline]
    fn reduce(
        &self,
        key: SortKey<'_>,
        rests: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        while let Some((rest, _)) = rests.next() {
            rows.record(Whole {
                order: &self.order,
                key: key.bytes,
                rest,
            });
            if self.unique {
                break;
            }
        }
        Ok(())
    }

    fn keeps_records(&self) -> bool {
        !self.unique
    }
}

/// A record put together from its key and the rest.
struct Whole<'a> {
    order: &'a RecordOrder,
    key: &'a [u8],
    rest: &'a [u8],
}

impl Field for Whole<'_> {
    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        self.order.put_together(self.key, self.rest, out);
    }
}

/// What a record holds beside its key: what is before it and what comes after. Read back, the two are one.
pub struct Rest;

impl Value for Rest {
    type Ref<'a> = (&'a [u8], &'a [u8]);
    type Owned = Vec<u8>;

    fn kind() -> String {
        String::new()
    }

    #[inline]
    fn encode((before, after): (&[u8], &[u8]), out: &mut Vec<u8>) {
        out.extend_from_slice(before);
        out.extend_from_slice(after);
    }

    fn encode_owned(value: &Vec<u8>, out: &mut Vec<u8>) {
        out.extend_from_slice(value);
    }

    fn into_owned((before, after): (&[u8], &[u8])) -> Vec<u8> {
        [before, after].concat()
    }

    fn borrow(value: &Vec<u8>) -> (&[u8], &[u8]) {
        (value, &[])
    }

    fn heap_bytes(value: &Vec<u8>) -> usize {
        value.capacity()
    }

    #[inline]
    fn decode(encoded: &[u8]) -> Result<(&[u8], &[u8]), DecodeValueError> {
        Ok((encoded, &[]))
    }
}
