//! A job that reads several kinds of input.

use std::fs;

use crate::cluster::{Cluster, Over};
use crate::plugins::plugin;
use crate::sandbox::{Ended, Sandbox, bytes_of, rows_of};

/// Ids of people and things fall into the same parts, in splits of their own and in shared ones.
fn write_input(sandbox: &Sandbox) {
    let people: String = (0..300)
        .map(|n| format!("{} person{n}\n", n % 250))
        .collect();
    fs::write(sandbox.work("people=all.txt"), people).unwrap();
    fs::create_dir(sandbox.work("things")).unwrap();
    for file in ["a", "b"] {
        let things: String = (0..500)
            .map(|n| format!("{} thing{n}{file}\n", n % 300))
            .collect();
        fs::write(sandbox.work("things").join(file), things).unwrap();
    }
}

fn want() -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    for person in 0..300 {
        for file in ["a", "b"] {
            for thing in (0..500).filter(|thing| thing % 300 == person % 250) {
                rows.push(format!("person{person}\tthing{thing}{file}").into_bytes());
            }
        }
    }
    crate::sandbox::sorted(rows)
}

fn run(sandbox: &Sandbox, words: &[&str]) -> Ended {
    sandbox.start(["run"].iter().chain(words)).wait()
}

const INPUTS: [&str; 2] = ["people=people=all.txt", "things=things/"];
const HOW: [&str; 7] = ["-r", "3", "--split-size", "1000", "-q", "-o", "out"];

#[test]
fn a_join_gives_the_same_folder_wherever_it_runs() {
    let sandbox = Sandbox::new();
    write_input(&sandbox);
    let lab = plugin("lab");
    let loaded = [lab.to_str().unwrap(), "--job", "lab-join"];
    let [people, things] = INPUTS;
    let mut first = None;
    let cluster = Cluster::start(&sandbox, Over::Tcp, 2);
    for (inputs, place) in [
        ([people, things], &["--slots", "2"][..]),
        // However they are typed.
        ([things, people], &["--slots", "2", "--isolate"]),
        ([people, things], &["--workers", "2"]),
        ([people, things], &["--master", &cluster.address]),
    ] {
        let ended = run(
            &sandbox,
            &[&["lab-join"], &inputs[..], &HOW, place].concat(),
        );
        assert!(ended.status.success(), "{place:?}: {}", ended.stderr);
        assert_eq!(rows_of(&sandbox.work("out")), want(), "{place:?}");
        let got = bytes_of(&sandbox.work("out"));
        assert!(*first.get_or_insert(got.clone()) == got, "{place:?}");
        fs::remove_dir_all(sandbox.work("out")).unwrap();
    }
    cluster.end();
    for place in [&["--slots", "2"][..], &["--workers", "2", "--isolate"]] {
        let ended = run(&sandbox, &[&loaded, &INPUTS[..], &HOW, place].concat());
        assert!(ended.status.success(), "{place:?}: {}", ended.stderr);
        assert_eq!(rows_of(&sandbox.work("out")), want(), "{place:?}");
        fs::remove_dir_all(sandbox.work("out")).unwrap();
    }
    let manifest: serde_json::Value = serde_json::from_slice(&first.unwrap()["_SUCCESS"]).unwrap();
    let listed = &manifest["inputs"]["listed"];
    assert_eq!(listed[0]["name"], "people=all.txt");
    assert_eq!(listed[0]["input"], serde_json::Value::Null);
    assert_eq!(listed[2]["input"], 1);
    let inputs = format!("lab-join {people} {things}");
    for line in [
        format!("plan {inputs} -r 1 --split-size 1GB -o plan.json"),
        "task map --plan plan.json --index 0 --to shuffle".to_owned(),
        "task reduce --plan plan.json --index 0 --from shuffle".to_owned(),
        "task commit --plan plan.json --from shuffle -o tasks".to_owned(),
        format!("sequential {inputs} -o sequential"),
    ] {
        sandbox.run(line.split(' '));
    }
    assert_eq!(rows_of(&sandbox.work("tasks")), want());
    assert_eq!(bare_rows(&sandbox), want());
}

/// Of the one part that `mapfold sequential` leaves.
fn bare_rows(sandbox: &Sandbox) -> Vec<Vec<u8>> {
    let mut parts = fs::read_dir(sandbox.work("sequential")).unwrap();
    let rows = fs::read(parts.next().unwrap().unwrap().path()).unwrap();
    let rows = rows.split_inclusive(|byte| *byte == b'\n');
    let rows = rows.map(|row| row[..row.len() - 1].to_vec());
    crate::sandbox::sorted(rows.collect())
}

#[test]
fn inputs_that_are_missing_or_unknown_are_named() {
    let sandbox = Sandbox::new();
    write_input(&sandbox);
    let [people, things] = INPUTS;
    for (inputs, said) in [
        (
            &["things/"][..],
            "`things/` does not say which input of job `lab-join` it is",
        ),
        (&[people], "job `lab-join` needs the input `things`"),
        (
            &[people, "thing=things"],
            "no input `thing`; it has people, things",
        ),
        (&[people, things, "things=none"], "none"),
    ] {
        let ended = run(&sandbox, &[&["lab-join"], inputs, &HOW].concat());
        assert!(
            matches!(ended.status.code(), Some(2 | 3)),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains(said),
            "no {said:?} in {}",
            ended.stderr
        );
    }
    // A job with one input takes the same word for a path.
    let ended = run(&sandbox, &["linecount", "people=all.txt"]);
    assert!(ended.status.success(), "{}", ended.stderr);
    let piped = format!(
        "{} run lab-join {people} things=- < things/a | wc -l",
        sandbox.command([""; 0]).get_program().display()
    );
    let piped = std::process::Command::new("sh")
        .args(["-c", &piped])
        .current_dir(sandbox.work(""))
        .env("TMPDIR", sandbox.tmp())
        .output()
        .unwrap();
    let half = want().iter().filter(|row| row.ends_with(b"a")).count();
    assert_eq!(
        String::from_utf8(piped.stdout).unwrap().trim(),
        half.to_string()
    );
}

/// A capsule knows the inputs, too.
#[test]
fn a_failed_task_of_a_join_is_replayed_with_its_inputs() {
    let sandbox = Sandbox::new();
    write_input(&sandbox);
    fs::write(sandbox.work("things/c"), "nothing\n").unwrap();
    let ended = run(&sandbox, &[&["lab-join"], &INPUTS[..], &HOW].concat());
    assert!(
        ended.stderr.contains("a line has two columns"),
        "{}",
        ended.stderr
    );
    let capsule = fs::read_dir(sandbox.work(".mapfold/failed"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let text = fs::read_to_string(capsule.path()).unwrap();
    assert!(text.contains("\"input\": 1"), "{text}");
    let replayed = sandbox
        .start([std::ffi::OsStr::new("replay"), capsule.path().as_os_str()])
        .wait();
    assert!(
        replayed.stderr.contains("fails, as it did before"),
        "{}",
        replayed.stderr
    );
}

/// People in a table with a header, things as lines of JSON.
fn write_two_formats(sandbox: &Sandbox) {
    let people: String = (0..250).map(|n| format!("\"P{n}, Inc.\",{n}\n")).collect();
    fs::write(sandbox.work("people.csv"), format!("name,id\n{people}")).unwrap();
    fs::create_dir(sandbox.work("things")).unwrap();
    for file in ["a", "b"] {
        let things: String = (0..500)
            .map(|n| format!("{{\"of\":{},\"thing\":\"{n}{file}\"}}\n", n % 300))
            .collect();
        fs::write(sandbox.work("things").join(file), things).unwrap();
    }
}

fn want_of_two_formats() -> Vec<Vec<u8>> {
    let mut rows = Vec::new();
    for n in (0..500).filter(|n| n % 300 < 250) {
        let (of, file) = (n % 300, ["a", "b"]);
        rows.extend(file.map(|file| {
            let thing = format!("{{\"of\":{of},\"thing\":\"{n}{file}\"}}");
            format!("\"P{of}, Inc.\",{of}\t{thing}").into_bytes()
        }));
    }
    crate::sandbox::sorted(rows)
}

const TWO_FORMATS: &str =
    "join left=people.csv right=things/ --format left=csv -p left=id -p right=of";

#[test]
fn inputs_may_have_formats_of_their_own_wherever_a_job_runs() {
    let sandbox = Sandbox::new();
    write_two_formats(&sandbox);
    let cluster = Cluster::start(&sandbox, Over::Tcp, 2);
    let job: Vec<&str> = TWO_FORMATS.split(' ').collect();
    let mut first = None;
    for place in [
        &["--slots", "2"][..],
        &["--slots", "2", "--isolate"],
        &["--workers", "2"],
        &["--master", &cluster.address],
        // However it is typed.
        &["--slots", "2", "--format", "right=lines"],
    ] {
        let ended = run(&sandbox, &[&job[..], &HOW, place].concat());
        assert!(ended.status.success(), "{place:?}: {}", ended.stderr);
        let rows = rows_of(&sandbox.work("out"));
        assert_eq!(rows, want_of_two_formats(), "{place:?}");
        let got = bytes_of(&sandbox.work("out"));
        assert!(*first.get_or_insert(got.clone()) == got, "{place:?}");
        fs::remove_dir_all(sandbox.work("out")).unwrap();
    }
    cluster.end();
    let manifest: serde_json::Value = serde_json::from_slice(&first.unwrap()["_SUCCESS"]).unwrap();
    assert_eq!(manifest["format"], "lines");
    let listed = &manifest["inputs"]["listed"];
    assert_eq!(listed[0]["format"], "csv");
    assert_eq!(listed[1]["format"], serde_json::Value::Null);
    for line in [
        format!("plan {TWO_FORMATS} -r 1 --split-size 1GB -o plan.json"),
        "task map --plan plan.json --index 0 --to shuffle".to_owned(),
        "task reduce --plan plan.json --index 0 --from shuffle".to_owned(),
        "task commit --plan plan.json --from shuffle -o tasks".to_owned(),
        format!("sequential {TWO_FORMATS} -o sequential"),
    ] {
        sandbox.run(line.split(' '));
    }
    assert_eq!(rows_of(&sandbox.work("tasks")), want_of_two_formats());
    assert_eq!(bare_rows(&sandbox), want_of_two_formats());
}

#[test]
fn a_plugin_is_given_the_formats_of_its_inputs() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("customers"), "id\tname\n7\tAnn, of York\n").unwrap();
    fs::write(sandbox.work("orders"), "customer,cents\n7,100\n7,20\n").unwrap();
    let orders = plugin("orders");
    let job = [
        orders.to_str().unwrap(),
        "customers=customers",
        "orders=orders",
        "--format",
        "customers=tsv",
    ];
    let cluster = Cluster::start(&sandbox, Over::Tcp, 1);
    for place in [
        &["--slots", "2"][..],
        &["--isolate"],
        &["--master", &cluster.address],
    ] {
        let ended = run(&sandbox, &[&job[..], &HOW, place].concat());
        assert!(ended.status.success(), "{place:?}: {}", ended.stderr);
        assert_eq!(rows_of(&sandbox.work("out")), [b"Ann, of York\t2\t120"]);
        fs::remove_dir_all(sandbox.work("out")).unwrap();
    }
    cluster.end();
    // A capsule knows them, too.
    fs::write(sandbox.work("customers"), "id\tname\nseven\tAnn\n").unwrap();
    let ended = run(&sandbox, &[&job[..], &HOW].concat());
    assert!(ended.stderr.contains("field `id`"), "{}", ended.stderr);
    let capsules = fs::read_dir(sandbox.work(".mapfold/failed")).unwrap();
    let capsule = capsules.map(Result::unwrap).next().unwrap().path();
    let replayed = sandbox
        .start([std::ffi::OsStr::new("replay"), capsule.as_os_str()])
        .wait();
    let said = "fails, as it did before";
    assert!(replayed.stderr.contains(said), "{}", replayed.stderr);
}

#[test]
fn formats_that_are_given_twice_or_to_no_input_are_told() {
    let sandbox = Sandbox::new();
    write_two_formats(&sandbox);
    for (more, said) in [
        (
            "--format lift=csv",
            &["job `join` has no input `lift`", "did you mean `left`?"][..],
        ),
        (
            "--format people=csv",
            &["it has left, right", "--format NAME=FORMAT"],
        ),
        (
            "--format left=tsv",
            &["--format of input `left` is given twice: `csv` and `tsv`"],
        ),
        (
            "--format csv --format lines",
            &["--format is given twice: `csv` and `lines`"],
        ),
        ("--format left=table", &["`table` is not a format"]),
    ] {
        let words = format!("{TWO_FORMATS} {more}");
        let words: Vec<&str> = words.split(' ').collect();
        let ended = run(&sandbox, &words);
        assert_eq!(ended.status.code(), Some(2), "{more}: {}", ended.stderr);
        for said in said {
            assert!(
                ended.stderr.contains(said),
                "no {said:?} in {}",
                ended.stderr
            );
        }
    }
}
