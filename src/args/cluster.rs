//! What stands behind the commands of a cluster.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueHint;
use mapfold_terms::{ByteSize, JobId};

use super::values::{SLOTS_MAX, parse_count, parse_job_id};
use crate::duration;

/// Start the master of a cluster
///
/// Plans jobs, hands out their tasks to workers, and puts output in place. Ends on Ctrl-C or SIGTERM.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  mapfold master
  mapfold master --listen 10.0.0.1:7711 --insecure")]
pub(crate) struct MasterArgs {
    /// Where to listen: HOST:PORT, or unix:PATH
    ///
    /// Port 0 takes any free one; the address is printed.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7711")]
    pub(crate) listen: String,

    /// Listen beyond this machine without TLS (private networks only)
    ///
    /// Whoever reaches the port can run jobs as you.
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Silence after which a worker counts as dead
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration::parse)]
    pub(crate) lease: Duration,

    /// Keep a journal in this folder, and go on with the jobs in it
    ///
    /// A master that was killed, or lost power, and is started again with the same folder goes on where it was: workers come back
    /// with what they have finished, and clients that wait go on waiting (both for 5 minutes). Without it, jobs end with
    /// their master.
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,

    /// Most that files of jobs (plugins, side files) may take here, all together
    ///
    /// They are kept in the state folder, or in a temporary one, while jobs need them, and for an hour after. One job may have a
    /// quarter of it.
    #[arg(long, value_name = "SIZE", default_value = "4GiB")]
    pub(crate) files_max: ByteSize,
}

/// Start a worker and join a master
///
/// Runs attempts at map and reduce tasks until it is stopped, or until the master ends.
#[derive(Debug, clap::Args)]
#[command(
    arg_required_else_help = true,
    after_long_help = "\
Examples:
  mapfold worker --master 127.0.0.1:7711
  mapfold worker --master 10.0.0.1:7711 --data 10.0.0.2:7713 --insecure --slots 8 --dir /scratch/mapfold"
)]
pub(crate) struct WorkerArgs {
    /// The master: HOST:PORT, or unix:PATH
    #[arg(long, value_name = "ADDR")]
    pub(crate) master: String,

    /// Attempts that run at once [default: one per CPU]
    #[arg(long, value_name = "N", value_parser = parse_count::<SLOTS_MAX>)]
    pub(crate) slots: Option<NonZeroU32>,

    /// Memory that the process may occupy [default: half of what can be had]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<ByteSize>,

    /// Folder for runs and spills [default: a private one in the temporary folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) dir: Option<PathBuf>,

    /// Bytes that runs and spills may take there [default: what the disk has]
    ///
    /// An attempt that would take more fails as on a full disk, and is tried on another worker.
    #[arg(long, value_name = "SIZE")]
    pub(crate) temp_max: Option<ByteSize>,

    /// Where to serve runs to other workers [default: 127.0.0.1, port 7713 or any free one]
    #[arg(long, value_name = "ADDR")]
    pub(crate) data: Option<String>,

    /// How long SIGTERM may take: until then the worker ends what it runs and serves its runs while jobs need them
    ///
    /// A second SIGTERM, or Ctrl-C, ends it at once; its work is then done again by others.
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = duration::parse)]
    pub(crate) drain_max: Duration,

    /// Talk beyond this machine without TLS (private networks only)
    #[arg(long)]
    pub(crate) insecure: bool,

    /// Run each attempt in a process of its own
    ///
    /// Code of a job that aborts, overflows its stack, eats memory or never comes back then ends no more than that process.
    #[arg(long)]
    pub(crate) isolate: bool,

    /// A plugin whose jobs it may be asked for.
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) plugin: Option<PathBuf>,

    /// End as soon as this process, the parent, has ended.
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) parent: Option<u32>,
}

/// Show a job on a cluster
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct StatusArgs {
    /// Id of the job, such as j3
    #[arg(value_parser = parse_job_id)]
    pub(crate) job: JobId,

    /// Follow it until it ends
    #[arg(short, long)]
    pub(crate) watch: bool,

    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

/// Which cluster is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArgs {
    /// The master: HOST:PORT, or unix:PATH
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7711")]
    pub(crate) master: String,

    /// Talk to a master beyond this machine without TLS (private networks only)
    #[arg(long)]
    pub(crate) insecure: bool,
}
