//! The quarantine: records that a job put aside because its `map` failed on them, as a file of the output folder.
//!
//! A line of JSON for each, in the order of the input, so that the file is the same bytes on every run. Its name begins with `_`: it is no part,
//! and whoever reads the folder as input passes it by.

use mapfold_terms::{Skipped, excerpt};
use serde::{Deserialize, Serialize};

use super::B3;

/// Name of the quarantine in an output folder. There is none if no record was put aside.
pub const SKIPPED_NAME: &str = "_skipped.jsonl";

/// What the manifest says of the quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkippedFile {
    /// [`SKIPPED_NAME`].
    pub name: String,
    /// Records in it, a line each.
    pub records: u64,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its bytes.
    pub b3: B3,
}

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    file: String,
    offset: u64,
    record: u64,
    bytes: u64,
    excerpt: String,
    error: &'a str,
}

/// The quarantine of these records: its entry, and its bytes. `None` if there are none.
pub fn quarantine<'a>(
    skipped: impl IntoIterator<Item = &'a Skipped>,
) -> Option<(SkippedFile, Vec<u8>)> {
    let mut records = 0;
    let mut out = Vec::new();
    for record in skipped {
        let line = Line {
            file: record.file.display().to_string(),
            offset: record.offset,
            record: record.record,
            bytes: record.bytes,
            excerpt: excerpt(&record.excerpt),
            error: &record.error,
        };
        serde_json::to_writer(&mut out, &line).expect("texts and numbers always serialize");
        out.push(b'\n');
        records += 1;
    }
    let entry = SkippedFile {
        name: SKIPPED_NAME.to_owned(),
        records,
        bytes: out.len() as u64,
        b3: B3::of(&out),
    };
    (records > 0).then_some((entry, out))
}
