//! Columns of a record: what stands between delimiters.

use std::borrow::Cow;

use mapfold_job::ParamValue;
use memchr::{memchr, memchr_iter};

use crate::number::{Number, NumberError};

/// What stands between columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delimiter(pub(crate) u8);

impl Delimiter {
    pub(crate) const TAB: Self = Self(b'\t');
}

impl ParamValue for Delimiter {
    const KIND: &'static str = "CHAR";
    const EXPECTED: &'static str = "one ASCII character, or `tab`";

    fn parse(typed: &str) -> Option<Self> {
        match typed.as_bytes() {
            b"tab" => Some(Self::TAB),
            [one] if one.is_ascii() => Some(Self(*one)),
            _ => None,
        }
    }

    fn show(&self) -> String {
        match self.0 {
            b'\t' => "tab".to_owned(),
            one => char::from(one).to_string(),
        }
    }
}

/// Begin and end of the column that comes after so many delimiters; both are the record's end if it has no such column.
#[inline]
pub(crate) fn range(record: &[u8], before: usize, delimiter: u8) -> (usize, usize) {
    let begin = match before.checked_sub(1) {
        None => Some(0),
        Some(last) => memchr_iter(delimiter, record).nth(last).map(|at| at + 1),
    };
    let Some(begin) = begin else {
        return (record.len(), record.len());
    };
    let end = memchr(delimiter, &record[begin..]).map_or(record.len(), |len| begin + len);
    (begin, end)
}

/// Numbers of columns, counted from 1; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers(Vec<u32>);

impl ParamValue for Numbers {
    const KIND: &'static str = "LIST";
    const EXPECTED: &'static str = "a list of columns, counted from 1, such as 1,3";

    fn parse(typed: &str) -> Option<Self> {
        let number = |typed: &str| typed.parse().ok().filter(|number| *number > 0);
        typed
            .split(',')
            .map(number)
            .collect::<Option<_>>()
            .map(Self)
    }

    fn show(&self) -> String {
        let numbers: Vec<String> = self.0.iter().map(u32::to_string).collect();
        numbers.join(",")
    }
}

impl Numbers {
    /// The first.
    pub(crate) fn one() -> Self {
        Self(vec![1])
    }

    /// One after the other.
    pub(crate) fn columns(&self, delimiter: Delimiter) -> Result<Vec<Columns<1>>, ColumnError> {
        let numbers = self.0.iter();
        numbers
            .map(|number| Columns::new([*number], delimiter))
            .collect()
    }
}

/// Some columns that a record must have.
///
/// Where the delimiter is a comma or a semicolon, a column may stand in double quotes, as in CSV (RFC 4180): then it may hold the delimiter, and
/// a quote that is written twice. With other delimiters quotes are bytes as others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns<const N: usize> {
    /// Counted from 0.
    wanted: [usize; N],
    /// The greatest of them.
    last: usize,
    delimiter: u8,
    quotes: bool,
}

/// Why a record is bad.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ColumnError {
    #[error("columns are counted from 1")]
    Zero,
    #[error("there is no column {number}")]
    Missing { number: usize },
    #[error("the quote that column {number} begins with is not closed at its end")]
    Quote { number: usize },
    #[error("column {number} is no number: `{}`", text.escape_ascii())]
    Number {
        number: usize,
        /// The front of it.
        text: Vec<u8>,
        source: NumberError,
    },
}

/// More bytes of a column are not told.
const TOLD_MAX: usize = 40;

impl<const N: usize> Columns<N> {
    /// Columns by number.
    pub(crate) fn new(numbers: [u32; N], delimiter: Delimiter) -> Result<Self, ColumnError> {
        if numbers.contains(&0) {
            return Err(ColumnError::Zero);
        }
        let wanted = numbers.map(|number| number as usize - 1);
        Ok(Self {
            wanted,
            last: wanted.into_iter().max().unwrap_or(0),
            delimiter: delimiter.0,
            quotes: matches!(delimiter.0, b',' | b';'),
        })
    }

    /// The same of a table whose columns may stand in double quotes whatever the delimiter.
    pub(crate) const fn quoted_as_csv(self) -> Self {
        Self {
            quotes: true,
            ..self
        }
    }

    /// What stands in them; a copy where quotes are written twice.
    #[inline]
    pub(crate) fn of<'r>(&self, record: &'r [u8]) -> Result<[Cow<'r, [u8]>; N], ColumnError> {
        if self.quotes && memchr(b'"', record).is_some() {
            return self.unquoted(record);
        }
        let mut found = [&[][..]; N];
        let (mut column, mut begin) = (0, 0);
        let ends = memchr_iter(self.delimiter, record).chain([record.len()]);
        for end in ends {
            for (wanted, found) in self.wanted.iter().zip(&mut found) {
                if *wanted == column {
                    *found = &record[begin..end];
                }
            }
            if column == self.last {
                return Ok(found.map(Cow::Borrowed));
            }
            (column, begin) = (column + 1, end + 1);
        }
        Err(self.missing(column))
    }

    /// The same of a record in which there are quotes.
    #[cold]
    fn unquoted<'r>(&self, record: &'r [u8]) -> Result<[Cow<'r, [u8]>; N], ColumnError> {
        let mut found = [(); N].map(|()| Cow::<'r, [u8]>::default());
        let mut rest = Some(record);
        for column in 0..=self.last {
            let Some(text) = rest else {
                return Err(self.missing(column));
            };
            let (field, len) = match text {
                [b'"', quoted @ ..] => self.quoted(quoted, column)?,
                _ => {
                    let end = memchr(self.delimiter, text).unwrap_or(text.len());
                    (Cow::Borrowed(&text[..end]), end)
                }
            };
            for (wanted, found) in self.wanted.iter().zip(&mut found) {
                if *wanted == column {
                    found.clone_from(&field);
                }
            }
            rest = text.get(len + 1..);
        }
        Ok(found)
    }

    /// The column after whose first quote `text` stands, and its length with quotes.
    fn quoted<'r>(
        &self,
        text: &'r [u8],
        column: usize,
    ) -> Result<(Cow<'r, [u8]>, usize), ColumnError> {
        let open = ColumnError::Quote { number: column + 1 };
        let mut doubled = Vec::new();
        let mut from = 0;
        loop {
            let Some(end) = memchr(b'"', &text[from..]).map(|at| from + at) else {
                return Err(open);
            };
            match text.get(end + 1) {
                Some(b'"') => {
                    doubled.extend_from_slice(&text[from..=end]);
                    from = end + 2;
                }
                Some(next) if *next != self.delimiter => return Err(open),
                _ if doubled.is_empty() => return Ok((Cow::Borrowed(&text[..end]), end + 2)),
                _ => {
                    doubled.extend_from_slice(&text[from..end]);
                    return Ok((Cow::Owned(doubled), end + 2));
                }
            }
        }
    }

    /// The first that is wanted of a record with so many columns.
    #[cold]
    fn missing(&self, columns: usize) -> ColumnError {
        let beyond = self.wanted.iter().filter(|wanted| **wanted >= columns);
        ColumnError::Missing {
            number: beyond.min().map_or(self.last, |wanted| *wanted) + 1,
        }
    }

    /// The number in one of the columns, which was found by [`of`](Self::of).
    #[inline]
    pub(crate) fn number(&self, which: usize, text: &[u8]) -> Result<Number, ColumnError> {
        Number::parse(text).map_err(|source| ColumnError::Number {
            number: self.wanted[which] + 1,
            text: text[..text.len().min(TOLD_MAX)].to_vec(),
            source,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Columns one after the other, by the definition.
    #[track_caller]
    fn check(record: &str, delimiter: u8, want: &[&str]) {
        for (number, want) in (1..).zip(want) {
            let columns = Columns::new([number, 1], Delimiter(delimiter)).unwrap();
            let [found, first] = columns.of(record.as_bytes()).unwrap();
            assert_eq!(String::from_utf8_lossy(&found), *want, "{record}");
            assert!(number > 1 || first == found);
        }
        let beyond = u32::try_from(want.len()).unwrap() + 1;
        let columns = Columns::new([beyond, 1], Delimiter(delimiter)).unwrap();
        let missing = ColumnError::Missing {
            number: want.len() + 1,
        };
        assert_eq!(columns.of(record.as_bytes()), Err(missing));
    }

    #[test]
    fn columns_of_a_record_must_be_there() {
        check("", b',', &[""]);
        check("a\tb,c\t", b'\t', &["a", "b,c", ""]);
        check("\"a\tb\"", b'\t', &["\"a", "b\""]);
        check(",x", b';', &[",x"]);
    }

    #[test]
    fn columns_may_stand_in_quotes() {
        check("a,\"b,\"\"c\"\"\",d", b',', &["a", "b,\"c\"", "d"]);
        check("\"\",\"\"\"\"", b',', &["", "\""]);
        check("\"a;b\";c\"d\"", b';', &["a;b", "c\"d\""]);
        let columns = Columns::new([2], Delimiter(b',')).unwrap();
        for open in ["a,\"b", "a,\"b\"x,c", "a,\"", "a,\"\"\""] {
            let error = ColumnError::Quote { number: 2 };
            assert_eq!(columns.of(open.as_bytes()), Err(error), "{open}");
        }
    }

    #[test]
    fn the_first_column_that_is_missing_is_named() {
        let columns = Columns::new([9, 3], Delimiter(b',')).unwrap();
        assert_eq!(columns.of(b"a,b"), Err(ColumnError::Missing { number: 3 }));
        assert_eq!(
            columns.of(b"a,b,c"),
            Err(ColumnError::Missing { number: 9 })
        );
        let zero = Columns::new([1, 0], Delimiter::TAB).unwrap_err();
        assert_eq!(zero, ColumnError::Zero);
    }

    proptest! {
        #[test]
        fn columns_read_back_as_written(texts in proptest::collection::vec("[a\",; ]{0,6}", 1..6), number in 1..6_u32) {
            let quoted: Vec<String> = texts.iter().map(|text| format!("\"{}\"", text.replace('"', "\"\""))).collect();
            let columns = Columns::new([number], Delimiter(b',')).unwrap();
            let line = quoted.join(",");
            let found = columns.of(line.as_bytes()).ok().map(|[found]| found.into_owned());
            prop_assert_eq!(found, texts.get(number as usize - 1).map(|text| text.clone().into_bytes()));
        }
    }

    #[test]
    fn columns_are_what_stands_between_delimiters() {
        for (before, want) in [(0, "a"), (1, ""), (2, "bc"), (3, ""), (4, "")] {
            let (begin, end) = range(b"a,,bc,", before, b',');
            assert_eq!(&b"a,,bc,"[begin..end], want.as_bytes(), "{before}");
        }
        assert_eq!(range(b"", 0, b','), (0, 0));
    }
}
