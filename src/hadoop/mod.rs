//! The command line of Hadoop: called as `hadoop`, `mapred`, `yarn` or `hdfs`, this binary does what scripts and tools that know those programs ask for.
//!
//! ```text
//! arguments --options--> Options --conf--> Conf, RunSettings --job--> the engine, as for `mapfold stream`
//!                 properties, xml              inputs                   log, counters, user_logs
//! ```
//! Streaming jobs (`jar ...streaming*.jar`, `mapred streaming`) and files (`fs`), and nothing that needs Java. What it prints and how it ends is Hadoop's,
//! since tools such as mrjob read both; `docs/streaming.md` lists what differs on purpose.

mod class;
mod clock;
mod conf;
mod counters;
mod environment;
mod fs;
mod glob;
mod home;
mod ids;
mod inputs;
mod job;
mod launcher;
mod log;
mod names;
mod options;
mod properties;
mod stream;
mod uri;
mod user_logs;
mod xml;

pub(crate) use home::make as make_home;
pub(crate) use launcher::{called_as, launch};
pub(crate) use log::JobLog;
pub(crate) use options::is_known as is_option;
