//! A file beside the input, as a parameter.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mapfold_data::side_file::{read, read_known};
use mapfold_terms::ParamFile;
use memchr::memchr;

use crate::{ParamError, ParamValue};

/// A file that every task of a job is given, such as a list of stop words: declared as a parameter, named with
/// `-p NAME=FILE`, read when the job is made.
///
/// It is known by what is in it: the manifest names its hash, and a process that makes the job refuses a file that changed after the job was
/// submitted. Each process that runs the job reads it once, whole, into memory beside `--memory`
/// ([1 GiB](mapfold_data::side_file::SIDE_FILE_MAX) at most); a job that makes something else of it need not keep it.
///
/// ```
/// use std::collections::HashSet;
/// use mapfold_job::{Emitter, Fold, Job, JobError, Record, Rows, SideFile, Trial, Values, params};
///
/// params! {
///     /// Which words count.
///     pub struct WordsParams {
///         /// Words to leave out, one a line.
///         pub stop_words: Option<SideFile> = None,
///     }
/// }
///
/// /// Counts words that are not on a list.
/// struct Words {
///     stop_words: HashSet<Vec<u8>>,
/// }
///
/// impl Job for Words {
///     type Params = WordsParams;
///     type Key = Vec<u8>;
///     type Value = u64;
///     const NAME: &'static str = "words";
///     const SUMMARY: &'static str = "count words that are not on a list";
///     const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);
///
///     fn new(params: WordsParams) -> Result<Self, JobError> {
///         let stop_words = params.stop_words.iter().flat_map(SideFile::lines);
///         Ok(Self { stop_words: stop_words.map(<[u8]>::to_vec).collect() })
///     }
///
///     fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
///         for word in record.bytes.split(|byte| *byte == b' ') {
///             if !self.stop_words.contains(word) {
///                 out.emit(word, 1);
///             }
///         }
///         Ok(())
///     }
///
///     fn reduce(
///         &self,
///         word: &[u8],
///         counts: &mut Values<'_, Self>,
///         rows: &mut Rows<'_>,
///     ) -> Result<(), JobError> {
///         rows.row(word, counts.owned().sum::<u64>());
///         Ok(())
///     }
/// }
///
/// let trial = Trial::<Words>::of("the cat\nthe hat\n").side_file("stop_words", "the\n");
/// assert_eq!(trial.check().unwrap().rows(), ["cat\t1", "hat\t1"]);
/// ```
#[derive(Clone)]
pub struct SideFile {
    path: String,
    bytes: Arc<Vec<u8>>,
}

impl SideFile {
    /// One that holds `bytes`, without a file: for a default, or a test of [`Job::new`](crate::Job::new).
    pub fn of(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            path: String::new(),
            bytes: Arc::new(bytes.into()),
        }
    }

    /// All that is in it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same as text.
    ///
    /// # Errors
    /// It is not UTF-8; the error names the file and the offset.
    pub fn text(&self) -> Result<&str, NoText> {
        str::from_utf8(&self.bytes).map_err(|error| NoText {
            path: self.path.clone(),
            offset: error.valid_up_to(),
        })
    }

    /// Its lines, without their LF or CRLF.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.bytes();
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (line, after) = match memchr(b'\n', rest) {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            // A CR counts as part of the end only before an LF, as in records.
            let ended = line.len() < rest.len();
            rest = after;
            Some(match line.strip_suffix(b"\r") {
                Some(line) if ended => line,
                _ => line,
            })
        })
    }
}

impl fmt::Debug for SideFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SideFile({:?}, {} bytes)", self.path, self.bytes.len())
    }
}

/// A side file is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("side file {path} is not UTF-8 at byte {offset}")]
pub struct NoText {
    /// The file.
    pub path: String,
    /// Of the first byte that is wrong.
    pub offset: usize,
}

impl ParamValue for SideFile {
    const KIND: &'static str = ParamFile::KIND;
    const EXPECTED: &'static str = "a file";

    fn parse(typed: &str) -> Option<Self> {
        Self::given("", typed).ok()
    }

    fn given(name: &str, typed: &str) -> Result<Self, ParamError> {
        let known = ParamFile::parse(typed);
        let bytes = match &known {
            Some(file) => read_known(file),
            // In a test, or a first look: nobody has said what is in it.
            None => read(Path::new(typed)),
        };
        match bytes {
            Ok(bytes) => Ok(Self {
                path: known.map_or_else(|| typed.to_owned(), |file| file.path),
                bytes: Arc::new(bytes),
            }),
            Err(source) => Err(ParamError::File {
                name: name.to_owned(),
                source,
            }),
        }
    }

    fn show(&self) -> String {
        self.path.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        let file = SideFile::of(text);
        let lines: Vec<_> = file
            .lines()
            .map(|line| str::from_utf8(line).unwrap())
            .collect();
        assert_eq!(lines, want, "{text:?}");
    }

    #[test]
    fn lines_lose_their_ends() {
        check("", &[]);
        check("a", &["a"]);
        check("a\nb\r\n\nc\r", &["a", "b", "", "c\r"]);
        check("a\n", &["a"]);
    }

    #[test]
    fn what_is_no_text_is_told_with_its_place() {
        let file = SideFile::of(b"ab\xff".to_vec());
        assert_eq!(file.text().unwrap_err().offset, 2);
        assert_eq!(SideFile::of("ab").text(), Ok("ab"));
    }
}
