//! Records that a job's code fails on.

use std::fs;

use crate::sandbox::{Ended, Sandbox, bytes_of};

/// Lines of which every 50th is bad in one of two ways, with good words before the bad one.
fn lines(count: usize) -> String {
    let line = |n: usize| match n {
        _ if n % 100 == 50 => format!("lost{n} panic after{n}\n"),
        _ if n.is_multiple_of(100) && n > 0 => format!("lost{n} error\n"),
        _ => format!("word{} word{} again\n", n % 7, n % 11),
    };
    (0..count).map(line).collect()
}

const JOBS: [(&str, &[&str]); 4] = [
    ("lab-fussy", &[]),
    ("lab-fussy", &["-p", "blocks=true"]),
    ("lab-fussy-lists", &[]),
    ("lab-fussy-lists", &["-p", "blocks=true"]),
];

fn run(sandbox: &Sandbox, job: &str, out: &str, more: &[&str]) -> Ended {
    let args = ["run", job, "in.txt", "-r", "3", "-o", out];
    let args = args.into_iter().chain(more.iter().copied());
    sandbox.start(args).wait()
}

#[test]
fn bad_records_are_put_aside_and_the_rest_is_as_if_they_were_not_there() {
    let sandbox = Sandbox::new();
    let text = lines(1000);
    let good = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("lost"));
    fs::write(sandbox.work("in.txt"), &text).unwrap();
    fs::create_dir(sandbox.work("good")).unwrap();
    fs::write(sandbox.work("good/in.txt"), good.collect::<String>()).unwrap();
    for (number, (job, params)) in JOBS.into_iter().enumerate() {
        let want = format!("want{number}");
        let args = ["run", job, "good/in.txt", "-r", "3", "-o", &want];
        sandbox.run(args.into_iter().chain(params.iter().copied()));
        let places: [&[&str]; 4] = [
            &["--slots", "1", "--split-size", "1MiB"],
            &["--split-size", "1000"],
            &["--split-size", "1000", "--workers", "3"],
            &["--split-size", "1000", "--slots", "1", "--memory", "27MiB"],
        ];
        let mut folders = Vec::new();
        for (place, more) in places.into_iter().enumerate() {
            let out = format!("out{number}-{place}");
            let more: Vec<&str> = ["--skip-bad", "19"]
                .iter()
                .chain(params)
                .chain(more)
                .copied()
                .collect();
            let ended = run(&sandbox, job, &out, &more);
            assert!(ended.status.success(), "{}", ended.stderr);
            assert!(
                ended
                    .stderr
                    .contains("Skipped 19 records, listed in _skipped.jsonl"),
                "{}",
                ended.stderr
            );
            assert!(sandbox.run(["verify", &out]).status.success());
            folders.push(bytes_of(&sandbox.work(&out)));
        }
        let parts = |folder: &std::collections::BTreeMap<String, Vec<u8>>| {
            let mut parts = folder.clone();
            parts.retain(|name, _| name.starts_with("part-"));
            parts
        };
        for folder in &folders {
            assert_eq!(parts(folder), parts(&bytes_of(&sandbox.work(&want))));
        }
        assert_eq!(folders[1], folders[2], "processes leave the same folder");
        assert_eq!(folders[1], folders[3], "so does little memory");
        let manifest: serde_json::Value = serde_json::from_slice(&folders[1]["_SUCCESS"]).unwrap();
        assert_eq!(manifest["counters"]["skipped records"], 19);
        assert_eq!(manifest["counters"]["lines"], 981);
        let quarantine = String::from_utf8(folders[0]["_skipped.jsonl"].clone()).unwrap();
        let quarantine: Vec<serde_json::Value> = quarantine
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(quarantine.len(), 19);
        let first = &quarantine[0];
        assert_eq!(first["file"], "in.txt");
        assert_eq!(first["record"], 51);
        assert_eq!(first["excerpt"], "lost50 panic after50");
        let offset = text.find("lost50 ").unwrap();
        assert_eq!(first["offset"], offset);
        let error = first["error"].as_str().unwrap();
        assert!(error.ends_with("a word that makes it panic"), "{error}");
        assert_eq!(quarantine[1]["error"], "a word that it refuses");
    }
}

#[test]
fn one_bad_record_too_many_fails_the_job() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), lines(1000)).unwrap();
    for (split_size, said) in [
        (
            "1MiB",
            "`map` fails on more records than the 18 that may be skipped",
        ),
        (
            "1000",
            "`map` fails on 19 records so far, and 18 may be skipped",
        ),
    ] {
        let more = ["--skip-bad", "18", "--split-size", split_size];
        let ended = run(&sandbox, "lab-fussy", "out", &more);
        assert_eq!(ended.status.code(), Some(1));
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("at: in.txt, byte "),
            "{}",
            ended.stderr
        );
        assert!(!sandbox.work("out").exists());
    }
}

/// Neither a combiner nor a reduce that fails is the fault of a record.
#[test]
fn only_records_are_put_aside() {
    let sandbox = Sandbox::new();
    let text = format!("{}{}", lines(60), "uncombinable\n".repeat(100));
    fs::write(sandbox.work("in.txt"), text).unwrap();
    let ended = run(&sandbox, "lab-fussy", "out", &["--skip-bad", "1000"]);
    assert_eq!(ended.status.code(), Some(1));
    let said = "the combiner does not like this word";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    let more = ["--skip-bad", "1000", "-p", "refuse=again"];
    let ended = run(&sandbox, "lab-fussy-lists", "out", &more);
    assert_eq!(ended.status.code(), Some(1));
    let said = "a key that it does not like";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    assert!(!sandbox.work("out").exists());
}

/// Two attempts on two workers tell that it is the record, and not the worker or chance.
#[test]
fn the_same_failure_on_the_same_record_fails_the_job_at_the_second_try() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), lines(60)).unwrap();
    let offset = lines(60).find("lost50").unwrap();
    for (_, params) in JOBS {
        for workers in ["1", "2"] {
            let more: Vec<&str> = ["--workers", workers, "--json"]
                .iter()
                .chain(params)
                .copied()
                .collect();
            let ended = run(&sandbox, "lab-fussy", "out", &more);
            assert_eq!(ended.status.code(), Some(1));
            let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
            assert_eq!(report["attempts_failed"], 2, "{report}");
            let said = [
                "map task m0 fails on the same record each time (2 attempts)".to_owned(),
                format!(
                    "at: in.txt, byte {offset}: \"lost50 panic after50\" (record 51 of the map task)"
                ),
                "hint: `--skip-bad N` puts such records aside, up to N of them".to_owned(),
            ];
            for said in said {
                assert!(ended.stderr.contains(&said), "{}", ended.stderr);
            }
        }
    }
}

/// The capsule that a message names.
fn capsule(said: &str) -> &str {
    let (_, rest) = said
        .split_once("mapfold replay ")
        .unwrap_or_else(|| panic!("{said}"));
    rest.split_whitespace().next().unwrap()
}

#[test]
fn a_failed_attempt_can_be_run_again() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), lines(60)).unwrap();
    let more: [&[&str]; 3] = [
        &[],
        &["--workers", "2", "--split-size", "300"],
        &["-p", "refuse=again", "--skip-bad", "9"],
    ];
    for more in more {
        let failed = run(&sandbox, "lab-fussy-lists", "out", more);
        assert_eq!(failed.status.code(), Some(1));
        let capsule = capsule(&failed.stderr);
        assert!(
            capsule.starts_with(".mapfold/failed/lab-fussy-lists-"),
            "{capsule}"
        );
        let again = sandbox.start(["replay", capsule]).wait();
        assert_eq!(again.status.code(), Some(1), "{}", again.stderr);
        assert!(
            again.stderr.contains("as it did before"),
            "{}",
            again.stderr
        );
        let said = match more.contains(&"--skip-bad") {
            false => "\"lost50 panic after50\" (record 51 of the map task)",
            true => "a key that it does not like",
        };
        let said = if more.contains(&"--split-size") {
            "lost50 panic"
        } else {
            said
        };
        assert!(again.stderr.contains(said), "{}", again.stderr);
    }
    assert!(!sandbox.work("out").exists());
}

#[test]
fn a_failure_that_does_not_come_again_passes() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), "one\nonce\n").unwrap();
    let ended = run(&sandbox, "lab-fussy", "out", &["-p", "sign=sign"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let said = sandbox.run(["replay", capsule(&ended.stderr)]).stderr;
    assert!(
        said.contains("m0 of lab-fussy does not fail here"),
        "{said}"
    );
    fs::write(sandbox.work("in.txt"), "changed\n").unwrap();
    let changed = sandbox.start(["replay", capsule(&ended.stderr)]).wait();
    assert_eq!(changed.status.code(), Some(3), "{}", changed.stderr);
}
