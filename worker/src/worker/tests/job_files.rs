//! Files of jobs on their way from the master.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use mapfold_job::{Monitor, Unwatched};
use mapfold_terms::{FileId, JobFile, JobFileKind};

use super::*;
use crate::job_files::{BringError, JobFiles};

const BYTES: [u8; 2500] = [7; 2500];

fn file(bytes: &[u8], kind: JobFileKind) -> JobFile {
    JobFile {
        kind,
        // Whatever a client says, it becomes the name of a file in our folder.
        name: "../a b.so".to_owned(),
        bytes: ByteSize(bytes.len() as u64),
        id: FileId(blake3::hash(bytes).into()),
        path: RawPath::from(Path::new("/none")),
    }
}

/// A master that has the file, and the files of a worker of its.
fn scene(max: Option<ByteSize>) -> (Master, Arc<JobFiles>, ScratchRoot, TempDir) {
    let master = Master::new();
    let plugin = file(&BYTES, JobFileKind::Plugin);
    master.change(|state| state.files.insert(plugin.id, BYTES.to_vec()));
    let folder = tempfile::tempdir().unwrap();
    let root = ScratchRoot::open_within(folder.path(), max).unwrap();
    let connector = Connector::InProcess(InProcess::new(master.clone(), Handle::current()));
    let desk = Desk::new(connector, DEADLINE);
    let files = Arc::new(JobFiles::from_master(desk, root.scratch("files")));
    (master, files, root, folder)
}

async fn bring(files: &Arc<JobFiles>, file: &JobFile) -> Result<PathBuf, BringError> {
    let (files, file) = (Arc::clone(files), file.clone());
    let bring = move || {
        let brought = files.bring(&[file], &Unwatched)?;
        Ok(brought[0].file.path().to_owned())
    };
    tokio::task::spawn_blocking(bring).await.unwrap()
}

#[tokio::test]
async fn a_file_is_brought_once_for_all_who_want_it() {
    let (master, files, root, folder) = scene(None);
    let plugin = file(&BYTES, JobFileKind::Plugin);
    let all = (0..8).map(|_| bring(&files, &plugin));
    let paths = futures::future::join_all(all).await;
    let path = paths[0].as_ref().unwrap();
    assert!(paths.iter().all(|it| it.as_ref().unwrap() == path));
    assert_eq!(master.state().pieces, [0, 1000, 2000]);
    assert_eq!(fs::read(path).unwrap(), BYTES);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(path), 0o500);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert!(path.starts_with(folder.path()), "{}", path.display());
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(name.contains("..ab.so") && !name.contains('/'), "{name}");
    let empty = file(&[], JobFileKind::Side);
    let empty = bring(&files, &empty).await.unwrap();
    assert_eq!((fs::read(&empty).unwrap().len(), mode(&empty)), (0, 0o400));
    // They go with the worker.
    drop((files, root));
    assert_eq!(super::files(folder.path()), Vec::<String>::new());
}

#[tokio::test]
async fn what_gets_lost_is_asked_for_again_and_what_is_damaged_is_brought_anew() {
    let (master, files, _root, _folder) = scene(None);
    let plugin = file(&BYTES, JobFileKind::Plugin);
    master.change(|state| (state.pieces_lost, state.pieces_damaged) = (2, 1));
    let path = bring(&files, &plugin).await.unwrap();
    assert_eq!(fs::read(path).unwrap(), BYTES);
    let asked = master.state().pieces.clone();
    assert_eq!(asked, [0, 0, 0, 1000, 2000, 0, 1000, 2000]);
}

#[tokio::test]
async fn a_file_that_cannot_be_had_is_told_and_left_nowhere() {
    let (master, files, _root, folder) = scene(Some(ByteSize(2000)));
    let plugin = file(&BYTES, JobFileKind::Plugin);
    let left = || {
        let left = super::files(folder.path());
        left.into_iter().filter(|it| it.contains("files/")).count()
    };
    // More than the worker's temporary files may take.
    let error = bring(&files, &plugin).await.unwrap_err();
    assert!(matches!(error, BringError::Write { .. }), "{error}");
    let Outcome::Failed(failure) = error.outcome() else {
        panic!("it failed");
    };
    assert_eq!(failure.class, FailClass::Space);
    assert!(failure.hint.unwrap().contains("--temp-max"));
    assert_eq!(left(), 0);

    let other = file(b"other", JobFileKind::Side);
    let error = bring(&files, &other).await.unwrap_err();
    assert!(matches!(error, BringError::Refused { .. }), "{error}");

    // Never right, and shorter than it should be.
    for bytes in [&b"wrong"[..], b"oth"] {
        master.change(|state| state.files.insert(other.id, bytes.to_vec()));
        let error = bring(&files, &other).await.unwrap_err();
        assert!(matches!(error, BringError::Damaged { .. }), "{error}");
        assert_eq!(left(), 0);
    }
    master.change(|state| state.files.insert(other.id, b"other".to_vec()));
    bring(&files, &other).await.unwrap();
}

/// Stops when it is told to.
struct Stoppable(AtomicBool);

impl Monitor for Stoppable {
    fn progress(&self, _: u64, _: u64) {}

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn attempts_that_wait_for_a_file_can_be_cancelled() {
    let (master, files, _root, _folder) = scene(None);
    master.change(|state| state.pieces_lost = usize::MAX);
    let monitor = Arc::new(Stoppable(AtomicBool::new(false)));
    let attempts = (0..3).map(|_| {
        let (files, monitor) = (Arc::clone(&files), Arc::clone(&monitor));
        let plugin = file(&BYTES, JobFileKind::Plugin);
        tokio::task::spawn_blocking(move || files.bring(&[plugin], &*monitor).map(drop))
    });
    let attempts: Vec<_> = attempts.collect();
    master
        .until(|state| (state.pieces.len() > 1).then_some(()))
        .await;
    monitor.0.store(true, Ordering::SeqCst);
    for attempt in attempts {
        let ended = attempt.await.unwrap();
        assert!(matches!(ended, Err(BringError::Cancelled)), "{ended:?}");
    }
}

/// A worker on the client's machine reads files where they are.
#[test]
fn a_file_of_this_machine_stays_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stop.txt");
    fs::write(&path, BYTES).unwrap();
    let side = JobFile {
        path: RawPath::from(path.as_path()),
        ..file(&BYTES, JobFileKind::Side)
    };
    let files = JobFiles::at_their_paths();
    let brought = files.bring(&[side], &Unwatched).unwrap();
    assert_eq!(brought[0].file.path(), path);
    drop((brought, files));
    assert!(path.exists());
}
