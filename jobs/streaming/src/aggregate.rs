//! `-reducer aggregate`: keys `TYPE:ID`, of which the type says how the values of the id become one.

use std::collections::{BTreeMap, BTreeSet};

use crate::java_number;

/// What the values of one key have become so far.
#[derive(Clone, Debug)]
pub(crate) enum Aggregate {
    /// Their sum, which overflows as in Java.
    LongSum(i64),
    /// The largest.
    LongMax(i64),
    /// The smallest.
    LongMin(i64),
    /// Their sum, in the order of the input.
    DoubleSum(f64),
    /// The last in order of UTF-16.
    TextMax(Option<String>),
    /// The first.
    TextMin(Option<String>),
    /// How many there are.
    Unique(BTreeSet<String>),
    /// How often each is there.
    Histogram(BTreeMap<String, i64>),
}

/// A key or a value that cannot be aggregated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AggregateError {
    /// There is no `:` in it.
    #[error("the key `{0}` is not TYPE:ID, such as LongValueSum:words")]
    NoType(String),
    /// There is no such type.
    #[error(
        "there is no aggregation `{0}`; there are LongValueSum, LongValueMax, LongValueMin, DoubleValueSum, StringValueMax, StringValueMin, UniqValueCount and ValueHistogram"
    )]
    UnknownType(String),
    /// It should be.
    #[error("`{0}` is no number")]
    NoNumber(String),
}

/// Type and id of a key.
///
/// # Errors
/// It has no type.
pub(crate) fn split_key(key: &[u8]) -> Result<(&[u8], &[u8]), AggregateError> {
    match memchr::memchr(b':', key) {
        Some(at) => Ok((&key[..at], &key[at + 1..])),
        None => Err(AggregateError::NoType(text(key))),
    }
}

impl Aggregate {
    /// Of no values yet, for the type of a key.
    ///
    /// # Errors
    /// There is no such type.
    pub(crate) fn of(kind: &[u8]) -> Result<Self, AggregateError> {
        Ok(match kind {
            b"LongValueSum" => Self::LongSum(0),
            b"LongValueMax" => Self::LongMax(i64::MIN),
            b"LongValueMin" => Self::LongMin(i64::MAX),
            b"DoubleValueSum" => Self::DoubleSum(0.0),
            b"StringValueMax" => Self::TextMax(None),
            b"StringValueMin" => Self::TextMin(None),
            b"UniqValueCount" => Self::Unique(BTreeSet::new()),
            b"ValueHistogram" => Self::Histogram(BTreeMap::new()),
            other => return Err(AggregateError::UnknownType(text(other))),
        })
    }

    /// Adds one value.
    ///
    /// # Errors
    /// It is no number, and should be.
    pub(crate) fn add(&mut self, value: &[u8]) -> Result<(), AggregateError> {
        let value = text(value);
        match self {
            Self::LongSum(sum) => *sum = sum.wrapping_add(long(&value)?),
            Self::LongMax(most) => *most = long(&value)?.max(*most),
            Self::LongMin(least) => *least = long(&value)?.min(*least),
            Self::DoubleSum(sum) => *sum += number(&value)?,
            Self::TextMax(last) => {
                if last.as_ref().is_none_or(|last| is_before(last, &value)) {
                    *last = Some(value);
                }
            }
            Self::TextMin(first) => {
                if first.as_ref().is_none_or(|first| is_before(&value, first)) {
                    *first = Some(value);
                }
            }
            Self::Unique(values) => {
                values.insert(value);
            }
            Self::Histogram(counts) => {
                let (value, count) = match value.rsplit_once('\t') {
                    Some((value, count)) => (value.to_owned(), long(count)?),
                    None => (value, 1),
                };
                let sum = counts.entry(value).or_default();
                *sum = sum.wrapping_add(count);
            }
        }
        Ok(())
    }

    /// What comes out.
    pub(crate) fn report(&self) -> String {
        match self {
            Self::LongSum(number) | Self::LongMax(number) | Self::LongMin(number) => {
                number.to_string()
            }
            Self::DoubleSum(sum) => java_number::double(*sum),
            Self::TextMax(text) | Self::TextMin(text) => text.clone().unwrap_or_default(),
            Self::Unique(values) => values.len().to_string(),
            Self::Histogram(counts) => {
                let mut counts: Vec<i64> = counts.values().copied().collect();
                counts.sort_unstable();
                histogram(&counts)
            }
        }
    }
}

/// Of the counts: how many, least, median, most, mean, standard deviation.
fn histogram(counts: &[i64]) -> String {
    let (Some(least), Some(most)) = (counts.first(), counts.last()) else {
        return "0".to_owned();
    };
    let many = counts.len();
    #[expect(clippy::cast_precision_loss, reason = "as Java has it")]
    let mean = counts.iter().sum::<i64>() as f64 / many as f64;
    #[expect(clippy::cast_precision_loss, reason = "as Java has it")]
    let squares = counts.iter().map(|count| (*count as f64 - mean).powi(2));
    #[expect(clippy::cast_precision_loss, reason = "as Java has it")]
    let deviation = (squares.sum::<f64>() / many as f64).sqrt();
    format!(
        "{many}\t{least}\t{}\t{most}\t{}\t{}",
        counts[many / 2],
        java_number::double(mean),
        java_number::double(deviation)
    )
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn long(text: &str) -> Result<i64, AggregateError> {
    text.parse()
        .map_err(|_| AggregateError::NoNumber(text.to_owned()))
}

/// As Java reads it: with blanks around it, and a `d` or `f` behind it.
fn number(text: &str) -> Result<f64, AggregateError> {
    let plain = text.trim_matches(|char| char <= ' ');
    let digits = plain.trim_start_matches(['+', '-']);
    let parsed = match digits {
        "NaN" | "Infinity" => plain.parse(),
        _ => {
            let plain = plain.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(plain);
            // Rust knows words that Java does not.
            match digits.starts_with(|char: char| char.is_ascii_digit() || char == '.') {
                true => plain.parse(),
                false => "no number".parse(),
            }
        }
    };
    parsed.map_err(|_| AggregateError::NoNumber(text.to_owned()))
}

fn is_before(one: &str, other: &str) -> bool {
    one.encode_utf16().lt(other.encode_utf16())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, values: &[&str], want: &str) {
        let mut aggregate = Aggregate::of(kind.as_bytes()).unwrap();
        for value in values {
            aggregate.add(value.as_bytes()).unwrap();
        }
        assert_eq!(aggregate.report(), want, "{kind}");
    }

    #[test]
    fn each_type_makes_one_value_of_many() {
        check("LongValueSum", &["1", "+2", "-10"], "-7");
        check("LongValueMax", &["1", "12", "2"], "12");
        check("LongValueMin", &["1", "12", "-2"], "-2");
        check("DoubleValueSum", &["0.5", " 99.5 "], "100.0");
        check("DoubleValueSum", &["1e3d", "-.5f", "+2."], "1001.5");
        check("DoubleValueSum", &["-Infinity"], "-Infinity");
        check(
            "StringValueMax",
            &["a", "\u{ffff}", "\u{10000}"],
            "\u{ffff}",
        );
        check("StringValueMin", &["b", "a", "c"], "a");
        check("UniqValueCount", &["a", "b", "a"], "2");
        check(
            "ValueHistogram",
            &["a", "b", "a", "c\t4"],
            "3\t1\t2\t4\t2.3333333333333335\t1.247219128924647",
        );
    }

    #[test]
    fn what_cannot_be_aggregated_is_named() {
        assert_eq!(split_key(b"T:a:b").unwrap(), (&b"T"[..], &b"a:b"[..]));
        assert_eq!(split_key(b"x"), Err(AggregateError::NoType("x".into())));
        assert!(matches!(
            Aggregate::of(b"Sum"),
            Err(AggregateError::UnknownType(_))
        ));
        let mut sum = Aggregate::of(b"LongValueSum").unwrap();
        assert_eq!(sum.add(b"1.5"), Err(AggregateError::NoNumber("1.5".into())));
        let mut sum = Aggregate::of(b"DoubleValueSum").unwrap();
        for bad in ["", "inf", "nan", "1dd", "1 2", "x"] {
            assert!(sum.add(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
