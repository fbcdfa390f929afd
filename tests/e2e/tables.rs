//! Stock jobs over tables and logs, judged by plain programs: one process and two leave the same bytes, which are the rows of the judge.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;

use crate::oracle;
use crate::plugins::plugin;
use crate::sandbox::{Sandbox, books, bytes_of, lines, sorted};

/// A request of a web server.
#[derive(Clone)]
struct Request {
    line: String,
    status: String,
    bytes: Option<u64>,
}

/// Puts a log of some 4,000 requests into the sandbox, as `log`.
fn log(sandbox: &Sandbox) -> Vec<Request> {
    sandbox.run(["gen", "logs", "--size", "600KB", "-o", "log"]);
    let text: Vec<u8> = bytes_of(&sandbox.work("log"))
        .into_values()
        .flatten()
        .collect();
    let text = String::from_utf8(text).unwrap();
    let requests = text.lines().map(|line| {
        let columns: Vec<&str> = line.split(' ').collect();
        Request {
            line: line.to_owned(),
            status: columns[8].to_owned(),
            bytes: columns[9].parse().ok(),
        }
    });
    requests.collect()
}

/// Runs a job in one process and in two. Its rows, those of a part as they stand there.
#[track_caller]
fn rows(sandbox: &Sandbox, job: &[&str]) -> Vec<Vec<u8>> {
    let run = |output: &str, how: &[&str]| {
        let fixed = [
            "-o",
            output,
            "--overwrite",
            "-r",
            "3",
            "--split-size",
            "60KB",
        ];
        let args = ["run"].iter().chain(job).chain(&fixed).chain(how);
        sandbox.run(args.copied());
        bytes_of(&sandbox.work(output))
    };
    let one = run("one", &[]);
    assert_eq!(one, run("two", &["--workers", "2"]), "{job:?}");
    let parts = one.iter().filter(|(name, _)| name.starts_with("part-"));
    parts.flat_map(|(_, bytes)| lines(bytes)).collect()
}

#[test]
fn topk_finds_what_a_sort_has_at_its_front() {
    let sandbox = Sandbox::new();
    let mut requests = log(&sandbox);
    requests.retain(|request| request.bytes.is_some());
    let text: String = requests
        .iter()
        .map(|request| request.line.clone() + "\r\n")
        .collect();
    fs::write(sandbox.work("sized"), text).unwrap();
    requests.sort_by_key(|request| (Reverse(request.bytes), request.line.clone()));
    let best = |requests: &mut dyn Iterator<Item = &Request>, k: usize| -> Vec<Vec<u8>> {
        requests
            .take(k)
            .map(|request| request.line.clone().into_bytes())
            .collect()
    };
    let by = ["topk", "sized", "-p", "delimiter= ", "-p", "by=10", "-p"];
    assert_eq!(
        rows(&sandbox, &[&by[..], &["k=25"]].concat()),
        best(&mut requests.iter(), 25)
    );
    let mut statuses: Vec<_> = requests
        .iter()
        .map(|request| request.status.clone())
        .collect();
    statuses.sort();
    statuses.dedup();
    let want = statuses.iter().flat_map(|status| {
        best(
            &mut requests.iter().filter(|request| request.status == *status),
            3,
        )
    });
    let of_each = rows(&sandbox, &[&by[..], &["k=3", "-p", "group=9"]].concat());
    assert_eq!(sorted(of_each), sorted(want.collect()));
    // With the bad ones put aside, the log as it is has the same best.
    let bad = log_lines(&sandbox).len() - requests.len();
    assert!(bad > 0);
    let by = [
        "topk",
        "log",
        "-p",
        "delimiter= ",
        "-p",
        "by=10",
        "-p",
        "k=25",
    ];
    let failed = sandbox.start(["run"].iter().chain(&by)).wait();
    assert!(
        failed.stderr.contains("column 10 is no number: `-`"),
        "{}",
        failed.stderr
    );
    let skip = ["--skip-bad", &bad.to_string()];
    assert_eq!(
        rows(&sandbox, &[&by[..], &skip].concat()),
        best(&mut requests.iter(), 25)
    );
}

fn log_lines(sandbox: &Sandbox) -> Vec<Vec<u8>> {
    let files = bytes_of(&sandbox.work("log"));
    files.values().flat_map(|bytes| lines(bytes)).collect()
}

#[test]
fn stats_are_those_of_a_plain_program() {
    let sandbox = Sandbox::new();
    let mut groups: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let (mut csv, mut json) = ("status,bytes\n".to_owned(), String::new());
    for request in log(&sandbox) {
        let Some(bytes) = request.bytes else { continue };
        groups
            .entry(request.status.clone())
            .or_default()
            .push(bytes);
        writeln!(
            csv,
            "\"{}\",{}.{:02}\r",
            request.status,
            bytes / 100,
            bytes % 100
        )
        .unwrap();
        writeln!(
            json,
            "{{\"bytes\": {bytes}e-2, \"status\": {}}}",
            request.status
        )
        .unwrap();
    }
    fs::write(sandbox.work("requests.csv"), csv).unwrap();
    fs::write(sandbox.work("requests.json"), json).unwrap();
    let shown = |hundredths: u64| {
        let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let mut want = Vec::new();
    for (status, numbers) in &mut groups {
        numbers.sort_unstable();
        let (count, sum) = (numbers.len(), numbers.iter().sum::<u64>());
        let rank = |share: usize| shown(numbers[(count * share).div_ceil(100) - 1]);
        let (least, greatest) = (shown(numbers[0]), shown(numbers[count - 1]));
        want.push(format!(
            "{status}\t{count}\t{}\t{least}\t{greatest}\t{}\t{}",
            shown(sum),
            rank(50),
            rank(99)
        ));
    }
    let quantiles = ["-p", "quantiles=0.5,0.99"];
    let csv = [
        "stats",
        "requests.csv",
        "-p",
        "delimiter=,",
        "-p",
        "header=true",
        "-p",
        "key=1",
        "-p",
        "value=2",
    ];
    let json = [
        "stats",
        "requests.json",
        "-p",
        "json=true",
        "-p",
        "key=status",
        "-p",
        "value=bytes",
    ];
    for job in [&csv[..], &json] {
        let without_mean = |row: Vec<u8>| {
            let row = String::from_utf8(row).unwrap();
            let columns: Vec<&str> = row.split('\t').collect();
            let [sum, mean] = [columns[2], columns[5]].map(|text| text.parse::<f64>().unwrap());
            assert!((mean * columns[1].parse::<f64>().unwrap() - sum).abs() < 1e-4);
            [&columns[..5], &columns[6..]].concat().join("\t")
        };
        let rows = sorted(rows(&sandbox, &[job, &quantiles].concat()));
        assert_eq!(rows.into_iter().map(without_mean).collect::<Vec<_>>(), want);
    }
}

#[test]
fn domains_are_those_of_a_plain_program() {
    let sandbox = Sandbox::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let (mut text, mut table) = (String::new(), String::new());
    for request in log(&sandbox) {
        let site = request.bytes.unwrap_or(0) % 97;
        let host = format!("www.site-{site}.example.org");
        *counts.entry(host.clone()).or_default() += 1;
        let scheme = if site % 2 == 0 { "http" } else { "HTTPS" };
        let url = format!(
            "{scheme}://me@{}:80/{}",
            host.to_uppercase(),
            request.status
        );
        writeln!(text, "said \u{201c}{url}\u{201d} ({})", request.status).unwrap();
        writeln!(table, "{}\t{url}", request.status).unwrap();
    }
    fs::write(sandbox.work("text"), text).unwrap();
    fs::write(sandbox.work("table"), table).unwrap();
    let all: u64 = counts.values().sum();
    let want: Vec<_> = counts
        .iter()
        .map(|(host, count)| format!("{host}\t{count}").into_bytes())
        .collect();
    assert_eq!(sorted(rows(&sandbox, &["domains", "text"])), want);
    assert_eq!(
        sorted(rows(&sandbox, &["domains", "table", "-p", "column=2"])),
        want
    );
    let two = rows(&sandbox, &["domains", "text", "-p", "labels=2"]);
    assert_eq!(two, [format!("example.org\t{all}").into_bytes()]);
}

#[test]
fn requests_are_counted_as_by_a_plain_program() {
    let sandbox = Sandbox::new();
    let requests = log(&sandbox);
    for (by, places) in [
        ("status", &[8][..]),
        ("host", &[0]),
        ("hour,path", &[3, 6]),
        ("user,method", &[2, 5]),
    ] {
        let mut counts: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        for request in &requests {
            let columns: Vec<&str> = request.line.split(' ').collect();
            let facets = places.iter().map(|place| match (place, columns[*place]) {
                // The generator's days are all of one month.
                (3, time) => format!("2026-01-{}T{}", &time[1..3], &time[13..15]),
                (6, path) => path.split('?').next().unwrap().to_owned(),
                (_, column) => column.trim_matches('"').to_owned(),
            });
            let count = counts
                .entry(facets.collect::<Vec<_>>().join("\t"))
                .or_default();
            *count = (count.0 + 1, count.1 + request.bytes.unwrap_or(0));
        }
        let want = counts
            .iter()
            .map(|(key, (requests, bytes))| format!("{key}\t{requests}\t{bytes}").into_bytes());
        let by = format!("by={by}");
        assert_eq!(
            sorted(rows(&sandbox, &["logs", "log", "-p", &by])),
            sorted(want.collect()),
            "{by}"
        );
    }
    fs::write(sandbox.work("bad"), "not a request\n").unwrap();
    let failed = sandbox.start(["run", "logs", "log", "bad"]).wait();
    assert!(
        failed.stderr.contains("it has no [time]"),
        "{}",
        failed.stderr
    );
    let aside = rows(&sandbox, &["logs", "log", "bad", "--skip-bad", "1"]);
    assert_eq!(aside, rows(&sandbox, &["logs", "log"]));
}

#[test]
fn dedup_keeps_the_first_of_each_client() {
    let sandbox = Sandbox::new();
    let requests = log(&sandbox);
    let mut firsts = BTreeMap::new();
    for request in &requests {
        firsts
            .entry(request.line.split(' ').next().unwrap())
            .or_insert(&request.line);
    }
    let want = firsts
        .values()
        .map(|line| line.as_bytes().to_vec())
        .collect();
    let job = ["dedup", "log", "-p", "delimiter= ", "-p", "key=1"];
    assert_eq!(sorted(rows(&sandbox, &job)), sorted(want));
    let mut lines = log_lines(&sandbox);
    lines.sort();
    lines.dedup();
    assert_eq!(sorted(rows(&sandbox, &["dedup", "log", "log"])), lines);
}

#[test]
fn near_duplicates_are_found_and_grouped() {
    let sandbox = Sandbox::new();
    // Passages of a book, each three times: as it is, in capitals, and with some words changed.
    let book = fs::read_to_string(books().join("pg-grimm.txt")).unwrap();
    let all: Vec<&str> = book
        .split(|c: char| !c.is_alphabetic())
        .filter(|word| !word.is_empty())
        .collect();
    let mut passages = Vec::new();
    for (number, words) in all.chunks_exact(400).take(40).enumerate() {
        let mut changed = words.to_vec();
        changed[number % 400] = "otherwise";
        changed[(number * 7 + 100) % 400] = "instead";
        passages.push((format!("p{number}"), words.join(" ")));
        passages.push((format!("p{number}-loud"), words.join(", ").to_uppercase()));
        passages.push((format!("p{number}-other"), changed.join(" ")));
    }
    let shingles: BTreeMap<&str, BTreeSet<String>> = passages
        .iter()
        .map(|(name, text)| {
            let words: Vec<String> = text
                .split(' ')
                .map(|word| word.trim_matches(',').to_lowercase())
                .collect();
            (
                name.as_str(),
                words.windows(5).map(|shingle| shingle.join(" ")).collect(),
            )
        })
        .collect();
    let exact = |one: &str, other: &str| {
        let (one, other) = (&shingles[one], &shingles[other]);
        one.intersection(other).count() as f64 / one.union(other).count() as f64
    };
    let table: String = passages
        .iter()
        .map(|(name, text)| format!("{name}\t{text}\n"))
        .collect();
    fs::write(sandbox.work("passages"), table).unwrap();
    let pairs = rows(
        &sandbox,
        &["similar", "passages", "-p", "id=1", "-p", "text=2"],
    );
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|row| String::from_utf8(row).unwrap())
        .collect();
    for pair in &pairs {
        let columns: Vec<&str> = pair.split('\t').collect();
        let told: f64 = columns[2].parse().unwrap();
        let exact = exact(columns[0], columns[1]);
        // Five times the error that is said.
        assert!(told >= 0.8 && (told - exact).abs() < 0.2, "{pair} {exact}");
    }
    let names: BTreeSet<&str> = pairs
        .iter()
        .flat_map(|pair| pair.split('\t').take(2))
        .collect();
    assert_eq!(
        names.len(),
        passages.len(),
        "all have a near-duplicate, of similarity 0.95"
    );
    fs::write(sandbox.work("pairs"), pairs.join("\n") + "\n").unwrap();
    let groups = sorted(rows(&sandbox, &["components", "pairs"]));
    let group = |name: &String| name.split('-').next().unwrap().to_owned();
    let want = passages
        .iter()
        .map(|(name, _)| format!("{}\t{name}", group(name)).into_bytes());
    assert_eq!(groups, sorted(want.collect()));
}

#[test]
fn rounds_of_pagerank_follow_a_plain_program() {
    let sandbox = Sandbox::new();
    // Pages 0 to 199: each links to its half, and to others further on; some to none.
    let links = |page: usize| match page % 17 {
        0 => Vec::new(),
        n => (0..n)
            .map(|link| (page / 2 + link * link * page) % 200)
            .collect(),
    };
    let mut text = String::new();
    for page in 0..200 {
        let names: Vec<String> = links(page)
            .iter()
            .map(|link| format!("page{link}"))
            .collect();
        writeln!(text, "page{page}\t\t{}", names.join(" ")).unwrap();
    }
    fs::write(sandbox.work("pages"), text).unwrap();
    let mut ranks = vec![1.0; 200];
    for _ in 0..3 {
        let mut next = vec![0.15; 200];
        for (page, rank) in ranks.iter().enumerate() {
            let links = links(page);
            for link in &links {
                next[*link] += 0.85 * rank / links.len() as f64;
            }
        }
        ranks = next;
        let rows = rows(&sandbox, &["pagerank", "pages"]);
        assert_eq!(rows.len(), 200);
        for row in &rows {
            let row = str::from_utf8(row).unwrap();
            let columns: Vec<&str> = row.split('\t').collect();
            let page: usize = columns[0].strip_prefix("page").unwrap().parse().unwrap();
            let rank: f64 = columns[1].parse().unwrap();
            assert!((rank - ranks[page]).abs() < 1e-8, "{row} {}", ranks[page]);
        }
        fs::write(sandbox.work("pages"), rows.join(&b'\n')).unwrap();
    }
}

#[test]
fn the_classics_run_as_a_plugin() {
    let sandbox = Sandbox::new();
    let classics = plugin("classics");
    let run = |job: &str, more: &[&str]| {
        let front = [classics.to_str().unwrap(), "--job", job];
        sorted(rows(&sandbox, &[&front, more].concat()))
    };
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for path in oracle::files(&books()) {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let words = text.split(|c: char| !c.is_alphabetic());
        for word in words.filter(|word| !word.is_empty()) {
            let files = counts.entry(word.to_lowercase()).or_default();
            *files.entry(path.display().to_string()).or_default() += 1;
        }
    }
    let want = counts.into_iter().map(|(word, files)| {
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_by_key(|(_, count)| Reverse(*count));
        let files: Vec<_> = files
            .iter()
            .map(|(file, count)| format!("{file}:{count}"))
            .collect();
        format!("{word}\t{}", files.join(",")).into_bytes()
    });
    let books = books();
    assert_eq!(
        run("ranked-index", &[books.to_str().unwrap()]),
        sorted(want.collect())
    );
    fs::write(sandbox.work("points"), "0 1\n1 3\n2 5\n").unwrap();
    assert_eq!(run("linear-regression", &["points"]), [b"2\t1"]);
    fs::write(
        sandbox.work("entries"),
        "A 0 0 2\nB 0 0 3\nA 0 1 1\nB 1 0 4\n",
    )
    .unwrap();
    let size = ["-p", "rows=1", "-p", "columns=1"];
    assert_eq!(
        run("matrix-multiply", &[&["entries"], &size[..]].concat()),
        [b"0\t0\t10"]
    );
    fs::write(sandbox.work("pixels"), [1, 2, 3, 1, 2, 4]).unwrap();
    let shades = run("pixel-histogram", &["pixels", "--format", "fixed:3"]);
    assert_eq!(
        shades,
        [
            &b"blue\t3\t1"[..],
            b"blue\t4\t1",
            b"green\t2\t2",
            b"red\t1\t2"
        ]
    );
}

#[test]
fn a_join_has_the_pairs_of_two_loops() {
    let sandbox = Sandbox::new();
    let requests = log(&sandbox);
    let client = |request: &Request| request.line.split(' ').next().unwrap().to_owned();
    // Names of every second client, and of some who never came.
    let clients: BTreeSet<String> = requests.iter().map(client).collect();
    let mut names: Vec<(String, String)> = clients
        .iter()
        .step_by(2)
        .map(|client| (client.clone(), format!("name-{client}")))
        .collect();
    names.extend((0..9).map(|n| (format!("nobody-{n}"), format!("nothing-{n}"))));
    let table: String = names
        .iter()
        .map(|(client, name)| format!("{name} {client}\n"))
        .collect();
    fs::write(sandbox.work("names"), table).unwrap();
    let known: BTreeMap<&String, &String> =
        names.iter().map(|(client, name)| (client, name)).collect();
    let pair = |request: &Request| {
        let client = client(request);
        let name = known.get(&client)?;
        Some(format!("{name} {client} {}", request.line))
    };
    let mut inner: Vec<String> = requests.iter().filter_map(pair).collect();
    let mut full = inner.clone();
    full.extend(
        names
            .iter()
            .filter(|(client, _)| !clients.contains(client))
            .map(|(client, name)| format!("{name} {client} -")),
    );
    full.extend(
        requests
            .iter()
            .filter(|request| pair(request).is_none())
            .map(|request| format!("? {}", request.line)),
    );
    let anti: Vec<String> = (0..9).map(|n| format!("nothing-{n} nobody-{n}")).collect();
    for (kind, want) in [
        ("inner", &mut inner),
        ("full", &mut full),
        ("anti", &mut anti.clone()),
    ] {
        want.sort();
        let kind = format!("kind={kind}");
        let job = [
            "join",
            "left=names",
            "right=log",
            "-p",
            "left=2",
            "-p",
            "delimiter= ",
            "-p",
            "no_left=?",
            "-p",
            "no_right=-",
            "-p",
            &kind,
        ];
        let got = sorted(rows(&sandbox, &job));
        assert!(
            got.iter()
                .map(Vec::as_slice)
                .eq(want.iter().map(String::as_bytes)),
            "{kind}"
        );
    }
}

#[test]
fn frequent_keys_are_those_of_a_plain_sort() {
    let sandbox = Sandbox::new();
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for request in log(&sandbox) {
        *counts
            .entry(request.line.split(' ').next().unwrap().to_owned())
            .or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(client, count)| (Reverse(*count), client.clone()));
    let want = counts
        .iter()
        .take(20)
        .map(|(client, count)| format!("{client}\t{count}").into_bytes());
    let job = [
        "frequent",
        "log",
        "-p",
        "k=20",
        "-p",
        "key=1",
        "-p",
        "delimiter= ",
    ];
    assert_eq!(rows(&sandbox, &job), want.collect::<Vec<_>>());
}

#[test]
fn rounds_of_kmeans_come_to_rest_at_the_middles() {
    let sandbox = Sandbox::new();
    // Three heaps of 400 points, about 0, 100 and 200 in both coordinates.
    let points = (0..1200).map(|n| (n % 3 * 100 + n * n % 21 - 10, n % 3 * 100 + n * 7 % 19 - 9));
    let points: Vec<(i64, i64)> = points.collect();
    let table: String = points.iter().map(|(x, y)| format!("p {x} {y}\n")).collect();
    fs::write(sandbox.work("points"), table).unwrap();
    fs::write(sandbox.work("centers"), "a\t0\t0\nb\t60\t60\nc\t300\t90\n").unwrap();
    let job = [
        "kmeans",
        "points",
        "-p",
        "columns=2,3",
        "-p",
        "delimiter= ",
        "-p",
        "centers=centers",
    ];
    let mut before = Vec::new();
    for round in 0.. {
        assert!(round < 10);
        let now = sorted(rows(&sandbox, &job));
        if now == before {
            break;
        }
        fs::write(sandbox.work("centers"), now.join(&b'\n')).unwrap();
        before = now;
    }
    for (number, row) in (0..3).zip(&before) {
        let row = str::from_utf8(row).unwrap();
        let columns: Vec<f64> = row
            .split('\t')
            .skip(1)
            .map(|column| column.parse().unwrap())
            .collect();
        let heap: Vec<_> = points
            .iter()
            .filter(|(x, _)| (x + 50) / 100 == number)
            .collect();
        let mean = |sum: i64| sum as f64 / heap.len() as f64;
        assert!(
            (columns[0] - mean(heap.iter().map(|point| point.0).sum())).abs() < 1e-5,
            "{row}"
        );
        assert!(
            (columns[1] - mean(heap.iter().map(|point| point.1).sum())).abs() < 1e-5,
            "{row}"
        );
        assert_eq!(columns[2], 400.0);
    }
}
