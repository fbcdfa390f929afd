//! What the environment says of where things are.

use std::env;
use std::path::PathBuf;

use super::names::Names;

/// Names the folder that `hdfs:///` stands for.
const HDFS: &str = "MAPFOLD_HDFS";
/// The file system of paths without a scheme.
const DEFAULT_FS: &str = "MAPFOLD_FS";
/// The master of the cluster that jobs run on.
const MASTER: &str = "MAPFOLD_MASTER";
/// Whether a master beyond this machine may be talked to without TLS.
const INSECURE: &str = "MAPFOLD_INSECURE";

/// Where things are, and who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Environment {
    /// What `hdfs:///` stands for; `MAPFOLD_HDFS`, else `~/.mapfold/hdfs`.
    pub(super) hdfs: PathBuf,
    /// `MAPFOLD_FS`: `hdfs:///` or `file:///`.
    pub(super) default_fs: Option<String>,
    /// `MAPFOLD_MASTER`: `host:port` or `unix:PATH`.
    pub(super) master: Option<String>,
    /// `MAPFOLD_INSECURE`: anything but nothing and `0`.
    pub(super) insecure: bool,
    /// `HADOOP_LOG_DIR`: where logs of failed attempts are left.
    pub(super) log_dir: Option<PathBuf>,
    /// Whose paths `x` in `hdfs:` are: `HADOOP_USER_NAME`, `USER` or `LOGNAME`, else the name of whoever runs this.
    pub(super) user: String,
    /// The working folder.
    pub(super) folder: PathBuf,
}

impl Environment {
    /// What this process was given.
    pub(super) fn read() -> Self {
        let text = |name: &str| {
            let value = env::var_os(name).filter(|value| !value.is_empty());
            value.map(|value| value.to_string_lossy().into_owned())
        };
        let home = PathBuf::from(text("HOME").unwrap_or_else(|| "/".to_owned()));
        let user = ["HADOOP_USER_NAME", "USER", "LOGNAME"];
        Self {
            hdfs: text(HDFS).map_or_else(|| home.join(".mapfold/hdfs"), PathBuf::from),
            default_fs: text(DEFAULT_FS),
            master: text(MASTER),
            insecure: text(INSECURE).is_some_and(|value| value != "0"),
            log_dir: text("HADOOP_LOG_DIR").map(PathBuf::from),
            user: user
                .iter()
                .find_map(|name| text(name))
                .unwrap_or_else(|| Names::read().own()),
            folder: env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
        }
    }

    /// What tasks need to see the same files.
    pub(super) fn for_tasks(&self) -> [(&'static str, String); 1] {
        [(HDFS, self.hdfs.display().to_string())]
    }
}
