//! Whole jobs through the batch boundary, without engine: map attempts, runs, reduce attempts, rows.
//! Whatever the splits, the memory budget, and whether there is a combiner, the rows are those of a
//! naive count.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use mapfold_data::input::{discover, plan};
use mapfold_data::run::{Run, Segment};
use mapfold_data::scratch::ScratchRoot;
use mapfold_job::{
    Catalog, Emitter, Fold, Job, JobError, JobTable, Maker, MapTask, NoParams, Record, ReduceTask,
    Rows, Runner, SequentialTask, TaskError, Unwatched, Values,
};
use mapfold_terms::{
    AttemptId, ByteSize, Codec, Digest, Failure, Format, InputName, JobId, MasterEpoch,
    PartitionId, Partitioning, Plan, RawPath, TaskId, Token,
};
use proptest::prelude::*;

/// Counts words between blanks; with a combiner or without.
struct Count<const FOLDS: bool>;

impl<const FOLDS: bool> Job for Count<FOLDS> {
    type Params = NoParams;
    type Key = String;
    type Value = u64;

    const NAME: &'static str = if FOLDS { "folded" } else { "listed" };
    const SUMMARY: &'static str = "count words between blanks";
    const FOLD: Option<Fold<Self>> = if FOLDS {
        Some(|_, word, sum, n| {
            assert_ne!(word, b"clash", "a word the combiner does not like");
            *sum += n;
        })
    } else {
        None
    };

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        for word in str::from_utf8(record.bytes)?
            .split(' ')
            .filter(|word| !word.is_empty())
        {
            assert_ne!(word, "panic", "a word the job does not like");
            out.emit(word, 1);
        }
        out.count("lines", 1);
        Ok(())
    }

    fn reduce(
        &self,
        word: &str,
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        if word == "refuse" {
            return Err("a word the job refuses".into());
        }
        assert_ne!(word, "scare", "a key the job does not like");
        rows.row(word, counts.owned().sum::<u64>());
        Ok(())
    }
}

/// The values of each word in the order in which they came, as offsets; every third word reads only one of them.
struct Order;

impl Job for Order {
    type Params = NoParams;
    type Key = Vec<u8>;
    type Value = u64;

    const NAME: &'static str = "order";
    const SUMMARY: &'static str = "lists where each word stands, in input order";

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        record
            .bytes
            .split(|byte| *byte == b' ')
            .for_each(|word| out.emit(word, record.offset));
        Ok(())
    }

    fn reduce(
        &self,
        word: &[u8],
        offsets: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let most = if word.len().is_multiple_of(3) {
            1
        } else {
            usize::MAX
        };
        let list: Vec<String> = offsets
            .owned()
            .take(most)
            .map(|offset| offset.to_string())
            .collect();
        rows.row(word, list.join(" "));
        Ok(())
    }
}

/// The pages of each visitor in order of time, from lines of `visitor time page`.
struct Paths;

impl Job for Paths {
    type Params = NoParams;
    type Key = (String, u64);
    type Value = String;

    const NAME: &'static str = "paths";
    const SUMMARY: &'static str = "the pages of each visitor";
    const GROUP_BY_FIRST: bool = true;

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let line = str::from_utf8(record.bytes)?;
        let columns: Vec<_> = line.split(' ').collect();
        out.emit((columns[0], columns[1].parse()?), columns[2]);
        Ok(())
    }

    fn reduce(
        &self,
        (visitor, first): (&str, u64),
        pages: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let path: Vec<String> = pages.owned().collect();
        rows.row((visitor, first), path.join(" "));
        Ok(())
    }
}

fn runner(name: &str) -> Arc<dyn Runner> {
    let jobs = [
        Maker::of::<Count<true>>(),
        Maker::of::<Count<false>>(),
        Maker::of::<Order>(),
        Maker::of::<Paths>(),
    ];
    JobTable::new(jobs).build(name, &BTreeMap::new()).unwrap()
}

/// How a job is run.
#[derive(Clone, Copy, Debug)]
struct How {
    split_size: u64,
    memory: u64,
    partitions: u32,
}

/// What a job left: rows of all parts, the digests of its runs, and how often it spilled.
#[derive(Debug, PartialEq)]
struct Left {
    rows: Vec<String>,
    digests: Vec<Digest>,
    spills: u32,
    lines: i64,
}

/// The plan of a job over a file in `folder` that holds `text`.
fn planned(folder: &Path, text: &str, split_size: u64) -> Plan {
    let input = folder.join("input.txt");
    fs::write(&input, text).unwrap();
    let name = InputName {
        typed: RawPath::from(Path::new("input.txt")),
        absolute: RawPath::from(input.as_path()),
        input: 0,
        format: None,
    };
    let files = discover(&[name]).unwrap();
    plan(files, Format::Lines, Some(ByteSize(split_size)), None).unwrap()
}

fn run(job: &str, folder: &Path, text: &str, how: How) -> Result<Left, TaskError> {
    let plan = planned(folder, text, how.split_size);
    let scratch = ScratchRoot::open(folder).unwrap();
    let runner = runner(job);
    let mut left = Left {
        rows: Vec::new(),
        digests: Vec::new(),
        spills: 0,
        lines: 0,
    };
    let mut runs = Vec::new();
    for split in &plan.splits {
        let attempt = attempt(TaskId::map(split.index), u64::from(split.index));
        let scratch = scratch.scratch(&attempt.token.to_string());
        let task = MapTask {
            attempt,
            split,
            maps: u32::try_from(plan.splits.len()).unwrap(),
            format: plan.format,
            partitions: how.partitions,
            partitioning: &Partitioning::Hash,
            memory: ByteSize(how.memory),
            in_memory_max: ByteSize(how.memory),
            skip_bad: 0,
            left_out: &[],
            scratch: &scratch,
            part_codec: Codec::Plain,
            part_folder: folder,
        };
        let done = runner.map(&task, &Unwatched)?;
        left.digests.push(done.report.run.digest);
        left.spills += done.report.spills;
        left.lines += done.report.counters.0.get("lines").copied().unwrap_or(0);
        runs.push(Run::open(done.run).unwrap());
    }
    for partition in 0..how.partitions {
        let attempt = attempt(TaskId::reduce(partition), 1_000_000 + u64::from(partition));
        let scratch = scratch.scratch(&attempt.token.to_string());
        let partition = PartitionId(partition);
        let segment =
            |(map, run): (u32, &Run)| -> Segment { run.segment(partition).unwrap().with_map(map) };
        let part_folder = folder.join(format!("part-of-{}", attempt.token));
        let task = ReduceTask {
            attempt,
            partition,
            format: plan.format,
            maps: u32::try_from(plan.splits.len()).unwrap(),
            partitions: how.partitions,
            inputs: (0..).zip(&runs).map(segment).collect(),
            memory: ByteSize(how.memory),
            scratch: &scratch,
            part_codec: Codec::Plain,
            part_folder: &part_folder,
            notes: None,
        };
        let done = runner.reduce(task, &Unwatched)?;
        let part = fs::read_dir(&part_folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path();
        let rows = fs::read_to_string(part).unwrap();
        assert_eq!(done.staged.part.rows, rows.lines().count() as u64);
        assert_eq!(done.staged.part.bytes, rows.len() as u64);
        left.rows.extend(rows.lines().map(str::to_owned));
    }
    Ok(left)
}

/// The rows of the job on one thread without attempts.
fn run_sequentially(job: &str, folder: &Path, text: &str) -> Vec<String> {
    let plan = planned(folder, text, 100);
    let part_folder = folder.join("sequential");
    let done = runner(job)
        .sequential(&SequentialTask {
            splits: &plan.splits,
            format: plan.format,
            scratch: &ScratchRoot::open(folder).unwrap().scratch("sequential"),
            part_codec: Codec::Plain,
            part_folder: &part_folder,
        })
        .unwrap();
    let rows = fs::read_to_string(part_folder.join("part-00000")).unwrap();
    assert_eq!(done.rows, rows.lines().count() as u64);
    rows.lines().map(str::to_owned).collect()
}

fn attempt(task: TaskId, counter: u64) -> AttemptId {
    AttemptId {
        token: Token {
            epoch: MasterEpoch(1),
            counter,
        },
        job: JobId(1),
        task,
        number: 1,
    }
}

#[test]
fn one_thread_without_attempts_gives_the_same_rows() {
    let text: String = (0..500)
        .map(|n| format!("{} word{} x\n", n % 7, n * n % 90))
        .collect();
    let visits = "v1 7 a\nv2 6 b\nv1 5 c\n";
    for (job, text) in [
        ("folded", &*text),
        ("listed", &text),
        ("order", &text),
        ("paths", visits),
        ("folded", ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let how = How {
            split_size: 300,
            memory: 4000,
            partitions: 1,
        };
        let want = run(job, folder.path(), text, how).unwrap().rows;
        assert_eq!(run_sequentially(job, folder.path(), text), want, "{job}");
    }
}

proptest! {
    #[test]
    fn values_of_a_group_come_in_order_of_the_rest_of_their_keys(
        visits in proptest::collection::vec((0..5_u8, 0..300_u64), 1..200),
        split_size in 1..500_u64,
        memory in 1..5_000_u64,
        partitions in 1..5_u32,
    ) {
        let line = |(number, (visitor, time)): (usize, &(u8, u64))| {
            format!("v{visitor} {time} p{number}\n")
        };
        let text: String = visits.iter().enumerate().map(line).collect();
        let mut paths: BTreeMap<u8, Vec<(u64, usize)>> = BTreeMap::new();
        for (number, (visitor, time)) in visits.iter().enumerate() {
            paths.entry(*visitor).or_default().push((*time, number));
        }
        let want = paths.iter_mut().map(|(visitor, path)| {
            path.sort();
            let pages: Vec<_> = path.iter().map(|(_, number)| format!("p{number}")).collect();
            format!("v{visitor}\t{}\t{}", path[0].0, pages.join(" "))
        });
        let folder = tempfile::tempdir().unwrap();
        let how = How { split_size, memory, partitions };
        let left = run("paths", folder.path(), &text, how).unwrap();
        prop_assert_eq!(sorted(left.rows), want.collect::<Vec<_>>());
    }
}

fn naive(text: &str) -> Vec<String> {
    let mut counts = BTreeMap::new();
    for word in text.split([' ', '\n']).filter(|word| !word.is_empty()) {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
        .into_iter()
        .map(|(word, n)| format!("{word}\t{n}"))
        .collect()
}

fn sorted(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

fn failure(result: Result<Left, TaskError>) -> Failure {
    match result {
        Err(TaskError::Failed(failure)) => *failure,
        other => panic!("{other:?}"),
    }
}

fn text() -> impl Strategy<Value = String> {
    let word = "[a-f]{1,3}|[a-z]{15,18}";
    let line = proptest::collection::vec(word, 0..6).prop_map(|words| words.join(" "));
    proptest::collection::vec(line, 0..80).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn rows_do_not_depend_on_splits_memory_or_combiner(
        text in text(), split_size in 1_u64..400, memory in 0_u64..6000, partitions in 1_u32..5
    ) {
        let folder = tempfile::tempdir().unwrap();
        let large = How { split_size: 1 << 20, memory: 1 << 20, partitions };
        let small = How { split_size, memory, partitions };
        let want = run("folded", folder.path(), &text, large).unwrap();
        prop_assert_eq!(sorted(want.rows.clone()), naive(&text));
        prop_assert_eq!(want.lines, text.lines().count() as i64);
        for job in ["folded", "listed"] {
            let folder = tempfile::tempdir().unwrap();
            prop_assert_eq!(&run(job, folder.path(), &text, small).unwrap().rows, &want.rows);
        }
    }

    #[test]
    fn digests_do_not_depend_on_memory(text in text(), memory in 0_u64..6000) {
        for job in ["folded", "listed", "order"] {
            let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let how = How { split_size: 500, memory: 1 << 20, partitions: 3 };
            let want = run(job, one.path(), &text, how).unwrap();
            let got = run(job, two.path(), &text, How { memory, ..how }).unwrap();
            prop_assert_eq!(got.digests, want.digests);
            prop_assert_eq!(got.rows, want.rows);
        }
    }

    #[test]
    fn values_come_in_input_order(text in text(), split_size in 1_u64..400, memory in 0_u64..3000) {
        let folder = tempfile::tempdir().unwrap();
        let mut want: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            for word in line.trim_end_matches('\n').split(' ') {
                want.entry(word).or_default().push(offset.to_string());
            }
            offset += line.len();
        }
        let row = |(word, offsets): (&str, Vec<String>)| {
            let most = if word.len().is_multiple_of(3) { 1 } else { offsets.len() };
            format!("{word}\t{}", offsets[..most].join(" "))
        };
        let want: Vec<_> = want.into_iter().map(row).collect();
        let got = run("order", folder.path(), &text, How { split_size, memory, partitions: 3 }).unwrap();
        prop_assert_eq!(sorted(got.rows), sorted(want));
    }
}

#[test]
fn little_memory_spills() {
    let folder = tempfile::tempdir().unwrap();
    let text: String = (0..3000).map(|n| format!("word{n} again\n")).collect();
    for job in ["folded", "listed"] {
        let how = How {
            split_size: 1 << 20,
            memory: 4096,
            partitions: 2,
        };
        let left = run(job, folder.path(), &text, how).unwrap();
        assert!(left.spills > 5, "{job}: {}", left.spills);
        assert_eq!(sorted(left.rows), naive(&text));
        fs::remove_dir_all(folder.path()).unwrap();
        fs::create_dir(folder.path()).unwrap();
    }
}

/// No memory at all: a spill for every few records that are folded or gathered together, and for every record once there is no hope that
/// keys repeat; merged over two tiers while the attempt runs.
#[test]
fn thousands_of_spills_are_merged_on_the_way() {
    let (together, alone) = (64, 4200);
    let records = (1 << 14) + alone;
    let text: String = (0..records)
        .map(|n| format!("{}\n", n * 7919 % 19_001))
        .collect();
    for job in ["folded", "listed", "order"] {
        let folder = tempfile::tempdir().unwrap();
        let how = |memory| How {
            split_size: 1 << 20,
            memory,
            partitions: 2,
        };
        let want = run(job, folder.path(), &text, how(1 << 20)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let got = run(job, folder.path(), &text, how(0)).unwrap();
        let least = match job {
            "folded" => records / together,
            _ => alone,
        };
        assert!(got.spills >= least, "{job}: {}", got.spills);
        assert_eq!((got.rows, got.digests), (want.rows, want.digests), "{job}");
    }
}

#[test]
fn a_panic_or_error_in_map_names_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let how = How {
        split_size: 1 << 20,
        memory: 1 << 20,
        partitions: 1,
    };
    let failure = failure(run(
        "folded",
        folder.path(),
        "one two\nthree panic four\nfive\n",
        how,
    ));
    assert!(
        failure.chain[0].contains("a word the job does not like"),
        "{failure:?}"
    );
    assert!(failure.chain[0].contains("attempts.rs:"), "{failure:?}");
    let at = failure.at.unwrap();
    assert_eq!((at.file.as_bytes(), at.offset), (&b"input.txt"[..], 8));
    assert_eq!(at.excerpt, b"three panic four");
    assert_eq!(at.record, 2);
}

#[test]
fn an_error_in_reduce_names_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let how = How {
        split_size: 1 << 20,
        memory: 1 << 20,
        partitions: 1,
    };
    let failure = failure(run("listed", folder.path(), "one refuse two\n", how));
    assert_eq!(
        failure.chain,
        [
            "cannot reduce key `refuse` (key 2 of partition 0)",
            "a word the job refuses"
        ]
    );
}

#[test]
fn a_panic_in_reduce_names_the_key() {
    for job in ["listed", "folded"] {
        let folder = tempfile::tempdir().unwrap();
        let how = How {
            split_size: 1 << 20,
            memory: 1 << 20,
            partitions: 1,
        };
        let failure = failure(run(job, folder.path(), "one scare two\n", how));
        let [place, panic] = failure.chain.as_slice() else {
            panic!("{failure:?}");
        };
        assert_eq!(place, "cannot reduce key `scare` (key 2 of partition 0)");
        assert!(panic.contains("a key the job does not like"), "{failure:?}");
    }
}

/// On its way out of `map`, and on that into `reduce`.
#[test]
fn a_panic_in_a_combiner_names_the_key() {
    for split_size in [1 << 20, 1] {
        let folder = tempfile::tempdir().unwrap();
        let how = How {
            split_size,
            memory: 1 << 20,
            partitions: 1,
        };
        let text = "one clash\ntwo clash\n";
        let failure = failure(run("folded", folder.path(), text, how));
        let [place, panic] = failure.chain.as_slice() else {
            panic!("{failure:?}");
        };
        assert_eq!(place, "cannot combine values of key `clash`");
        let said = "a word the combiner does not like";
        assert!(panic.contains(said), "{failure:?}");
    }
}
