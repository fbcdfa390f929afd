//! What a job can say of its output, in all places where jobs run: which part a key is in.

use std::fs;

use crate::oracle;
use crate::plugins::{PLACES, plugin};
use crate::sandbox::{Sandbox, books, bytes_of, rows_of};

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
