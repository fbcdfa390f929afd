//! Jobs that share out their keys themselves: whatever the splits, the memory and the number of partitions, each key is where the job
//! wants it, keys are in order within each part, and the rows are those of any other job.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use mapfold_job::{
    Emitter, Fold, Job, JobError, Partition, Record, Rows, Trial, Values, params, spread,
};
use proptest::prelude::*;

params! {
    /// Parameters of the jobs.
    struct Params {
        /// The key that is given a partition beyond the last.
        pub beyond: String = String::new(),
    }
}

/// Counts words, shared out by their length; with a combiner or without.
struct Lengths<const FOLDS: bool>(Params);

impl<const FOLDS: bool> Job for Lengths<FOLDS> {
    type Params = Params;
    type Key = String;
    type Value = u64;

    const NAME: &'static str = "lengths";
    const SUMMARY: &'static str = "count words, in parts by their length";
    const FOLD: Option<Fold<Self>> = if FOLDS {
        Some(|_, _, sum, n| *sum += n)
    } else {
        None
    };
    const PARTITION: Option<Partition<Self>> = Some(|job, word, partitions| {
        assert_ne!(word, "panic", "a word that it does not like");
        let length = u32::try_from(word.len()).unwrap_or(u32::MAX);
        if word == job.0.beyond {
            partitions
        } else {
            length % partitions
        }
    });

    fn new(params: Params) -> Result<Self, JobError> {
        Ok(Self(params))
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let words = str::from_utf8(record.bytes)?.split_whitespace();
        words.for_each(|word| out.emit(word, 1));
        Ok(())
    }

    fn reduce(
        &self,
        word: &str,
        counts: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.row(word, counts.owned().sum::<u64>());
        Ok(())
    }
}

/// Groups of words by their first letter, in order of the rest; what it is asked about a key of a group is always the same.
struct Groups;

impl Job for Groups {
    type Params = mapfold_job::NoParams;
    type Key = (String, String, u64);
    type Value = u64;

    const NAME: &'static str = "groups";
    const SUMMARY: &'static str = "words by their first letter";
    const GROUP_BY_FIRST: bool = true;
    const PARTITION: Option<Partition<Self>> = Some(|_, (letter, rest, offset), partitions| {
        assert_eq!((rest, offset), ("", 0), "nothing but the group counts");
        spread(letter.as_bytes(), partitions)
    });

    fn new(_: mapfold_job::NoParams) -> Result<Self, JobError> {
        Ok(Self)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        for word in str::from_utf8(record.bytes)?.split_whitespace() {
            out.emit((&word[..1], &word[1..], record.offset + 1), 1);
        }
        Ok(())
    }

    fn reduce(
        &self,
        (letter, _, _): (&str, &str, u64),
        words: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        rows.row(letter, words.owned().sum::<u64>());
        Ok(())
    }
}

fn text(words: &[String]) -> String {
    words.chunks(5).map(|line| line.join(" ") + "\n").collect()
}

fn counted<'a>(words: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, u64> {
    let mut counts = BTreeMap::new();
    words.for_each(|word| *counts.entry(word).or_insert(0) += 1);
    counts
}

fn check<J: Job>(words: &[String], partitions: u32, split_size: u64, memory: u64) {
    let tried = Trial::<J>::of(text(words))
        .reducers(partitions)
        .split_size(split_size)
        .memory(memory)
        .run()
        .unwrap();
    let counts = counted(words.iter().map(String::as_str));
    for (partition, part) in tried.parts().iter().enumerate() {
        let here = counts
            .iter()
            .filter(|(word, _)| word.len() % partitions as usize == partition);
        let want: String = here.map(|(word, n)| format!("{word}\t{n}\n")).collect();
        assert_eq!(String::from_utf8_lossy(part), want, "{partition}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn keys_are_where_the_job_wants_them_in_order(
        words in proptest::collection::vec("[a-c]{1,20}", 1..300),
        partitions in 1..9_u32,
        split_size in 1..2_000_u64,
        memory in prop_oneof![Just(1), Just(30_000), Just(16_000_000_u64)],
    ) {
        check::<Lengths<true>>(&words, partitions, split_size, memory);
        check::<Lengths<false>>(&words, partitions, split_size, memory);
    }
}

/// Many keys, so that tables grow, spill and are merged, and a reduce folds more than one bucket.
#[test]
fn many_keys_are_where_the_job_wants_them() {
    let words: Vec<String> = (0..60_000_u64)
        .map(|n| format!("{}{}", n * n % 20_011, "x".repeat((n % 30) as usize)))
        .collect();
    for memory in [700_000, 64_000_000] {
        check::<Lengths<true>>(&words, 7, 200_000, memory);
        check::<Lengths<false>>(&words, 7, 200_000, memory);
    }
}

#[test]
fn a_group_has_one_partition_by_construction() {
    let words = "apple avocado bean beet carrot apple cress";
    let tried = Trial::<Groups>::of(words).reducers(4).check().unwrap();
    let mut rows = tried.rows();
    rows.sort();
    assert_eq!(rows, ["a\t3", "b\t2", "c\t2"]);
}

#[test]
fn a_partition_that_there_is_not_fails_and_names_the_key() {
    fn failed<J: Job>(text: &str) -> String {
        let trial = Trial::<J>::of(text).reducers(4).param("beyond", "words");
        trial.run().err().unwrap().to_string()
    }
    for (text, want) in [
        (
            "some words here\n",
            "key `words` is given partition 4, but there are 4, counted from 0",
        ),
        ("panic\n", "a word that it does not like"),
    ] {
        for said in [
            failed::<Lengths<true>>(text),
            failed::<Lengths<false>>(text),
        ] {
            assert!(said.contains(want), "{said}");
        }
    }
}
