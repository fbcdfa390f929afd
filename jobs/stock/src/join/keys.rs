//! Where the key of a record stands.

use std::borrow::Cow;

use mapfold_job::{Header, JobError, ParamValue};

use crate::column::{Delimiter, Numbers};
use crate::fields::Fields;

/// The fields that are the key, as they are typed: numbers of columns from 1, or names; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyFields {
    /// Columns.
    Numbers(Numbers),
    /// Columns of a file with a header, or members of a JSON object.
    Names(Vec<String>),
}

impl KeyFields {
    /// The first column.
    pub(super) fn first() -> Self {
        Self::Numbers(Numbers::one())
    }

    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Names(names) => names.len(),
        }
    }
}

impl ParamValue for KeyFields {
    const KIND: &'static str = "LIST";
    const EXPECTED: &'static str =
        "a list of columns, counted from 1, such as 1,3, or of names, such as id";

    fn parse(typed: &str) -> Option<Self> {
        let fields = || typed.split(',');
        if fields().any(|field| field.parse::<u64>().is_ok()) {
            return Numbers::parse(typed).map(Self::Numbers);
        }
        let named = fields().all(|field| !field.is_empty());
        named.then(|| Self::Names(fields().map(str::to_owned).collect()))
    }

    fn show(&self) -> String {
        match self {
            Self::Numbers(numbers) => numbers.show(),
            Self::Names(names) => names.join(","),
        }
    }
}

/// The key's fields in records of one side.
pub(super) struct SideKey {
    fields: KeyFields,
    /// Where they stand in files without a header.
    plain: Vec<Fields<1>>,
}

/// The header of a file has no such column.
#[derive(Debug, thiserror::Error)]
#[error("the file has no column `{name}`; it has {}", columns.join(", "))]
struct NoColumn {
    name: String,
    columns: Vec<String>,
}

impl SideKey {
    pub(super) fn new(fields: KeyFields, delimiter: Delimiter) -> Result<Self, JobError> {
        let plain = match &fields {
            KeyFields::Numbers(numbers) => {
                let columns = numbers.columns(delimiter)?.into_iter();
                columns.map(Fields::Columns).collect()
            }
            KeyFields::Names(names) => {
                let members = names.iter().map(|name| Fields::Json([name.clone()]));
                members.collect()
            }
        };
        Ok(Self { fields, plain })
    }

    /// Where they stand in a file with this header.
    pub(super) fn fields(&self, header: Option<&Header>) -> Result<Cow<'_, [Fields<1>]>, JobError> {
        let Some(header) = header else {
            return Ok(Cow::Borrowed(&self.plain));
        };
        let numbers = match &self.fields {
            KeyFields::Numbers(numbers) => Cow::Borrowed(numbers),
            KeyFields::Names(names) => {
                let numbers = names.iter().map(|name| number_of(name, header));
                Cow::Owned(Numbers::of(numbers.collect::<Result<_, _>>()?))
            }
        };
        let columns = numbers.columns(Delimiter(header.delimiter()))?;
        let columns = columns
            .into_iter()
            .map(|column| Fields::Columns(column.quoted_as_csv()));
        Ok(columns.collect())
    }
}

/// The number of a column, from 1.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_numbers_or_names() {
        let check = |typed, want: &str| {
            let parsed = KeyFields::parse(typed);
            let shown = parsed.as_ref().map_or_else(String::new, ParamValue::show);
            assert_eq!(shown, want, "{typed}");
            parsed
        };
        assert_eq!(
            check("3,01", "3,1"),
            Some(KeyFields::Numbers(Numbers::of(vec![3, 1])))
        );
        assert!(matches!(
            check("id,user name", "id,user name"),
            Some(KeyFields::Names(_))
        ));
        for none in ["", "0", "1,", "1,id", "id,2", "id,"] {
            check(none, "");
        }
    }
}
