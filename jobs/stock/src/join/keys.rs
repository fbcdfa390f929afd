//! Where the key of a record stands.

use std::borrow::Cow;

use mapfold_job::{Header, JobError, ParamValue};

use crate::column::Delimiter;
use crate::fields::{Fields, Typed};

/// The fields that are the key, as they are typed: numbers of columns from 1, or names; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFields {
    fields: Vec<String>,
    /// They are names: of columns of a file with a header, or of members of a JSON object.
    named: bool,
}

impl KeyFields {
    /// The first column.
    pub(super) fn first() -> Self {
        Self {
            fields: vec!["1".to_owned()],
            named: false,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.fields.len()
    }
}

impl ParamValue for KeyFields {
    const KIND: &'static str = "LIST";
    const EXPECTED: &'static str =
        "a list of columns, counted from 1, such as 1,3, or of names, such as id";

    fn parse(typed: &str) -> Option<Self> {
        let fields = || typed.split(',');
        let named = fields().all(|field| field.parse::<u64>().is_err());
        let field = |field: &str| match field.parse::<u32>() {
            Ok(number) => (number > 0).then(|| number.to_string()),
            Err(_) => (named && !field.is_empty()).then(|| field.to_owned()),
        };
        let fields = fields().map(field).collect::<Option<_>>()?;
        Some(Self { fields, named })
    }

    fn show(&self) -> String {
        self.fields.join(",")
    }
}

/// The key's fields in records of one side.
pub(super) struct SideKey(Vec<Typed<1>>);

impl SideKey {
    pub(super) fn new(key: &KeyFields, delimiter: Delimiter) -> Result<Self, JobError> {
        let fields = key.fields.iter();
        let fields = fields.map(|field| Typed::new([field], delimiter, key.named));
        fields.collect::<Result<_, _>>().map(Self)
    }

    /// Where they stand in a file with this header.
    pub(super) fn fields(
        &self,
        header: Option<&Header>,
    ) -> Result<Vec<Cow<'_, Fields<1>>>, JobError> {
        self.0.iter().map(|field| field.within(header)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_numbers_or_names() {
        for (typed, want, named) in [
            ("3,01", "3,1", false),
            ("id,user name", "id,user name", true),
        ] {
            let parsed = KeyFields::parse(typed).unwrap();
            assert_eq!((parsed.show().as_str(), parsed.named), (want, named));
        }
        for none in ["", "0", "1,", "1,id", "id,2", "id,"] {
            assert_eq!(KeyFields::parse(none), None, "{none}");
        }
    }
}
