//! The job: each attempt has one program, which is fed its records and prints what it makes of them.
//!
//! A map attempt starts the mapper at its first block and feeds it records; what it prints is emitted. With a combiner, that is gathered first,
//! sorted, fed to the combiner, and what *that* prints is emitted: as often as the room for it is full, and once at the end. A reduce attempt starts the
//! reducer at its first key, or at its end if there is none, as programs expect to be run.

use mapfold_job::{
    Attempt, Block, Emitter, Format, Job, JobError, Partition, Record, Rows, Values,
};

use crate::aggregate::{self, Aggregate};
use crate::conf::{Conf, KeyClass, PartitionBy, Reducer};
use crate::feed::{self, Feed};
use crate::gathered::Gathered;
use crate::key_spec::KeySpecs;
use crate::kind::{Kind, Kinds};
use crate::mapper::{FEED_BYTES, Mapper, Mapping};
use crate::order;
use crate::params::StreamingParams;
use crate::partitioner::Partitioner;
use crate::role::Role;
use crate::row::RowForm;
use crate::running::{Out, Running};

/// Bytes of keys and values that are gathered before a combiner is run.
const COMBINE_BYTES: usize = 64 << 20;

/// A job whose map and reduce are programs.
#[derive(Debug)]
pub struct Streaming {
    mapper: Mapper,
    combiner: Option<Role>,
    reducer: Reduce,
    /// Of combiner and reducer.
    feed: Feed,
    rows: RowForm,
    partitioner: Partitioner,
    order: KeySpecs,
}

#[derive(Debug)]
enum Reduce {
    Identity,
    Aggregate,
    Program(Box<Role>),
}

impl Job for Streaming {
    type Params = StreamingParams;
    /// What the key is sorted by, if that is not its bytes (see `order.rs`), and its bytes.
    type Key = Vec<u8>;
    type Value = Vec<u8>;

    const NAME: &'static str = "streaming";
    const SUMMARY: &'static str = "run programs as map and reduce (see `mapfold stream`)";
    /// Programs ask which file they read (`mapreduce_map_input_file`), and some say something of an empty one.
    const SPLIT_PER_FILE: bool = true;
    const PARTITION: Option<Partition<Self>> = Some(|job, sorted, partitions| {
        let key = order::key(&job.order, sorted);
        job.partitioner.of(job.mapper.kinds().key, key, partitions)
    });

    fn new(params: StreamingParams) -> Result<Self, JobError> {
        Self::of(&params.read()?)
    }

    fn map(&self, record: &Record<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let block = Block::new(record.file, record.offset, record.bytes, Format::Lines);
        self.map_block(&block, out)
    }

    fn map_block(&self, block: &Block<'_>, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let (mut mapping, mut gathered) = std::mem::take(out.state());
        let mut heard = self.map_out(&mut gathered, out);
        self.mapper.map(&mut mapping, block, &mut heard)?;
        *out.state() = (mapping, gathered);
        Ok(())
    }

    fn finish_map(&self, out: &mut Emitter<'_, Self>) -> Result<(), JobError> {
        let (mapping, mut gathered): (Mapping, Gathered) = out.take_state();
        let mut heard = self.map_out(&mut gathered, out);
        self.mapper.finish(mapping, &mut heard)?;
        heard.combine()
    }

    fn reduce(
        &self,
        sorted: &[u8],
        values: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let key = order::key(&self.order, sorted);
        match &self.reducer {
            Reduce::Identity => {
                while let Some(value) = values.next() {
                    self.rows.write(key, value, rows);
                }
                Ok(())
            }
            Reduce::Aggregate => self.aggregate(key, values, rows),
            Reduce::Program(role) => {
                let mut reducing = std::mem::take(rows.state::<Reducing>());
                reducing.has_groups = true;
                let Reducing { running, fed, .. } = &mut reducing;
                let mut out = self.reduce_out(true, rows);
                running.start(role, &out)?;
                let line = self.feed.line(key);
                while let Some((value, mut times)) = values.next_times() {
                    while times > 0 {
                        let begin = fed.len();
                        match &line {
                            Some(line) => line.put(value, fed),
                            None => self.feed.put(key, value, fed),
                        }
                        times -= 1;
                        times -= feed::put_again(fed, begin, times, FEED_BYTES);
                        if fed.len() >= FEED_BYTES {
                            running.feed_all(role, fed, &mut out)?;
                        }
                    }
                }
                *rows.state() = reducing;
                Ok(())
            }
        }
    }

    fn finish_reduce(&self, rows: &mut Rows<'_>) -> Result<(), JobError> {
        let Reduce::Program(role) = &self.reducer else {
            return Ok(());
        };
        let Reducing {
            mut running,
            fed,
            has_groups,
        } = rows.take_state();
        let mut out = self.reduce_out(has_groups, rows);
        running.start(role, &out)?;
        running.feed(role, &fed, &mut out)?;
        running.finish(role, &mut out)
    }
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

impl Streaming {
    /// The job that `conf` tells of.
    ///
    /// # Errors
    /// Options that are none; an empty command; keys or values that the reducer or combiner does not expect.
    pub fn of(conf: &Conf) -> Result<Self, JobError> {
        let mapper = Mapper::of(conf)?;
        let kinds = mapper.kinds();
        expect_kinds(conf, kinds)?;
        let key_separator = conf.key_separator.as_bytes();
        let order = KeySpecs::parse(&conf.order, key_separator)?;
        if !order.is_empty() && kinds.key != Kind::Text {
            return Err("only keys that are text are sorted by their fields".into());
        }
        let combiner = conf
            .combiner
            .as_ref()
            .filter(|_| conf.reducer != Reducer::Aggregate);
        let role = |name, command: &str, printed| Role::new(name, command, printed, conf);
        let (reducer, row_kinds) = match &conf.reducer {
            Reducer::Identity => (Reduce::Identity, kinds),
            Reducer::Aggregate => (Reduce::Aggregate, Kinds::TEXTS),
            Reducer::Command(command) => (
                Reduce::Program(Box::new(role("reducer", command, &conf.reduce_output)?)),
                Kinds::printed(conf.reduce_output.form),
            ),
        };
        Ok(Self {
            mapper,
            combiner: combiner
                .map(|command| role("combiner", command, &conf.combiner_output))
                .transpose()?,
            reducer,
            feed: Feed::new(&conf.reduce_input, kinds)?,
            rows: RowForm::new(&conf.row_separator, row_kinds),
            partitioner: match &conf.partitioner {
                PartitionBy::Hash => Partitioner::Hash,
                PartitionBy::KeyFields(options) => {
                    Partitioner::KeyFields(KeySpecs::parse(options, key_separator)?)
                }
            },
            order,
        })
    }

    fn aggregate(
        &self,
        key: &[u8],
        values: &mut Values<'_, Self>,
        rows: &mut Rows<'_>,
    ) -> Result<(), JobError> {
        let kinds = self.mapper.kinds();
        let key = kinds.key.shown(key);
        let (kind, id) = aggregate::split_key(&key)?;
        let mut aggregate = Aggregate::of(kind)?;
        while let Some(value) = values.next() {
            aggregate.add(&kinds.value.shown(value))?;
        }
        self.rows.write(id, aggregate.report().as_bytes(), rows);
        Ok(())
    }

    fn map_out<'a, 'e>(
        &'a self,
        gathered: &'a mut Gathered,
        out: &'a mut Emitter<'e, Self>,
    ) -> MapOut<'a, 'e> {
        MapOut {
            job: self,
            out,
            gathered: self.combiner.as_ref().map(|combiner| (combiner, gathered)),
            sorted: Vec::new(),
        }
    }

    fn reduce_out<'a, 'r>(&'a self, is_heard: bool, rows: &'a mut Rows<'r>) -> ReduceOut<'a, 'r> {
        ReduceOut {
            job: self,
            rows,
            is_heard,
        }
    }
}

/// Hadoop has one class of keys and values for all that passes between map and reduce, and fails if something else does.
fn expect_kinds(conf: &Conf, kinds: Kinds) -> Result<(), JobError> {
    let combined = conf.combiner.is_none() || Kinds::printed(conf.combiner_output.form) == kinds;
    if !combined && conf.reducer != Reducer::Aggregate {
        return Err(
            "the combiner does not print what the mapper does: give both the same form".into(),
        );
    }
    let expected = match (&conf.mapper, &conf.reducer) {
        (Some(_), _) => kinds,
        (None, Reducer::Command(_)) => Kinds::printed(conf.reduce_output.form),
        (None, _) => Kinds {
            key: match conf.key_class {
                KeyClass::Number => Kind::Number,
                KeyClass::Text => Kind::Text,
            },
            ..Kinds::TEXTS
        },
    };
    match kinds == expected {
        true => Ok(()),
        false => Err(format!(
            "without a mapper the keys are those of the input ({}), and the job expects others ({})",
            kinds.key.name(),
            expected.key.name()
        )
        .into()),
    }
}

/// What a mapper or combiner prints is emitted, or gathered for the combiner.
struct MapOut<'a, 'e> {
    job: &'a Streaming,
    out: &'a mut Emitter<'e, Streaming>,
    gathered: Option<(&'a Role, &'a mut Gathered)>,
    /// Room for what a key is sorted by, and it.
    sorted: Vec<u8>,
}

impl MapOut<'_, '_> {
    /// Runs the combiner over what was gathered, if there is one and something for it.
    fn combine(&mut self) -> Result<(), JobError> {
        let Some((combiner, gathered)) = &mut self.gathered else {
            return Ok(());
        };
        if gathered.bytes() == 0 {
            return Ok(());
        }
        let mut out = MapOut {
            job: self.job,
            out: self.out,
            gathered: None,
            sorted: Vec::new(),
        };
        let mut running = Running::default();
        running.start(combiner, &out)?;
        let mut fed = Vec::new();
        gathered.drain_sorted(|key, value| {
            self.job.feed.put(key, value, &mut fed);
            match fed.len() >= FEED_BYTES {
                true => running.feed_all(combiner, &mut fed, &mut out),
                false => Ok(()),
            }
        })?;
        running.feed(combiner, &fed, &mut out)?;
        running.finish(combiner, &mut out)
    }
}

impl Out for MapOut<'_, '_> {
    fn pair(&mut self, text: &[u8], key: &[u8], value: &[u8]) -> Result<(), JobError> {
        let order = &self.job.order;
        let mut sorted = key;
        if !order.is_empty() {
            self.sorted.clear();
            order::encode(order, key, &mut self.sorted);
            self.sorted.extend_from_slice(key);
            sorted = &self.sorted;
        }
        let Some((_, gathered)) = &mut self.gathered else {
            self.out.emit_from(text, sorted, value);
            return Ok(());
        };
        gathered.push(sorted, key.len(), value);
        match gathered.bytes() >= COMBINE_BYTES {
            true => self.combine(),
            false => Ok(()),
        }
    }

    fn count(&mut self, group: &str, name: &str, amount: i64) {
        self.out.count_in(group, name, amount);
    }

    fn attempt(&self) -> &Attempt<'_> {
        self.out.attempt()
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
    fn pair(&mut self, _: &[u8], key: &[u8], value: &[u8]) -> Result<(), JobError> {
        if self.is_heard {
            self.job.rows.write(key, value, self.rows);
        }
        Ok(())
    }

    fn count(&mut self, group: &str, name: &str, amount: i64) {
        self.rows.count_in(group, name, amount);
    }

    fn attempt(&self) -> &Attempt<'_> {
        self.rows.attempt()
    }
}

#[cfg(test)]
mod tests;
