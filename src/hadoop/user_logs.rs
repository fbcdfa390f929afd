//! Logs of failed attempts where tools look for them: `userlogs/application_*/attempt_*/{stderr,syslog}` below `HADOOP_LOG_DIR`.
//!
//! From these mrjob tells the traceback of a program in Python, its command line and the piece of input. It wants a line of a Java stack in
//! `syslog`, or passes the attempt over.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use mapfold_terms::{FailedAttempt, Split, TaskKind};

use super::clock::Moment;
use super::ids::JobName;
use super::log;

/// Leaves the logs of one attempt; a warning if they cannot be written.
pub(super) fn leave(folder: &Path, job: JobName, failed: &FailedAttempt, split: Option<&Split>) {
    let folder = folder
        .join("userlogs")
        .join(job.application())
        .join(job.attempt(failed.attempt));
    if let Err(error) = write(&folder, failed, split) {
        let shown = folder.display();
        log::warn(log::JOB, &format!("cannot leave logs in {shown}: {error}"));
    }
}

fn write(folder: &Path, failed: &FailedAttempt, split: Option<&Split>) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let mut said = failed.failure.chain.join("\n");
    said.push('\n');
    fs::write(folder.join("stderr"), said)?;
    let is_map = failed.attempt.task.kind == TaskKind::Map;
    fs::write(
        folder.join("syslog"),
        syslog(failed, split.filter(|_| is_map)),
    )
}

fn syslog(failed: &FailedAttempt, split: Option<&Split>) -> String {
    let time = Moment::now().to_millisecond();
    let mut text = String::new();
    for piece in split.iter().flat_map(|split| &split.pieces) {
        let uri = format!("file:{}", piece.file.path.display());
        let (start, length) = (piece.start, piece.end - piece.start);
        let _ = writeln!(
            text,
            "{time} INFO [main] org.apache.hadoop.mapred.MapTask: Processing split: {uri}:{start}+{length}"
        );
    }
    let what = failed.failure.chain.first().map_or("", String::as_str);
    let what = what.lines().next().unwrap_or_default();
    let _ = writeln!(
        text,
        "{time} WARN [main] org.apache.hadoop.mapred.YarnChild: Exception running child : java.lang.RuntimeException: {what}"
    );
    // No Java was there; what a tool knows an error by.
    text.push_str(
        "\tat org.apache.hadoop.streaming.PipeMapRed.waitOutputThreads(PipeMapRed.java:1)\n",
    );
    text
}
