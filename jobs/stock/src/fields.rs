//! Fields of a record: columns by number, or by name where the file has a header; members of a JSON object by name.

use std::borrow::Cow;
use std::fmt;

use mapfold_job::{Block, Emitter, Header, Job, JobError, Record};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::column::{ColumnError, Columns, Delimiter};
use crate::number::{Number, NumberError};

/// Where some fields stand that a record must have.
#[derive(Clone, Debug)]
pub(crate) enum Fields<const N: usize> {
    /// In columns.
    Columns(Columns<N>),
    /// In a JSON object, under these names.
    Json([String; N]),
}

/// Why a record is bad.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FieldError {
    #[error(transparent)]
    Column(#[from] ColumnError),
    #[error(
        "it is no JSON object, whose fields have names; so have those of a file with a header, which `--format csv` reads"
    )]
    NoJson(#[source] serde_json::Error),
    #[error("there is no field `{name}`, or it is null")]
    Missing { name: String },
    #[error("field `{name}` is no number: `{}`", text.escape_ascii())]
    Number {
        name: String,
        /// The front of it.
        text: Vec<u8>,
        source: NumberError,
    },
}

/// More bytes of a field are not told.
const TOLD_MAX: usize = 40;

/// Fields as they were typed: names, or numbers of columns from 1.
#[derive(Clone, Debug)]
pub(crate) struct Typed<const N: usize> {
    typed: [String; N],
    /// Where they stand in files without a header.
    plain: Fields<N>,
}

/// The header of a file has no such column.
#[derive(Debug, thiserror::Error)]
#[error("the file has no column `{name}`; it has {}", columns.join(", "))]
struct NoColumn {
    name: String,
    columns: Vec<String>,
}

impl Typed<1> {
    /// The field as it was typed; none, if nothing was.
    pub(crate) fn if_any(
        typed: &str,
        delimiter: Delimiter,
        json: bool,
    ) -> Result<Option<Self>, JobError> {
        match typed {
            "" => Ok(None),
            typed => Self::new([typed], delimiter, json).map(Some),
        }
    }
}

impl<const N: usize> Typed<N> {
    /// With a name among them, or with `json`, files without a header have a JSON object for a record.
    pub(crate) fn new(
        typed: [&str; N],
        delimiter: Delimiter,
        json: bool,
    ) -> Result<Self, JobError> {
        let mut numbers = [0; N];
        let mut named = json;
        for (typed, number) in typed.iter().zip(&mut numbers) {
            match number_typed(typed)? {
                Some(typed) => *number = typed,
                None => named = true,
            }
        }
        let plain = if named {
            Fields::Json(typed.map(str::to_owned))
        } else {
            Fields::Columns(Columns::new(numbers, delimiter)?)
        };
        Ok(Self {
            typed: typed.map(str::to_owned),
            plain,
        })
    }

    /// Where they stand in records of a file with this header, if it has one.
    #[inline]
    pub(crate) fn within(&self, header: Option<&Header>) -> Result<Cow<'_, Fields<N>>, JobError> {
        match header {
            None => Ok(Cow::Borrowed(&self.plain)),
            Some(header) => self.named_by(header).map(Cow::Owned),
        }
    }

    fn named_by(&self, header: &Header) -> Result<Fields<N>, JobError> {
        let mut numbers = [0; N];
        for (typed, number) in self.typed.iter().zip(&mut numbers) {
            *number = match number_typed(typed)? {
                Some(typed) => typed,
                None => number_of(typed, header)?,
            };
        }
        let columns = Columns::new(numbers, Delimiter(header.delimiter()))?;
        Ok(Fields::Columns(columns.quoted_as_csv()))
    }

    /// Hands on each record of a block, with where its fields stand.
    #[inline]
    pub(crate) fn each<J: Job>(
        &self,
        block: &Block<'_>,
        out: &mut Emitter<'_, J>,
        mut take: impl FnMut(&Record<'_>, &Fields<N>, &mut Emitter<'_, J>) -> Result<(), JobError>,
    ) -> Result<(), JobError> {
        let mut records = block.records().peekable();
        // A file without records need not have the columns.
        if records.peek().is_none() {
            return Ok(());
        }
        let fields = self.within(block.header())?;
        records.try_for_each(|record| {
            out.begin_record(&record);
            take(&record, &fields, out)
        })
    }
}

/// The number of a column, unless a name was typed.
fn number_typed(typed: &str) -> Result<Option<u32>, String> {
    if !typed.is_empty() && typed.parse::<i64>().is_err() {
        return Ok(None);
    }
    let number = typed.parse().ok().filter(|number| *number > 0);
    number
        .map(Some)
        .ok_or_else(|| format!("`{typed}` is no column: they are counted from 1, or have names"))
}

/// The number of a column of this name, from 1.
fn number_of(name: &str, header: &Header) -> Result<u32, NoColumn> {
    let number = header
        .column(name)
        .and_then(|it| u32::try_from(it + 1).ok());
    number.ok_or_else(|| NoColumn {
        name: name.to_owned(),
        columns: header
            .names()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect(),
    })
}

impl<const N: usize> Fields<N> {
    /// What stands in them: text as it is read, all else as it is written. A copy where it was escaped.
    #[inline]
    pub(crate) fn of<'r>(&self, record: &'r [u8]) -> Result<[Cow<'r, [u8]>; N], FieldError> {
        match self {
            Self::Columns(columns) => Ok(columns.of(record)?),
            Self::Json(names) => members(record, names),
        }
    }

    /// The number in one of the fields, which was found by [`of`](Self::of).
    #[inline]
    pub(crate) fn number(&self, which: usize, text: &[u8]) -> Result<Number, FieldError> {
        match self {
            Self::Columns(columns) => Ok(columns.number(which, text)?),
            Self::Json(names) => Number::parse(text).map_err(|source| FieldError::Number {
                name: names[which].clone(),
                text: text[..text.len().min(TOLD_MAX)].to_vec(),
                source,
            }),
        }
    }
}

/// The members of a JSON object; one that is null is not there, and of two of the same name the last counts.
fn members<'r, const N: usize>(
    record: &'r [u8],
    names: &[String; N],
) -> Result<[Cow<'r, [u8]>; N], FieldError> {
    let mut json = serde_json::Deserializer::from_slice(record);
    let found = json.deserialize_map(Members(names)).and_then(|found| {
        json.end()?;
        Ok(found)
    });
    let found = found.map_err(FieldError::NoJson)?;
    let mut texts = [(); N].map(|()| Cow::<'r, [u8]>::default());
    for ((text, found), name) in texts.iter_mut().zip(found).zip(names) {
        *text = match found.map(RawValue::get).filter(|found| *found != "null") {
            Some(found) => text_of(found).map_err(FieldError::NoJson)?,
            None => return Err(FieldError::Missing { name: name.clone() }),
        };
    }
    Ok(texts)
}

/// What a value says: a text without quotes and escapes, all else as written.
fn text_of(value: &str) -> Result<Cow<'_, [u8]>, serde_json::Error> {
    let quoted = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(text) if !text.contains('\\') => Ok(Cow::Borrowed(text.as_bytes())),
        Some(_) => Ok(Cow::Owned(
            serde_json::from_str::<String>(value)?.into_bytes(),
        )),
        None => Ok(Cow::Borrowed(value.as_bytes())),
    }
}

/// Takes members out of an object, and passes over the others.
struct Members<'n, const N: usize>(&'n [String; N]);

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(which) = map.next_key_seed(Which(self.0))? {
            if which.iter().any(|wanted| *wanted) {
                let value: &RawValue = map.next_value()?;
                for (found, _) in found.iter_mut().zip(which).filter(|(_, wanted)| *wanted) {
                    *found = Some(value);
                }
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Tells which of some names a name is. No copy is made of it.
struct Which<'n, const N: usize>(&'n [String; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Which<'_, N> {
    type Value = [bool; N];

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<Self::Value, D::Error> {
        name.deserialize_str(self)
    }
}

impl<const N: usize> Visitor<'_> for Which<'_, N> {
    type Value = [bool; N];

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.each_ref().map(|wanted| wanted == name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(record: &[u8]) -> Result<[String; 2], String> {
        let fields = Typed::new(["user", "size"], Delimiter::TAB, true).unwrap();
        let found = fields.plain.of(record).map_err(|error| error.to_string())?;
        Ok(found.map(|field| String::from_utf8_lossy(&field).into_owned()))
    }

    #[test]
    fn members_are_found_by_name() {
        for (record, want) in [
            (r#"{"user":"ann","size":12.50}"#, ["ann", "12.50"]),
            (
                r#" {"size": -1e3, "x": [{"user": 1}, "}"], "user": "a\"\u00e9\n"} "#,
                ["a\"\u{e9}\n", "-1e3"],
            ),
            (
                r#"{"\u0075ser": true, "size": {"a": 1}, "size": "7"}"#,
                ["true", "7"],
            ),
        ] {
            assert_eq!(
                found(record.as_bytes()),
                Ok(want.map(str::to_owned)),
                "{record}"
            );
        }
    }

    #[test]
    fn what_is_no_object_or_has_no_such_member_is_told() {
        for (record, want) in [
            (
                &br#"{"user":"ann"}"#[..],
                "there is no field `size`, or it is null",
            ),
            (
                br#"{"user":null,"size":1}"#,
                "there is no field `user`, or it is null",
            ),
            (b"[1,2]", "it is no JSON object"),
            (br#"{"user":"ann","size":1"#, "it is no JSON object"),
            (br#"{"user":"ann","size":1} 2"#, "it is no JSON object"),
            (b"{\"user\":\"\xff\",\"size\":1}", "it is no JSON object"),
            (b"", "it is no JSON object"),
        ] {
            let error = found(record).unwrap_err();
            assert!(
                error.starts_with(want),
                "{}: {error}",
                record.escape_ascii()
            );
        }
    }

    #[test]
    fn columns_have_numbers_and_where_there_is_a_header_names() {
        let of = |typed: [&str; 2], header: Option<&Header>, record: &[u8]| {
            let typed = Typed::new(typed, Delimiter::TAB, false)?;
            let found = typed.within(header)?.of(record)?;
            Ok::<_, JobError>(found.map(|field| String::from_utf8_lossy(&field).into_owned()))
        };
        assert_eq!(of(["2", "1"], None, b"a\tb").unwrap(), ["b", "a"]);
        assert_eq!(
            of(["x", "1"], None, br#"{"1":2,"x":3}"#).unwrap(),
            ["3", "2"]
        );
        let header = Header::new(b"a,the b,c", b',').unwrap();
        let named = of(["the b", "3"], Some(&header), br#"1,"2,",3"#);
        assert_eq!(named.unwrap(), ["2,", "3"]);
        let error = |typed, header| of([typed, "1"], header, b"").unwrap_err().to_string();
        for typed in ["0", "", "-1", "4294967296"] {
            assert!(error(typed, None).contains("counted from 1"), "{typed}");
        }
        assert_eq!(
            error("b", Some(&header)),
            "the file has no column `b`; it has a, the b, c"
        );
    }
}
