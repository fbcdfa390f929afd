//! What a streaming job is told: one parameter, as JSON.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::unpack;

/// A streaming job. Commands are cut into arguments by spaces, as `mapfold stream --help` tells.
///
/// By default it is one of texts, whose keys end at the first TAB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conf {
    /// What the input consists of.
    pub records: Records,
    /// Lines of the input that are as long as this or longer, with their ends, are passed over; 0: none are. In bytes.
    pub line_max: u64,
    /// Is fed the records, and prints keys and values. Without one the records are the keys and values.
    pub mapper: Option<String>,
    /// Is fed sorted keys and values of one map task, and prints keys and values. Run once for each 64 MiB of what the mapper prints, or less.
    /// An aggregate needs none, so there it is passed over.
    pub combiner: Option<String>,
    /// What becomes of keys and values. A job without reduce tasks does not look at it.
    pub reducer: Reducer,
    /// What the mapper is fed.
    pub map_input: Fed,
    /// Whether the mapper is fed the values alone, if it is fed text: lines without their places in the file.
    pub ignore_key: bool,
    /// What the mapper prints.
    pub map_output: Printed,
    /// What the combiner prints. (Hadoop takes `reduce_output` for it.)
    pub combiner_output: Printed,
    /// What combiner and reducer are fed.
    pub reduce_input: Fed,
    /// What the reducer prints.
    pub reduce_output: Printed,
    /// What keys are that no program prints, but the input has.
    pub key_class: KeyClass,
    /// Between key and value of a row.
    pub row_separator: String,
    /// Which partition a key belongs to.
    pub partitioner: PartitionBy,
    /// Of fields that `partitioner` and `order` name.
    pub key_separator: String,
    /// What keys are sorted by, such as `-k2,2nr`; by their bytes, if empty.
    pub order: String,
    /// All properties of the job, which programs find in their environment as well: each name with `_` for what is neither letter nor digit.
    pub properties: BTreeMap<String, String>,
    /// Added to the environment of all programs, after the properties.
    pub env: BTreeMap<String, String>,
    /// The working folder of all programs, unless files go with the job: then each attempt has one of its own.
    pub folder: PathBuf,
    /// Files to find there; programs among them are made executable. On a cluster they go with the job; folders must be at their paths on all machines.
    pub files: Vec<Shipped>,
    /// The same to be unpacked, each into a folder that is found there by its name: zip, jar, tar, tgz.
    pub archives: Vec<Shipped>,
    /// Whether a program that ends with another code than 0 fails its attempt.
    pub codes_matter: bool,
    /// A program that is waited for so long, and meanwhile neither reads, prints nor reports, fails its attempt, which is tried again; zero: never. The engine's
    /// own limit is for code that cannot be stopped, and ends the job where no other worker could try the task.
    pub silence_max: Duration,
    /// Of a job without reduce tasks: how the program of each map task has ended is noted in the output [`job_log`](crate::job_log), and from the try of
    /// this number on it does not fail the attempt by ending with another code than 0.
    pub job_log: Option<u32>,
    /// Begins a line of stderr that is a report.
    pub reporter: String,
    /// Whether other lines of stderr also go to that of the process that runs the program.
    pub passes_stderr: bool,
}

/// A file that goes with a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shipped {
    /// What it is called in the working folder: a name without a slash.
    pub name: String,
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Where a worker has it that was sent it.
    #[serde(skip)]
    pub(crate) at: Option<PathBuf>,
}

impl Shipped {
    /// The file at `path`, absolute, which programs know as `name`.
    pub fn new(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            at: None,
        }
    }

    /// Path and name of what is typed as `PATH` or `PATH#NAME`.
    pub fn cut(typed: &str) -> (&str, Option<&str>) {
        match typed.rsplit_once('#') {
            Some((path, name)) if !name.is_empty() => (path, Some(name)),
            _ => (typed, None),
        }
    }

    /// The file at `path`, absolute, under this name or, without one, its own.
    ///
    /// # Errors
    /// The name, if it is none for a file in a folder.
    pub fn named(path: PathBuf, name: Option<&str>) -> Result<Self, String> {
        let own = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.map_or(own.into_owned(), str::to_owned);
        match matches!(name.as_str(), "" | "." | "..") || name.contains('/') {
            true => Err(name),
            false => Ok(Self::new(name, path)),
        }
    }

    /// Whether it is unpacked, as its name tells, where it goes with a job as an archive.
    pub fn is_archive(&self) -> bool {
        unpack::packing(&self.path).is_some()
    }

    /// Where it is here.
    pub(crate) fn place(&self) -> &Path {
        self.at.as_deref().unwrap_or(&self.path)
    }
}

/// What the input consists of. Keys are numbers in the first case, else texts; values are always texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Records {
    /// Lines. The key is where a line begins: its offset in the unpacked file.
    Lines,
    /// Lines with a key before the first separator and a value after; one without it is a key with an empty value.
    KeyValueLines {
        /// The separator.
        separator: String,
    },
    /// What is in a file from `begin` to the next `end`, with both: a key with an empty value. What is between the records is passed over. `begin` is within
    /// a line.
    Xml {
        /// Begins a record.
        begin: String,
        /// Ends it.
        end: String,
    },
}

/// What becomes of keys and values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reducer {
    /// They are the rows.
    Identity,
    /// Keys are `TYPE:ID`, such as `LongValueSum:words`, and the type says what becomes of the values of an id.
    Aggregate,
    /// A program is fed them, and prints rows.
    Command(String),
}

/// What keys are that the input has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyClass {
    /// Numbers, as of [`Records::Lines`].
    Number,
    /// Texts.
    Text,
}

/// How keys and values are written for a program to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fed {
    /// As what.
    pub form: Form,
    /// Between key and value of [`Form::Text`].
    pub separator: String,
}

/// How what a program prints is read as keys and values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Printed {
    /// As what.
    pub form: Form,
    /// Of the fields of [`Form::Text`].
    pub separator: String,
    /// A line is cut into key and value at that separator, counted from 1.
    pub keys: usize,
}

/// How keys and values stand in the stdin or stdout of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// A line: key, separator, value.
    #[default]
    Text,
    /// A line, which is the key. There is no value.
    KeyOnlyText,
    /// Each as a byte that tells its type, and what it takes.
    TypedBytes,
    /// Each as four bytes that tell how many follow.
    RawBytes,
}

/// Which partition a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionBy {
    /// By a hash of its bytes.
    Hash,
    /// By a hash of the parts that these options name, such as `-k1,1`; of the whole key, if there are none.
    KeyFields(String),
}

impl Default for Conf {
    fn default() -> Self {
        Self {
            records: Records::Lines,
            line_max: 0,
            mapper: None,
            combiner: None,
            reducer: Reducer::Identity,
            map_input: Fed::default(),
            ignore_key: true,
            map_output: Printed::default(),
            combiner_output: Printed::default(),
            reduce_input: Fed::default(),
            reduce_output: Printed::default(),
            key_class: KeyClass::Number,
            row_separator: "\t".to_owned(),
            partitioner: PartitionBy::Hash,
            key_separator: "\t".to_owned(),
            order: String::new(),
            properties: BTreeMap::new(),
            env: BTreeMap::new(),
            folder: PathBuf::from("."),
            files: Vec::new(),
            archives: Vec::new(),
            codes_matter: true,
            silence_max: Duration::ZERO,
            job_log: None,
            reporter: crate::reporter::PREFIX.to_owned(),
            passes_stderr: false,
        }
    }
}

impl Default for Fed {
    fn default() -> Self {
        Self {
            form: Form::Text,
            separator: "\t".to_owned(),
        }
    }
}

impl Default for Printed {
    fn default() -> Self {
        Self {
            form: Form::Text,
            separator: "\t".to_owned(),
            keys: 1,
        }
    }
}
