//! Columns of a record: what stands between delimiters.

use mapfold_job::ParamValue;
use memchr::{memchr, memchr_iter};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_what_stands_between_delimiters() {
        for (before, want) in [(0, "a"), (1, ""), (2, "bc"), (3, ""), (4, "")] {
            let (begin, end) = range(b"a,,bc,", before, b',');
            assert_eq!(&b"a,,bc,"[begin..end], want.as_bytes(), "{before}");
        }
        assert_eq!(range(b"", 0, b','), (0, 0));
    }
}
