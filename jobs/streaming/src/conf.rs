//! What a streaming job is told: one parameter, as JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A streaming job. Commands are cut into arguments by spaces, as `mapfold stream --help` tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conf {
    /// Is fed the lines of the input, and prints keys and values.
    pub mapper: String,
    /// Is fed sorted keys and values of one map task, and prints keys and values. Run once for each 64 MiB of what the mapper prints, or less.
    pub combiner: Option<String>,
    /// What becomes of keys and values.
    pub reducer: Reducer,
    /// How lines of mapper and combiner are cut.
    pub map_output: Cut,
    /// Between key and value of what a reducer is fed.
    pub reduce_input_separator: String,
    /// How lines of the reducer are cut.
    pub reduce_output: Cut,
    /// Which partition a key belongs to.
    pub partitioner: PartitionBy,
    /// Of fields that `partitioner` and `order` name.
    pub key_separator: String,
    /// What keys are sorted by, such as `-k2,2nr`; by their bytes, if empty.
    pub order: String,
    /// Added to the environment of all programs.
    pub env: BTreeMap<String, String>,
    /// The working folder of all programs.
    pub folder: PathBuf,
    /// Whether a program that ends with another code than 0 fails its attempt.
    pub codes_matter: bool,
    /// Begins a line of stderr that is a report.
    pub reporter: String,
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

/// How a line is cut into key and value: at its N-th separator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// The separator.
    pub separator: String,
    /// N.
    pub keys: usize,
}

/// Which partition a key belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartitionBy {
    /// By a hash of its bytes.
    Hash,
    /// By a hash of the parts that these options name, such as `-k1,1`.
    KeyFields(String),
}

impl Default for Conf {
    fn default() -> Self {
        Self {
            mapper: "cat".to_owned(),
            combiner: None,
            reducer: Reducer::Identity,
            map_output: Cut::default(),
            reduce_input_separator: "\t".to_owned(),
            reduce_output: Cut::default(),
            partitioner: PartitionBy::Hash,
            key_separator: "\t".to_owned(),
            order: String::new(),
            env: BTreeMap::new(),
            folder: PathBuf::from("."),
            codes_matter: true,
            reporter: crate::reporter::PREFIX.to_owned(),
        }
    }
}

impl Default for Cut {
    fn default() -> Self {
        Self {
            separator: "\t".to_owned(),
            keys: 1,
        }
    }
}
