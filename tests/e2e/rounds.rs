//! A job run round after round, each with a file that the one before has left.

use std::fs;

use rustix::process::Signal;

use crate::cluster::{Cluster, Over};
use crate::sandbox::{Sandbox, books, bytes_of, rows_of, signal, wait_for};

/// In this process, in children of it, in worker processes.
const PLACES: [&[&str]; 3] = [
    &["--slots", "2"],
    &["--slots", "2", "--isolate"],
    &["--workers", "2"],
];

const KMEANS: &[&str] = &[
    "run",
    "kmeans",
    "points",
    "-p",
    "columns=1,2",
    "-p",
    "centers=first",
    "--split-size",
    "2000",
];

/// Four heaps of points, which overlap.
fn points() -> Vec<(i64, i64)> {
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((seed >> 33) % below).unwrap()
    };
    (0..1000)
        .map(|number| {
            (
                number % 2 * 60 + random(80),
                number / 2 % 2 * 50 + random(90),
            )
        })
        .collect()
}

const FIRST: [(f64, f64); 4] = [(1.0, 1.0), (2.0, 1.0), (1.0, 3.0), (4.0, 4.0)];

/// Lloyd's algorithm, as a plain program: centres and how many points each has, after so many rounds.
fn oracle(points: &[(i64, i64)], rounds: usize) -> Vec<(f64, f64, usize)> {
    let mut centers: Vec<_> = FIRST.iter().map(|(x, y)| (*x, *y, 0)).collect();
    for _ in 0..rounds {
        let mut heaps = vec![Vec::new(); centers.len()];
        for (x, y) in points {
            let (x, y) = (*x as f64, *y as f64);
            let distance =
                |center: &(f64, f64, usize)| (center.0 - x).powi(2) + (center.1 - y).powi(2);
            let nearest = (0..centers.len())
                .min_by(|a, b| distance(&centers[*a]).total_cmp(&distance(&centers[*b])));
            heaps[nearest.unwrap()].push((x, y));
        }
        for (center, heap) in centers.iter_mut().zip(heaps) {
            let count = heap.len();
            if count > 0 {
                let mean = |sum: f64| (sum / count as f64 * 1e6).round() / 1e6;
                center.0 = mean(heap.iter().map(|point| point.0).sum());
                center.1 = mean(heap.iter().map(|point| point.1).sum());
            }
            center.2 = count;
        }
    }
    centers
}

fn write(sandbox: &Sandbox, points: &[(i64, i64)]) {
    let lines: String = points.iter().map(|(x, y)| format!("{x}\t{y}\n")).collect();
    fs::write(sandbox.work("points"), lines).unwrap();
    let lines: String = (0..)
        .zip(FIRST)
        .map(|(name, (x, y))| format!("{name}\t{x}\t{y}\n"))
        .collect();
    fs::write(sandbox.work("first"), lines).unwrap();
}

#[track_caller]
fn check(sandbox: &Sandbox, out: &str, want: &[(f64, f64, usize)]) {
    let mut rows: Vec<String> = rows_of(&sandbox.work(out))
        .into_iter()
        .map(|row| String::from_utf8(row).unwrap())
        .collect();
    rows.sort();
    assert_eq!(rows.len(), want.len());
    for (row, (x, y, count)) in rows.iter().zip(want) {
        let columns: Vec<f64> = row
            .split('\t')
            .map(|column| column.parse().unwrap())
            .collect();
        assert!(
            (columns[1] - x).abs() < 1e-4 && (columns[2] - y).abs() < 1e-4,
            "{row}: {x} {y}"
        );
        assert_eq!(columns[3], *count as f64, "{row}");
    }
}

#[test]
fn centres_move_round_after_round_in_one_command_wherever_it_runs() {
    let sandbox = Sandbox::new();
    let points = points();
    write(&sandbox, &points);
    for rounds in [1, 2, 5] {
        let out = format!("out-{rounds}");
        let times = rounds.to_string();
        sandbox.run(KMEANS.iter().chain(&["--times", &times, "-o", &out]));
        check(&sandbox, &out, &oracle(&points, rounds));
    }
    let want = bytes_of(&sandbox.work("out-5"));
    for (number, place) in PLACES.into_iter().enumerate() {
        let out = format!("place-{number}");
        sandbox.run(
            KMEANS
                .iter()
                .chain(place)
                .chain(&["--times", "5", "-o", &out]),
        );
        assert!(bytes_of(&sandbox.work(&out)) == want, "{place:?}");
    }
    let cluster = Cluster::start(&sandbox, Over::Tcp, 2);
    let place = ["--master", &cluster.address, "--times", "5", "-o", "tcp"];
    sandbox.run(KMEANS.iter().chain(&place));
    assert!(bytes_of(&sandbox.work("tcp")) == want);
    cluster.end();
    sandbox.assert_clean(&[
        "first", "out-1", "out-2", "out-5", "place-0", "place-1", "place-2", "points", "tcp",
    ]);
}

/// Several part files, one after another, are the next round's file.
#[test]
fn rounds_end_when_nothing_changes() {
    let sandbox = Sandbox::new();
    let points = points();
    write(&sandbox, &points);
    let ended = sandbox.run(
        KMEANS
            .iter()
            .chain(&["--times", "900", "-r", "3", "-o", "out"]),
    );
    let said = "job 900 of 900, kmeans, as nothing has changed since job ";
    let (_, since) = ended
        .stderr
        .split_once(said)
        .unwrap_or_else(|| panic!("no {said} in {}", ended.stderr));
    let since: String = since.chars().take_while(char::is_ascii_digit).collect();
    let rounds: usize = since.parse().unwrap();
    assert_eq!(oracle(&points, rounds), oracle(&points, rounds + 1));
    assert_ne!(oracle(&points, rounds - 2), oracle(&points, rounds - 1));
    check(&sandbox, "out", &oracle(&points, rounds));
    // A job behind them reads their rows.
    let then = [
        "--times", "900", "--then", "topk", "-p", "by=4", "-p", "k=1",
    ];
    let ended = sandbox.run(KMEANS.iter().chain(&then));
    let most = oracle(&points, rounds)
        .iter()
        .map(|center| center.2)
        .max()
        .unwrap();
    let row = String::from_utf8(ended.stdout).unwrap();
    assert!(row.trim_end().ends_with(&format!("\t{most}")), "{row}");
    sandbox.assert_clean(&["first", "out", "points"]);
}

#[test]
fn what_a_killed_client_leaves_between_jobs_goes_with_the_next_run() {
    let sandbox = Sandbox::new();
    let cluster = Cluster::start(&sandbox, Over::Tcp, 2);
    let books = books();
    let trace = format!("trace={}", sandbox.trace().display());
    let first = [
        "run",
        "wordcount",
        books.to_str().unwrap(),
        "--master",
        &cluster.address,
    ];
    let slow = [
        "--then",
        "lab-slow",
        "-p",
        "hold_map=true",
        "-p",
        &trace,
        "-o",
        "out",
    ];
    let client = sandbox.start(first.iter().chain(&slow));
    wait_for("the second job to map", || sandbox.signs("map").pop());
    let left = || {
        let entries = fs::read_dir(sandbox.work("."))
            .unwrap()
            .map(|it| it.unwrap().file_name());
        entries
            .filter(|name| name.to_string_lossy().starts_with(".out.chain-"))
            .collect::<Vec<_>>()
    };
    // One that lives keeps its own.
    sandbox.run(first.iter().chain(&["--then", "distinct", "-o", "other"]));
    assert_eq!(left().len(), 1);
    signal(client.pid(), Signal::KILL);
    client.wait();
    assert_eq!(left().len(), 1);
    sandbox.go("go-map");
    sandbox.run(
        first
            .iter()
            .chain(&["--then", "distinct", "-o", "out", "--overwrite"]),
    );
    assert_eq!(left().len(), 0);
    cluster.end();
}
