//! The stock jobs against the oracle, and the ways to give them input.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::process::Command;

use crate::oracle;
use crate::sandbox::{Ended, Sandbox, books, bytes_of, lines, rows_of, samples, sorted};

/// `mapfold run ARGS` in a folder where `data` is the samples.
fn run(sandbox: &Sandbox, args: &str) -> Ended {
    if !sandbox.work("data").exists() {
        std::os::unix::fs::symlink(samples(), sandbox.work("data")).unwrap();
    }
    sandbox.run(["run"].into_iter().chain(args.split(' ')))
}

#[test]
fn stock_jobs_give_the_oracles_rows() {
    let sandbox = Sandbox::new();
    let want = [
        ("wordcount data", oracle::wordcount(&samples())),
        ("index data", oracle::index(&samples(), "data")),
        (
            "grep data -p pattern=wh[ae]le?",
            oracle::grep(&samples(), "data", "wh[ae]le?"),
        ),
        ("ngrams data", oracle::ngrams(&samples(), 2)),
        ("ngrams data -p n=3", oracle::ngrams(&samples(), 3)),
        ("linecount data", oracle::linecount(&samples(), "data")),
        ("distinct data -p count=true", oracle::distinct(&samples())),
        (
            "distinct data",
            oracle::distinct(&samples())
                .iter()
                .map(|row| row[..row.iter().rposition(|byte| *byte == b'\t').unwrap()].to_vec())
                .collect(),
        ),
        (
            "histogram data",
            oracle::tally(&samples(), |line| Some(line.len().to_string().into())),
        ),
        (
            "histogram data -p width=20",
            oracle::tally(&samples(), |line| {
                Some((line.len() / 20 * 20).to_string().into())
            }),
        ),
        (
            "histogram data -p column=2 -p delimiter=.",
            oracle::tally(&samples(), |line| {
                let column = line.split(|byte| *byte == b'.').nth(1);
                Some(column.unwrap_or_default().to_vec())
            }),
        ),
        (
            "histogram data -p column=1 -p log=true",
            oracle::tally(&samples(), |line| {
                let number = line.trim_ascii_start();
                let (sign, digits) = match number.strip_prefix(b"-") {
                    Some(digits) => ("-", digits),
                    None => ("", number),
                };
                let digits = digits.iter().copied().take_while(u8::is_ascii_digit);
                let number: u64 = String::from_utf8(digits.collect()).unwrap().parse().ok()?;
                let bucket = number
                    .checked_ilog2()
                    .map(|power| format!("{sign}{}", 1_u64 << power));
                Some(bucket.unwrap_or_else(|| "0".to_owned()).into())
            }),
        ),
    ];
    for (number, (job, rows)) in want.into_iter().enumerate() {
        run(
            &sandbox,
            &format!("{job} -o out{number} -r 5 --split-size 100KB"),
        );
        assert_eq!(
            rows_of(&sandbox.work(&format!("out{number}"))),
            sorted(rows),
            "{job}"
        );
    }
}

#[test]
fn sessions_are_those_of_a_plain_program() {
    let sandbox = Sandbox::new();
    // Who and when, in no order, from a generator of numbers (Knuth's MMIX).
    let mut seed = 1_u64;
    let mut next = |below: u64| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut times: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut events = String::new();
    for _ in 0..20_000 {
        let (who, time) = (format!("visitor{}", next(300)), next(1_000_000));
        writeln!(events, "{who},page,{time}").unwrap();
        times.entry(who).or_default().push(time);
    }
    fs::write(sandbox.work("events.csv"), events).unwrap();
    let mut want = Vec::new();
    for (who, times) in &mut times {
        times.sort_unstable();
        for session in times.chunk_by(|one, next| next - one <= 9_000) {
            let (first, last) = (session[0], session[session.len() - 1]);
            want.push(format!("{who}\t{first}\t{last}\t{}", session.len()).into_bytes());
        }
    }
    let job = "sessionize events.csv -p time=3 -p delimiter=, -p gap=9000";
    run(&sandbox, &format!("{job} -o out -r 3 --split-size 30KB"));
    assert_eq!(rows_of(&sandbox.work("out")), sorted(want));
}

#[test]
fn without_an_output_folder_rows_go_to_stdout() {
    let sandbox = Sandbox::new();
    let ended = run(&sandbox, "wordcount data/books -r 3");
    assert_eq!(sorted(lines(&ended.stdout)), oracle::wordcount(&books()));
    sandbox.assert_clean(&["data"]);
}

#[test]
fn rows_of_each_part_are_sorted_and_cat_sorted_sorts_all() {
    let sandbox = Sandbox::new();
    run(&sandbox, "wordcount data/books -o out -r 4");
    let key = |row: &Vec<u8>| row.split(|byte| *byte == b'\t').next().unwrap().to_vec();
    for (name, bytes) in bytes_of(&sandbox.work("out")) {
        if name.starts_with("part-") {
            assert!(lines(&bytes).is_sorted_by_key(key), "{name}");
        }
    }
    assert_eq!(
        lines(&sandbox.run(["cat", "--sorted", "out"]).stdout),
        oracle::wordcount(&books())
    );
    let mut unsorted = lines(&sandbox.run(["cat", "out"]).stdout);
    unsorted.sort();
    assert_eq!(unsorted, oracle::wordcount(&books()));
}

#[test]
fn packed_inputs_globs_and_stdin_are_read_as_the_plain_files() {
    let sandbox = Sandbox::new();
    let plain = oracle::wordcount(&books());
    fs::create_dir(sandbox.work("packed")).unwrap();
    for file in oracle::files(&books()) {
        let packed = sandbox
            .work("packed")
            .join(file.file_name().unwrap())
            .with_extension("txt.gz");
        let gzip = Command::new("gzip").arg("-c").arg(&file).output().unwrap();
        fs::write(packed, gzip.stdout).unwrap();
    }
    run(&sandbox, "wordcount packed -o gz");
    assert_eq!(rows_of(&sandbox.work("gz")), plain);
    run(&sandbox, "wordcount data/books/pg-*.txt -o glob");
    assert_eq!(rows_of(&sandbox.work("glob")), plain);
    let mut child = sandbox
        .command(["run", "wordcount", "-", "-o", "stdin"])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for file in oracle::files(&books()) {
        stdin.write_all(&fs::read(file).unwrap()).unwrap();
    }
    drop(stdin);
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(rows_of(&sandbox.work("stdin")), plain);
}

#[test]
fn other_formats_read_all_bytes() {
    let sandbox = Sandbox::new();
    run(&sandbox, "wordcount data --format files -o files");
    assert_eq!(
        rows_of(&sandbox.work("files")),
        oracle::wordcount(&samples())
    );
    run(&sandbox, "wordcount data/books --format nline:500 -o nline");
    assert_eq!(rows_of(&sandbox.work("nline")), oracle::wordcount(&books()));
    fs::write(sandbox.work("fixed.bin"), b"aaaabbbbaaaaccccaaaa").unwrap();
    run(
        &sandbox,
        "wordcount fixed.bin --format fixed:4 --split-size 1 -o fixed",
    );
    assert_eq!(
        rows_of(&sandbox.work("fixed")),
        [&b"aaaa\t3"[..], b"bbbb\t1", b"cccc\t1"]
    );
}

#[test]
fn an_empty_folder_and_an_empty_file_give_empty_parts() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.work("none")).unwrap();
    fs::write(sandbox.work("empty.txt"), "").unwrap();
    run(&sandbox, "wordcount none -o a -r 2");
    run(&sandbox, "wordcount empty.txt -o b -r 2");
    for output in ["a", "b"] {
        let files = bytes_of(&sandbox.work(output));
        assert_eq!(files.len(), 3);
        assert!(files["part-00000"].is_empty() && files["part-00001"].is_empty());
    }
    run(&sandbox, "linecount empty.txt -o c -r 1");
    assert_eq!(rows_of(&sandbox.work("c")), [b"empty.txt\t0"]);
}

#[test]
fn verify_finds_a_changed_a_missing_and_a_foreign_part() {
    let sandbox = Sandbox::new();
    run(&sandbox, "wordcount data/rfc -o out -r 3");
    sandbox.run(["verify", "out"]);
    let verify = || sandbox.start(["verify", "out"]).wait();
    let part = sandbox.work("out/part-00001");
    let good = fs::read(&part).unwrap();
    let mut bad = good.clone();
    bad[0] ^= 1;
    fs::write(&part, bad).unwrap();
    assert_eq!(verify().status.code(), Some(9));
    assert!(verify().stderr.contains("part-00001"));
    fs::remove_file(&part).unwrap();
    assert_eq!(verify().status.code(), Some(9));
    fs::write(&part, good).unwrap();
    assert_eq!(verify().status.code(), Some(0));
    fs::write(sandbox.work("out/part-00003"), "x\t1\n").unwrap();
    assert_eq!(verify().status.code(), Some(9));
}
