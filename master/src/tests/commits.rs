//! Commits that fail, and commits over something.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mapfold_data::manifest::MANIFEST_NAME;
use mapfold_terms::{FailReason, TaskKind};

use super::fake::{Act, Fake};
use super::*;
use crate::files::{Files, Growing, SystemFiles};

/// Has no space for manifests, once it is told so.
#[derive(Default)]
struct Full(AtomicBool);

impl Files for Full {
    fn create_private_folder(&self, path: &Path) -> io::Result<()> {
        SystemFiles.create_private_folder(path)
    }
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        SystemFiles.create_folder(path)
    }
    fn file_len(&self, path: &Path) -> io::Result<Option<u64>> {
        SystemFiles.file_len(path)
    }
    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        SystemFiles.read(path)
    }
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match self.0.load(Ordering::Relaxed) {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => SystemFiles.write_synced(path, bytes),
        }
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemFiles.rename(from, to)
    }
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        SystemFiles.rename_new(from, to)
    }
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        SystemFiles.exchange(one, other)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        SystemFiles.sync_folder(path)
    }
    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        SystemFiles.remove_tree(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        SystemFiles.create(path)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        SystemFiles.remove(path)
    }
    fn append_to(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        SystemFiles.append_to(path)
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_leaves_nothing() {
    let files = Arc::new(Full::default());
    let mut bench = Bench::new().input("a.txt", 1);
    bench.master = Master::start_on(Settings::default(), files.clone());
    Fake::join(&bench.master, "one", 1)
        .await
        .start(|_, _| Act::Run);
    files.0.store(true, Ordering::Relaxed);
    let report = bench.report(bench.submit(bench.spec(2)).await).await;
    let (reason, what) = failed(&report);
    assert_eq!(reason, FailReason::NoSpace);
    assert!(what.contains(MANIFEST_NAME), "{what}");
    assert!(bench.left().is_empty(), "{:?}", bench.left());
    // The master lives.
    files.0.store(false, Ordering::Relaxed);
    assert_succeeded(&bench.report(bench.submit(bench.spec(2)).await).await);
}

#[tokio::test(start_paused = true)]
async fn an_output_that_appears_meanwhile_stays_and_the_job_fails() {
    let bench = Bench::new().input("a.txt", 1);
    let worker = Fake::join(&bench.master, "one", 1).await;
    let out = bench.path("out");
    worker.start(move |task, _| {
        if task.kind == TaskKind::Reduce {
            fs::create_dir(&out).unwrap();
        }
        Act::Run
    });
    let report = bench.report(bench.submit(bench.spec(1)).await).await;
    assert_eq!(failed(&report).0, FailReason::Output);
    assert_eq!(bench.left(), ["out"]);
    assert!(names(&bench.path("out")).is_empty());
}

#[tokio::test(start_paused = true)]
async fn overwriting_exchanges_and_leaves_only_the_new_output() {
    let bench = Bench::new().input("a.txt", 1);
    Fake::join(&bench.master, "one", 1)
        .await
        .start(|_, _| Act::Run);
    assert_succeeded(&bench.report(bench.submit(bench.spec(3)).await).await);
    let mut spec = bench.spec(2);
    spec.overwrite = true;
    assert_succeeded(&bench.report(bench.submit(spec).await).await);
    assert_eq!(bench.left(), ["out"]);
    assert_eq!(
        names(&bench.path("out")),
        [MANIFEST_NAME, "part-00000", "part-00001"]
    );
}

#[tokio::test(start_paused = true)]
async fn of_two_jobs_for_one_output_exactly_one_wins() {
    let bench = Bench::new().input("a.txt", 3);
    Fake::join(&bench.master, "one", 2)
        .await
        .start(|_, _| Act::Run);
    let (one, two) = (
        bench.submit(bench.spec(2)).await,
        bench.submit(bench.spec(2)).await,
    );
    let ends = [bench.report(one).await, bench.report(two).await];
    let won = ends
        .iter()
        .filter(|report| matches!(report.end, JobEnd::Succeeded { .. }));
    assert_eq!(won.count(), 1);
    assert_eq!(bench.left(), ["out"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_master_left_is_removed_by_the_next_job_even_if_that_is_refused() {
    let bench = Bench::new().input("a.txt", 1);
    let die = || {
        let left = crate::staging::Staging::create(&SystemFiles, &bench.path("out")).unwrap();
        fs::create_dir(left.root().join("1-1")).unwrap();
    };
    die();
    Fake::join(&bench.master, "one", 1)
        .await
        .start(|_, _| Act::Run);
    assert_succeeded(&bench.report(bench.submit(bench.spec(1)).await).await);
    assert_eq!(bench.left(), ["out"]);
    die();
    failed(&bench.report(bench.submit(bench.spec(1)).await).await);
    assert_eq!(bench.left(), ["out"]);
}
