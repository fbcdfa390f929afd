use mapfold_journal::Damage;

use super::*;
use crate::files::SystemFiles;
use crate::files::fail_nth::FailNth;

fn open(folder: &Path) -> Result<Opened, JournalError> {
    Journal::open(Arc::new(SystemFiles), folder, 100)
}

fn cancelled(job: u64) -> Record {
    Record::Cancelled { job: JobId(job) }
}

fn committed(opened: &mut Opened, jobs: std::ops::Range<u64>) {
    for job in jobs {
        opened.journal.append(&cancelled(job));
    }
    opened.journal.commit().unwrap();
}

#[test]
fn what_was_committed_is_there_after_every_restart_under_a_new_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("state");
    let mut want = Vec::new();
    for start in 0..20 {
        let mut opened = open(&folder).unwrap();
        assert_eq!(opened.epoch, MasterEpoch(100 + start));
        assert_eq!(opened.records, want);
        // What was appended and never committed is as if it had not been.
        let job = u64::from(start);
        committed(&mut opened, job..job + 1);
        opened.journal.append(&cancelled(1000));
        want.push(cancelled(job));
    }
}

#[test]
fn a_copy_that_is_put_back_knows_nothing_of_the_starts_since() {
    let folder = tempfile::tempdir().unwrap();
    let start = |seconds| {
        let opened = Journal::open(Arc::new(SystemFiles), folder.path(), seconds).unwrap();
        (opened.epoch, opened.since, opened.starts)
    };
    let epochs = |all: &[u32]| all.iter().copied().map(MasterEpoch).collect::<Vec<_>>();
    let first = MasterEpoch(100);
    assert_eq!(start(100), (first, first, epochs(&[])));
    assert_eq!(start(200), (MasterEpoch(200), first, epochs(&[100])));
    let copy = fs::read(folder.path().join(FILE)).unwrap();
    assert_eq!(start(300), (MasterEpoch(300), first, epochs(&[100, 200])));
    fs::write(folder.path().join(FILE), copy).unwrap();
    assert_eq!(start(400), (MasterEpoch(400), first, epochs(&[100, 200])));
    for seconds in 401..800 {
        start(seconds);
    }
    let last: Vec<u32> = (544..800).collect();
    assert_eq!(start(800).2, epochs(&last));
}

#[test]
fn ids_that_were_given_are_never_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path()).unwrap();
    assert_eq!(
        (opened.next_job, opened.last_worker),
        (JobId(1), WorkerId(0))
    );
    let upto = WorkerId(30);
    opened.journal.append(&Record::Workers { upto });
    opened.journal.commit().unwrap();
    drop(opened);
    for _ in 0..3 {
        let opened = open(folder.path()).unwrap();
        assert_eq!(opened.last_worker, upto);
        assert_eq!(opened.records, []);
    }
}

#[test]
fn one_master_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path()).unwrap();
    let second = open(folder.path()).err().unwrap();
    let text = second.to_string();
    assert!(text.contains("in use") && text.contains(&*folder.path().to_string_lossy()));
    drop(first);
    open(folder.path()).unwrap();
}

#[test]
fn a_torn_end_is_left_out_and_damage_before_it_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path()).unwrap();
    committed(&mut opened, 0..3);
    committed(&mut opened, 3..6);
    drop(opened);
    let path = folder.path().join(FILE);
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let error = open(folder.path()).err().unwrap();
    let JournalError::Damaged {
        path: named,
        source,
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(*named, path);
    assert!(matches!(source, Damage::Record { offset, .. } if *offset <= 100));
    // Nothing was repaired.
    assert_eq!(fs::read(&path).unwrap(), damaged);
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let opened = open(folder.path()).unwrap();
    assert_eq!(opened.records, (0..5).map(cancelled).collect::<Vec<_>>());
}

#[test]
fn the_first_error_is_the_last() {
    let mut reached = 0;
    for n in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let files = Arc::new(FailNth::new(n));
        let opened = Journal::open(files.clone(), folder.path(), 100);
        let mut told: usize = 0;
        if let Ok(mut opened) = opened {
            for job in 0..4_u64 {
                opened.journal.append(&cancelled(job));
                if opened.journal.commit().is_err() {
                    break;
                }
                told += 1;
            }
            if told < 4 {
                let again = opened.journal.commit().unwrap_err();
                assert!(matches!(again, JournalError::Poisoned { .. }), "{again}");
            }
        }
        // What was told survives; what was not may have.
        let records = open(folder.path()).unwrap().records;
        let all: Vec<Record> = (0..4).map(cancelled).collect();
        assert!(
            records.len() >= told && all.starts_with(&records),
            "call {n}"
        );
        if !files.reached() {
            break;
        }
        reached = n;
    }
    assert!(reached > 8, "{reached} calls");
}

#[test]
fn a_full_disk_is_told_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path()).unwrap();
    opened.journal.file = SystemFiles.append_to(Path::new("/dev/full")).unwrap();
    opened.journal.append(&cancelled(1));
    let error = opened.journal.commit().unwrap_err();
    let JournalError::Io {
        doing,
        path,
        source,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (doing, source.kind()),
        ("write", io::ErrorKind::StorageFull)
    );
    assert_eq!(path, folder.path().join(FILE));
}

#[test]
fn a_file_that_has_grown_is_written_anew_and_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(folder.path()).unwrap();
    committed(&mut opened, 0..10);
    opened
        .journal
        .append(&Record::Workers { upto: WorkerId(9) });
    opened.journal.length_max = 0;
    committed(&mut opened, 10..12);
    assert_eq!(opened.journal.length_max, REWRITE_ABOVE);
    committed(&mut opened, 12..14);
    drop(opened);
    let opened = open(folder.path()).unwrap();
    assert_eq!(opened.records, (0..14).map(cancelled).collect::<Vec<_>>());
    assert_eq!(opened.last_worker, WorkerId(9));
}
