//! Records into types that their author declares, by serde.

use std::cell::RefCell;
use std::fmt;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::fields::{FieldError, Fields};
use super::{Header, Record};

impl<'a> Record<'a> {
    /// The record as a value of JSON: one line of JSON lines, or a whole file. Texts of `T` may borrow from the record, where they hold no escapes.
    ///
    /// # Errors
    /// It is not; the error names the field.
    pub fn json<T: Deserialize<'a>>(&self) -> Result<T, JsonError> {
        serde_json::from_slice(self.bytes).map_err(|source| {
            let lines = self.bytes.split_inclusive(|byte| *byte == b'\n');
            let before = lines.take(source.line().saturating_sub(1));
            let before: usize = before.map(<[u8]>::len).sum();
            JsonError {
                field: field_at(self.bytes, before + source.column()),
                source,
            }
        })
    }

    /// The columns of the record's file, if its format has a header (`--format csv`).
    #[inline]
    pub const fn header(&self) -> Option<&'a Header> {
        self.header
    }

    /// The fields of the record: between commas, or what the format says; quotes are taken off.
    #[inline]
    pub fn fields(&self) -> Fields<'a> {
        let delimiter = self.header.map_or(b',', Header::delimiter);
        Fields::new(self.bytes, delimiter)
    }
}

/// A record is no JSON of the wanted kind.
#[derive(Debug, thiserror::Error)]
pub struct JsonError {
    /// Names and places from the outermost to the one at hand, such as `user.mails[2]`; empty at the outermost.
    pub field: String,
    /// What is wrong there.
    #[source]
    source: serde_json::Error,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.as_str() {
            "" => write!(f, "the record is not the JSON that the job reads"),
            field => write!(f, "field `{field}` is not the JSON that the job reads"),
        }
    }
}

/// What a reader of JSON is in at byte `end`.
fn field_at(json: &[u8], end: usize) -> String {
    enum Inside<'j> {
        /// The last name that was read.
        Object(&'j [u8]),
        /// How many commas.
        Array(usize),
    }
    let mut inside = Vec::new();
    let mut name_next = false;
    let mut at = 0;
    let json = &json[..end.min(json.len())];
    while let Some(byte) = json.get(at) {
        at += 1;
        match byte {
            b'"' => {
                let start = at;
                while json.get(at).is_some_and(|byte| *byte != b'"') {
                    at += 1 + usize::from(json[at] == b'\\');
                }
                let text = &json[start..at.min(json.len())];
                at += 1;
                if let (true, Some(Inside::Object(name))) = (name_next, inside.last_mut()) {
                    *name = text;
                    name_next = false;
                }
            }
            b'{' => {
                inside.push(Inside::Object(b""));
                name_next = true;
            }
            b'[' => inside.push(Inside::Array(0)),
            b'}' | b']' => {
                inside.pop();
                name_next = false;
            }
            b',' => match inside.last_mut() {
                // What follows is wrong only if it is read.
                Some(Inside::Array(count)) if at < end => *count += 1,
                Some(Inside::Object(_)) => name_next = true,
                _ => {}
            },
            _ => {}
        }
    }
    let mut field = String::new();
    for one in inside {
        match one {
            Inside::Array(place) => field += &format!("[{place}]"),
            Inside::Object(b"") => {}
            Inside::Object(name) => {
                if !field.is_empty() {
                    field.push('.');
                }
                field += &String::from_utf8_lossy(name);
            }
        }
    }
    field
}

impl Record<'_> {
    /// The record as a row of comma-separated values: fields of `T` by the names in the header of its file (`--format csv`), or in their order where the
    /// format has none. Spaces are part of a field; an empty field is `None` to an `Option`.
    ///
    /// # Errors
    /// It has more or fewer fields than the header, one of them is not what `T` wants, or its quotes are wrong; the error names the field.
    pub fn csv<T: DeserializeOwned>(&self) -> Result<T, CsvError> {
        thread_local! {
            // As a record of its own, each would cost two allocations.
            static ROW: RefCell<csv::ByteRecord> = RefCell::default();
        }
        ROW.with_borrow_mut(|row| {
            row.clear();
            for field in self.fields() {
                row.push_field(&field?);
            }
            let names = self.header.map(Header::row);
            match names.map(csv::ByteRecord::len) {
                Some(want) if want != row.len() => Err(CsvError::Count {
                    got: row.len(),
                    want,
                }),
                _ => row
                    .deserialize(names)
                    .map_err(|error| not_deserialized(&error, row, names)),
            }
        })
    }
}

/// A record is no row of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// It cannot be cut into fields.
    #[error(transparent)]
    Cut(#[from] FieldError),
    /// It has more or fewer fields than there are names.
    #[error("the row has {got} fields, and the header of its file {want}")]
    Count {
        /// Fields of the row.
        got: usize,
        /// Names in the header.
        want: usize,
    },
    /// A field is not what the job wants.
    #[error("field `{name}`: {what}: `{value}`")]
    Field {
        /// The name of its column, or its number from 1 if there is no header.
        name: String,
        /// What stands there.
        value: String,
        /// What is wrong with it.
        what: String,
    },
    /// The row as a whole is not.
    #[error("the row is not what the job reads: {what}")]
    Row {
        /// What is wrong with it.
        what: String,
    },
}

fn not_deserialized(
    error: &csv::Error,
    row: &csv::ByteRecord,
    names: Option<&csv::ByteRecord>,
) -> CsvError {
    /// Bytes of a value that are shown.
    const SHOWN_MAX: usize = 80;
    let csv::ErrorKind::Deserialize { err, .. } = error.kind() else {
        let what = error.to_string();
        return CsvError::Row { what };
    };
    let what = err.kind().to_string();
    let Some(at) = err.field().and_then(|at| usize::try_from(at).ok()) else {
        return CsvError::Row { what };
    };
    let name = names.and_then(|names| names.get(at));
    let value = row.get(at).unwrap_or_default();
    CsvError::Field {
        name: name.map_or_else(
            || (at + 1).to_string(),
            |name| String::from_utf8_lossy(name).into_owned(),
        ),
        value: String::from_utf8_lossy(&value[..value.len().min(SHOWN_MAX)]).into_owned(),
        what,
    }
}

#[cfg(test)]
mod tests;
