//! `mapfold stream`: programs as map and reduce.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::cluster::{Cluster, Over};
use crate::sandbox::{Ended, Sandbox, books, lines, parts_of, rows_of, signal, sorted, wait_for};

/// Words, one a line.
const MAPPER: &str =
    "awk '{ gsub(/[^A-Za-z]+/, \" \"); for (i = 1; i <= NF; i++) print $i \"\\t1\" }'";
/// Sums of sorted keys.
const REDUCER: &str = "awk 'BEGIN { FS = \"\\t\" } $1 != k { if (n) print k \"\\t\" n; k = $1; n = 0 } { n += $2 } END { if (n) print k \"\\t\" n }'";

fn stream(sandbox: &Sandbox, how: &[&str], output: &str) -> Ended {
    let books = books();
    let args = ["stream", books.to_str().unwrap(), "-o", output];
    sandbox.start(args.iter().chain(how).copied()).wait()
}

#[test]
fn words_are_counted_as_by_a_pipeline_wherever_programs_run() {
    let sandbox = Sandbox::new();
    let pipeline = format!(
        "cat {}/* | {MAPPER} | LC_ALL=C sort | {REDUCER}",
        books().display()
    );
    let want = Command::new("sh").args(["-c", &pipeline]).output().unwrap();
    let want = sorted(lines(&want.stdout));
    let programs = ["--mapper", MAPPER, "--reducer", REDUCER];
    let ways: [&[&str]; 5] = [
        &["--slots", "2", "--split-size", "300KB"],
        &["--combiner", REDUCER, "--split-size", "300KB"],
        &["--workers", "2", "--split-size", "300KB"],
        &["--isolate", "--split-size", "300KB"],
        &["-r", "3"],
    ];
    let mut first = None;
    for (number, way) in ways.iter().enumerate() {
        let output = format!("out{number}");
        let ended = stream(&sandbox, &[&programs, *way].concat(), &output);
        assert!(ended.status.success(), "{way:?}: {}", ended.stderr);
        assert_eq!(rows_of(&sandbox.work(&output)), want, "{way:?}");
        let parts = parts_of(&sandbox.work(&output));
        if *way != ["-r", "3"] {
            assert_eq!(&parts, first.get_or_insert(parts.clone()), "{way:?}");
        }
    }
    sandbox.assert_clean(&["out0", "out1", "out2", "out3", "out4"]);
}

#[test]
fn a_program_that_dies_is_tried_again() {
    let sandbox = Sandbox::new();
    let mapper = "sh -c 'if mkdir crashed 2>/dev/null; then kill -9 $$; fi; exec cat'";
    let ended = stream(
        &sandbox,
        &["--mapper", mapper, "--split-size", "300KB"],
        "out",
    );
    assert!(ended.status.success(), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 failed"), "{}", ended.stderr);
    let plain = stream(&sandbox, &["--mapper", "cat"], "plain");
    assert!(plain.status.success());
    assert_eq!(
        rows_of(&sandbox.work("out")),
        rows_of(&sandbox.work("plain"))
    );
}

#[test]
fn what_is_wrong_with_a_program_is_told() {
    let sandbox = Sandbox::new();
    let fails = |how: &[&str], words: &[&str], code: i32| {
        let ended = stream(&sandbox, how, "out");
        assert_eq!(ended.status.code(), Some(code), "{}", ended.stderr);
        for word in words {
            assert!(ended.stderr.contains(word), "{how:?}: {}", ended.stderr);
        }
    };
    fails(
        &["--mapper", "no-such-program -x"],
        &["`no-such-program`", "nor on the PATH"],
        2,
    );
    fs::write(sandbox.work("map.py"), "#!/bin/cat").unwrap();
    fails(&["--reducer", "./map.py"], &["chmod +x ./map.py"], 2);
    fs::remove_file(sandbox.work("map.py")).unwrap();
    let nowhere = "sh -c 'exec no-such-program'";
    fails(
        &["--mapper", nowhere],
        &["subprocess failed with code 127"],
        1,
    );
    let loud = "sh -c 'cat >/dev/null; echo Traceback >&2; exit 42'";
    fails(
        &["--mapper", loud],
        &[
            "the mapper `sh -c",
            "bytes 0 to ",
            "subprocess failed with code 42",
            "Traceback",
        ],
        1,
    );
    let loud = "sh -c 'head -c 100000000 /dev/zero >&2; exit 43'";
    fails(&["--reducer", loud], &["subprocess failed with code 43"], 1);
    fails(&["--mapper", ""], &["empty"], 2);
    let piped = ["--mapper", "cat | sort", "--max-attempts", "1"];
    fails(&piped, &["`|` is an argument", "say sh -c '...'"], 1);
    let skipping = ["--mapper", "cat", "--skip-bad", "1"];
    fails(&skipping, &["passes over bad ones itself"], 2);
    fails(&["--mapper", "cat", "--sort-by", "-x"], &["`-x`"], 2);
    sandbox.assert_clean(&[".mapfold"]);
}

/// The pid of the program's parent's parent: the guard's worker.
fn worker_of(program: i32) -> i32 {
    let parent = |pid: i32| -> i32 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        after_name.split(' ').nth(1).unwrap().parse().unwrap()
    };
    parent(parent(program))
}

#[test]
fn a_killed_worker_leaves_no_program_behind() {
    let sandbox = Sandbox::new();
    // Each waits until it may go on, and computes meanwhile: it would not notice that its pipes are broken.
    let trace = sandbox.trace();
    let trace = trace.display();
    let mapper =
        format!("sh -c 'touch {trace}/map.$$.x; while ! test -e {trace}/go; do :; done; exec cat'");
    let books = books();
    let args = [
        "stream",
        books.to_str().unwrap(),
        "-o",
        "out",
        "--mapper",
        &mapper,
    ];
    let place = [
        "--workers",
        "2",
        "--slots",
        "1",
        "--split-size",
        "300KB",
        "--lease",
        "2s",
    ];
    let client = sandbox.start(args.iter().chain(&place).copied());
    let programs = wait_for("two programs", || {
        let pids = sandbox.signs("map");
        (pids.len() == 2).then_some(pids)
    });
    signal(worker_of(programs[0]), Signal::KILL);
    wait_for("its program to end", || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", programs[0]));
        stat.map_or(true, |stat| stat.contains(") Z "))
            .then_some(())
    });
    sandbox.go("go");
    let ended = client.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let plain = stream(&sandbox, &["--mapper", "cat"], "plain");
    assert!(plain.status.success());
    assert_eq!(
        rows_of(&sandbox.work("out")),
        rows_of(&sandbox.work("plain"))
    );
}

#[test]
fn without_reduce_tasks_what_the_mapper_prints_are_the_rows() {
    let sandbox = Sandbox::new();
    let mapper = "sed 's/^/x\t/'";
    let pipeline = format!("cat {}/* | {mapper}", books().display());
    let want = Command::new("sh").args(["-c", &pipeline]).output().unwrap();
    let ways: [&[&str]; 3] = [
        &["--reducer", "NONE"],
        &["-r", "0", "--workers", "2"],
        &["-r", "0", "--isolate"],
    ];
    for (number, way) in ways.iter().enumerate() {
        let output = format!("out{number}");
        let how = [&["--mapper", mapper, "--split-size", "300KB"], *way].concat();
        let ended = stream(&sandbox, &how, &output);
        assert!(ended.status.success(), "{way:?}: {}", ended.stderr);
        let parts = parts_of(&sandbox.work(&output));
        assert!(
            parts.len() > 1
                && parts
                    .into_values()
                    .flatten()
                    .eq(want.stdout.iter().copied())
        );
    }
}

#[test]
fn each_file_has_a_program_of_its_own_and_an_empty_one_too() {
    let sandbox = Sandbox::new();
    let input = sandbox.work("in");
    fs::create_dir(&input).unwrap();
    for (name, text) in [("a", "x\ny\n"), ("b", ""), ("c", "z\n")] {
        fs::write(input.join(name), text).unwrap();
    }
    let count = "sh -c 'echo $(wc -l)'";
    let run = |how: &[&str], output: &str| {
        let args = ["stream", "in", "-o", output, "--mapper", count];
        let ended = sandbox.start(args.iter().chain(how).copied()).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
    };
    let want = [b"0\t", b"1\t", b"2\t"];
    run(&["--reducer", "NONE"], "map-only");
    let parts = parts_of(&sandbox.work("map-only"));
    assert_eq!(parts.len(), 3);
    assert_eq!(rows_of(&sandbox.work("map-only")), want);
    run(&["--workers", "2"], "reduced");
    assert_eq!(rows_of(&sandbox.work("reduced")), want);

    // Without a file there is no map task.
    for name in ["a", "b", "c"] {
        fs::remove_file(input.join(name)).unwrap();
    }
    run(&["--reducer", "NONE"], "nothing");
    assert_eq!(parts_of(&sandbox.work("nothing")).len(), 0);
    run(&["--reducer", "cat", "-r", "2"], "no-rows");
    let parts = parts_of(&sandbox.work("no-rows"));
    assert_eq!(parts.len(), 2);
    assert!(rows_of(&sandbox.work("no-rows")).is_empty());
}

#[test]
fn a_program_that_reports_is_not_taken_for_dead() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in"), "x\n").unwrap();
    let run = |says: &str, output: &str| {
        let mapper =
            format!("sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.5; {says}; done; cat'");
        let args = ["stream", "in", "-o", output, "--mapper", &mapper];
        let how = ["--task-timeout", "3s", "--max-attempts", "1", "--isolate"];
        sandbox.start(args.iter().chain(&how).copied()).wait()
    };
    let ended = run("echo reporter:status:$i >&2", "told");
    assert!(ended.status.success(), "{}", ended.stderr);
    let ended = run("echo $i >&2", "silent");
    assert!(ended.stderr.contains("nor reported"), "{}", ended.stderr);
}

#[test]
fn packed_files_go_in_and_out_and_empty_parts_need_not_be() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in"), "b\t1\na\t2\n").unwrap();
    let run = |args: &[&str]| {
        let ended = sandbox.start(["stream"].iter().chain(args).copied()).wait();
        assert!(ended.status.success(), "{}", ended.stderr);
    };
    for codec in ["bz2", "deflate", "gz"] {
        run(&["in", "-o", codec, "-r", "1", "--compress", codec]);
        let again = format!("{codec}-again");
        run(&[codec, "-o", &again, "-r", "40", "--no-empty-parts"]);
        let parts = parts_of(&sandbox.work(&again));
        assert!(parts.len() <= 2 && parts.values().all(|it| !it.is_empty()));
        let verified = sandbox.start(["verify", &again]).wait();
        assert!(verified.status.success(), "{}", verified.stderr);
    }
    fs::write(sandbox.work("empty.gz"), "").unwrap();
    let ended = sandbox.start(["stream", "empty.gz", "-o", "none"]).wait();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
}

#[test]
fn files_and_archives_go_with_a_job() {
    let sandbox = Sandbox::new();
    let mut cluster = Cluster::start(&sandbox, Over::Tcp, 0);
    let (address, dir) = (cluster.address.clone(), sandbox.work("dir"));
    fs::create_dir(&dir).unwrap();
    cluster.add_worker_at(&sandbox, &address, &["--dir", dir.to_str().unwrap()]);
    fs::write(sandbox.work("in"), "x\n").unwrap();
    fs::write(sandbox.work("table.txt"), "a table\n").unwrap();
    fs::create_dir(sandbox.work("packed")).unwrap();
    fs::write(sandbox.work("packed/inside"), "inside\n").unwrap();
    fs::write(sandbox.work("packed/large"), vec![b'x'; 100_000]).unwrap();
    let packed = Command::new("tar")
        .args(["czf", "box.tgz", "-C", "packed", "inside", "large"])
        .current_dir(sandbox.work(""))
        .status();
    assert!(packed.unwrap().success());
    let tool = "#!/bin/sh\ncat >/dev/null\ncat box/inside table\nreadlink -f table box\nls";
    fs::write(sandbox.work("tool.sh"), tool).unwrap();
    let ways: [&[&str]; 4] = [
        &[],
        &["--workers", "1"],
        &["--isolate"],
        &["--master", &cluster.address],
    ];
    let files = ["--file", "tool.sh", "--file", "table.txt#table"];
    for (number, way) in ways.iter().enumerate() {
        let output = format!("out{number}");
        let args = ["stream", "in", "-o", &output, "--mapper", "tool.sh"];
        let rest = ["--reducer", "NONE", "--archive", "box.tgz#box"];
        let all = args.iter().chain(&rest).chain(&files).chain(*way);
        let ended = sandbox.start(all.copied()).wait();
        assert!(ended.status.success(), "{way:?}: {}", ended.stderr);
        let parts = parts_of(&sandbox.work(&output));
        let rows = String::from_utf8(parts["part-00000"].clone()).unwrap();
        let rows: Vec<&str> = rows.lines().map(str::trim_end).collect();
        assert_eq!(rows[..2], ["inside", "a table"], "{way:?}");
        assert_eq!(rows[4..], ["box", "table", "tool.sh"], "{way:?}");
        let here = sandbox.work("table.txt");
        let was_sent = rows[2] != here.canonicalize().unwrap().to_str().unwrap();
        let on_cluster = way.contains(&"--master");
        assert_eq!(was_sent, on_cluster, "{way:?}: {}", rows[2]);
        let scratch = if on_cluster {
            dir.clone()
        } else {
            sandbox.tmp()
        };
        let is_there = Path::new(rows[3]).starts_with(scratch.canonicalize().unwrap());
        assert!(is_there, "{way:?}: {}", rows[3]);
        assert!(!Path::new(rows[3]).exists() || on_cluster, "{way:?}");
    }
    let small = [
        "--archive",
        "box.tgz",
        "--temp-max",
        "50KB",
        "--max-attempts",
        "1",
    ];
    let ended = sandbox
        .start(["stream", "in"].iter().chain(&small).copied())
        .wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for words in ["no room to unpack", "box.tgz", "(--temp-max)"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    let missing = ["stream", "in", "-o", "none", "--file", "no-such"];
    let ended = sandbox.start(missing).wait();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("no-such"), "{}", ended.stderr);
}
