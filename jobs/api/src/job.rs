//! The trait that a job implements.

use std::error::Error;

use crate::{Block, Emitter, Format, Key, Params, Record, Rows, Value, Values};

/// Whatever a job's function wants to fail with. Counts as the job's fault; the task is tried again
/// a few times, then the job fails with this error and the record at hand.
pub type JobError = Box<dyn Error + Send + Sync>;

/// A job's key as its functions handle it.
pub type KeyRef<'a, J> = <<J as Job>::Key as Key>::Ref<'a>;

/// A job's value as its functions handle it.
pub type ValueRef<'a, J> = <<J as Job>::Value as Value>::Ref<'a>;

/// What a job's combiner accumulates in.
pub type ValueOwned<J> = <<J as Job>::Value as Value>::Owned;

/// A combiner: folds one more value of a key into what was accumulated. Arguments: the job, the
/// encoded key (see [`Key::decode`]), the accumulator, the value.
///
/// Must be associative: it is applied to any groups of a key's values in input order, any number of
/// times, on the way from `map` to `reduce`. It runs when a few dozen values have come, so if it panics, the record that the message
/// names may be one a little after the value's own.
pub type Fold<J> = fn(&J, &[u8], &mut ValueOwned<J>, ValueRef<'_, J>);

/// Shares out keys to partitions. Arguments: the job, the key, how many partitions there are; returns one of them, counted from 0.
///
/// [`spread`](crate::spread) shares out evenly by some bytes, such as a part of the key.
pub type Partition<J> = fn(&J, KeyRef<'_, J>, u32) -> u32;

/// A MapReduce job. One value of the type serves many attempts at once, on many threads.
///
/// `map` and `reduce` should depend on nothing but their arguments and the parameters. If they do depend on
/// more, output is still that of one execution, but which one may differ from run to run.
pub trait Job: Sized + Send + Sync + 'static {
    /// What `-p KEY=VALUE` sets; declare it with [`params!`](crate::params), or [`NoParams`](crate::NoParams).
    type Params: Params;
    /// Type of the keys.
    type Key: Key;
    /// Type of the values.
    type Value: Value;

    /// What `mapfold run` calls it: lower case and dashes.
    const NAME: &'static str;
    /// One line for `mapfold list`.
    const SUMMARY: &'static str;
    /// What a row is and what counts, for `mapfold describe`. A few paragraphs at most.
    const HELP: &'static str = "";
    /// How input is cut into records, unless `--format` says otherwise: [`Format::CSV`] for rows of comma-separated values with a header
    /// ([`Record::csv`]). See [`INPUT_FORMATS`](Job::INPUT_FORMATS) if it is not the same for all inputs.
    const FORMAT: Format = Format::Lines;
    /// Names of its inputs, if it reads several kinds, as a join does; then each path is typed as `NAME=PATH`, and [`Record::input`] tells which
    /// input a record is from, by its place here. All of the first input is read before the second, and so on: so of equal keys without a combiner, `reduce`
    /// sees the values of the first input first.
    ///
    /// ```
    /// # use mapfold_job::{Coded, Emitter, Job, JobError, NoParams, Record, Rows, Trial, Values};
    /// /// What each user has ordered: users are lines of `id name`, orders of `user item`.
    /// struct Orders;
    ///
    /// const USERS: usize = 0;
    ///
    /// impl Job for Orders {
    ///     type Params = NoParams;
    ///     type Key = String;
    ///     type Value = Coded<(usize, String)>;
    ///     const NAME: &'static str = "orders";
    ///     const SUMMARY: &'static str = "what each user has ordered";
    ///     const INPUTS: &'static [&'static str] = &["users", "orders"];
    /// #   fn new(_: NoParams) -> Result<Self, JobError> { Ok(Self) }
    ///
    ///     fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
    ///         let line = str::from_utf8(record.bytes)?;
    ///         let (user, rest) = line.split_once(' ').ok_or("a line has two columns")?;
    ///         out.emit(user, (record.input(), rest.to_owned()));
    ///         Ok(())
    ///     }
    ///
    ///     fn reduce(
    ///         &self,
    ///         _: &str,
    ///         values: &mut Values<'_, Self>,
    ///         rows: &mut Rows<'_>,
    ///     ) -> Result<(), JobError> {
    ///         let mut users = Vec::new();
    ///         // All users come before the first order.
    ///         for (input, text) in values.owned() {
    ///             match input {
    ///                 USERS => users.push(text),
    ///                 _ => users.iter().for_each(|name| rows.row(name, &text)),
    ///             }
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let trial = Trial::<Orders>::new()
    ///     .input("orders", "7 tea\n9 ink\n7 jam\n")
    ///     .input("users", "7 Ann\n8 Bob\n");
    /// assert_eq!(trial.check().unwrap().rows(), ["Ann\ttea", "Ann\tjam"]);
    /// ```
    const INPUTS: &'static [&'static str] = &[];
    /// How each of [`INPUTS`](Job::INPUTS) is cut into records, in their order, where that is not [`FORMAT`](Job::FORMAT) for all. `--format NAME=csv` says otherwise of one, and
    /// `--format csv` of all. Rows that are records ([`Rows::record`]) are written as `FORMAT` has it, or `--format csv`.
    ///
    /// ```
    /// # use mapfold_job::{Coded, Emitter, Format, Job, JobError, NoParams, Record, Rows, Trial, Values};
    /// # use serde::Deserialize;
    /// #[derive(Deserialize)]
    /// struct User<'a> {
    ///     id: u64,
    ///     name: &'a str,
    /// }
    ///
    /// /// What each user has ordered: users are lines of JSON, orders have a header that names columns.
    /// struct Orders;
    ///
    /// impl Job for Orders {
    /// #   type Params = NoParams;
    /// #   type Key = u64;
    /// #   type Value = Coded<(usize, String)>;
    /// #   const NAME: &'static str = "orders";
    /// #   const SUMMARY: &'static str = "what each user has ordered";
    /// #   fn new(_: NoParams) -> Result<Self, JobError> { Ok(Self) }
    ///     // ...
    ///     const INPUTS: &'static [&'static str] = &["users", "orders"];
    ///     const INPUT_FORMATS: &'static [Format] = &[Format::Lines, Format::CSV];
    ///
    ///     fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
    ///         let (user, text) = match record.input() {
    ///             0 => record.json::<User>().map(|user| (user.id, user.name.to_owned()))?,
    ///             _ => record.csv()?,
    ///         };
    ///         out.emit(user, (record.input(), text));
    ///         Ok(())
    ///     }
    /// #   fn reduce(&self, _: u64, values: &mut Values<'_, Self>, rows: &mut Rows<'_>) -> Result<(), JobError> {
    /// #       let mut names = Vec::new();
    /// #       for (input, text) in values.owned() {
    /// #           match input {
    /// #               0 => names.push(text),
    /// #               _ => names.iter().for_each(|name| rows.row(name, &text)),
    /// #           }
    /// #       }
    /// #       Ok(())
    /// #   }
    /// }
    ///
    /// let trial = Trial::<Orders>::new()
    ///     .input("users", "{\"id\":7,\"name\":\"Ann\"}\n")
    ///     .input("orders", "user,item\n7,tea\n");
    /// assert_eq!(trial.check().unwrap().rows(), ["Ann\ttea"]);
    /// let tabs = trial.format_of("orders", Format::TSV).input("orders", "user\titem\n7\tjam\n");
    /// ```
    const INPUT_FORMATS: &'static [Format] = &[];
    /// The parameter, a [`SideFile`](crate::SideFile), that the rows are the next version of, such as the centres of k-means. `--times N` then reads the same input in
    /// each round, and gives it the rows of the round before as that file; it ends early when they are the same bytes. Without it a round reads
    /// the rows of the one before as its input.
    const REFINES: Option<&'static str> = None;
    /// The combiner, if values of one key can be folded together early. With one, `reduce` sees exactly one value.
    const FOLD: Option<Fold<Self>> = None;
    /// Whether the part files, one after another, hold all keys in increasing order. Partitions are then ranges of keys, found from
    /// a sample of the input that is mapped before the job begins; else they are ranges of hashes, of about equal
    /// numbers of keys whatever the keys are. Not for a job with a combiner, whose runs are ordered by hash.
    const TOTAL_ORDER: bool = false;
    /// Which partition, and so which part file, a key belongs to, if that is not left to its hash. Depends on nothing but
    /// its arguments; a number that is no partition fails the attempt, and names the key. With
    /// [`GROUP_BY_FIRST`](Job::GROUP_BY_FIRST) it is given the first part of the key as it is, and the least value of each other part: a group
    /// has one partition. Not for a job with a total order, whose partitions follow from that.
    ///
    /// ```
    /// # use mapfold_job::{Emitter, Fold, Job, JobError, NoParams, Partition, Record, Rows, Trial, Values};
    /// /// Counts the words of each part of the alphabet: with `-r 26`, a part file for each letter.
    /// struct Alphabet;
    ///
    /// impl Job for Alphabet {
    /// #   type Params = NoParams;
    ///     type Key = String;
    ///     type Value = u64;
    ///     const NAME: &'static str = "alphabet";
    ///     const SUMMARY: &'static str = "count words, in part files by their first letters";
    ///     const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);
    ///     const PARTITION: Option<Partition<Self>> = Some(|_, word, partitions| {
    ///         let letter = word.bytes().next().unwrap_or(0).to_ascii_lowercase();
    ///         let place = u32::from(letter.saturating_sub(b'a').min(25));
    ///         place * partitions / 26
    ///     });
    /// #   fn new(_: NoParams) -> Result<Self, JobError> {
    /// #       Ok(Self)
    /// #   }
    /// #   fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
    /// #       for word in str::from_utf8(record.bytes)?.split_whitespace() {
    /// #           out.emit(word, 1);
    /// #       }
    /// #       Ok(())
    /// #   }
    /// #   fn reduce(&self, word: &str, counts: &mut Values<'_, Self>, rows: &mut Rows<'_>) -> Result<(), JobError> {
    /// #       rows.row(word, counts.owned().sum::<u64>());
    /// #       Ok(())
    /// #   }
    ///     // `map` and `reduce` know nothing of it.
    /// }
    /// # let trial = Trial::<Alphabet>::of("a zoo\nan ape\n").reducers(2);
    /// # assert_eq!(trial.check().unwrap().rows(), ["a\t1", "an\t1", "ape\t1", "zoo\t1"]);
    /// ```
    const PARTITION: Option<Partition<Self>> = None;
    /// Whether a map task reads one file at most, rather than many small ones, and an empty file has a map task too: for a job that keeps something of a file until
    /// [`finish_map`](Job::finish_map). Many small files are many map tasks then. A file larger than a split has several all the same, of one length, unless its format
    /// is [`Format::Files`].
    const SPLIT_PER_FILE: bool = false;
    /// Whether there are no reduce tasks, and `map` writes the rows: [`map_only!`](crate::map_only) says so.
    const MAP_ONLY: bool = false;
    /// Secondary sort: whether keys are tuples whose first part alone makes a group. Keys are sorted whole, so the values of a group
    /// come in order of the rest of their keys; the partition follows from the first part. `reduce` is given the key of the group's
    /// first value; what it must know of the others' belongs in the values. Not for a job with a combiner.
    ///
    /// ```
    /// # use mapfold_job::{Emitter, Job, JobError, NoParams, Record, Rows, Values};
    /// /// The path of each visitor through a site, from lines of `visitor time page` in any order.
    /// struct Paths;
    ///
    /// impl Job for Paths {
    ///     type Params = NoParams;
    ///     type Key = (Vec<u8>, u64);
    ///     type Value = Vec<u8>;
    ///     const NAME: &'static str = "paths";
    ///     const SUMMARY: &'static str = "the pages of each visitor in the order of their visits";
    ///     const GROUP_BY_FIRST: bool = true;
    /// #   fn new(_: NoParams) -> Result<Self, JobError> {
    /// #       Ok(Self)
    /// #   }
    ///
    ///     fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
    ///         let mut columns = record.bytes.split(|byte| *byte == b' ');
    ///         let mut next = || columns.next().ok_or("a line has three columns");
    ///         let (visitor, time, page) = (next()?, next()?, next()?);
    ///         out.emit((visitor, str::from_utf8(time)?.parse()?), page);
    ///         Ok(())
    ///     }
    ///
    ///     fn reduce(
    ///         &self,
    ///         (visitor, _first_visit): (&[u8], u64),
    ///         pages: &mut Values<'_, Self>,
    ///         rows: &mut Rows<'_>,
    ///     ) -> Result<(), JobError> {
    ///         let path: Vec<Vec<u8>> = pages.owned().collect();
    ///         rows.row(visitor, path.join(&b' '));
    ///         Ok(())
    ///     }
    /// }
    /// ```
    const GROUP_BY_FIRST: bool = false;

    /// Makes the job.
    ///
    /// # Errors
    /// Parameters that parse but make no sense (a pattern that is no regular expression).
    fn new(params: Self::Params) -> Result<Self, JobError>;

    /// Turns one record into any number of keys and values.
    ///
    /// # Errors
    /// Whatever the job cannot handle; see [`JobError`].
    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError>;

    /// Turns a block of whole records into keys and values: a loop over [`map`](Job::map), unless the job does
    /// better by looking at many records at once. A block of a `files` or `fixed` input may be one
    /// record; [`Block::line_based`] says whether words can be taken from its bytes as they are.
    ///
    /// # Errors
    /// As `map`.
    #[inline]
    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        for record in block.records() {
            out.begin_record(&record);
            self.map(&record, out)?;
        }
        Ok(())
    }

    /// Turns a key and all its values into any number of rows. Called once for each distinct key, in
    /// increasing order of keys within a part file; values come in input order, or as one if there is a combiner.
    ///
    /// # Errors
    /// As `map`.
    fn reduce(
        &self,
        key: KeyRef<'_, Self>,
        values: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError>;

    /// Ends a map attempt, after the last record of its split: emits what the job has kept in [`Emitter::state`].
    ///
    /// The state is the attempt's own: no other thread sees it, and an attempt that is made again begins without any. It is there for what
    /// is cheaper to gather than to emit, and for what is dear to make and no parameter (a cache). It is not counted in `--memory`; emit when it grows.
    ///
    /// Which records share a map task depends on the size of splits. What is emitted here should not matter in another grouping: sums do not, if there is
    /// a combiner or `reduce` adds up. A record must be understood without those before it: where records may be skipped (`--skip-bad`),
    /// those that `map` fails on are found by mapping each alone. An error here is no record's: it fails the attempt.
    ///
    /// ```
    /// # use mapfold_job::{Emitter, Fold, Job, JobError, NoParams, Record, Rows, Trial, Values};
    /// use std::collections::HashMap;
    ///
    /// /// Counts lines by their first letter, most of it without a lookup in the engine's table.
    /// struct Letters;
    ///
    /// type Counts = HashMap<u8, u64>;
    ///
    /// impl Job for Letters {
    ///     type Params = NoParams;
    ///     type Key = Vec<u8>;
    ///     type Value = u64;
    ///     const NAME: &'static str = "letters";
    ///     const SUMMARY: &'static str = "how many lines begin with each letter";
    ///     const FOLD: Option<Fold<Self>> = Some(|_, _, sum, n| *sum += n);
    /// #   fn new(_: NoParams) -> Result<Self, JobError> { Ok(Self) }
    ///
    ///     fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
    ///         if let Some(letter) = record.bytes.first() {
    ///             *out.state::<Counts>().entry(*letter).or_default() += 1;
    ///         }
    ///         Ok(())
    ///     }
    ///
    ///     fn finish_map(&self, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
    ///         for (letter, count) in out.take_state::<Counts>() {
    ///             out.emit(&[letter], count);
    ///         }
    ///         Ok(())
    ///     }
    ///
    /// #   fn reduce(&self, letter: &[u8], counts: &mut Values<'_, Self>, rows: &mut Rows<'_>) -> Result<(), JobError> {
    /// #       rows.row(letter, counts.owned().sum::<u64>());
    /// #       Ok(())
    /// #   }
    ///     // ...
    /// }
    /// let trial = Trial::<Letters>::of("ab\nbc\nac\n");
    /// assert_eq!(trial.check().unwrap().rows(), ["a\t2", "b\t1"]);
    /// ```
    ///
    /// # Errors
    /// As `map`.
    fn finish_map(&self, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let _ = out;
        Ok(())
    }

    /// Ends a reduce attempt, after its last key: writes what the job has kept in [`Rows::state`]. Called also where there was no key. Which keys share
    /// a part depends on the number of reduce tasks.
    ///
    /// # Errors
    /// As `map`.
    fn finish_reduce(&self, rows: &mut Rows<'_>) -> Result<(), JobError> {
        let _ = rows;
        Ok(())
    }

    /// Whether the rows are the records, each of them once, as in a sort: then what the job will write is known beforehand, and it is refused
    /// where there is no room for it.
    fn keeps_records(&self) -> bool {
        false
    }
}

/// Makes a [`Job`] one without `reduce`: each map task writes its rows straight to a part file, in the order of its records; nothing
/// is sorted or sent. The parts, in their order, follow the input. Stands in the `impl` for `Key`, `Value` and `reduce`; `map`
/// writes to [`Emitter::rows`](crate::Emitter::rows).
///
/// The parts follow from how the input is cut: from its size and `--split-size`, never from the machine or the cluster.
///
/// ```
/// use mapfold_job::{Emitter, Job, JobError, NoParams, Record, Trial, map_only};
///
/// /// Lines that have something in them, without blanks around it.
/// struct Trim;
///
/// impl Job for Trim {
///     map_only!();
///     type Params = NoParams;
///     const NAME: &'static str = "trim";
///     const SUMMARY: &'static str = "lines without blanks around them";
///
///     fn new(_: NoParams) -> Result<Self, JobError> {
///         Ok(Self)
///     }
///
///     fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
///         match record.bytes.trim_ascii() {
///             b"" => out.count("empty", 1),
///             line => out.rows().record(line),
///         }
///         Ok(())
///     }
/// }
/// let tried = Trial::<Trim>::of("  b\n \n a \n").check().unwrap();
/// assert_eq!(tried.rows(), ["b", "a"]);
/// ```
#[macro_export]
macro_rules! map_only {
    () => {
        type Key = ();
        type Value = ();
        const MAP_ONLY: bool = true;

        fn reduce(
            &self,
            (): (),
            _: &mut $crate::Values<'_, Self>,
            _: &mut $crate::Rows<'_>,
        ) -> ::core::result::Result<(), $crate::JobError> {
            ::core::result::Result::Ok(())
        }
    };
}

/// Of how many partitions the runs of a job are ordered by one range of hashes: of all, if hashes share out its keys; of one, if it does
/// so itself.
#[inline]
pub(crate) const fn hash_partitions<J: Job>(partitions: u32) -> u32 {
    match J::PARTITION {
        None => partitions,
        Some(_) => 1,
    }
}

/// What makes a group, of an encoded key: the whole, or its first part.
#[inline]
pub(crate) fn group_of<J: Job>(key: &[u8]) -> &[u8] {
    if J::GROUP_BY_FIRST {
        J::Key::first_part(key)
    } else {
        key
    }
}
