use std::fs;

use mapfold_terms::{JobId, MasterEpoch, TaskId, Token};

use super::*;
use crate::files::SystemFiles;
use crate::files::fail_nth::FailNth;
use crate::staging::Staging;

struct Stage {
    _folder: tempfile::TempDir,
    _staging: Staging,
    commit: Commit,
}

fn stage(overwrite: bool) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("counts");
    let staging = Staging::create(&SystemFiles, &output).unwrap();
    let parts = (0..3)
        .map(|index| {
            let own = staging.root().join(format!("1-{index}"));
            fs::create_dir(&own).unwrap();
            let source = own.join("part");
            let rows = format!("row\t{index}\n");
            fs::write(&source, &rows).unwrap();
            Part {
                attempt: attempt(index),
                source,
                name: format!("part-{index:05}"),
                summary: PartSummary {
                    rows: 1,
                    bytes: rows.len() as u64,
                    unpacked_bytes: rows.len() as u64,
                    hash: [0; 32],
                },
            }
        })
        .collect();
    let commit = Commit {
        staged: crate::staging::output_in(staging.root()),
        output,
        overwrite,
        parts,
        skipped: b"bad\n".to_vec(),
        manifest: b"{\"ours\": true}\n".to_vec(),
    };
    Stage {
        _folder: folder,
        _staging: staging,
        commit,
    }
}

fn attempt(index: u32) -> AttemptId {
    AttemptId {
        token: Token {
            epoch: MasterEpoch(1),
            counter: u64::from(index),
        },
        job: JobId(1),
        task: TaskId::reduce(index),
        number: 1,
    }
}

fn make_older_output(commit: &Commit) {
    fs::create_dir(&commit.output).unwrap();
    fs::write(commit.output.join(MANIFEST), "older").unwrap();
}

#[track_caller]
fn assert_whole(commit: &Commit) {
    let mut names: Vec<_> = fs::read_dir(&commit.output)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "_SUCCESS",
            "_skipped.jsonl",
            "part-00000",
            "part-00001",
            "part-00002"
        ]
    );
    assert_eq!(
        fs::read(commit.output.join(MANIFEST)).unwrap(),
        commit.manifest
    );
    assert_eq!(
        fs::read(commit.output.join("part-00002")).unwrap(),
        b"row\t2\n"
    );
}

#[test]
fn parts_and_manifest_become_the_output_and_a_repeat_changes_nothing() {
    let Stage { commit, .. } = &stage(false);
    commit.run(&SystemFiles).unwrap();
    assert_whole(commit);
    commit.run(&SystemFiles).unwrap();
    assert_whole(commit);
}

#[test]
fn whichever_call_fails_nothing_is_visible_and_the_repeat_succeeds() {
    for n in 0.. {
        let Stage { commit, .. } = &stage(false);
        let files = FailNth::new(n);
        let first = commit.run(&files);
        if !files.reached() {
            assert!(n > 10, "{n}");
            first.unwrap();
            return;
        }
        first.unwrap_err();
        assert!(!commit.output.exists(), "call {n}");
        commit.run(&SystemFiles).unwrap();
        assert_whole(commit);
    }
}

#[test]
fn whichever_call_fails_the_older_output_stays_until_the_exchange() {
    for n in 0.. {
        let Stage { commit, .. } = &stage(true);
        make_older_output(commit);
        let files = FailNth::new(n);
        let first = commit.run(&files);
        if !files.reached() {
            first.unwrap();
            assert_whole(commit);
            assert_eq!(fs::read(commit.staged.join(MANIFEST)).unwrap(), b"older");
            return;
        }
        first.unwrap_err();
        assert_eq!(fs::read(commit.output.join(MANIFEST)).unwrap(), b"older");
        commit.run(&SystemFiles).unwrap();
        assert_whole(commit);
    }
}

#[test]
fn an_output_that_appeared_meanwhile_is_kept() {
    let Stage { commit, .. } = &stage(false);
    make_older_output(commit);
    let error = commit.run(&SystemFiles).unwrap_err();
    assert!(matches!(error, CommitError::OutputAppeared { .. }));
    assert_eq!(fs::read(commit.output.join(MANIFEST)).unwrap(), b"older");
    // Not even when it was made by an equal job.
    fs::write(commit.output.join(MANIFEST), &commit.manifest).unwrap();
    let error = commit.run(&SystemFiles).unwrap_err();
    assert!(matches!(error, CommitError::OutputAppeared { .. }));
}

#[test]
fn a_folder_of_somebody_else_is_not_exchanged() {
    let Stage { commit, .. } = &stage(true);
    fs::create_dir(&commit.output).unwrap();
    fs::write(commit.output.join("letter"), "x").unwrap();
    let error = commit.run(&SystemFiles).unwrap_err();
    assert!(matches!(error, CommitError::OutputAppeared { .. }));
    assert!(commit.output.join("letter").exists());
}

#[test]
fn overwriting_nothing_is_a_plain_commit() {
    let Stage { commit, .. } = &stage(true);
    commit.run(&SystemFiles).unwrap();
    assert_whole(commit);
}

#[test]
fn a_part_that_is_missing_or_cut_is_refused() {
    let Stage { commit, .. } = &stage(false);
    fs::remove_file(&commit.parts[1].source).unwrap();
    let error = commit.run(&SystemFiles).unwrap_err();
    assert!(matches!(error, CommitError::PartMissing { .. }), "{error}");

    let Stage { commit, .. } = &stage(false);
    fs::write(&commit.parts[2].source, "row").unwrap();
    let error = commit.run(&SystemFiles).unwrap_err();
    assert!(
        matches!(
            error,
            CommitError::PartLength {
                got: 3,
                want: 6,
                ..
            }
        ),
        "{error}"
    );
    assert!(!commit.output.exists());
}
