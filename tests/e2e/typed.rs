//! Records read into types: rows of CSV whose header only the begin of each file has, and JSON lines.

use std::collections::BTreeMap;
use std::fs;

use crate::plugins::plugin;
use crate::sandbox::{Ended, Sandbox, bytes_of, rows_of, sorted};

/// Files whose columns stand in another order each; some rows are quoted, some lines empty.
fn write_input(sandbox: &Sandbox) {
    let customers: String = (0..200)
        .map(|n| format!("{n},\"C{n}, Inc.\"\r\n"))
        .collect();
    fs::write(
        sandbox.work("customers.csv"),
        format!("id,name\r\n{customers}"),
    )
    .unwrap();
    fs::create_dir(sandbox.work("orders")).unwrap();
    let first: String = (0..3000).map(|n| format!("{},{n},\n\n", n % 211)).collect();
    fs::write(
        sandbox.work("orders/1.csv"),
        format!("customer,cents,discount\n{first}"),
    )
    .unwrap();
    let second: String = (0..3000)
        .map(|n| format!("\"{n}\",x,{}\n", n % 211))
        .collect();
    let second = format!("\u{feff}cents,note,customer\n{second}");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, second.as_bytes()).unwrap();
    fs::write(sandbox.work("orders/2.csv.gz"), packed.finish().unwrap()).unwrap();
    fs::write(sandbox.work("orders/3.csv"), second).unwrap();
    fs::write(sandbox.work("orders/4.csv"), "customer,cents\n").unwrap();
    fs::write(sandbox.work("orders/5.csv"), "").unwrap();
}

fn want() -> Vec<Vec<u8>> {
    let mut sums = BTreeMap::<u64, (u64, u64)>::new();
    for cents in (0..3000_u64).flat_map(|n| [n; 3]) {
        let sum = sums.entry(cents % 211).or_default();
        *sum = (sum.0 + 1, sum.1 + cents);
    }
    let row = |n| format!("C{n}, Inc.\t{}\t{}", sums[&n].0, sums[&n].1).into_bytes();
    sorted((0..200).map(row).collect())
}

fn run(sandbox: &Sandbox, more: &[&str]) -> Ended {
    let plugin = plugin("orders");
    let common = [
        "run",
        plugin.to_str().unwrap(),
        "customers=customers.csv",
        "orders=orders",
        "-q",
        "-o",
        "out",
    ];
    sandbox.start(common.iter().chain(more)).wait()
}

#[test]
fn every_split_knows_the_columns_of_its_file() {
    let sandbox = Sandbox::new();
    write_input(&sandbox);
    let mut folders = Vec::new();
    for (size, place) in [
        ("1000", &["--slots", "2"][..]),
        ("1000", &["--workers", "2"]),
        ("1000", &["--workers", "2", "--isolate"]),
        // Smaller than a header.
        ("7", &["--slots", "2"]),
        ("10MB", &["--slots", "1"]),
    ] {
        let ended = run(
            &sandbox,
            &[&["--split-size", size, "-r", "3"][..], place].concat(),
        );
        assert!(ended.status.success(), "{place:?}: {}", ended.stderr);
        assert_eq!(rows_of(&sandbox.work("out")), want(), "{size} {place:?}");
        folders.push(bytes_of(&sandbox.work("out")));
        fs::remove_dir_all(sandbox.work("out")).unwrap();
    }
    assert!(folders[0] == folders[1] && folders[1] == folders[2]);
    let manifest: serde_json::Value = serde_json::from_slice(&folders[0]["_SUCCESS"]).unwrap();
    assert_eq!(manifest["format"], "csv");
    let described = sandbox.run(["describe", plugin("orders").to_str().unwrap()]);
    assert!(
        String::from_utf8(described.stdout)
            .unwrap()
            .contains("Format: csv\n")
    );
}

#[test]
fn headers_are_no_records() {
    let sandbox = Sandbox::new();
    write_input(&sandbox);
    let args = [
        "run",
        "linecount",
        "orders",
        "--format",
        "csv",
        "--split-size",
        "100",
        "-q",
    ];
    let counted = sandbox.run(args);
    let counted = String::from_utf8(counted.stdout).unwrap();
    let counts = counted.lines().map(|row| row.split_once('\t').unwrap().1);
    let counts: Vec<&str> = counts.filter(|count| *count != "0").collect();
    assert_eq!(counts, ["3000"; 3], "{counted}");
}

/// A field that goes on in the next line: wherever files are cut, both lines are told, and nothing is guessed.
#[test]
fn broken_rows_are_refused_or_put_aside() {
    let sandbox = Sandbox::new();
    write_input(&sandbox);
    let rows: String = (0..100).map(|n| format!("{},{n}\n", n % 200)).collect();
    let broken = format!("customer,cents\n{rows}\"5\n0\",77\n{rows}3,many\n");
    fs::write(sandbox.work("orders/6.csv"), &broken).unwrap();
    let offset = broken.find('"').unwrap().to_string();
    let ended = run(&sandbox, &[]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for said in [
        "the quotes of field 1 do not end on the line",
        "orders/6.csv",
        &offset,
    ] {
        assert!(
            ended.stderr.contains(said),
            "no {said:?} in {}",
            ended.stderr
        );
    }
    let mut skipped = Vec::new();
    for size in ["11", "1000", "10MB"] {
        let ended = run(&sandbox, &["--skip-bad", "3", "--split-size", size]);
        assert!(ended.status.success(), "{size}: {}", ended.stderr);
        let list = fs::read_to_string(sandbox.work("out/_skipped.jsonl")).unwrap();
        let told: Vec<String> = list
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| line["error"].as_str().unwrap().to_owned())
            .collect();
        assert!(told[0].contains("do not end"), "{told:?}");
        assert!(told[1].contains("a quote within it"), "{told:?}");
        assert!(
            told[2].contains("field `cents`: invalid digit found in string: `many`"),
            "{told:?}"
        );
        skipped.push((told, rows_of(&sandbox.work("out"))));
        fs::remove_dir_all(sandbox.work("out")).unwrap();
    }
    assert!(skipped.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn a_first_line_that_names_no_columns_is_refused() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.csv"), "a,\"b\n1,2\n").unwrap();
    let ended = sandbox
        .start(["run", "linecount", "in.csv", "--format", "csv"])
        .wait();
    assert_eq!(ended.status.code(), Some(3), "{}", ended.stderr);
    for said in [
        "the first line of in.csv does not name columns",
        "the quotes of field 2",
    ] {
        assert!(
            ended.stderr.contains(said),
            "no {said:?} in {}",
            ended.stderr
        );
    }
}

#[test]
fn json_lines_are_read_into_types() {
    let sandbox = Sandbox::new();
    let lab = plugin("lab");
    let job = [
        "run",
        lab.to_str().unwrap(),
        "--job",
        "lab-visits",
        "in.jsonl",
        "-o",
        "out",
    ];
    let visit = |n: u64| {
        format!(
            "{{\"in\":{{\"millis\":{n}}},\"page\":\"/{}\",\"x\":[1]}}\n",
            n % 7
        )
    };
    let lines: String = (0..700).map(visit).collect();
    fs::write(sandbox.work("in.jsonl"), &lines).unwrap();
    for place in [&["--slots", "2"][..], &["--workers", "2", "--isolate"]] {
        sandbox.run(
            job.iter()
                .chain(&["--split-size", "1000", "-q"])
                .chain(place),
        );
        let sum = |page: u64| (0..700).filter(|n| n % 7 == page).sum::<u64>();
        let rows = (0..7).map(|page| format!("/{page}\t{}", sum(page)).into_bytes());
        assert_eq!(rows_of(&sandbox.work("out")), sorted(rows.collect()));
        fs::remove_dir_all(sandbox.work("out")).unwrap();
    }
    let bad = lines + "{\"page\":\"/\",\"in\":{\"millis\":\"long\"}}\n";
    fs::write(sandbox.work("in.jsonl"), &bad).unwrap();
    let ended = sandbox.start(job).wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for said in [
        "field `in.millis`",
        "invalid type: string \"long\"",
        "in.jsonl",
        "record 701",
    ] {
        assert!(
            ended.stderr.contains(said),
            "no {said:?} in {}",
            ended.stderr
        );
    }
}
