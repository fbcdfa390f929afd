//! What is made: a kind, a size and a seed, as files that do not depend on each other.

use std::io::{self, Write};

use mapfold_terms::ByteSize;

use super::records;
use super::{logs, random, tera, text, zipf};

/// Size of each file but the last, rounded down to whole records: many enough for a few cores to share 1 GiB,
/// large enough that a file is several splits.
pub const FILE_BYTES: ByteSize = ByteSize::mib(64);

/// What a data set looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Lines of words whose frequencies follow Zipf's law.
    Zipf,
    /// English-like prose.
    Text,
    /// Records of 100 bytes to sort.
    Tera,
    /// Lines of a web server's log.
    Logs,
}

/// One data set: any of its files can be made at any time, by any thread.
#[derive(Debug)]
pub struct DataSet {
    size: ByteSize,
    seed: u64,
    source: Source,
}

/// What all files of a set share.
#[derive(Debug)]
enum Source {
    Zipf(zipf::Vocabulary),
    Text(text::Vocabulary),
    Tera,
    Logs(Box<logs::Site>),
}

impl DataSet {
    /// A set of `size` bytes in all: each file ends with the last whole record that fits.
    ///
    /// Builds the tables of its kind (0.1 s and 25 MiB for `Zipf`, little for the others).
    pub fn new(kind: Kind, size: ByteSize, seed: u64) -> Self {
        let source = match kind {
            Kind::Zipf => Source::Zipf(zipf::Vocabulary::new()),
            Kind::Text => Source::Text(text::Vocabulary::new()),
            Kind::Tera => Source::Tera,
            Kind::Logs => Source::Logs(Box::new(logs::Site::new())),
        };
        Self { size, seed, source }
    }

    /// How many files it has; one at least.
    pub fn files(&self) -> u64 {
        self.size.bytes().div_ceil(self.file_bytes()).max(1)
    }

    /// The name of a file, such as `zipf-00007.txt`; names sort as their indices do.
    pub fn file_name(&self, index: u64) -> String {
        let (stem, extension) = match self.source {
            Source::Zipf(_) => ("zipf", "txt"),
            Source::Text(_) => ("text", "txt"),
            Source::Tera => ("tera", "dat"),
            Source::Logs(_) => ("logs", "log"),
        };
        format!("{stem}-{index:05}.{extension}")
    }

    /// Writes the file `index`, in pieces of some 256 KiB, and tells its length in bytes.
    ///
    /// # Errors
    /// What the writer refuses.
    pub fn write_file(&self, index: u64, out: &mut impl Write) -> io::Result<u64> {
        let first = index * self.file_bytes();
        let bytes = self.size.bytes().saturating_sub(first);
        let bytes = bytes.min(self.file_bytes());
        let random = random::Random::new(self.seed, index);
        match &self.source {
            Source::Zipf(words) => records::write(zipf::Lines::new(words, random), bytes, out),
            Source::Text(words) => records::write(text::Prose::new(words, random), bytes, out),
            Source::Tera => {
                let rows = tera::Rows::new(first / tera::ROW_BYTES, random);
                records::write(rows, bytes, out)
            }
            Source::Logs(site) => {
                records::write(logs::Requests::new(site, first, random), bytes, out)
            }
        }
    }

    fn file_bytes(&self) -> u64 {
        match self.source {
            // Whole rows, so that their numbers go on from file to file.
            Source::Tera => FILE_BYTES.bytes() / tera::ROW_BYTES * tera::ROW_BYTES,
            _ => FILE_BYTES.bytes(),
        }
    }
}

#[cfg(test)]
mod tests;
