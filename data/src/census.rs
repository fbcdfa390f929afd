//! What a sorted output is checked by: are its records in order, how many are there, and are they those of the input?
//!
//! The checksum does not depend on the order of records, so that of an input and that of its sorted output can be compared. It is the sum of
//! the CRC-32 of every record, as `valsort` and TeraValidate compute it.

use flate2::Crc;
use mapfold_terms::{ByteSize, Plan};

use crate::input::{ReadSplitError, SplitReader};

/// A record may be as long as a sort can have made it.
const RECORD_MAX: ByteSize = ByteSize::mib(1 << 10);

/// What is known of many records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// How many there are.
    pub records: u64,
    /// Sum of the CRC-32 of each, without its line end.
    pub checksum: u64,
    /// Records whose key is that of the one before. Only where an order was checked.
    pub equal_keys: u64,
}

/// The order that records should be in.
pub struct Order<'a> {
    /// Appends the key of a record to what it is given; keys compare as bytes.
    pub key: &'a dyn Fn(&[u8], &mut Vec<u8>),
    /// Whether the first record of a file must not be below the last of the file before.
    pub across: bool,
}

/// Why a census ends early.
#[derive(Debug, thiserror::Error)]
pub enum CensusError {
    /// A file could not be read.
    #[error("cannot read the records")]
    Read(#[source] ReadSplitError),
    /// Two records are in the wrong order.
    #[error(
        "{file}, row {row}: its key `{}` is below `{}`, the key of {}",
        .key.escape_ascii(), .before.escape_ascii(),
        .after.as_ref().map_or_else(|| "the row before".to_owned(), |file| format!("the last row of {file}"))
    )]
    Unordered {
        /// File of the second.
        file: String,
        /// Its number within the file, from 1.
        row: u64,
        /// Its key.
        key: Vec<u8>,
        /// The key of the one before.
        before: Vec<u8>,
        /// File of the one before, if it is another.
        after: Option<String>,
    },
}

/// Reads all records of a plan, in order.
///
/// # Errors
/// See [`CensusError`].
pub fn take(plan: &Plan, order: Option<&Order<'_>>) -> Result<Census, CensusError> {
    let mut census = Census::default();
    let mut last: Option<Last> = None;
    let mut key = Vec::new();
    for split in &plan.splits {
        let mut reader = SplitReader::new(split, plan.format, RECORD_MAX);
        while let Some(block) = reader.next_block().map_err(CensusError::Read)? {
            let file = &block.file().path;
            for record in block.records() {
                census.records += 1;
                let mut crc = Crc::new();
                crc.update(record.bytes);
                census.checksum = census.checksum.wrapping_add(u64::from(crc.sum()));
                let Some(order) = order else {
                    continue;
                };
                key.clear();
                (order.key)(record.bytes, &mut key);
                let Some(last) = &mut last else {
                    last = Some(Last {
                        file: file.clone(),
                        name: block.file().name.display().to_string(),
                        row: 1,
                        key: std::mem::take(&mut key),
                    });
                    continue;
                };
                let same_file = last.file == *file;
                let row = if same_file { last.row + 1 } else { 1 };
                if (same_file || order.across) && key < last.key {
                    return Err(CensusError::Unordered {
                        file: block.file().name.display().to_string(),
                        row,
                        key,
                        before: std::mem::take(&mut last.key),
                        after: (!same_file).then(|| std::mem::take(&mut last.name)),
                    });
                }
                census.equal_keys += u64::from(key == last.key);
                last.row = row;
                std::mem::swap(&mut last.key, &mut key);
                if !same_file {
                    last.file = file.clone();
                    last.name = block.file().name.display().to_string();
                }
            }
        }
    }
    Ok(census)
}

/// The record before.
struct Last {
    file: mapfold_terms::RawPath,
    name: String,
    row: u64,
    key: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use mapfold_terms::{Format, InputName};

    use super::*;
    use crate::input;

    /// A census of files with these contents, ordered as bytes.
    fn census(contents: &[&str], across: bool) -> Result<Census, String> {
        let folder = tempfile::tempdir().unwrap();
        for (number, content) in contents.iter().enumerate() {
            fs::write(folder.path().join(format!("part-{number}")), content).unwrap();
        }
        let name = InputName {
            typed: Path::new("out").into(),
            absolute: folder.path().into(),
            input: 0,
            format: None,
        };
        let found = input::discover(&[name]).unwrap();
        let plan = input::plan(found, Format::Lines, None, None).unwrap();
        let key = |record: &[u8], key: &mut Vec<u8>| key.extend_from_slice(record);
        let order = Order { key: &key, across };
        take(&plan, Some(&order)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_checksum_is_that_of_the_records_in_any_order() {
        let one = census(&["a\nb\nb\n", "c"], true).unwrap();
        let two = census(&["", "b\nc", "a\nb\n"], false).unwrap();
        assert_eq!((one.records, one.checksum), (two.records, two.checksum));
        assert_eq!((one.equal_keys, two.equal_keys), (1, 0));
        // The CRC-32 of a, b, b and c.
        let sum = 0xe8b7_be43_u64 + 2 * 0x71be_eff9 + 0x06b9_df6f;
        assert_eq!(one.checksum, sum);
        assert_ne!(census(&["a\nb\nc\nc\n"], true).unwrap().checksum, sum);
    }

    #[test]
    fn the_first_row_in_the_wrong_place_is_named_with_both_keys() {
        assert_eq!(
            census(&["a\n", "b\na\nc\n"], true).unwrap_err(),
            "out/part-1, row 2: its key `a` is below `b`, the key of the row before"
        );
        assert_eq!(
            census(&["a\nc\n", "b\n"], true).unwrap_err(),
            "out/part-1, row 1: its key `b` is below `c`, the key of the last row of out/part-0"
        );
        assert!(census(&["a\nc\n", "b\n"], false).is_ok());
    }
}
