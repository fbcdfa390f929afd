//! The job: each attempt has one program, which is fed its records and prints what it makes of them.
//!
//! A map attempt starts the mapper at its first block and feeds it lines; what it prints is emitted. With a combiner, that is gathered first,
//! sorted, fed to the combiner, and what *that* prints is emitted: as often as the room for it is full, and once at the end. A reduce attempt starts the
//! reducer at its first key, or at its end if there is none, as programs expect to be run.

use std::borrow::Cow;
use std::ffi::OsString;

use mapfold_job::{Block, Emitter, Job, JobError, Partition, Record, Rows, Values, params};

use crate::aggregate::{self, Aggregate};
use crate::argv;
use crate::conf::{Conf, Fed, Form, KeyClass, PartitionBy, Printed, Records, Reducer};
use crate::fields::Fields;
use crate::gathered::Gathered;
use crate::key_spec::KeySpecs;
use crate::lines::Lines;
use crate::order;
use crate::partitioner::Partitioner;
use crate::program::Start;
use crate::running::{Manners, Out, Running};

/// Bytes that are gathered before a program is fed.
const FEED_BYTES: usize = 256 << 10;
/// Bytes of keys and values that are gathered before a combiner is run.
const COMBINE_BYTES: usize = 64 << 20;

params! {
    /// Parameters of [`Streaming`].
    pub struct StreamingParams {
        /// The job, as JSON: what `mapfold stream` makes of its arguments.
        pub conf: String,
    }
}

/// A job whose map and reduce are programs.
#[derive(Debug)]
pub struct Streaming {
    mapper: Start,
    combiner: Option<Start>,
    reducer: Reduce,
    map_output: Fields,
    combiner_output: Fields,
    reduce_input: Vec<u8>,
    reduce_output: Fields,
    partitioner: Partitioner,
    order: KeySpecs,
    manners: Manners,
}

#[derive(Debug)]
enum Reduce {
    Identity,
    Aggregate,
    Program(Start),
}

impl Job for Streaming {
    type Params = StreamingParams;
    /// What the key is sorted by, if that is not its bytes, and the key.
    type Key = (Vec<u8>, Vec<u8>);
    type Value = Vec<u8>;

    const NAME: &'static str = "streaming";
    const SUMMARY: &'static str = "run programs as map and reduce (see `mapfold stream`)";
    /// Programs ask which file they read (`mapreduce_map_input_file`), and some say something of an empty one.
    const SPLIT_PER_FILE: bool = true;
    const PARTITION: Option<Partition<Self>> =
        Some(|job, (_, key), partitions| job.partitioner.of(key, partitions));

    fn new(params: StreamingParams) -> Result<Self, JobError> {
        let conf: Conf = serde_json::from_str(&params.conf)?;
        Self::of(&conf)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        self.feed_mapper(&[record.bytes, b"\n"].concat(), out)
    }

    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        self.feed_mapper(&to_feed(block)?, out)
    }

    fn finish_map(&self, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let Mapping {
            mut running,
            mut gathered,
        } = out.take_state();
        running.start(&self.mapper)?;
        running.finish(&self.manners, &mut self.map_out(&mut gathered, out))?;
        self.combine(&mut gathered, out)
    }

    fn reduce(
        &self,
        (_, key): (&[u8], &[u8]),
        values: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        match &self.reducer {
            Reduce::Identity => {
                while let Some(value) = values.next() {
                    rows.row(key, value);
                }
                Ok(())
            }
            Reduce::Aggregate => {
                let (kind, id) = aggregate::split_key(key)?;
                let mut aggregate = Aggregate::of(kind)?;
                while let Some(value) = values.next() {
                    aggregate.add(value)?;
                }
                rows.row(id, aggregate.report());
                Ok(())
            }
            Reduce::Program(start) => {
                let mut reducing = std::mem::take(rows.state::<Reducing>());
                reducing.running.start(start)?;
                reducing.has_groups = true;
                while let Some(value) = values.next() {
                    self.put_pair(key, value, &mut reducing.fed);
                    if reducing.fed.len() >= FEED_BYTES {
                        reducing.feed(self, rows)?;
                    }
                }
                *rows.state() = reducing;
                Ok(())
            }
        }
    }

    fn finish_reduce(&self, rows: &mut Rows<'_>) -> Result<(), JobError> {
        let Reduce::Program(start) = &self.reducer else {
            return Ok(());
        };
        let mut reducing = rows.take_state::<Reducing>();
        reducing.running.start(start)?;
        reducing.feed(self, rows)?;
        let mut out = reducing.out(self, rows);
        reducing.running.finish(&self.manners, &mut out)
    }
}

/// What programs cannot be fed yet, and what is not understood yet of what they print.
fn refuse_what_is_to_come(conf: &Conf) -> Result<(), JobError> {
    let Conf {
        records: Records::Lines,
        line_max: 0,
        mapper: Some(_),
        map_input,
        ignore_key: true,
        map_output,
        combiner_output,
        reduce_input,
        reduce_output,
        key_class: KeyClass::Number,
        ..
    } = conf
    else {
        return Err(
            "records other than lines, and jobs without a mapper, are not supported".into(),
        );
    };
    let is_text = |fed: &Fed| fed.form == Form::Text;
    let prints_text = [map_output, combiner_output, reduce_output]
        .iter()
        .all(|printed| printed.form == Form::Text);
    match prints_text && is_text(map_input) && is_text(reduce_input) && conf.row_separator == "\t" {
        true => Ok(()),
        false => Err("only text with a TAB between key and value of a row is supported".into()),
    }
}

/// The lines of a block as a program is fed them: each with an LF.
pub(crate) fn to_feed<'a>(block: &Block<'a>) -> Result<Cow<'a, [u8]>, JobError> {
    let bytes = block.bytes();
    let is_plain = block.has_lines() && memchr::memchr(b'\r', bytes).is_none();
    if is_plain && bytes.last().is_none_or(|last| *last == b'\n') {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut fed = Vec::with_capacity(bytes.len() + 1);
    let mut lines = Lines::default();
    let mut add = |line: &[u8]| {
        fed.extend_from_slice(line);
        fed.push(b'\n');
        Ok::<_, JobError>(())
    };
    lines.push(bytes, &mut add)?;
    lines.finish(&mut add)?;
    Ok(Cow::Owned(fed))
}

/// What a map attempt keeps.
#[derive(Default)]
struct Mapping {
    running: Running,
    /// For the combiner, if there is one.
    gathered: Gathered,
}

/// What a reduce attempt keeps.
#[derive(Default)]
struct Reducing {
    running: Running,
    /// To be fed.
    fed: Vec<u8>,
    /// There was a key.
    has_groups: bool,
}

impl Reducing {
    fn feed(&mut self, job: &Streaming, rows: &mut Rows<'_>) -> Result<(), JobError> {
        let mut out = self.out(job, rows);
        self.running.feed(&self.fed, &job.manners, &mut out)?;
        self.fed.clear();
        Ok(())
    }

    fn out<'a, 'r>(&self, job: &'a Streaming, rows: &'a mut Rows<'r>) -> ReduceOut<'a, 'r> {
        ReduceOut {
            job,
            rows,
            is_heard: self.has_groups,
        }
    }
}

impl Streaming {
    /// The job that `conf` tells of.
    ///
    /// # Errors
    /// Options that are none; an empty command.
    pub fn of(conf: &Conf) -> Result<Self, JobError> {
        refuse_what_is_to_come(conf)?;
        let start = |command: &str| -> Result<Start, JobError> {
            let argv: Vec<OsString> = argv::split(command).into_iter().map(Into::into).collect();
            if argv.is_empty() {
                return Err("a command is empty".into());
            }
            let env = conf.env.iter();
            Ok(Start {
                argv,
                env: env
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect(),
                folder: conf.folder.clone(),
            })
        };
        let key_separator = conf.key_separator.as_bytes();
        let cut = |printed: &Printed| Fields::new(printed.separator.as_bytes(), printed.keys);
        Ok(Self {
            mapper: start(conf.mapper.as_deref().unwrap_or_default())?,
            combiner: conf.combiner.as_deref().map(start).transpose()?,
            reducer: match &conf.reducer {
                Reducer::Identity => Reduce::Identity,
                Reducer::Aggregate => Reduce::Aggregate,
                Reducer::Command(command) => Reduce::Program(start(command)?),
            },
            map_output: cut(&conf.map_output),
            combiner_output: cut(&conf.combiner_output),
            reduce_input: conf.reduce_input.separator.as_bytes().to_vec(),
            reduce_output: cut(&conf.reduce_output),
            partitioner: match &conf.partitioner {
                PartitionBy::Hash => Partitioner::Hash,
                PartitionBy::KeyFields(options) => {
                    Partitioner::KeyFields(KeySpecs::parse(options, key_separator)?)
                }
            },
            order: KeySpecs::parse(&conf.order, key_separator)?,
            manners: Manners {
                reporter: conf.reporter.clone(),
                codes_matter: conf.codes_matter,
            },
        })
    }

    pub(crate) fn mapper(&self) -> &Start {
        &self.mapper
    }

    pub(crate) fn manners(&self) -> &Manners {
        &self.manners
    }

    pub(crate) fn map_output(&self) -> &Fields {
        &self.map_output
    }

    fn feed_mapper(&self, bytes: &[u8], out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let mut mapping = std::mem::take(out.state::<Mapping>());
        mapping.running.start(&self.mapper)?;
        let mut heard = self.map_out(&mut mapping.gathered, out);
        mapping.running.feed(bytes, &self.manners, &mut heard)?;
        if mapping.gathered.bytes() >= COMBINE_BYTES {
            self.combine(&mut mapping.gathered, out)?;
        }
        *out.state() = mapping;
        Ok(())
    }

    fn map_out<'a, 'e>(
        &'a self,
        gathered: &'a mut Gathered,
        out: &'a mut Emitter<'e, Self>,
    ) -> MapOut<'a, 'e> {
        MapOut {
            job: self,
            cut: &self.map_output,
            out,
            gathered: self.combiner.is_some().then_some(gathered),
        }
    }

    /// Runs the combiner over what was gathered, if there is one and something for it.
    fn combine(
        &self,
        gathered: &mut Gathered,
        out: &mut Emitter<'_, Self>,
    ) -> Result<(), JobError> {
        let Some(combiner) = self.combiner.as_ref().filter(|_| gathered.bytes() > 0) else {
            return Ok(());
        };
        let mut running = Running::default();
        running.start(combiner)?;
        let mut out = MapOut {
            job: self,
            cut: &self.combiner_output,
            out,
            gathered: None,
        };
        let mut fed = Vec::new();
        gathered.drain_sorted(|key, value| {
            self.put_pair(key, value, &mut fed);
            if fed.len() >= FEED_BYTES {
                running.feed(&fed, &self.manners, &mut out)?;
                fed.clear();
            }
            Ok::<_, JobError>(())
        })?;
        running.feed(&fed, &self.manners, &mut out)?;
        running.finish(&self.manners, &mut out)
    }

    /// A line that a program is fed for a key and a value.
    fn put_pair(&self, key: &[u8], value: &[u8], fed: &mut Vec<u8>) {
        for part in [key, &self.reduce_input, value, b"\n"] {
            fed.extend_from_slice(part);
        }
    }

    /// What a key is sorted by before its bytes: nothing, if there is no other order.
    fn sorted_by(&self, key: &[u8]) -> Vec<u8> {
        let mut sorted_by = Vec::new();
        order::encode(&self.order, key, &mut sorted_by);
        sorted_by
    }
}

/// What a mapper or combiner prints is emitted, or gathered for the combiner.
struct MapOut<'a, 'e> {
    job: &'a Streaming,
    cut: &'a Fields,
    out: &'a mut Emitter<'e, Streaming>,
    gathered: Option<&'a mut Gathered>,
}

impl Out for MapOut<'_, '_> {
    fn line(&mut self, line: &[u8]) {
        let (key, value) = self.cut.split(line);
        let sorted_by = self.job.sorted_by(key);
        match &mut self.gathered {
            Some(gathered) => gathered.push(&sorted_by, key, value),
            None => self.out.emit((&sorted_by, key), value),
        }
    }

    fn count(&mut self, group: &str, name: &str, amount: i64) {
        count(group, name, amount, |name, n| self.out.count(name, n));
    }

    fn stopped(&self) -> bool {
        self.out.cancelled()
    }
}

/// What a reducer prints are rows.
struct ReduceOut<'a, 'r> {
    job: &'a Streaming,
    rows: &'a mut Rows<'r>,
    /// What a reducer prints that was given no key is thrown away, as by Hadoop.
    is_heard: bool,
}

impl Out for ReduceOut<'_, '_> {
    fn line(&mut self, line: &[u8]) {
        if self.is_heard {
            let (key, value) = self.job.reduce_output.split(line);
            self.rows.row(key, value);
        }
    }

    fn count(&mut self, group: &str, name: &str, amount: i64) {
        count(group, name, amount, |name, n| self.rows.count(name, n));
    }

    fn stopped(&self) -> bool {
        self.rows.cancelled()
    }
}

/// The engine's counters have one name.
pub(crate) fn count(group: &str, name: &str, amount: i64, add: impl FnOnce(&str, u64)) {
    add(&format!("{group}: {name}"), amount.unsigned_abs());
}

#[cfg(test)]
mod tests;
