//! The fields of a row of comma-separated values (RFC 4180), strictly.
//!
//! A row is one line. A line break within quotes would have the row go on in the next line, which may be in another split, whose reader cannot
//! know it; so a field whose quotes do not end on its line is an error, and so is a quote in the middle of a field, which is what the rest of
//! such a row looks like. Nothing is guessed: what is not exactly so is refused with its place.

use std::borrow::Cow;

use memchr::memchr;

/// The fields of one row, in order: slices of it, or copies where quotes were doubled. An empty row is one empty field.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// `None` after the last field.
    rest: Option<&'a [u8]>,
    delimiter: u8,
    /// Number of the next one, from 1.
    number: usize,
}

/// Why a row cannot be cut into fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Its quotes do not end on the line.
    #[error(
        "the quotes of field {field} do not end on the line: line breaks within fields are not supported"
    )]
    Unended {
        /// Which one, from 1.
        field: usize,
    },
    /// There is a quote where none can be.
    #[error(
        "field {field} has a quote within it: a field with quotes is quoted as a whole, and its quotes are doubled"
    )]
    Stray {
        /// Which one, from 1.
        field: usize,
    },
}

/// A field, and what follows its delimiter, if there is one.
type First<'a> = (Cow<'a, [u8]>, Option<&'a [u8]>);

impl<'a> Fields<'a> {
    /// Of a line without its end.
    pub const fn new(line: &'a [u8], delimiter: u8) -> Self {
        Self {
            rest: Some(line),
            delimiter,
            number: 1,
        }
    }

    /// The first field of `rest`.
    fn first(&self, rest: &'a [u8]) -> Result<First<'a>, FieldError> {
        let field = self.number;
        let Some(quoted) = rest.strip_prefix(b"\"") else {
            let (plain, rest) = match memchr(self.delimiter, rest) {
                Some(at) => (&rest[..at], Some(&rest[at + 1..])),
                None => (rest, None),
            };
            return match memchr(b'"', plain) {
                Some(_) => Err(FieldError::Stray { field }),
                None => Ok((Cow::Borrowed(plain), rest)),
            };
        };
        let mut text = Cow::Borrowed(&quoted[..0]);
        let mut from = 0;
        loop {
            let end = memchr(b'"', &quoted[from..]).ok_or(FieldError::Unended { field })?;
            let end = from + end;
            match &mut text {
                Cow::Owned(text) => text.extend_from_slice(&quoted[from..end]),
                text => *text = Cow::Borrowed(&quoted[..end]),
            }
            match quoted.get(end + 1) {
                None => return Ok((text, None)),
                Some(b'"') => text.to_mut().push(b'"'),
                Some(next) if *next == self.delimiter => {
                    return Ok((text, Some(&quoted[end + 2..])));
                }
                Some(_) => return Err(FieldError::Stray { field }),
            }
            from = end + 2;
        }
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Cow<'a, [u8]>, FieldError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let (field, rest) = match self.first(rest) {
            Ok(first) => first,
            Err(error) => return Some(Err(error)),
        };
        self.rest = rest;
        self.number += 1;
        Some(Ok(field))
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(line: &str, want: &[&str]) {
        let fields: Result<Vec<_>, _> = Fields::new(line.as_bytes(), b',').collect();
        let fields = fields.unwrap();
        let fields: Vec<_> = fields
            .iter()
            .map(|it| str::from_utf8(it).unwrap())
            .collect();
        assert_eq!(fields, want, "{line}");
    }

    #[test]
    fn fields_are_cut_and_unquoted() {
        check("", &[""]);
        check("a", &["a"]);
        check("a,b", &["a", "b"]);
        check(",", &["", ""]);
        check("a,,b,", &["a", "", "b", ""]);
        check("\"a\",b", &["a", "b"]);
        check("\"\",\"\"", &["", ""]);
        check("\"a,b\",c", &["a,b", "c"]);
        check("\"say \"\"hi\"\"\",\"\"\"\"", &["say \"hi\"", "\""]);
        check(" a , \tb", &[" a ", " \tb"]);
    }

    #[test]
    fn what_is_not_exactly_so_is_refused() {
        let refuses = |line: &str, want| {
            let fields: Result<Vec<_>, _> = Fields::new(line.as_bytes(), b',').collect();
            assert_eq!(fields.unwrap_err(), want, "{line}");
        };
        refuses("a,\"b", FieldError::Unended { field: 2 });
        refuses("\"", FieldError::Unended { field: 1 });
        refuses("\"a\"\"", FieldError::Unended { field: 1 });
        // The rest of a row that was broken within quotes.
        refuses("b\",c", FieldError::Stray { field: 1 });
        refuses("\"a\"b,c", FieldError::Stray { field: 1 });
        refuses("a,\"b\" ,c", FieldError::Stray { field: 2 });
    }

    proptest! {
        #[test]
        fn what_is_quoted_as_it_should_be_reads_back(
            fields in vec("[a,\" ;é]{0,5}", 1..5),
        ) {
            let quoted = |field: &String| match field.contains(['"', ',']) {
                true => format!("\"{}\"", field.replace('"', "\"\"")),
                false => field.clone(),
            };
            let line = fields.iter().map(quoted).collect::<Vec<_>>().join(",");
            let got: Result<Vec<_>, _> = Fields::new(line.as_bytes(), b',').collect();
            let got = got.unwrap();
            prop_assert_eq!(got.len(), fields.len());
            prop_assert!(got.iter().zip(&fields).all(|(got, want)| **got == *want.as_bytes()));
        }

        #[test]
        fn no_line_is_cut_into_other_than_all_of_it(line in vec(prop_oneof![Just(b','), Just(b'"'), Just(b'a')], 0..12)) {
            let fields: Result<Vec<_>, _> = Fields::new(&line, b',').collect();
            if let Ok(fields) = fields {
                let plain = |field: &Cow<'_, [u8]>| matches!(field, Cow::Borrowed(_));
                if !line.contains(&b'"') {
                    prop_assert!(fields.iter().all(plain));
                    prop_assert_eq!(fields.join(&b","[..]), line);
                }
            }
        }
    }
}
