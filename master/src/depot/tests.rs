use super::*;
use crate::files::SystemFiles;
use crate::files::fail_nth::FailNth;

const MAX: ByteSize = ByteSize(4000);

fn id_of(bytes: &[u8]) -> FileId {
    FileId(blake3::hash(bytes).into())
}

fn job_file(bytes: &[u8]) -> JobFile {
    JobFile {
        kind: mapfold_terms::JobFileKind::Side,
        name: "side".to_owned(),
        bytes: ByteSize(bytes.len() as u64),
        id: id_of(bytes),
        path: mapfold_terms::RawPath::from(Path::new("/side")),
    }
}

/// Sends a file as a client does, in pieces of 100 bytes.
fn send(depot: &Depot, bytes: &[u8]) -> Result<(), Refusal> {
    let len = bytes.len() as u64;
    let mut at = 0;
    loop {
        let from = usize::try_from(at).unwrap();
        let piece = &bytes[from..bytes.len().min(from + 100)];
        at = depot.take(id_of(bytes), len, at, piece)?;
        if at == len {
            return Ok(());
        }
    }
}

fn read(depot: &Depot, id: FileId) -> Vec<u8> {
    depot.piece(id, 0).unwrap().0
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("files")).into_iter().flatten();
    entries
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn open(folder: &Path) -> Depot {
    Depot::open(Arc::new(SystemFiles), folder, MAX)
}

#[test]
fn a_file_comes_in_pieces_and_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let depot = open(folder.path());
    let bytes = [7; 550];
    let id = id_of(&bytes);
    assert_eq!(depot.lacks(&[id]), [id]);
    // Out of order, repeated, overlapping.
    assert_eq!(depot.take(id, 550, 300, &bytes[300..]), Ok(0));
    assert_eq!(depot.take(id, 550, 0, &bytes[..200]), Ok(200));
    assert_eq!(depot.take(id, 550, 0, &bytes[..200]), Ok(200));
    assert_eq!(depot.take(id, 550, 300, &bytes[300..]), Ok(200));
    assert_eq!(depot.take(id, 550, 100, &bytes[100..]), Ok(550));
    assert!(depot.lacks(&[id]).is_empty());
    assert_eq!(depot.take(id, 550, 0, &bytes[..200]), Ok(550));
    assert_eq!(read(&depot, id), bytes);
    assert_eq!(depot.piece(id, 500).unwrap().0, [7; 50]);
    assert!(depot.piece(id, 550).unwrap().0.is_empty());
    // One that is cut off by the end of the master is sent anew.
    let other = [8; 300];
    assert_eq!(depot.take(id_of(&other), 300, 0, &other[..200]), Ok(200));
    assert_eq!(names(folder.path()).len(), 2);
    let depot = open(folder.path());
    assert_eq!(names(folder.path()), [id.to_string()]);
    assert_eq!(read(&depot, id), bytes);
    send(&depot, &other).unwrap();
    send(&depot, &[]).unwrap();
    assert!(read(&depot, id_of(&[])).is_empty());
}

#[test]
fn what_is_damaged_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let depot = open(folder.path());
    let id = id_of(b"right");
    assert_eq!(
        depot.take(id, 5, 0, b"wrong"),
        Err(Refusal::DamagedFile(id))
    );
    assert_eq!(
        depot.take(id, 5, 0, b"too long"),
        Err(Refusal::DamagedFile(id))
    );
    assert!(names(folder.path()).is_empty());
    send(&depot, b"right").unwrap();
    // On disk, while no master ran.
    fs::write(folder.path().join("files").join(id.to_string()), b"wrong").unwrap();
    let depot = open(folder.path());
    depot.hold_again(JobKey(1), &[job_file(b"right")]);
    assert_eq!(depot.piece(id, 0), Err(Refusal::UnknownFile(id)));
    assert!(names(folder.path()).is_empty());
    send(&depot, b"right").unwrap();
    // And while it runs.
    fs::write(folder.path().join("files").join(id.to_string()), b"ri").unwrap();
    let Err(Refusal::FileTrouble(said)) = depot.piece(id, 0) else {
        panic!("it is too short");
    };
    assert!(said.contains(&id.to_string()), "{said}");
    assert_eq!(depot.lacks(&[id]), [id]);
}

#[test]
fn jobs_hold_what_they_need_and_the_rest_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let depot = open(folder.path());
    let (one, two) = ([1; 1000], [2; 1000]);
    let refused = depot.hold(JobKey(1), &[job_file(&one)]);
    assert_eq!(refused, Err(Refusal::UnknownFile(id_of(&one))));
    let size = |refused| matches!(refused, Err(Refusal::FilesTooLarge { .. }));
    assert!(size(send(&depot, &[0; 1001])));
    for bytes in [one, two, [3; 1000], [4; 1000]] {
        send(&depot, &bytes).unwrap();
    }
    assert!(size(
        depot.hold(JobKey(1), &[job_file(&one), job_file(&two)])
    ));
    depot.hold(JobKey(1), &[job_file(&one)]).unwrap();
    depot.hold(JobKey(2), &[job_file(&one)]).unwrap();
    // All of them were used just now.
    let refused = send(&depot, &[5; 1000]);
    assert!(
        matches!(refused, Err(Refusal::NoRoomForFile { .. })),
        "{refused:?}"
    );
    let age = |id: FileId, age: Duration| {
        let then = Instant::now().checked_sub(age).unwrap();
        depot.state().kept.get_mut(&id).unwrap().used = then;
    };
    age(id_of(&one), SPARED_FOR * 3);
    age(id_of(&two), SPARED_FOR * 2);
    send(&depot, &[5; 1000]).unwrap();
    let ids = [id_of(&one), id_of(&two), id_of(&[3; 1000])];
    assert_eq!(depot.lacks(&ids), [id_of(&two)]);
    // By age too, but for what jobs hold.
    let later = Instant::now() + KEPT_FOR * 2;
    depot.release(JobKey(1), &[job_file(&one)]);
    depot.sweep_at(later);
    assert_eq!(names(folder.path()), [id_of(&one).to_string()]);
    depot.release(JobKey(2), &[job_file(&one)]);
    depot.sweep_at(later);
    assert!(names(folder.path()).is_empty() && depot.is_empty());
    // So does what was begun and is not sent on.
    depot.take(id_of(&one), 1000, 0, &one[..10]).unwrap();
    depot.sweep_at(Instant::now());
    assert_eq!(names(folder.path()).len(), 1);
    depot.sweep_at(later);
    assert!(names(folder.path()).is_empty());
    send(&depot, &one).unwrap();
}

/// Each call that touches the disk fails once: the client hears of it, nothing half is kept, and the next try goes through.
#[test]
fn a_disk_that_fails_once_leaves_nothing_behind() {
    for n in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let files = Arc::new(FailNth::new(n));
        let depot = Depot::open(Arc::clone(&files) as Arc<dyn Files>, folder.path(), MAX);
        let bytes = [9; 250];
        let sent = send(&depot, &bytes);
        if !files.reached() {
            assert_eq!(sent, Ok(()));
            return;
        }
        assert!(
            matches!(sent, Err(Refusal::FileTrouble(_))),
            "{n}: {sent:?}"
        );
        assert!(names(folder.path()).is_empty(), "{n}");
        assert_eq!(send(&depot, &bytes), Ok(()), "{n}");
        assert_eq!(read(&depot, id_of(&bytes)), bytes, "{n}");
    }
}

#[test]
fn without_a_state_folder_files_go_with_the_master() {
    let base = tempfile::tempdir().unwrap();
    let depot = Depot::temporary(Arc::new(SystemFiles), base.path(), MAX);
    assert!(fs::read_dir(base.path()).unwrap().next().is_none());
    send(&depot, b"something").unwrap();
    assert_eq!(read(&depot, id_of(b"something")), b"something");
    drop(depot);
    assert!(fs::read_dir(base.path()).unwrap().next().is_none());
}
