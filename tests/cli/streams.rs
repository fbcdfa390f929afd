//! Standard input, output and error: results on one, everything else on another.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::mapfold::{Place, rows};

const WORDS: &str = "sea\t1\nthe\t2\nwhale\t1\n";

#[test]
fn rows_go_to_stdout_and_everything_else_to_stderr() {
    let place = Place::new();
    let output = place.run("run wordcount books");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), WORDS);
    assert!(String::from_utf8_lossy(&output.stderr).contains("Finished"));
    place.assert_nothing_is_left();
}

#[test]
fn a_parquet_file_that_is_read_as_lines_is_warned_of() {
    let place = Place::new();
    fs::write(place.path("books/rows.parquet"), b"PAR1 rows\n\0\0\0\0PAR1").unwrap();
    let said = |line: &str| {
        let output = place.run(line);
        assert!(output.status.success(), "{line}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let warning = "    format books/rows.parquet is a Parquet file, and is read as lines; --format parquet reads its rows\n";
    let lines = said("run wordcount books --progress plain");
    assert!(lines.contains(warning), "{lines}");
    let files = said("run wordcount books --progress plain --format files");
    assert!(!files.contains("Parquet"), "{files}");
    assert_eq!(said("run wordcount books -q"), "");
}

#[test]
fn quiet_says_nothing_of_a_job_that_succeeds() {
    let place = Place::new();
    let output = place.run("run wordcount books -o counts -q");
    assert!(output.status.success());
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
    assert_eq!(rows(&place.path("counts")), WORDS);
}

#[test]
fn standard_input_is_an_input_named_dash() {
    let place = Place::new();
    let mut child = place
        .mapfold("run -q linecount books -")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"one\ntwo\nthree\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "-\t3\nbooks/moby.txt\t2\n"
    );
    place.assert_nothing_is_left();
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let place = Place::new();
    for line in [
        "run wordcount books",
        "list",
        "describe grep",
        "completions bash",
    ] {
        let mut command = place.mapfold(line);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{line}");
        assert!(
            !String::from_utf8_lossy(&output.stderr).contains("error"),
            "{line}"
        );
    }
    place.assert_nothing_is_left();
}

#[test]
fn json_is_one_object_on_stdout() {
    let place = Place::new();
    let output = place.run("run wordcount books -o counts --json");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["schema"], &json["end"], &json["rows"]),
        (&1.into(), &"succeeded".into(), &3.into())
    );

    fs::write(place.path("broken.gz"), b"\x1f\x8b no gzip").unwrap();
    let output = place.run("run wordcount broken.gz -o more --json");
    assert_eq!(output.status.code(), Some(3));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&json["end"], &json["error"]["reason"]),
        (&"failed".into(), &"input".into())
    );
}

#[test]
fn verify_names_every_difference() {
    let place = Place::new();
    assert!(
        place
            .run("run -q wordcount books -o counts -r 2")
            .status
            .success()
    );
    assert!(place.run("verify counts").status.success());
    fs::write(place.path("counts/part-00000"), "sea\t2\n").unwrap();
    fs::write(place.path("counts/part-00002"), "").unwrap();
    fs::remove_file(place.path("counts/part-00001")).unwrap();
    let output = place.run("verify counts");
    assert_eq!(output.status.code(), Some(9));
    let said = String::from_utf8_lossy(&output.stderr);
    for part in [
        "part-00000",
        "part-00001 is missing",
        "part-00002 is not listed",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn colour_is_off_where_nobody_sees_it_and_where_nobody_wants_it() {
    let place = Place::new();
    let coloured = |line: &str, no_color: &str| {
        let output = place
            .mapfold(line)
            .env("NO_COLOR", no_color)
            .output()
            .unwrap();
        output.stderr.contains(&0x1b)
    };
    assert!(!coloured("describe nothing", ""));
    assert!(coloured("describe nothing --color always", ""));
    assert!(!coloured("describe nothing --color always", "1"));
}
