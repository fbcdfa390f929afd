//! `sort` and its check: part files, one after another, are what a stable sort of the input's records gives.

use std::cmp::Reverse;
use std::fs;

use crate::cluster::{Cluster, Over};
use crate::oracle;
use crate::sandbox::{Sandbox, bytes_of, lines, samples};

/// The parts of an output, one after another.
fn whole(sandbox: &Sandbox, output: &str) -> Vec<u8> {
    let files = bytes_of(&sandbox.work(output));
    let parts = files.iter().filter(|(name, _)| name.starts_with("part-"));
    parts.flat_map(|(_, bytes)| bytes.clone()).collect()
}

fn run(sandbox: &Sandbox, args: &str) {
    sandbox.run(["run"].into_iter().chain(args.split(' ')));
}

/// The lines of all samples, in the order of the input.
fn sample_lines() -> Vec<Vec<u8>> {
    let files = oracle::files(&samples());
    let read = files.iter().map(|file| fs::read(file).unwrap());
    read.flat_map(|bytes| {
        let bytes = bytes
            .strip_suffix(b"\n")
            .map(<[u8]>::to_vec)
            .unwrap_or(bytes);
        let lines = bytes.split(|byte| *byte == b'\n');
        let line = |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        lines.map(line).collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn lines_are_sorted_as_a_whole_and_equal_keys_stay_in_input_order() {
    let sandbox = Sandbox::new();
    std::os::unix::fs::symlink(samples(), sandbox.work("data")).unwrap();
    type Sort<'a> = &'a dyn Fn(&mut Vec<Vec<u8>>);
    let cases: [(&str, Sort<'_>); 5] = [
        ("", &|lines| lines.sort()),
        (" -p reverse=true", &|lines| {
            lines.sort_by_cached_key(|line| Reverse(line.clone()))
        }),
        (" -p key=2:3", &|lines| {
            lines.sort_by_key(|line| line[line.len().min(2)..line.len().min(5)].to_vec());
        }),
        (" -p column=2 -p delimiter=#", &|lines| {
            let column =
                |line: &Vec<u8>| line.split(|byte| *byte == b'#').nth(1).map(<[u8]>::to_vec);
            lines.sort_by_key(|line| column(line).unwrap_or_default());
        }),
        (" -p unique=true", &|lines| {
            lines.sort();
            lines.dedup();
        }),
    ];
    for (number, (params, sort)) in cases.into_iter().enumerate() {
        let output = format!("out{number}");
        run(
            &sandbox,
            &format!("sort data -o {output} -r 5 --split-size 100KB{params}"),
        );
        let mut want = sample_lines();
        sort(&mut want);
        assert!(lines(&whole(&sandbox, &output)) == want, "{params}");
        sandbox.run(["verify", &output, "--sorted"]);
    }
    sandbox.run(["verify", "out1", "--sorted", "--records-of", "data"]);
}

#[test]
fn numbers_sort_by_value() {
    let sandbox = Sandbox::new();
    fs::write(
        sandbox.work("n.txt"),
        "10 b\n9\n-3\n\n 2.5\n10 a\n0x\n-30\n",
    )
    .unwrap();
    run(&sandbox, "sort n.txt -p numeric=true -o up -r 2");
    assert_eq!(
        whole(&sandbox, "up"),
        b"-30\n-3\n\n0x\n 2.5\n9\n10 b\n10 a\n"
    );
    run(
        &sandbox,
        "sort n.txt -p numeric=true -p reverse=true -o down -r 3",
    );
    assert_eq!(
        whole(&sandbox, "down"),
        b"10 b\n10 a\n9\n 2.5\n\n0x\n-3\n-30\n"
    );
}

/// Records of 10 bytes, binary, with few distinct keys among which one is frequent.
fn records() -> Vec<[u8; 10]> {
    (0..40_000_u32)
        .map(|n| {
            let random = n.wrapping_mul(2_654_435_769) >> 7;
            let key = if random % 3 == 0 { 77 } else { random % 500 };
            let mut record = [0; 10];
            record[2..6].copy_from_slice(&key.to_be_bytes());
            record[6..].copy_from_slice(&n.to_be_bytes());
            record
        })
        .collect()
}

#[test]
fn fixed_records_come_back_byte_for_byte_on_any_cluster() {
    let sandbox = Sandbox::new();
    let mut records = records();
    fs::write(sandbox.work("in.bin"), records.concat()).unwrap();
    records.sort_by_key(|record| record[2..6].to_vec());
    let job = "sort in.bin --format fixed:10 -p key=2:4 -r 7 --split-size 32KiB";
    run(&sandbox, &format!("{job} -o one --slots 1"));
    assert!(whole(&sandbox, "one") == records.concat());
    let one = bytes_of(&sandbox.work("one"));
    run(
        &sandbox,
        &format!("{job} -o little --memory 34MiB --slots 2"),
    );
    assert!(bytes_of(&sandbox.work("little")) == one);
    let cluster = Cluster::start(&sandbox, Over::Tcp, 2);
    run(
        &sandbox,
        &format!("{job} -o tcp --master {}", cluster.address),
    );
    assert!(bytes_of(&sandbox.work("tcp")) == one);
    cluster.end();
    let parts = one.iter().filter(|(name, _)| name.starts_with("part-"));
    let filled = parts.filter(|(_, bytes)| !bytes.is_empty()).count();
    assert!(
        filled >= 4,
        "a frequent key fills one part, not all: {filled}"
    );
    let told = sandbox.run(["verify", "one", "--sorted", "--records-of", "in.bin"]);
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.ends_with("as in the input\n"), "{told}");
}

#[test]
fn verify_finds_rows_in_the_wrong_order_and_records_of_another_input() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.work("in.txt"), "b x\na y\n").unwrap();
    fs::write(sandbox.work("other.txt"), "b x\na z\n").unwrap();
    run(&sandbox, "sort in.txt -o out");
    let verify = |args: &str| {
        sandbox
            .start(["verify"].into_iter().chain(args.split(' ')))
            .wait()
    };
    let ended = verify("out --sorted --records-of other.txt");
    assert_eq!(ended.status.code(), Some(9));
    assert!(
        ended.stderr.contains("does not hold the records"),
        "{}",
        ended.stderr
    );
    // A manifest that promises another order.
    let manifest = fs::read_to_string(sandbox.work("out/_SUCCESS")).unwrap();
    let reversed = manifest.replace("\"reverse\": \"false\"", "\"reverse\": \"true\"");
    assert_ne!(manifest, reversed);
    fs::write(sandbox.work("out/_SUCCESS"), reversed).unwrap();
    let ended = verify("out --sorted");
    assert_eq!(ended.status.code(), Some(9));
    assert!(
        ended.stderr.contains("part-00000, row 2: its key"),
        "{}",
        ended.stderr
    );
}
