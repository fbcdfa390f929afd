use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::{Emitter, Fold, JobError, NoParams, Record, Rows, Values};

/// Numbers of a line, folded by whatever `F` is.
struct Folded<const F: u8>(AtomicU64);

const SUM: u8 = 0;
const MEAN_OF_MEANS: u8 = 1;
const NUMBERED: u8 = 2;
const COUNTS_CALLS: u8 = 3;

impl<const F: u8> Job for Folded<F> {
    type Params = NoParams;
    type Key = String;
    type Value = u64;

    const NAME: &'static str = "folded";
    const SUMMARY: &'static str = "folds numbers";
    const FOLD: Option<Fold<Self>> = match F {
        SUM => Some(|_, _, sum, n| *sum += n),
        MEAN_OF_MEANS => Some(|_, _, mean, n| *mean = u64::midpoint(*mean, n)),
        _ => None,
    };

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self(AtomicU64::new(0)))
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let line = str::from_utf8(record.bytes)?;
        let (key, number) = line.split_once(' ').ok_or("a line has two columns")?;
        out.count("lines", 1);
        match F {
            NUMBERED if record.offset == 0 => out.emit("first", 1),
            COUNTS_CALLS => out.emit(key, self.0.fetch_add(1, Ordering::Relaxed)),
            _ => out.emit(key, number.parse()?),
        }
        Ok(())
    }

    fn reduce(
        &self,
        key: &str,
        values: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.count("keys", 1);
        rows.row(key, values.owned().sum::<u64>());
        Ok(())
    }
}

const LINES: &str = "a 1\nb 20\na 3\nc 5\na 100\nb 2\nc 9\nb 31\n";

fn check_fails<J: Job>(lines: &str) -> String {
    match Trial::<J>::of(lines).check() {
        Ok(tried) => panic!("{:?}", tried.rows()),
        Err(error) => format!("{error:?}"),
    }
}

#[test]
fn a_good_job_leaves_the_same_rows_in_all_ways() {
    let tried = Trial::<Folded<SUM>>::of(LINES).check().unwrap();
    assert_eq!(tried.rows(), ["a\t104", "b\t53", "c\t14"]);
    assert_eq!((tried.counter("lines"), tried.counter("keys")), (8, 3));
    assert_eq!((tried.counter("other"), tried.maps()), (0, 1));
    Trial::<Folded<NUMBERED>>::of(LINES).check().unwrap();
    assert!(
        Trial::<Folded<SUM>>::of("")
            .check()
            .unwrap()
            .rows()
            .is_empty()
    );
}

/// Sorts lines, which it emits at the end of a map task only.
struct SortedAtTheEnd;

impl Job for SortedAtTheEnd {
    type Params = NoParams;
    type Key = String;
    type Value = ();

    const NAME: &'static str = "sorted-at-the-end";
    const SUMMARY: &'static str = "sorts lines";
    const TOTAL_ORDER: bool = true;

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        out.state::<Vec<String>>().push(record.text().into_owned());
        Ok(())
    }

    fn finish_map(&self, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        for line in out.take_state::<Vec<String>>() {
            out.emit(&line, ());
        }
        Ok(())
    }

    fn reduce(
        &self,
        line: &str,
        _: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        *rows.state::<i64>() += 1;
        rows.row(line, "");
        Ok(())
    }

    fn finish_reduce(&self, rows: &mut Rows<'_>) -> Result<(), JobError> {
        let rows_before = *rows.state::<i64>();
        rows.count("rows", rows_before);
        rows.count("parts", 1);
        Ok(())
    }
}

#[test]
fn what_a_job_keeps_is_of_one_attempt() {
    let trial = Trial::<SortedAtTheEnd>::of("d\nb\na\nc\ne\n").reducers(2);
    let tried = trial.check().unwrap();
    // Ranges were found from what is emitted at the end.
    assert!(tried.parts().iter().all(|part| !part.is_empty()));
    let rows: Vec<String> = tried
        .rows()
        .iter()
        .map(|row| row.trim().to_owned())
        .collect();
    assert_eq!(rows, ["a", "b", "c", "d", "e"]);
    assert_eq!((tried.counter("rows"), tried.counter("parts")), (5, 2));
}

/// Which inputs the lines of each key are from.
struct Whence;

impl Job for Whence {
    type Params = NoParams;
    type Key = String;
    type Value = u64;

    const NAME: &'static str = "whence";
    const SUMMARY: &'static str = "inputs of lines";
    const INPUTS: &'static [&'static str] = &["left", "right"];

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        out.emit(&record.text(), record.input() as u64);
        Ok(())
    }

    fn reduce(
        &self,
        line: &str,
        inputs: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let inputs: Vec<String> = inputs.owned().map(|input| input.to_string()).collect();
        rows.row(line, inputs.join(" "));
        Ok(())
    }
}

#[test]
fn values_come_in_the_order_of_the_inputs() {
    let trial = Trial::<Whence>::new()
        .input("right", "a\nb\na\n")
        .input("left", "a\n")
        .input("left", "c\na\n");
    let tried = trial.check().unwrap();
    assert_eq!(tried.rows(), ["a\t0 0 1 1", "b\t1", "c\t0"]);
}

#[test]
fn an_input_may_have_a_format_of_its_own() {
    let trial = Trial::<Whence>::new()
        .input("right", "name\na\n")
        .input("left", "a\n");
    let trial = trial.format_of("right", Format::CSV);
    assert_eq!(trial.check().unwrap().rows(), ["a\t0 1"]);
}

#[test]
fn inputs_that_there_are_not_are_refused() {
    let why = |trial: Trial<Whence>| format!("{:?}", trial.run().map(drop).unwrap_err());
    let unknown = why(Trial::new().input("middle", "a\n"));
    assert!(unknown.contains("`middle` is no input"), "{unknown}");
    let unnamed = why(Trial::of("a\n"));
    assert!(
        unnamed.contains("`input` is no input of the job"),
        "{unnamed}"
    );
    assert!(unnamed.contains(r#"["left", "right"]"#), "{unnamed}");
    let format = why(Trial::new().format_of("middle", Format::CSV));
    assert!(format.contains("`middle` is no input"), "{format}");
}

#[test]
fn a_combiner_that_is_not_associative_is_found() {
    let why = check_fails::<Folded<MEAN_OF_MEANS>>(LINES);
    assert!(why.contains("the combiner is not associative"), "{why}");
    assert!(
        why.contains("1 reduce task and with splits of 18 bytes"),
        "{why}"
    );
    assert!(why.contains("row 2 is `b\\t21` and `b\\t18`"), "{why}");
}

/// Writes how many keys its part has, as its last row.
struct CountsKeys;

impl Job for CountsKeys {
    type Params = NoParams;
    type Key = String;
    type Value = ();

    const NAME: &'static str = "counts-keys";
    const SUMMARY: &'static str = "counts keys";

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        out.emit(&record.text(), ());
        Ok(())
    }

    fn reduce(
        &self,
        _: &str,
        _: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        *rows.state::<u64>() += 1;
        Ok(())
    }

    fn finish_reduce(&self, rows: &mut Rows<'_>) -> Result<(), JobError> {
        let keys = rows.take_state::<u64>();
        rows.row("keys", keys);
        Ok(())
    }
}

#[test]
fn rows_of_a_reduce_task_as_a_whole_are_found() {
    let why = check_fails::<CountsKeys>(LINES);
    assert!(
        why.contains("depend on which keys share a reduce task"),
        "{why}"
    );
    let tried = Trial::<CountsKeys>::of(LINES).run().unwrap();
    assert_eq!(tried.rows(), ["keys\t8"]);
}

#[test]
fn a_job_that_remembers_is_found() {
    let why = check_fails::<Folded<COUNTS_CALLS>>(LINES);
    assert!(why.contains("the first time and the second"), "{why}");
    assert!(why.contains("depends on more than its records"), "{why}");
}

#[test]
fn what_goes_from_map_to_reduce_can_be_looked_at() {
    let tried = Trial::<Folded<SUM>>::of("a 1\na 2\nb 3\n")
        .split_size(4)
        .reducers(3)
        .run()
        .unwrap();
    assert_eq!((tried.maps(), tried.parts().len()), (3, 3));
    let mut seen = Vec::new();
    tried.for_each_intermediate(|map, _, key, value| seen.push((map, key.to_owned(), value)));
    let pair = |map, key: &str, value| (map, key.to_owned(), value);
    assert_eq!(seen, [pair(0, "a", 1), pair(1, "a", 2), pair(2, "b", 3)]);
    assert!(tried.intermediate()[0].starts_with("m0 p"));
}

#[test]
fn a_record_that_the_job_cannot_handle_is_told_with_its_place() {
    let trial = Trial::<Folded<SUM>>::new()
        .file("good", "a 1\n")
        .file("in/bad", "a 1\nb x\n");
    let why = format!("{:?}", trial.run().map(drop).unwrap_err());
    assert!(why.contains("at in/bad, offset 4, record 3: b x"), "{why}");
}

#[test]
fn parameters_that_there_are_not_are_refused() {
    let trial = Trial::<Folded<SUM>>::of(LINES).param("colour", "blue");
    let why = format!("{:?}", trial.run().map(drop).unwrap_err());
    let want = "there is no parameter `colour`: the job takes none";
    assert!(why.contains(want), "{why}");
}

#[test]
fn what_was_left_can_be_shown_of_a_job_that_cannot() {
    let tried = Trial::<Folded<SUM>>::of("a 1\n").run().unwrap();
    assert!(format!("{tried:?}").contains(r#"rows: ["a\t1"]"#));
}

/// Tells what its attempts know.
struct Knows;

fn known(attempt: &crate::Attempt<'_>) -> String {
    let mut known = format!(
        "{} of {}, {}",
        attempt.id(),
        attempt.maps(),
        attempt.reduces()
    );
    let pieces = attempt.split().into_iter().flat_map(|split| &split.pieces);
    for piece in pieces {
        let name = piece.file.name.display();
        known += &format!(" {name}:{}-{}", piece.start, piece.end);
    }
    known
}

impl Job for Knows {
    type Params = NoParams;
    type Key = String;
    type Value = ();

    const NAME: &'static str = "knows";
    const SUMMARY: &'static str = "tells what its attempts know";

    fn new(_: NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, _: &Record<'_>, _: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        Ok(())
    }

    fn finish_map(&self, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let known = known(out.attempt());
        out.emit(&known, ());
        Ok(())
    }

    fn reduce(
        &self,
        known: &str,
        _: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.row(known, "");
        Ok(())
    }

    fn finish_reduce(&self, rows: &mut Rows<'_>) -> Result<(), JobError> {
        rows.row(known(rows.attempt()), "");
        Ok(())
    }
}

#[test]
fn attempts_know_what_they_are_and_read() {
    let trial = Trial::<Knows>::new()
        .file("one", "aaaaaaaaaaaaaaaaaaaaaaa\nb\n")
        .file("two", "")
        .split_size(20);
    let tried = trial.run().unwrap();
    let want = [
        "m0.1 of 2, 1 one:0-20\t",
        "m1.1 of 2, 1 one:20-26 two:0-0\t",
        "r0.1 of 2, 1\t",
    ];
    assert_eq!(tried.rows(), want);
}
