//! What a job can say of its output, in all places where jobs run: which part a key is in, that map tasks leave the parts, which rows are aside.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::cluster::{Cluster, Over};
use crate::faults::number;
use crate::oracle;
use crate::plugins::{PLACES, plugin};
use crate::sandbox::{Sandbox, books, bytes_of, lines, rows_of, signal, sorted, wait_for};
use crate::tasks::shell;

/// Runs a job of the plugin in every place; the folder that it always leaves is `out-0`.
fn everywhere(sandbox: &Sandbox, job: &str, args: &[&str]) {
    let plugin = plugin("outputs");
    let mut first = None;
    for (number, place) in PLACES.into_iter().enumerate() {
        let out = format!("out-{number}");
        let common = ["run", plugin.to_str().unwrap(), "--job", job, "-o", &out];
        sandbox.run(common.iter().chain(args).chain(place));
        let got = bytes_of(&sandbox.work(&out));
        assert!(*first.get_or_insert(got.clone()) == got, "{job} {place:?}");
    }
}

#[test]
fn a_job_shares_out_its_keys() {
    let sandbox = Sandbox::new();
    let books = books();
    let args = [books.to_str().unwrap(), "-r", "26", "--split-size", "300KB"];
    everywhere(&sandbox, "by-letter", &args);
    let out = sandbox.work("out-0");
    assert_eq!(rows_of(&out), oracle::wordcount(&books));
    for (letter, number) in (b'b'..=b'y').zip(1..) {
        let part = fs::read_to_string(out.join(format!("part-{number:05}"))).unwrap();
        let begins_so = |row: &str| row.as_bytes()[0].to_ascii_lowercase() == letter;
        assert!(!part.is_empty() && part.lines().all(begins_so), "{number}");
    }
}

#[test]
fn a_job_shares_out_its_groups() {
    let sandbox = Sandbox::new();
    let visit = |n: u32| format!("v{} {} p{n}\n", n * 7 % 40, n * n % 977);
    let visits: String = (0..5_000).map(visit).collect();
    fs::write(sandbox.work("visits.txt"), visits).unwrap();
    let args = ["visits.txt", "-r", "3", "--split-size", "5KB"];
    everywhere(&sandbox, "paths", &args);
    let rows = rows_of(&sandbox.work("out-0"));
    assert_eq!(rows.len(), 40);
    assert!(
        rows.iter()
            .all(|row| row.split(|byte| *byte == b' ').count() == 125)
    );
}

/// A log of so many lines: its rows, and the lines that are malformed.
fn log(count: usize) -> (String, String, String) {
    let (mut log, mut rows, mut malformed) = (String::new(), String::new(), String::new());
    for n in 0..count {
        if n % 40 == 39 {
            log += &format!("no level {n}\n");
            malformed += &format!("no level {n}\n");
        } else {
            log += &format!("INFO:  message {n}\n");
            rows += &format!("info\tmessage {n}\n");
        }
    }
    (log, rows, malformed)
}

/// The files of a folder whose names begin with `name`, one after another.
fn joined(folder: &Path, name: &str) -> String {
    let files = bytes_of(folder).into_iter();
    let files = files.filter(|(file, _)| file.starts_with(&format!("{name}-")));
    files
        .map(|(_, bytes)| String::from_utf8(bytes).unwrap())
        .collect()
}

fn manifest(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join("_SUCCESS")).unwrap()).unwrap()
}

#[test]
fn without_reduce_tasks_the_parts_follow_the_input() {
    let sandbox = Sandbox::new();
    let (log, rows, malformed) = log(3_000);
    fs::write(sandbox.work("a.log"), &log[..log.len() / 2]).unwrap();
    fs::write(sandbox.work("b.log"), &log[log.len() / 2..]).unwrap();
    fs::write(sandbox.work("all.log"), &log).unwrap();
    let args = ["all.log", "--split-size", "5KB"];
    everywhere(&sandbox, "clean", &args);
    let out = sandbox.work("out-0");
    assert_eq!(joined(&out, "part"), rows);
    assert_eq!(joined(&out, "malformed"), malformed);
    let told = manifest(&out);
    let parts = told["parts"].as_array().unwrap();
    assert!(parts.len() > 5 && told["splits"] == parts.len(), "{told}");
    assert_eq!(told["reducers"], 0);
    assert_eq!(told["counters"]["malformed"], 75);
    assert_eq!(told["named"]["malformed"][0]["name"], "malformed-00000");
    assert!(sandbox.run(["verify", "out-0"]).status.success());
    assert_eq!(sandbox.run(["cat", "out-0"]).stdout, rows.as_bytes());
    let aside = sandbox.run(["cat", "out-0", "--named", "malformed"]);
    assert_eq!(aside.stdout, malformed.as_bytes());

    // To standard output; with parts that are packed; by tasks without a master.
    let plugin = plugin("outputs");
    let job = [plugin.to_str().unwrap(), "--job", "clean"];
    let run = |more: &[&str]| sandbox.run(["run"].iter().chain(&job).chain(more));
    let printed = run(&["all.log", "-r", "0", "--workers", "2"]);
    assert_eq!(printed.stdout, rows.as_bytes());
    assert!(
        printed.stderr.contains("Output malformed: 75 rows"),
        "{}",
        printed.stderr
    );
    run(&[
        "all.log",
        "-o",
        "packed",
        "--compress",
        "zstd",
        "--split-size",
        "5KB",
    ]);
    assert_eq!(sandbox.run(["cat", "packed"]).stdout, rows.as_bytes());
    assert!(sandbox.work("packed/malformed-00000.zst").exists());
    assert!(sandbox.run(["verify", "packed"]).status.success());
    let script = r#"
        eval "$($MAPFOLD plan $JOB -o plan.json)"
        test $reduces = 0
        for i in $(seq 0 $((maps - 1)) | sort -rn); do
            $MAPFOLD task map --plan plan.json --index $i --to left
        done
        $MAPFOLD task map --plan plan.json --index 0 --attempt 2 --to left
        $MAPFOLD task commit --plan plan.json --from left -o tasks
    "#;
    let typed = format!("{} all.log --split-size 5KB", job.join(" "));
    shell(&sandbox, &script.replace("$JOB", &typed));
    assert_eq!(bytes_of(&sandbox.work("tasks")), bytes_of(&out));

    for (args, want) in [
        (
            &["run", "wordcount", "all.log", "-r", "0"][..],
            "has reduce tasks",
        ),
        (
            &["run", "lab-sift", "all.log", "-r", "3"],
            "has no reduce tasks",
        ),
        (&["cat", "out-0", "--sorted"], "in no order of keys"),
        (
            &["cat", "out-0", "--named", "x"],
            "its outputs are malformed",
        ),
    ] {
        let refused = sandbox.start(args).wait();
        assert!(
            !refused.status.success() && refused.stderr.contains(want),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn reduce_tasks_put_rows_aside() {
    let sandbox = Sandbox::new();
    let books = books();
    let args = [books.to_str().unwrap(), "-r", "3", "--split-size", "300KB"];
    everywhere(&sandbox, "rare", &args);
    let out = sandbox.work("out-0");
    let (rare, often): (Vec<_>, Vec<_>) = oracle::wordcount(&books)
        .into_iter()
        .partition(|row| row.ends_with(b"\t1"));
    let rare: Vec<_> = rare
        .into_iter()
        .map(|row| row[..row.len() - 2].to_vec())
        .collect();
    assert_eq!(sorted(lines(joined(&out, "part").as_bytes())), often);
    assert_eq!(sorted(lines(joined(&out, "rare").as_bytes())), rare);
    let files: Vec<_> = bytes_of(&out).into_keys().collect();
    assert_eq!(
        files,
        [
            "_SUCCESS",
            "part-00000",
            "part-00001",
            "part-00002",
            "rare-00000",
            "rare-00001",
            "rare-00002"
        ]
    );
    // The root hash is over all of them.
    fs::write(out.join("rare-00001"), "other\n").unwrap();
    let changed = sandbox.start(["verify", "out-0"]).wait();
    assert_eq!(changed.status.code(), Some(9), "{}", changed.stderr);
    assert!(changed.stderr.contains("rare-00001"), "{}", changed.stderr);
}

#[test]
fn names_of_outputs_are_checked_and_few() {
    let sandbox = Sandbox::new();
    let many: String = (0..33).map(|n| format!(">n{n} x\n")).collect();
    for (text, want) in [
        (">a/b x\n", "`a/b` cannot be the name of an output"),
        (&many, "one task writes rows to 32 named outputs at most"),
    ] {
        fs::write(sandbox.work("in.txt"), text).unwrap();
        for place in [&["--slots", "1"][..], &["--slots", "1", "--isolate"]] {
            let args = ["run", "lab-sift", "in.txt", "-o", "out"];
            let failed = sandbox.start(args.iter().chain(place)).wait();
            assert_eq!(failed.status.code(), Some(1), "{}", failed.stderr);
            assert!(failed.stderr.contains(want), "{}", failed.stderr);
        }
    }
    fs::remove_dir_all(sandbox.work(".mapfold")).unwrap();
    sandbox.assert_clean(&["in.txt"]);
}

#[test]
fn records_that_a_job_without_reduce_tasks_fails_on_are_put_aside() {
    let sandbox = Sandbox::new();
    let line = |n: usize| match n % 50 {
        10 => format!("fail {n}\n"),
        20 => format!(">odd {n}\n"),
        _ => format!("line {n}\n"),
    };
    let text: String = (0..500).map(line).collect();
    fs::write(sandbox.work("in.txt"), &text).unwrap();
    let mut first = None;
    for (out, place) in ["one", "two", "three"].iter().zip([
        &["--slots", "1"][..],
        &["--workers", "2"],
        &["--slots", "2", "--isolate"],
    ]) {
        let args = [
            "run",
            "lab-sift",
            "in.txt",
            "--split-size",
            "500",
            "--skip-bad",
            "10",
        ];
        sandbox.run(args.iter().chain(&["-o", out]).chain(place));
        let got = bytes_of(&sandbox.work(out));
        assert!(*first.get_or_insert(got.clone()) == got, "{place:?}");
    }
    let out = sandbox.work("one");
    let kept = text.lines().filter(|line| line.starts_with("line"));
    assert_eq!(
        joined(&out, "part").lines().collect::<Vec<_>>(),
        kept.collect::<Vec<_>>()
    );
    assert_eq!(joined(&out, "odd").lines().count(), 10);
    let skipped = fs::read_to_string(out.join("_skipped.jsonl")).unwrap();
    assert_eq!(skipped.lines().count(), 10);
    assert_eq!(manifest(&out)["counters"]["lines"], 490);
}

/// Ten files, each a split; the third holds.
fn files_that_hold(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.work("in");
    fs::create_dir(&folder).unwrap();
    for n in 0..10 {
        let begin = if n == 2 { "hold" } else { "line" };
        let rest = format!("of {n}\n>aside {n}\n").repeat(100);
        fs::write(folder.join(format!("{n}.txt")), format!("{begin}\n{rest}")).unwrap();
    }
    folder
}

/// Parts in the staging folder of `out`.
fn staged(sandbox: &Sandbox) -> usize {
    let entries = fs::read_dir(sandbox.work(""))
        .unwrap()
        .filter_map(Result::ok);
    let staging = entries.filter(|entry| {
        entry
            .file_name()
            .to_string_lossy()
            .starts_with(".out.mapfold-")
    });
    let files = staging.flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten());
    let names = files.filter_map(Result::ok).map(|file| file.file_name());
    names
        .filter(|name| name.to_string_lossy().contains("-part-"))
        .count()
}

/// Its parts are in staging and not with the worker: nothing that it has finished runs again.
#[test]
fn workers_that_made_parts_from_splits_may_die() {
    let sandbox = Sandbox::new();
    let input = files_that_hold(&sandbox);
    let input_name = input.to_str().unwrap();
    let common = ["--split-size", "1500", "--json"];
    let args = ["run", "lab-sift", input_name, "-o", "undisturbed"];
    sandbox.run(args.iter().chain(&common));
    let want = bytes_of(&sandbox.work("undisturbed"));
    let cluster = Cluster::start(&sandbox, Over::Unix, 3);
    let trace = format!("trace={}", sandbox.trace().display());
    // The trace is a parameter, and stands in the manifest.
    let more = [&common[..], &["--no-backup", "-p", &trace]].concat();
    let client = sandbox.start(cluster.run_args("lab-sift", input, "out", &more));
    let holds = wait_for("a map that holds", || sandbox.signs("map").pop());
    wait_for("the other parts", || (staged(&sandbox) == 10).then_some(()));
    let mut others = cluster.workers.iter().map(crate::sandbox::Running::pid);
    let other = others.find(|pid| *pid != holds).unwrap();
    let lost = |count| {
        wait_for("a worker to be given up", || {
            (client.said().matches("is lost").count() >= count).then_some(())
        });
    };
    signal(other, Signal::KILL);
    lost(1);
    signal(holds, Signal::KILL);
    lost(2);
    sandbox.go("go-map");
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(number(&report, "maps_rerun"), 0, "{report}");
    // The one that held; and perhaps one that had just begun where its worker died.
    assert!((11..=12).contains(&number(&report, "attempts")), "{report}");
    assert_eq!(number(&report, "reduce_tasks"), 0);
    assert_eq!(report["named"]["aside"]["rows"], 1000);
    let mut got = bytes_of(&sandbox.work("out"));
    let (mut got_manifest, mut want_manifest) = (
        manifest(&sandbox.work("out")),
        manifest(&sandbox.work("undisturbed")),
    );
    got_manifest["params"] = serde_json::Value::Null;
    want_manifest["params"] = serde_json::Value::Null;
    assert_eq!(got_manifest, want_manifest);
    let mut want = want;
    got.remove("_SUCCESS");
    want.remove("_SUCCESS");
    assert!(got == want, "other parts");
    sandbox.run(["verify", "out"]);
    cluster.end();
    sandbox.assert_clean(&["in", "out", "undisturbed"]);
}

#[test]
fn a_master_that_is_killed_and_started_again_keeps_parts_from_splits() {
    let sandbox = Sandbox::new();
    let input = files_that_hold(&sandbox);
    let mut cluster = Cluster::with_state(&sandbox, 2);
    let trace = format!("trace={}", sandbox.trace().display());
    let more = [
        "--split-size",
        "1500",
        "--json",
        "--no-backup",
        "-p",
        &trace,
    ];
    let client = sandbox.start(cluster.run_args("lab-sift", input, "out", &more));
    wait_for("a map that holds", || sandbox.signs("map").pop());
    wait_for("the other parts", || (staged(&sandbox) == 10).then_some(()));
    cluster.kill_master();
    cluster.restart_master(&sandbox);
    sandbox.go("go-map");
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(number(&report, "maps_rerun"), 0, "{report}");
    assert!(number(&report, "attempts") <= 12, "{report}");
    let told = manifest(&sandbox.work("out"));
    assert_eq!(told["parts"].as_array().unwrap().len(), 10);
    assert_eq!(told["named"]["aside"].as_array().unwrap().len(), 10);
    sandbox.run(["verify", "out"]);
    cluster.end();
    sandbox.assert_clean(&["in", "out", "state"]);
}
