//! A whole master, with workers and clients that are a few lines each.
//!
//! Time is paused: it jumps to the next deadline when everything waits, and stands still while a thread
//! works on files, so nothing here depends on how fast the machine is.

mod commits;
mod fake;
mod files;
mod jobs;
mod restart;
mod sockets;
mod speed;
mod workers;

use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mapfold_protocol::service::{ClientDesk, Refusal};
use mapfold_scheduler::Settings as Bounds;
use mapfold_terms::{
    Codec, Format, InputName, JobEnd, JobId, JobKey, JobReport, JobSpec, JobState, JobStatus,
    Partitioning, RawPath,
};
use tarpc::context;

use crate::{Master, MasterHandle, Settings};

/// A folder with inputs and room for outputs, and a master.
struct Bench {
    folder: tempfile::TempDir,
    master: MasterHandle,
}

impl Bench {
    fn new() -> Self {
        Self::with(Settings::new(Bounds::with_lease(Duration::from_secs(10))))
    }

    fn with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        Self {
            folder,
            master: Master::start(settings),
        }
    }

    /// Adds an input file of some lines.
    fn input(self, name: &str, lines: usize) -> Self {
        let text = "some words on a line\n".repeat(lines);
        fs::write(self.path("in").join(name), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A job over all inputs that writes to folder `out`.
    fn spec(&self, reducers: u32) -> JobSpec {
        static KEYS: AtomicU64 = AtomicU64::new(0);
        JobSpec {
            key: JobKey(u128::from(KEYS.fetch_add(1, Ordering::Relaxed))),
            job: "wordcount".to_owned(),
            params: Default::default(),
            files: Vec::new(),
            inputs: vec![InputName {
                typed: RawPath::from(Path::new("in")),
                absolute: RawPath::from(self.path("in")),
                input: 0,
                format: None,
            }],
            // A map task a line, so that a small file makes many.
            format: Format::NLine(NonZeroU32::MIN),
            split_size: None,
            split_per_file: false,
            reducers: Some(reducers),
            parts: Codec::Plain,
            lazy_parts: false,
            partitioning: Partitioning::Hash,
            output: RawPath::from(self.path("out")),
            overwrite: false,
            max_attempts: NonZeroU32::new(4).unwrap(),
            skip_bad: 0,
            backup: false,
            task_timeout: Duration::ZERO,
            row_key: "text".to_owned(),
            row_value: "u64".to_owned(),
        }
    }

    async fn submit(&self, spec: JobSpec) -> JobId {
        self.master
            .desk()
            .submit(context::current(), spec)
            .await
            .unwrap()
    }

    async fn watch(&self, job: JobId, seen: u64) -> Result<JobStatus, Refusal> {
        let desk = self.master.desk();
        desk.watch(context::current(), job, seen, 0).await
    }

    async fn cancel(&self, job: JobId) {
        let desk = self.master.desk();
        desk.cancel(context::current(), job).await.unwrap();
    }

    /// Waits until the status is as wanted.
    async fn until(&self, job: JobId, wanted: impl Fn(&JobStatus) -> bool) -> JobStatus {
        let mut seen = 0;
        loop {
            let status = self.watch(job, seen).await.unwrap();
            if wanted(&status) {
                return status;
            }
            assert!(
                !matches!(status.state, JobState::Ended(_)),
                "ended before: {status:?}"
            );
            seen = status.version;
        }
    }

    /// Waits for the end.
    async fn report(&self, job: JobId) -> JobReport {
        let ended = |status: &JobStatus| matches!(status.state, JobState::Ended(_));
        match self.until(job, ended).await.state {
            JobState::Ended(report) => *report,
            _ => unreachable!(),
        }
    }

    /// Names beside the inputs: outputs, and whatever was left behind.
    fn left(&self) -> Vec<String> {
        names(self.folder.path())
            .into_iter()
            .filter(|name| name != "in")
            .collect()
    }
}

/// Names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[track_caller]
fn assert_succeeded(report: &JobReport) {
    assert!(
        matches!(report.end, JobEnd::Succeeded { .. }),
        "{:?}",
        report.end
    );
}

#[track_caller]
fn failed(report: &JobReport) -> (mapfold_terms::FailReason, String) {
    match &report.end {
        JobEnd::Failed {
            what,
            failure,
            reason,
        } => {
            let failure = failure.as_ref().map(ToString::to_string);
            (*reason, format!("{what}: {}", failure.unwrap_or_default()))
        }
        end => panic!("{end:?}"),
    }
}
