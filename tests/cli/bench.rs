//! `mapfold bench`: what it tells of programs, of their rows and of their failures. Times are not looked at.

use rustix::process::Signal;
use serde_json::Value;

use crate::mapfold::{Place, Running, wait_until};

/// The words of the place's one book.
const SAME: &str = r"printf 'whale\t1\nthe\t2\nsea\t1\n'";

fn bench(place: &Place, against: &[&str]) -> (Option<i32>, Value, String) {
    let mut command = place.mapfold("bench wordcount books --runs 1 --json -q");
    for line in against {
        command.args(["--against", line]);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    place.assert_nothing_is_left();
    (output.status.code(), json, said)
}

#[test]
fn each_program_is_measured_and_rows_in_any_order_are_the_same() {
    let place = Place::new();
    let copies = format!("cat {{in}}/moby.txt && {SAME} > {{out}}");
    let (code, json, said) = bench(&place, &[SAME, &copies, "echo 3 lines"]);
    assert_eq!(code, Some(0), "{said}");
    let told = |field: &str| -> Vec<Value> {
        let all = json["contenders"].as_array().unwrap().iter();
        all.map(|one| one[field].clone()).collect()
    };
    assert_eq!(
        told("name"),
        ["mapfold", "one thread", "printf", "cat", "echo"]
    );
    assert_eq!(told("rows"), [3, 3, 3, 3, 1]);
    let same = Value::Bool(true);
    assert_eq!(
        told("rows_same"),
        [Value::Null, same.clone(), same.clone(), same, Value::Null]
    );
    assert_eq!(
        told("rows_check"),
        ["reference", "same", "same", "same", "not_key_tab_value"]
    );
    assert_eq!(json["rows_same"], Value::Null);
    assert_eq!(json["contenders"][0]["work"]["records_mapped"], 4);
    for one in json["contenders"].as_array().unwrap() {
        assert_eq!(one["trials"].as_array().unwrap().len(), 1);
        assert!(one["wall"]["median"].as_f64().unwrap() > 0.0, "{one}");
        assert!(
            one["peak_memory"]["median"].as_f64().unwrap() > 0.0,
            "{one}"
        );
    }
}

#[test]
fn a_different_row_is_shown_and_ends_with_its_own_code() {
    let place = Place::new();
    let (code, json, said) = bench(&place, &[r"printf 'whale\t1\nthe\t2\nsea\t9\n'"]);
    assert_eq!(code, Some(9));
    assert_eq!(json["contenders"][2]["rows_same"], false);
    assert_eq!(json["rows_same"], false);
    for part in [
        "the rows of printf are not those of mapfold",
        "only in mapfold: sea\\t1",
        "only in printf: sea\\t9",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn what_can_be_set_for_a_run_can_be_set_here() {
    let place = Place::new();
    let mut command = place.mapfold("bench wordcount books --runs 1 --json -q");
    let set = "-p lowercase=true -r 3 --split-size 5 --slots 1 --memory 64MiB --workers 2 --compress zstd";
    let output = command.args(set.split(' ')).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["rows_same"], true);
    let work = &json["contenders"][0]["work"];
    assert_eq!(work["reduce_tasks"], 3);
    assert!(work["map_tasks"].as_u64().unwrap() > 1, "{work}");
    let typed = json["contenders"][0]["command"].as_str().unwrap();
    for part in [
        "--slots 1",
        "--memory 67108864",
        "--workers 2",
        "--compress zstd",
    ] {
        assert!(typed.contains(part), "{typed}");
    }
    let one_thread = json["contenders"][1]["command"].as_str().unwrap();
    assert!(one_thread.contains("--compress zstd"), "{one_thread}");
    place.assert_nothing_is_left();
}

#[test]
fn a_command_that_fails_is_named_with_its_status_and_last_words() {
    let place = Place::new();
    let (code, json, said) = bench(&place, &["echo no luck >&2; exit 7"]);
    assert_eq!((code, json), (Some(1), Value::Null));
    for part in [
        "`echo no luck >&2; exit 7` failed",
        "exit status: 7",
        "no luck",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_command_that_makes_nothing_is_named() {
    let place = Place::new();
    let (code, _, said) = bench(&place, &["true {out}"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("`true {out}` made no rows"), "{said}");
}

#[test]
fn the_page_is_one_file_with_a_figure_for_each_measure() {
    let place = Place::new();
    let mut command = place.mapfold("bench wordcount books --runs 2 --html page.html");
    let output = command
        .args(["--against", "printf '<&>'"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let page = std::fs::read_to_string(place.path("page.html")).unwrap();
    assert_eq!(page.matches("<figure>").count(), 3);
    assert!(page.contains("printf '&lt;&amp;&gt;'"));
    assert!(!page.contains("http"));
    let table = String::from_utf8_lossy(&output.stdout);
    for part in [
        "medians of 2 runs",
        "rows of one thread: the same as mapfold, in any order; printf: not compared, as none is `key TAB value`",
    ] {
        assert!(table.contains(part), "{table}");
    }
}

#[test]
fn a_signal_ends_what_runs_and_leaves_nothing() {
    let place = Place::new();
    let mut command = place.mapfold("bench wordcount books --runs 1");
    let mut bench = Running::start(command.args(["--against", "touch begun; sleep 1000; true"]));
    wait_until("the command has begun", || place.path("begun").exists());
    bench.signal(Signal::INT);
    assert_eq!(bench.wait().code(), Some(130));
    place.assert_nothing_is_left();
}
