//! The header line of a file of rows: the names of its columns.

use csv::ByteRecord;

use super::fields::{FieldError, Fields};

/// The names of the columns of one file, which are its first line. Every split of the file has it, as the reader looks there.
#[derive(Clone, Debug)]
pub struct Header {
    delimiter: u8,
    names: ByteRecord,
}

impl Header {
    /// Of a line without its end. A byte order mark before it is no part of the first name.
    ///
    /// # Errors
    /// Its quotes are not as they should be.
    pub fn new(line: &[u8], delimiter: u8) -> Result<Self, FieldError> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        let mut names = ByteRecord::new();
        for name in Fields::new(line, delimiter) {
            names.push_field(&name?);
        }
        Ok(Self { delimiter, names })
    }

    /// What stands between two fields.
    #[inline]
    pub const fn delimiter(&self) -> u8 {
        self.delimiter
    }

    /// The names, in the order of the columns.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.names.iter()
    }

    /// The place of a column, counted from 0.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names().position(|it| it == name.as_bytes())
    }

    pub(super) const fn row(&self) -> &ByteRecord {
        &self.names
    }
}
